package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/settings"
	"loteria/internal/certs"
	"loteria/reactor"
)

// openCertificates reads the files of TLS, or returns nil when the central has no
// certificate. Its error is for settings.Report: no restart mends the files.
func openCertificates(c config) (*certs.Store, error) {
	if c.tls.certificate == "" {
		return nil, nil
	}
	store, err := certs.Open(certs.Files{
		Certificate: c.tls.certificate,
		Key:         c.tls.key,
		Authorities: c.tls.clientCA,
		Revoked:     c.tls.revoked,
	})
	if err != nil {
		return nil, &settings.Error{Key: "TLS", Problem: err.Error()}
	}
	return store, nil
}

// tlsPort returns the port with TLS, or nil.
func (c config) tlsPort(store *certs.Store, connections int) *reactor.TLS {
	if !c.tls.isOn() {
		return nil
	}
	return &reactor.TLS{
		Address:          c.tlsAddress(),
		Config:           store.Config,
		Identify:         store.Identify,
		HandshakeTimeout: c.tls.handshakeTimeout,
		MaxHandshakes:    limitHandshakes(c.tls.maxHandshakes, connections),
	}
}

const (
	// renewal is how long a certificate and its key may mismatch, or be incomplete,
	// before it counts as a failure: they are written one after the other.
	renewal = 10 * time.Second
	// expiryNotice is how long before the expiry operators are warned.
	expiryNotice = 30 * 24 * time.Hour
)

// identifier identifies the connected agencies again.
type identifier interface{ IdentifyAgain() }

// renewer rereads the files of TLS, and logs that.
type renewer struct {
	store      *certs.Store // nil when there are none
	identifier identifier
	now        func() time.Time
	log        zerolog.Logger

	problem  string    // why the last read of the files failed; empty if it did not
	since    time.Time // when it first failed
	said     bool      // the problem was logged as a failure
	notified time.Time // when the certificate's expiry was last checked
}

// askedToRead returns a channel of SIGUSR1, by which an operator asks for the files
// to be read again. From then on that signal ends no process.
func askedToRead() <-chan os.Signal {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	return asked
}

// run checks the files each second, and rereads them at once when asked to. It
// returns when ctx is done.
func (r *renewer) run(ctx context.Context, asked <-chan os.Signal) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	if r.store != nil {
		r.tell("read_certificates", r.store.Status()).Send()
	}
	r.notify()
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			r.reload(true)
		case <-ticker.C:
			if r.store != nil && r.store.Changed() {
				r.reload(false)
			}
			if r.now().Sub(r.notified) >= 24*time.Hour {
				r.notify()
			}
		}
	}
}

// reload reads the files. Each problem is logged as a passing one, then once as a
// failure if it lasts; an operator who asks gets the result at once.
func (r *renewer) reload(asked bool) {
	if r.store == nil {
		r.log.Info().Str("action", "reload_certificates").Str("result", "success").
			Str("reason", "this central has no certificates: there is nothing to read").Send()
		return
	}
	before := r.store.Status()
	if err := r.store.Reload(); err != nil {
		r.fail(err, asked)
		return
	}
	hadProblem := r.problem != ""
	r.problem, r.said = "", false
	status := r.store.Status()
	isOther := status.Version != before.Version
	if isOther {
		r.identifier.IdentifyAgain()
	}
	if isOther || hadProblem || asked {
		r.tell("reload_certificates", status).Bool("changed", isOther).Send()
	}
	if isOther {
		r.notify()
	}
}

func (r *renewer) fail(err error, asked bool) {
	now := r.now()
	if r.problem == "" {
		r.since = now
	}
	isNew := err.Error() != r.problem
	if isNew {
		r.problem, r.said = err.Error(), false
	}
	const goesOn = "what was read before goes on to count"
	switch {
	case asked || !r.said && now.Sub(r.since) >= renewal:
		r.said = true
		r.log.Error().Str("action", "reload_certificates").Str("result", "fail").Err(err).Str("meanwhile", goesOn).Send()
	case isNew && now.Sub(r.since) < renewal:
		r.log.Warn().Str("action", "reload_certificates").Str("result", "in_progress").Str("reason", err.Error()).Str("meanwhile", goesOn).Send()
	}
}

// tell begins a line about the certificates in use.
func (r *renewer) tell(action string, status certs.Status) *zerolog.Event {
	return r.log.Info().Str("action", action).Str("result", "success").Str("serial", status.Serial).
		Str("expires", status.Expires.UTC().Format(time.RFC3339)).Int("authorities", status.Authorities).Int("revoked", status.Revoked)
}

// notify logs what operators should look at.
func (r *renewer) notify() {
	if r.store == nil {
		return
	}
	r.notified = r.now()
	status := r.store.Status()
	for _, warning := range status.Warnings {
		r.log.Warn().Str("action", "check_certificates").Str("result", "success").Str("reason", warning).Send()
	}
	if left := status.Expires.Sub(r.notified); left > 0 && left < expiryNotice {
		r.log.Warn().Str("action", "check_certificates").Str("result", "success").
			Str("expires", status.Expires.UTC().Format(time.RFC3339)).Str("left", left.Round(time.Minute).String()).
			Str("reason", "the central's certificate expires soon: renew it").Send()
	}
}
