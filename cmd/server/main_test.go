package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"loteria/codec"
	"loteria/internal/process/processtest"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

// asServer makes this test's binary the server itself.
const asServer = "LOTERIA_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(withoutIPv6) != "" {
		if err := execWithoutIPv6(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if os.Getenv(asServer) != "" {
		main()
	}
	os.Exit(m.Run())
}

// patience bounds every wait of these tests; none of them needs it.
const patience = 30 * time.Second

// process is a server that runs as a process of its own.
type process struct {
	*processtest.Process
	t       *testing.T
	address string
	conns   []net.Conn // dialed
}

// command is this test's binary as a server.
func command(args ...string) *exec.Cmd {
	return exec.Command(os.Args[0], append([]string{"--bind", "127.0.0.1", "--port", "0", "--admin="}, args...)...)
}

// start starts a command, with more environment than the test's.
func start(t *testing.T, cmd *exec.Cmd, environment ...string) *process {
	t.Helper()
	// Under the race detector each process would end only after a second.
	cmd.Env = slices.Concat(os.Environ(), []string{asServer + "=1", "GORACE=atexit_sleep_ms=0"}, environment)
	return &process{Process: processtest.Start(t, cmd, nil), t: t}
}

// begin starts a server without waiting for anything.
func begin(t *testing.T, args ...string) *process {
	t.Helper()
	return start(t, command(args...))
}

// launch starts a server and waits until it listens.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	p := begin(t, args...)
	p.listens()
	return p
}

// listens waits until the server accepts connections.
func (p *process) listens() {
	p.t.Helper()
	p.address = addressOf(p.Await("action: listen | result: success"))
}

// Stop closes the connections first: for others the server would wait a second.
func (p *process) Stop() {
	p.t.Helper()
	for _, conn := range p.conns {
		conn.Close()
	}
	p.Process.Stop()
}

// line returns the first line of the log with the text, and waits for one.
func (p *process) line(text string) string {
	p.t.Helper()
	if i := p.index(text); i >= 0 {
		return p.Lines()[i]
	}
	return p.Await(text)
}

// index returns the number of the first line with the text, or -1.
func (p *process) index(text string) int {
	return slices.IndexFunc(p.Lines(), func(line string) bool { return strings.Contains(line, text) })
}

func (p *process) has(text string) bool { return p.Count(text) > 0 }

func (p *process) dial() net.Conn {
	p.t.Helper()
	conn, err := net.DialTimeout("tcp", p.address, patience)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	p.t.Cleanup(func() { conn.Close() })
	p.conns = append(p.conns, conn)
	return conn
}

// exchange sends requests on one connection and expects the answers.
func (p *process) exchange(conn net.Conn, requests, answers []codec.Message) {
	p.t.Helper()
	send(p.t, conn, requests...)
	want := frames(p.t, answers...)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
		p.t.Fatalf("received % x and %v, expected % x", got, err, want)
	}
}

func send(t *testing.T, conn net.Conn, messages ...codec.Message) {
	t.Helper()
	if _, err := conn.Write(frames(t, messages...)); err != nil {
		t.Fatal(err)
	}
}

func frames(t *testing.T, messages ...codec.Message) (b []byte) {
	t.Helper()
	for _, m := range messages {
		var err error
		if b, err = codec.AppendFrame(b, m); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// emptyDigest is XXH64 of nothing.
const emptyDigest = 0xEF46DB3751D8E999

var (
	raw      = lottery.RawBet{Agency: "1", FirstName: "Santiago", LastName: "Lorca", Document: "30904465", Birthdate: "1999-03-17", Number: "7574"}
	stored   = &codec.Success{Document: "30904465", Number: "7574"}
	finished = &codec.Success{Finished: true}
)

func TestExitCodes(t *testing.T) {
	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, csvledger.LedgerFile), []byte("1,A,B,1,2000-01-01,1\r\n1,A,B,1\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { occupied.Close() }) // after the parallel subtests
	_, port, _ := net.SplitHostPort(occupied.Addr().String())

	for name, test := range map[string]struct {
		args []string
		code int
		says string // the one line on stderr, as a pattern
	}{
		"help":           {[]string{"--help"}, 0, `^$`},
		"version":        {[]string{"--version"}, 0, `^$`},
		"unknown flag":   {[]string{"--colour"}, 2, `--colour`},
		"out of range":   {[]string{"--expected-agencies", "0"}, 2, `--expected-agencies.*"0".*allowed: a whole number from 1 to`},
		"no such file":   {[]string{"--config", "missing.ini"}, 2, `missing.ini`},
		"damaged ledger": {[]string{"--storage-dir", damaged}, 1, `bets.csv: line 2, byte 22: `},
		"port in use":    {[]string{"--port", port}, 1, `address already in use`},
		"not ready":      {[]string{"--port", "1", "--healthcheck"}, 1, `the central is not ready`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := begin(t, test.args...)
			if code := p.End(); code != test.code {
				t.Errorf("exit code %d, expected %d", code, test.code)
			}
			said := strings.TrimSuffix(p.Stderr(), "\n")
			if strings.Contains(said, "\n") || !regexp.MustCompile(test.says).MatchString(said) {
				t.Errorf("stderr has %q, expected one line like %q", said, test.says)
			}
		})
	}
}

// Whatever the central listens on, its own health check finds it there, and so do
// allowed peers.
func TestListensAndIsHealthy(t *testing.T) {
	hasIPv6 := true
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		hasIPv6 = false
	} else {
		l.Close()
	}
	for bind, reached := range map[string]struct{ ipv4, ipv6 bool }{
		"":          {true, true},
		"::":        {true, true},
		"0.0.0.0":   {true, false},
		"127.0.0.1": {true, false},
		"::1":       {false, true},
	} {
		t.Run(bind, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(bind, ":") && !hasIPv6 {
				t.Skip("there is no IPv6 here")
			}
			p := launch(t, "--bind="+bind)
			_, port, _ := net.SplitHostPort(p.address)
			if code := begin(t, "--healthcheck", "--port", port, "--bind="+bind).End(); code != 0 {
				t.Errorf("the check of health exits with %d, expected 0", code)
			}
			for host, want := range map[string]bool{"127.0.0.1": reached.ipv4, "::1": reached.ipv6 && hasIPv6} {
				conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), patience)
				if err == nil {
					conn.Close()
				}
				// Another program may have the same port on the other address.
				if want && err != nil {
					t.Errorf("%s: %v", host, err)
				}
			}
			p.Stop()
		})
	}
}

// A kernel without IPv6 (ipv6.disable=1) makes no such socket.
func TestListensWithoutIPv6(t *testing.T) {
	probe := exec.Command(os.Args[0], "--version")
	probe.Env = append(os.Environ(), withoutIPv6+"=1", asServer+"=1")
	if output, err := probe.CombinedOutput(); err != nil {
		t.Skipf("IPv6 cannot be taken away here: %v: %s", err, output)
	}
	p := start(t, exec.Command(os.Args[0], "--port", "0", "--admin=127.0.0.1:0"), withoutIPv6+"=1")
	p.listens()
	_, port, _ := net.SplitHostPort(p.address)
	p.address = "127.0.0.1:" + port
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	check := start(t, exec.Command(os.Args[0], "--healthcheck", "--port", port), withoutIPv6+"=1")
	if code := check.End(); code != 0 {
		t.Errorf("the check of health exits with %d, expected 0: %s", code, check.Stderr())
	}
	p.Stop()
	if n := p.Count("result: fail"); n > 0 {
		t.Errorf("%d lines of the log have failures:\n%s", n, p)
	}
}

// A Service of Kubernetes called server sets a variable that the central must
// not take for its port.
func TestVariableOfAServiceIsSaid(t *testing.T) {
	p := start(t, command(), "SERVER_PORT=tcp://10.96.0.12:80")
	p.listens()
	p.Stop()
	if n := p.Count(`WARNING  action: ignore_setting | result: success | reason: environment variable SERVER_PORT: "tcp://10.96.0.12:80" is what Kubernetes`); n != 1 {
		t.Errorf("%d lines say that the variable is ignored, expected 1:\n%s", n, p)
	}
}

// A terminal that closes, or a log rotation, stops the central as SIGTERM does.
func TestSIGHUP(t *testing.T) {
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("SIGHUP is ignored here, as under nohup, and so by whatever is started")
	}
	p := launch(t)
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}, &codec.WinnersQuery{Agency: "1"}}, []codec.Message{stored})
	p.Signal(syscall.SIGHUP)
	if code := p.End(); code != 0 {
		t.Errorf("exit code %d after SIGHUP, expected 0", code)
	}
	for _, action := range []string{"close_listener", "close_connection", "close_workers", "close_ledger", "exit"} {
		if p.Count("action: "+action+" | result: success") != 1 {
			t.Errorf("the log does not say once that %s:\n%s", action, p)
		}
	}
}

// Pitfall 13: a stop waits for nothing that is blocked, and exits with 0.
// Pitfall 12: a parked query is not answered by it.
func TestSIGTERM(t *testing.T) {
	half := frames(t, &codec.WinnersQuery{Agency: "1"})[:7]
	for name, prepare := range map[string]func(*testing.T, *process) net.Conn{
		"nobody there": nil,
		"a silent connection": func(t *testing.T, p *process) net.Conn {
			return p.dial()
		},
		"half a frame": func(t *testing.T, p *process) net.Conn {
			conn := p.dial()
			p.exchange(conn, []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
			_, _ = conn.Write(half)
			return conn
		},
		"half an echo line": func(t *testing.T, p *process) net.Conn {
			conn := p.dial()
			_, _ = conn.Write([]byte("hola"))
			return conn
		},
		"a parked query": func(t *testing.T, p *process) net.Conn {
			conn := p.dial()
			p.exchange(conn, []codec.Message{&codec.Bet{RawBet: raw}, &codec.WinnersQuery{Agency: "1"}}, []codec.Message{stored})
			return conn
		},
		"batches": func(t *testing.T, p *process) net.Conn {
			conn := p.dial()
			for range 500 {
				send(t, conn, &codec.Batch{RawBets: []lottery.RawBet{raw, raw}})
			}
			p.exchange(conn, nil, []codec.Message{stored})
			return conn
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := launch(t)
			var conn net.Conn
			if prepare != nil {
				conn = prepare(t, p)
				// Connections are accepted in their order: when this one is
				// answered, the first is there.
				later := p.dial()
				p.exchange(later, []codec.Message{&codec.Resume{Agency: "2"}}, []codec.Message{&codec.ResumePoint{Digest: emptyDigest}})
				later.Close()
			}
			p.conns = nil // they stay
			p.Stop()
			for _, action := range []string{"close_listener", "close_workers", "close_ledger", "exit"} {
				if p.Count("action: "+action+" | result: success") != 1 {
					t.Errorf("the log does not say once that %s:\n%s", action, p)
				}
			}
			if n := p.Count("sorteo"); n > 0 {
				t.Errorf("there was a draw")
			}
			if conn == nil {
				return
			}
			if p.Count("action: close_connection | result: success") == 0 {
				t.Errorf("the log does not say that the connection was closed:\n%s", p)
			}
			rest, _ := io.ReadAll(conn)
			if bytes.Contains(rest, frames(t, &codec.Winners{})) {
				t.Error("a query was answered by the stop")
			}
		})
	}
}

// The shape of every log line; pitfall 17: no colours in it.
var shape = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (DEBUG|INFO|WARNING|ERROR|CRITICAL) +action: \w+ \| result: (success|fail|in_progress)( \| \w+: [^|[:cntrl:]]*)*$`)

// Pitfall 15: nothing is emptied at a start, and nothing is there twice. A finished
// lottery stays finished through a restart: it tells the same winners, draws no
// second time and takes no bets.
func TestRestartOfAFinishedLottery(t *testing.T) {
	storage := t.TempDir()
	args := []string{"--storage-dir", storage, "--contest", "navidad", "--expected-agencies", "1", "--log-level", "DEBUG"}
	told := &codec.Winners{Documents: []string{"30904465"}}

	p := launch(t, args...)
	p.exchange(p.dial(),
		[]codec.Message{&codec.Bet{RawBet: raw}, &codec.Finished{Agency: "1"}, &codec.WinnersQuery{Agency: "1"}},
		[]codec.Message{stored, finished, told})
	p.Stop()
	if n := p.Count("action: sorteo | result: success"); n != 1 {
		t.Errorf("%d draws are logged, expected 1", n)
	}
	for _, line := range p.Lines() {
		if !shape.MatchString(line) {
			t.Errorf("a line of the log has another shape: %q", line)
		}
	}

	p = launch(t, args...)
	p.exchange(p.dial(),
		[]codec.Message{&codec.WinnersQuery{Agency: "1"}, &codec.Bet{RawBet: raw}, &codec.Finished{Agency: "1"}},
		[]codec.Message{told, &codec.Error{Code: lottery.DrawDone}, finished})
	p.Stop()
	if p.Count("sorteo") != 0 || p.Count("action: contest_drawn") != 1 {
		t.Errorf("the restart does not say that the lottery is finished, or draws:\n%s", p)
	}

	ledger, err := os.ReadFile(filepath.Join(storage, "navidad", csvledger.LedgerFile))
	if want := "1,Santiago,Lorca,30904465,1999-03-17,7574\r\n"; err != nil || string(ledger) != want {
		t.Errorf("the ledger has %q and %v, expected %q", ledger, err, want)
	}
}

func TestTornRowIsCutOff(t *testing.T) {
	storage := t.TempDir()
	whole := "1,Ana,Ñancupil,1,2000-01-01,1\r\n"
	path := filepath.Join(storage, csvledger.LedgerFile)
	if err := os.WriteFile(path, []byte(whole+"1,Ana,Ñan"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := launch(t, "--storage-dir", storage, "--reopen")
	p.Stop()
	if p.Count("action: recover_ledger | result: success | file: "+path+" | torn_bytes: 10") != 1 {
		t.Errorf("the log does not tell of the torn row:\n%s", p)
	}
	if ledger, err := os.ReadFile(path); err != nil || string(ledger) != whole {
		t.Errorf("the ledger has %q and %v, expected %q", ledger, err, whole)
	}
}

func TestTwoCentralsOnOneLedger(t *testing.T) {
	storage := t.TempDir()
	p := launch(t, "--storage-dir", storage)
	second := begin(t, "--storage-dir", storage)
	if code := second.End(); code != 1 || !strings.Contains(second.Stderr(), "another central") {
		t.Errorf("the second central exits with %d and says %q", code, second.Stderr())
	}
	p.Stop()
}

// Pitfall 16: the number of agencies is a setting of its own.
func TestAgenciesAreNotTheBacklog(t *testing.T) {
	p := launch(t, "--listen-backlog", "1", "--expected-agencies", "3", "--max-workers", "1")
	for _, agency := range []string{"1", "2", "3"} {
		p.exchange(p.dial(), []codec.Message{&codec.Finished{Agency: agency}}, []codec.Message{finished})
	}
	p.Await("action: sorteo | result: success")
	p.Stop()
}

// An operator ends the waiting for an agency that never finishes.
func TestDrawWithout(t *testing.T) {
	storage := t.TempDir()
	args := []string{"--storage-dir", storage, "--expected-agencies", "2"}
	p := launch(t, args...)
	p.exchange(p.dial(),
		[]codec.Message{&codec.Bet{RawBet: raw}, &codec.Finished{Agency: "2"}},
		[]codec.Message{stored, &codec.Error{Code: lottery.WrongAgency}})
	p.exchange(p.dial(), []codec.Message{&codec.Finished{Agency: "2"}}, []codec.Message{finished})
	p.Stop()
	if p.Count("sorteo") != 0 {
		t.Error("the draw did not wait for agency 1")
	}

	for round, news := range []int{1, 0} { // the second start changes nothing
		p = launch(t, append(args, "--draw-without", "1")...)
		p.exchange(p.dial(),
			[]codec.Message{&codec.WinnersQuery{Agency: "1"}, &codec.Bet{RawBet: raw}, &codec.Finished{Agency: "1"}},
			[]codec.Message{&codec.Winners{Documents: []string{"30904465"}}, &codec.Error{Code: lottery.DrawDone}, &codec.Error{Code: lottery.DrawDone}})
		p.Stop()
		for _, line := range []string{"action: sorteo | result: success", "action: end_betting | result: success | missing: [1]"} {
			if n := p.Count(line); n != news {
				t.Errorf("start %d: %q is logged %d times, expected %d:\n%s", round+1, line, n, news, p)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	row := "1,Santiago,Lorca,30904465,1999-03-17,7574\r\n"
	for name, test := range map[string]struct {
		ledger string
		code   int
		says   []string
	}{
		"whole": {row + row, 0, []string{"bets.csv: 2 rows, 86 bytes; state: none", "contest.json is missing: a start needs it, or --reopen",
			"agency 1: 2 bets, digest ", ", 2 on the winning number", "nothing is damaged"}},
		"torn":    {row + row[:9], 0, []string{"1 rows", "9 bytes at the end", "nothing is damaged"}},
		"damaged": {row + "x" + row + row, 1, []string{"1 rows"}},
	} {
		t.Run(name, func(t *testing.T) {
			storage := t.TempDir()
			path := filepath.Join(storage, csvledger.LedgerFile)
			if err := os.WriteFile(path, []byte(test.ledger), 0o644); err != nil {
				t.Fatal(err)
			}
			p := begin(t, "--storage-dir", storage, "--check")
			if code := p.End(); code != test.code {
				t.Errorf("exit code %d, expected %d", code, test.code)
			}
			said := strings.Join(p.Lines(), "\n")
			for _, text := range test.says {
				if !strings.Contains(said, text) {
					t.Errorf("%q is not said:\n%s", text, said)
				}
			}
			if damage := path + ": line 2, byte 43: "; test.code == 1 && !strings.Contains(p.Stderr(), damage) {
				t.Errorf("stderr has %q, expected %q", p.Stderr(), damage)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != test.ledger {
				t.Errorf("the check has changed the ledger to %q, %v", after, err)
			}
		})
	}
}

// resume makes the connection the writer of agency 1.
func resume(t *testing.T, conn net.Conn) {
	t.Helper()
	send(t, conn, &codec.Resume{Agency: "1"})
	point := make([]byte, len(frames(t, &codec.ResumePoint{})))
	if _, err := io.ReadFull(conn, point); err != nil {
		t.Fatal(err)
	}
}

// A full disk ends the central: waiting agencies are told storage, the log and
// stderr say why, and what was acknowledged is there when there is room again. The
// disk is a small tmpfs that only this central sees, and is kept when it ends.
func TestFullDisk(t *testing.T) {
	ownMounts := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	disk, kept := t.TempDir(), t.TempDir()
	// Only root may do that, and in a container not even root.
	probe := exec.Command("mount", "-t", "tmpfs", "tmpfs", disk)
	probe.SysProcAttr = ownMounts
	if output, err := probe.CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here: %v %s", err, output)
	}
	const script = `mount -t tmpfs -o size=64k tmpfs "$1" || exit 99
"$3" --bind 127.0.0.1 --port 0 --storage-dir "$1" --expected-agencies 1
code=$?
cp "$1"/* "$2"/
exit $code`
	cmd := exec.Command("sh", "-c", script, "sh", disk, kept, os.Args[0])
	cmd.SysProcAttr = ownMounts
	p := start(t, cmd)
	p.listens()

	conn := p.dial()
	resume(t, conn)
	batch := codec.Batch{HasPosition: true}
	for range 100 {
		batch.RawBets = append(batch.RawBets, raw)
	}
	acknowledged := uint64(0)
	for answered := true; answered; {
		batch.Position = acknowledged
		send(t, conn, &batch)
		want := frames(t, stored)
		got := make([]byte, len(want))
		_, err := io.ReadFull(conn, got)
		if answered = err == nil && bytes.Equal(got, want); answered {
			acknowledged += uint64(len(batch.RawBets))
		} else if refusal := frames(t, &codec.Error{Code: lottery.Storage}); err == nil && !bytes.HasPrefix(refusal, got) && !bytes.HasPrefix(got, refusal) {
			t.Errorf("received % x, expected % x", got, refusal)
		}
	}
	if code := p.End(); code != 1 {
		t.Errorf("exit code %d, expected 1:\n%s", code, p)
	}
	const reason = "no space left on device"
	if !strings.Contains(p.Stderr(), reason) || p.Count("action: ledger | result: fail") == 0 {
		t.Errorf("stderr has %q and the log\n%s\nexpected is %q", p.Stderr(), p, reason)
	}

	p = launch(t, "--storage-dir", kept, "--expected-agencies", "1")
	conn = p.dial()
	resume(t, conn)
	batch.Position = acknowledged
	p.exchange(conn, []codec.Message{&batch, &codec.Finished{Agency: "1", Total: acknowledged + 100, HasTotal: true}},
		[]codec.Message{stored, finished})
	p.Stop()
	if acknowledged == 0 {
		t.Error("nothing was acknowledged before the disk was full")
	}
}
