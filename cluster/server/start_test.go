package server_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"loteria/cluster/natstest"
	"loteria/codec"
	"loteria/internal/process/processtest"
	"loteria/lottery"
)

var contests atomic.Int32

// on returns the flags of a central for a new contest.
func on(c *natstest.Cluster) []string {
	return []string{
		"--ledger", strings.Join(c.URLs(), ","), "--contest", fmt.Sprintf("c%d", contests.Add(1)),
		"--nats-replicas", fmt.Sprint(c.Size()), "--nats-max-bytes", fmt.Sprint(64 << 20),
	}
}

func with(args []string, more ...string) []string { return append(args[:len(args):len(args)], more...) }

var (
	raw    = lottery.RawBet{Agency: "1", FirstName: "Santiago", LastName: "Lorca", Document: "30904465", Birthdate: "1999-03-17", Number: "7574"}
	stored = &codec.Success{Document: "30904465", Number: "7574"}
	told   = &codec.Winners{Documents: []string{"30904465"}}
)

// A contest gets its terms from the central that begins it.
func TestOtherTerms(t *testing.T) {
	args := on(natstest.Start(t, 1))
	p := begin(t, with(args, "--expected-agencies", "2")...)
	listens(p)
	line := ""
	for _, said := range p.Lines() {
		if strings.Contains(said, "action: open_contest") {
			line = said
		}
	}
	for _, want := range []string{"stream: loteria-c", "servers: 127.0.0.1:", "agencies: 2", "phase: betting"} {
		if !strings.Contains(line, want) || strings.Contains(line, "file:") {
			t.Errorf("the contest is opened with %q, expected %q", line, want)
		}
	}
	if _, said := do(t, 2, with(args, "--expected-agencies", "3")...); !strings.Contains(said, "EXPECTED_AGENCIES: is 3") || !strings.Contains(said, "was begun with 2") {
		t.Errorf("it says %q", said)
	}
	p.Stop()
}

// A central that starts before its servers waits for them, and its admin port
// answers meanwhile; a stop ends that at once.
func TestStartBeforeNATS(t *testing.T) {
	c := natstest.Start(t, 1)
	args := with(on(c), "--expected-agencies", "1", "--admin", "127.0.0.1:0")
	heal := c.CutAllClients()
	p := begin(t, args...)
	_, admin, _ := strings.Cut(p.Await("action: admin_listen | result: success"), "address: ")
	p.Await("action: open_contest | result: in_progress | servers: 127.0.0.1:")
	for path, want := range map[string]string{"/healthz": "200", "/readyz": "503", "/api/state": `"kind":"nats"`} {
		if got := get(t, "http://"+admin+path); !strings.Contains(got, want) {
			t.Errorf("%s answers %s, expected %s", path, got, want)
		}
	}
	stopped := begin(t, args...)
	stopped.Await("action: open_contest | result: in_progress")
	stopped.Stop()
	if stopped.Count("action: exit | result: success") != 1 || stopped.Count("result: fail") != 0 {
		t.Errorf("the stop is not clean: %v", stopped)
	}
	heal()
	address := listens(p)
	exchange(t, address, []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // the leader is asked each second
		got := get(t, "http://"+admin+"/api/state")
		if strings.Contains(got, `"leader":"`+c.Name(0)+`"`) && !strings.Contains(got, "waited for") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the state does not tell of the leader: %s", got)
		}
	}
	p.Stop()
}

// It says why it waits: otherwise an operator looks for the fault in the wrong
// place.
func TestSaysWhyItWaits(t *testing.T) {
	for name, test := range map[string]struct {
		args  []string
		wants string
	}{
		"nobody listens": {[]string{"--ledger", "nats://127.0.0.1:1", "--contest", "x"}, "connection refused"},
		"no such host":   {[]string{"--ledger", "nats://nowhere.invalid:4222", "--contest", "x"}, "lookup nowhere.invalid"},
		"no room":        {with(on(natstest.Start(t, 3)), "--nats-max-bytes", fmt.Sprint(1<<50)), "max_file_store"},
	} {
		t.Run(name, func(t *testing.T) {
			p := begin(t, with(test.args, "--admin", "127.0.0.1:0")...)
			_, admin, _ := strings.Cut(p.Await("action: admin_listen | result: success"), "address: ")
			for line := ""; !strings.Contains(line, test.wants); {
				line = p.Await("action: open_contest | result: in_progress")
				if !strings.Contains(line, "error: ") {
					continue // the first attempt goes on
				}
				if !strings.Contains(line, test.wants) {
					t.Fatalf("it says %q, expected %q in it", line, test.wants)
				}
			}
			if got := get(t, "http://"+admin+"/api/state"); !strings.Contains(got, test.wants) {
				t.Errorf("the state is %s, expected %q in it", got, test.wants)
			}
			p.Stop()
		})
	}
}

// get returns the status and the body of a response.
func get(t *testing.T, url string) string {
	t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", response.StatusCode, body)
}

// Without servers, a command that runs once fails at once.
func TestNoNATS(t *testing.T) {
	const nobody = "nats://127.0.0.1:1"
	folder := t.TempDir()
	for _, args := range [][]string{
		{"--check", "--ledger", nobody},
		{"--export", filepath.Join(folder, "bets.csv"), "--ledger", nobody},
		{"--import", nobody, "--storage-dir", folder},
	} {
		if _, said := do(t, 1, with(args, "--contest", "x")...); !strings.Contains(said, "no NATS server can be reached") {
			t.Errorf("%q says %q", args, said)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// A central that is not let in says so, once, at once, and without any secret.
func TestNotLetIn(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, Username: "u", Password: "s3cr3t", NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server is not ready")
	}
	url := "nats://" + s.Addr().String()
	creds := filepath.Join(t.TempDir(), "central.creds")
	garbled := filepath.Join(t.TempDir(), "garbled.creds")
	if err := os.WriteFile(garbled, []byte("s3cr3t"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nobody":          {[]string{"--ledger", url}, 1, "Authorization Violation"},
		"no such file":    {[]string{"--ledger", url, "--nats-creds", creds}, 2, "NATS_CREDS: cannot be used"},
		"no credentials":  {[]string{"--ledger", url, "--nats-creds", garbled}, 1, "no nkey seed found"},
		"check with none": {[]string{"--check", "--ledger", url, "--nats-creds", garbled}, 1, "no nkey seed found"},
		"in the address":  {[]string{"--ledger", "nats://u:s3cr3t@" + s.Addr().String()}, 2, "--nats-creds"},
		"check":           {[]string{"--check", "--ledger", url}, 1, "Authorization Violation"},
		"a server of TLS": {[]string{"--ledger", url, "--nats-ca", creds}, 2, "NATS_CA: cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, said := do(t, test.code, with(test.args, "--contest", "x")...)
			if !strings.Contains(strings.ToLower(said), strings.ToLower(test.says)) || strings.Contains(stdout+said, "s3cr3t") {
				t.Errorf("it says %q\n%s", said, stdout)
			}
		})
	}
}

// Two centrals of one contest both end the betting at its deadline, whichever of
// them got it, and each announces the one draw once; a restart does not announce
// it again.
func TestTwoCentralsDraw(t *testing.T) {
	args := with(on(natstest.Start(t, 1)), "--expected-agencies", "2")
	b := begin(t, with(args, "--central", "B")...)
	atB := listens(b)
	exchange(t, atB, []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	// If A is late, its deadline has passed and it draws at once.
	deadline := time.Now().Add(3 * time.Second).UTC().Format(time.RFC3339Nano)
	a := begin(t, with(args, "--central", "A", "--draw-deadline", deadline)...)
	atA := listens(a)
	ask := []codec.Message{&codec.WinnersQuery{Agency: "1"}}
	for _, p := range []*processtest.Process{a, b} {
		if p.Count("action: sorteo") == 0 {
			p.Await("action: sorteo | result: success")
		}
	}
	exchange(t, atA, ask, []codec.Message{told})
	exchange(t, atB, ask, []codec.Message{told})
	a.Stop()
	b.Stop()
	for _, p := range []*processtest.Process{a, b} {
		if p.Count("action: sorteo") != 1 || p.Count("result: fail") != 0 {
			t.Errorf("the log does not tell of one draw: %v", p)
		}
	}
	again := begin(t, args...)
	exchange(t, listens(again), append(ask, &codec.Finished{Agency: "1"}), []codec.Message{told, &codec.Error{Code: lottery.DrawDone}})
	again.Stop()
	if again.Count("action: sorteo") != 0 || again.Count("action: contest_drawn") != 1 {
		t.Errorf("the restart draws again: %v", again)
	}
}

// A central that loses its servers can be stopped.
func TestStopWithoutNATS(t *testing.T) {
	c := natstest.Start(t, 1)
	p := begin(t, with(on(c), "--expected-agencies", "1")...)
	address := listens(p)
	exchange(t, address, []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	heal := c.CutAllClients()
	defer heal()
	p.Stop()
}
