package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"loteria/codec"
	"loteria/reactor"
)

// expectReady compares what /readyz says; the central is alive all the time.
func (c *central) expectReady(code int, status Status) {
	c.t.Helper()
	if got, _, body := c.get("/readyz"); got != code || body != string(status)+"\n" && !strings.HasPrefix(body, string(status)+": ") {
		c.t.Errorf("/readyz answers %d %q, expected %d %q", got, body, code, status)
	}
	if got, _, body := c.get("/healthz"); got != http.StatusOK || body != "alive\n" {
		c.t.Errorf("/healthz answers %d %q", got, body)
	}
	want := 0.0
	if code == http.StatusOK {
		want = 1
	}
	if got := c.samples()["loteria_ready"]; got != want {
		c.t.Errorf("loteria_ready is %v while /readyz answers %d", got, code)
	}
	if state := c.state(); state.Ready != (want == 1) || state.Status != status {
		c.t.Errorf("/api/state is ready: %v, %q while /readyz answers %d %q", state.Ready, state.Status, code, status)
	}
}

func TestReady(t *testing.T) {
	c := show(t, 1, nil)
	c.expectReady(503, Recovering)
	if phase := c.state().Phase; phase != Starting {
		t.Errorf("the phase is %s, expected %s", phase, Starting)
	}
	// A counter that began with 0 would jump when the ledger is read.
	if n, there := c.samples()[`loteria_bets_total{agency="1"}`]; there {
		t.Errorf("%v bets are counted before the ledger is read", n)
	}
	c.open(t.TempDir(), c.admin.Observer())
	c.expectReady(503, NotListening)
	c.listen()
	c.expectReady(200, TakingBets)
	c.dial().ask(finish(1), codec.TypeSuccess)
	<-c.contest.Drawn() // the answer to FINISHED does not wait for it
	c.expectReady(200, TellingWinners)
	c.admin.Stopping()
	c.expectReady(503, Stopping)
}

// breakLedger makes the ledger fail at its next bet: a file that may not grow is
// like a full disk.
func (c *central) breakLedger() {
	c.t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		c.t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1, Max: limit.Max}); err != nil {
		c.t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &limit)
	c.dial().ask(batch(1, 3), codec.TypeError)
}

func TestReadyWithABrokenLedger(t *testing.T) {
	c := start(t, 1)
	c.breakLedger()
	c.expectReady(503, LedgerFailed)
	if got := c.samples()[`loteria_refusals_total{code="storage"}`]; got != 1 {
		t.Errorf("%v requests were refused for storage, expected 1", got)
	}
	if _, _, body := c.get("/readyz"); !strings.Contains(body, "file too large") {
		t.Errorf("/readyz does not say why: %q", body)
	}
	c.admin.Stopping() // that is what a failure leads to, and it says why
	c.expectReady(503, LedgerFailed)
}

// What keeps the central from its work is shown as long as it does.
func TestReadyWithAHindrance(t *testing.T) {
	c := show(t, 1, nil)
	var hindrance atomic.Pointer[error]
	c.admin.HinderedBy(func() error {
		if err := hindrance.Load(); err != nil {
			return *err
		}
		return nil
	})
	c.expectReady(503, Recovering)
	c.open(t.TempDir(), c.admin.Observer())
	c.listen()
	c.expectReady(200, TakingBets)
	full := errors.New("save the draw: no space left on device")
	hindrance.Store(&full)
	c.expectReady(503, Hindered)
	if _, _, body := c.get("/readyz"); body != "hindered: save the draw: no space left on device\n" {
		t.Errorf("/readyz says %q", body)
	}
	if reason := c.state().Reason; reason != full.Error() {
		t.Errorf("the reason is %q", reason)
	}
	hindrance.Store(nil)
	c.expectReady(200, TakingBets)
	if reason := c.state().Reason; reason != "" {
		t.Errorf("the reason is still %q", reason)
	}
}

func TestEndpoints(t *testing.T) {
	c := start(t, 1)
	profiled := show(t, 1, func(config *Config) { config.Profiles = true })
	for _, test := range []struct {
		of           *central
		method, path string
		code         int
		kind         string
		has          string
	}{
		{c, "GET", "/", 200, "text/html", "<h1>Lotería Nacional"},
		{c, "HEAD", "/", 200, "text/html", ""},
		{c, "GET", "/page.css", 200, "text/css", ":root"},
		{c, "GET", "/page.js", 200, "text/javascript", "EventSource"},
		{c, "GET", "/texts.js", 200, "text/javascript", "agencias"},
		{c, "GET", "/icon.svg", 200, "image/svg+xml", "<svg"},
		{c, "GET", "/healthz", 200, "text/plain", "alive"},
		{c, "GET", "/readyz", 200, "text/plain", "taking bets"},
		{c, "GET", "/metrics", 200, "text/plain", "go_goroutines"},
		{c, "GET", "/api/state", 200, "application/json", `"phase":"betting"`},
		{c, "POST", "/api/state", 405, "text/plain", ""},
		{c, "POST", "/", 405, "text/plain", ""},
		{c, "GET", "/bets.csv", 404, "text/plain", ""},
		{c, "GET", "/index.html", 404, "text/plain", ""},
		{c, "GET", "/../server.go", 404, "text/plain", ""},
		{c, "GET", "/debug/pprof/", 404, "text/plain", ""},
		{c, "GET", "/debug/pprof/heap", 404, "text/plain", ""},
		{profiled, "GET", "/debug/pprof/", 200, "text/html", "goroutine"},
		{profiled, "GET", "/debug/pprof/goroutine?debug=1", 200, "text/plain", "goroutine profile"},
		{profiled, "GET", "/debug/pprof/cmdline", 200, "text/plain", ""},
	} {
		code, header, body := test.of.request(test.method, test.path)
		if code != test.code || !strings.HasPrefix(header.Get("Content-Type"), test.kind) || !strings.Contains(body, test.has) {
			t.Errorf("%s %s answers %d, %s, %.200q, expected %d, %s, with %q",
				test.method, test.path, code, header.Get("Content-Type"), body, test.code, test.kind, test.has)
		}
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cache-Control"} {
			if header.Get(name) == "" {
				t.Errorf("%s %s has no %s", test.method, test.path, name)
			}
		}
	}
}

// An address in use is retried, and the log has no failure.
func TestAddressInUse(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &central{t: t, log: &logBuffer{}}
	address := other.Addr().String()
	c.admin = New(Config{Address: address, Agencies: 1, Log: newLog(c.log)})
	c.admin.retryPeriod = time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); c.admin.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	says := `"action":"admin_listen","result":"in_progress","address":"` + address + `","reason":"address already in use","retry_every":"1ms"`
	c.await("the log says that it is in use", func() bool { return strings.Contains(c.log.String(), says) })
	other.Close()
	c.awaitListening()
	c.url = "http://" + address
	c.expectReady(503, Recovering)
	if log := c.log.String(); strings.Count(log, "in_progress") != 1 || strings.Contains(log, "fail") {
		t.Errorf("the log has\n%s", log)
	}
}

// A client that begins a request and does not end it is soon cut off.
func TestSlowVisitors(t *testing.T) {
	c := &central{t: t, log: &logBuffer{}}
	c.admin = New(Config{Address: "127.0.0.1:0", Agencies: 1, Log: newLog(c.log)})
	c.admin.readTimeout = 500 * time.Millisecond
	c.run()
	for _, begun := range []string{"", "GET /healthz HTTP/1.1\r\nHost: x\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"} {
		expectClosed(t, c.visit(begun))
	}
	// A stream lasts longer than that.
	s := c.stream()
	s.next("curves")
	for range 3 {
		s.next("state")
	}
}

// expectClosed waits until the other side has closed the connection.
func expectClosed(t testing.TB, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open")
	}
}

func TestStopWhileTheAddressIsInUse(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	New(Config{Address: other.Addr().String(), Agencies: 1}).Run(ctx) // returns
}

// Who waits until the server has tried to listen finds the outcome in the log.
func TestTried(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for address, want := range map[string]string{
		"127.0.0.1:0":         `"action":"admin_listen","result":"success"`,
		other.Addr().String(): `"action":"admin_listen","result":"in_progress"`,
		"":                    "",
	} {
		log := &logBuffer{}
		s := New(Config{Address: address, Agencies: 1, Log: newLog(log)})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); s.Run(ctx) }()
		<-s.Tried()
		if got := log.String(); !strings.Contains(got, want) {
			t.Errorf("%q: the log is %q, expected is %s", address, got, want)
		}
		cancel()
		<-ended
	}
}

// A stop waits neither for streams nor for idle clients.
func TestStopWithVisitors(t *testing.T) {
	c := &central{t: t, log: &logBuffer{}}
	c.admin = New(Config{Address: "127.0.0.1:0", Agencies: 1, Log: newLog(c.log)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); c.admin.Run(ctx) }()
	c.awaitListening()
	c.url = "http://" + c.admin.address.String()
	silent, err := net.Dial("tcp", c.admin.address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := c.stream()
	s.next("curves")
	cancel()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it did not end")
	}
	s.expectEnd()
	if !strings.Contains(c.log.String(), `"action":"close_admin","result":"success"`) {
		t.Errorf("the log does not say that it closed:\n%s", c.log)
	}
}

// blocking is an observer that holds the event loop up.
type blocking struct {
	reactor.Observer
	held, release chan struct{}
}

func (b *blocking) WinnersSent(agency int) {
	close(b.held)
	<-b.release
	b.Observer.WinnersSent(agency)
}

// No request needs the event loop: all of them are answered while that is stuck.
func TestNothingWaitsForTheLoop(t *testing.T) {
	c := show(t, 1, nil)
	stuck := &blocking{c.admin.Observer(), make(chan struct{}), make(chan struct{})}
	c.open(t.TempDir(), stuck)
	c.listen()
	p := c.dial()
	p.send(query(1))
	c.await("the query is parked", func() bool { return c.reactor.Stats().ParkedQueries == 1 })
	release := sync.OnceFunc(func() { close(stuck.release) })
	defer release()
	c.dial().send(finish(1))
	<-stuck.held
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/api/state"} {
		if code, _, _ := c.get(path); code != 200 {
			t.Errorf("%s answers %d", path, code)
		}
	}
	s := c.stream()
	s.next("curves")
	s.next("state")
	release()
	p.expect(codec.TypeWinners)
}
