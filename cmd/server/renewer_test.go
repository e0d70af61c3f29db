package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"loteria/internal/certs"

	"github.com/rs/zerolog"
)

// counter counts how often connections are identified again.
type counter int

func (c *counter) IdentifyAgain() { *c++ }

// renewing is a renewer whose clock and log the test controls.
type renewing struct {
	*renewer
	*credentials
	log   bytes.Buffer
	clock time.Time
	again counter
}

func newRenewing(t *testing.T, c *credentials) *renewing {
	t.Helper()
	store, err := certs.Open(certs.Files{Certificate: c.certificate, Key: c.key, Authorities: c.authorities, Revoked: c.revoked})
	if err != nil {
		t.Fatal(err)
	}
	r := &renewing{credentials: c, clock: time.Now()}
	r.renewer = &renewer{
		store: store, identifier: &r.again, now: func() time.Time { return r.clock },
		log: zerolog.New(&r.log).Level(zerolog.InfoLevel),
	}
	return r
}

// says expects the lines of the log since the last call: the start of each, without
// what zerolog has around them.
func (r *renewing) says(t *testing.T, want ...string) {
	t.Helper()
	text := strings.TrimSpace(r.log.String())
	r.log.Reset()
	var lines []string
	if text != "" {
		lines = strings.Split(text, "\n")
	}
	if len(lines) != len(want) {
		t.Fatalf("the log has\n%s\nexpected %q", text, want)
	}
	for i, line := range lines {
		if !strings.Contains(line, want[i]) {
			t.Errorf("the log has %s, expected %s", line, want[i])
		}
	}
}

const (
	reloaded = `"action":"reload_certificates","result":"success"`
	tries    = `"action":"reload_certificates","result":"in_progress"`
	failed   = `"action":"reload_certificates","result":"fail"`
)

// A possible half renewal becomes a failure when it stays; each problem is logged
// once, and so is its end.
func TestProblemsOfARenewal(t *testing.T) {
	c := newCredentials(t)
	r := newRenewing(t, c)
	old, next := r.store.Status().Serial, c.central(time.Time{})
	look := func(after time.Duration, want ...string) {
		t.Helper()
		r.clock = r.clock.Add(after)
		r.reload(false)
		r.says(t, want...)
	}
	look(0)
	look(time.Second)
	c.write(c.certificate, next.Certificate)
	look(time.Second, tries)
	look(time.Second)
	look(renewal - 2*time.Second) // nearly
	look(time.Second, failed)
	look(time.Hour)
	c.write(c.certificate, []byte("half"))
	look(time.Second, failed) // it has lasted already
	look(time.Hour)
	if r.store.Status().Serial != old || r.again != 0 {
		t.Errorf("the certificate is %s instead of %s, and connections were identified %d times", r.store.Status().Serial, old, r.again)
	}
	r.reload(true)
	r.says(t, failed)
	r.reload(true)
	r.says(t, failed)
	c.renew(next)
	look(time.Second, reloaded)
	look(time.Second)
	if r.again != 1 {
		t.Errorf("connections were identified %d times, expected once", r.again)
	}
	r.reload(true)
	r.says(t, `"changed":false`)
	os.Remove(c.revoked)
	look(time.Second, tries) // it is another problem, which has not lasted yet
	c.write(c.revoked, nil)
	look(time.Second, `"changed":false`)
}

// The certificate's expiry is logged once a day.
func TestExpiryIsToldDaily(t *testing.T) {
	c := newCredentials(t)
	c.renew(c.central(time.Now().Add(40 * 24 * time.Hour)))
	r := newRenewing(t, c)
	r.notify()
	r.says(t)
	for range 3 {
		r.clock = r.clock.Add(12 * 24 * time.Hour)
		r.notify()
		r.says(t, `"action":"check_certificates"`)
	}
	c.renew(c.central(time.Time{}))
	r.reload(false)
	r.says(t, reloaded)
	r.notify()
	r.says(t)
}
