package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what is to come at once.
const patience = 20 * time.Second

// stage prepares a working directory: the stubs under bin, two agencies' files
// under data.
func stage(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	// Under the race detector each stub would end only after a second.
	t.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"bin", "data"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"server", "client", "nats-server", "run"} {
		if err := os.Symlink(self, filepath.Join("bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string]string{
		"agency-1.csv": "Ana,Muñoz,1000001,1990-01-01,7574\r\n\"Juan \"\"Tito\"\"\",\"Paz, h.\",1000002,1991-01-01,1\r\nEva,Sosa,1000003,1992-01-01,2\r\n",
		"agency-2.csv": "Luz,Ríos,2000001,1990-01-01,3\r\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join("data", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// folder is the only run's folder.
func folder(t *testing.T) string {
	t.Helper()
	dirs, err := filepath.Glob("run/*")
	if err != nil || len(dirs) != 1 {
		t.Fatalf("the runs left %q, want one folder", dirs)
	}
	return dirs[0]
}

var stubArgs = []string{"--data", "data", "--agencies", "2", "--batch", "2"}

func TestRun(t *testing.T) {
	stage(t)
	var stdout, stderr bytes.Buffer
	if code := run(stubArgs, &stdout, &stderr, nil); code != exitOK {
		t.Errorf("exit code %d, want %d; stderr: %s", code, exitOK, &stderr)
	}
	dir := folder(t)
	for _, want := range []string{
		"run        2 agencies, data from data, everything is kept in " + dir + "\n",
		"central    listening on 127.0.0.1:",
		"agency 1   started\n",
		"agency 2   started\n",
		"agency 1   3 bets in 2 batches on disk after ",
		"agency 2   1 bet in 1 batch on disk after ",
		"central    every agency has finished, the draw is done\n",
		"agency 1   1 winner\n",
		"agency 2   0 winners\n",
		dir + "/bets.csv has 4 rows, each agency's as many as it sent.\n",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the screen does not say %q", want)
		}
	}
	draw := strings.Index(stdout.String(), "the draw is done")
	if strings.LastIndex(stdout.String(), "on disk after") > draw {
		t.Error("the draw is announced before the last bets are on disk")
	}
	if strings.Index(stdout.String(), " winner") < draw {
		t.Error("winners are announced before the draw")
	}
	if strings.Contains(stdout.String(), "\x1b") {
		t.Error("a screen that is no terminal gets control sequences")
	}
	for _, want := range [][]string{
		{"agency", "bets", "batches", "seconds", "winners"},
		{"1", "3", "2", "", "1"},
		{"2", "1", "1", "", "0"},
		{"total", "4", "3", "", "1"},
	} {
		if !hasRow(stdout.String(), want) {
			t.Errorf("the table has no row %q", want)
		}
	}
	if t.Failed() {
		t.Logf("the screen:\n%s", &stdout)
	}

	for name, want := range map[string]string{
		"bets.csv":     "2,Luz,Ríos,2000001,1990-01-01,3\r\n",
		"central.log":  "action: sorteo | result: success\n",
		"agency-1.log": "batch: 3-3 | cantidad: 1\n",
		"agency-2.log": "cant_ganadores: 0\n",
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s holds %q (%v), want %q in it", name, text, err, want)
		}
	}
}

// Over TLS each is given its own certificate, and the central no other port.
func TestRunOverTLS(t *testing.T) {
	stage(t)
	if err := os.Mkdir("certs", 0o700); err != nil {
		t.Fatal(err)
	}
	names := []string{"central", "agency-1", "agency-2"}
	for _, name := range append(names, "authority") {
		for _, file := range []string{name + ".pem", name + "-key.pem"} {
			if err := os.WriteFile(filepath.Join("certs", file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run(append(stubArgs, "--tls", "certs"), &stdout, &stderr, nil); code != exitOK {
		t.Fatalf("exit code %d, want %d; stderr: %s; the screen:\n%s", code, exitOK, &stderr, &stdout)
	}
	for _, name := range names {
		log, err := os.ReadFile(filepath.Join(folder(t), name+".log"))
		if want := "certs/" + name + ".pem\n"; err != nil || !strings.Contains(string(log), want) {
			t.Errorf("%s has no certificate %s: %v\n%s", name, want, err, log)
		}
	}
}

// hasRow looks for a line with these words; "" is any word.
func hasRow(screen string, want []string) bool {
	for line := range strings.Lines(screen) {
		words := strings.Fields(line)
		same := len(words) == len(want)
		for i := 0; same && i < len(want); i++ {
			same = want[i] == "" || words[i] == want[i]
		}
		if same {
			return true
		}
	}
	return false
}

func TestRunFails(t *testing.T) {
	tests := []struct {
		name       string
		misbehaves string
		args       []string
		err        string   // the line on standard error
		screen     []string // what the screen says too
		hidden     []string // and what it does not say
	}{
		{
			name:       "an agency fails, the others hang",
			misbehaves: "agency 1 hangs,agency 2 fails",
			err:        "agency 2 exited with code 1",
			screen: []string{
				"stopping central, agency 1\n",
				`    client: agency-2.csv, line 7: the number is "x"` + "\n",
				"agency-2.log",
			},
			hidden: []string{"Log of agency 1", "total"},
		},
		{
			name:       "an agency is killed",
			misbehaves: "agency 1 is killed",
			err:        "agency 1 ended with signal: killed",
		},
		{
			name:       "the central dies at once",
			misbehaves: "central dies",
			err:        "central exited with code 3 before it was to stop",
			screen: []string{
				"    2026-01-31 10:00:00 INFO     action: getting_ready | result: success | step: 40\n",
				"    panic: nothing works\ufffd[31m today\n",
				"central.log",
			},
			hidden: []string{"step: 21\n", "agency 1", "stopping"},
		},
		{
			name:       "the central dies among the agencies",
			misbehaves: "central crashes",
			err:        "central exited with code 4 before it was to stop",
			screen:     []string{"    panic: an agency came\n"},
		},
		{
			name:       "the central never listens",
			misbehaves: "central is silent",
			args:       []string{"--timeout", "100ms"},
			err:        "central did not listen within 100ms",
		},
		{
			name:       "an agency is never done",
			misbehaves: "agency 2 hangs",
			args:       []string{"--timeout", "2s"},
			err:        "agency 1 was not done after 2s; agency 2 was not done after 2s",
		},
		{
			name:       "an agency does not say who won",
			misbehaves: "agency 1 forgets",
			err:        "agency 1 exited with code 0 and logged no consulta_ganadores",
		},
		{
			name:       "an agency's counts differ",
			misbehaves: "agency 1 miscounts",
			err:        "agency 1 says processed: 2/3, but its batches make 3/3",
		},
		{
			name:       "a count is no number",
			misbehaves: "agency 1 babbles",
			err:        `agency 1 says cantidad: "many" in batch_processed, expected a number`,
		},
		{
			name:       "a row is lost",
			misbehaves: "central loses a row",
			err:        "bets.csv has 2 rows of agency 1, which sent 3",
			screen:     []string{"total"},
		},
		{
			name:       "a line says fail",
			misbehaves: "central grumbles",
			err:        "central logged 1 line with result: fail",
			screen:     []string{"central    action: apuesta_recibida | result: fail | cantidad: 1\n"},
		},
		{
			name:       "nobody says that there was a draw",
			misbehaves: "central hides the draw",
			err:        "central logged 0 draws (sorteo), expected one",
			hidden:     []string{"winner"},
		},
		{
			name:       "two draws",
			misbehaves: "central draws again",
			err:        "central logged 2 draws (sorteo), expected one",
		},
		{
			name:       "the central stops badly",
			misbehaves: "central stops badly",
			err:        "central was to stop, and exited with code 1",
			screen:     []string{"    server: cannot stop\n"},
		},
		{
			name:       "the central does not stop",
			misbehaves: "central is stubborn",
			err:        "central did not stop within 300ms of SIGTERM",
			screen:     []string{"central    did not stop and was killed\n"},
		},
		{
			name: "a file is missing",
			args: []string{"--agencies", "3"},
			err:  "agency 3 exited with code 1",
			screen: []string{
				"agency-3.csv: no such file or directory\n",
			},
		},
		{name: "no programs", args: []string{"--bin", "data"}, err: "there is no data/server: build it first (make build)"},
		{name: "no data", args: []string{"--data", "dta"}, err: "there is no data folder dta"},
		{name: "data is a file", args: []string{"--data", "data/agency-1.csv"}, err: "the data data/agency-1.csv is a file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stage(t)
			t.Setenv(stubVar, tt.misbehaves)
			alive := watch(t)
			opts, _, err := parse(append(stubArgs, tt.args...))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(tt.misbehaves, "stubborn") {
				opts.grace = 300 * time.Millisecond
			}
			var stdout bytes.Buffer
			err = play(opts, newScreen(&stdout), nil)
			if err == nil || !strings.HasPrefix(err.Error(), tt.err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the run ends with %v, want one line that begins with %q", err, tt.err)
			}
			for _, want := range tt.screen {
				if !strings.Contains(stdout.String(), want) {
					t.Errorf("the screen does not say %q", want)
				}
			}
			for _, want := range tt.hidden {
				if strings.Contains(stdout.String(), want) {
					t.Errorf("the screen says %q", want)
				}
			}
			alive.none(t)
			if t.Failed() {
				t.Logf("the screen:\n%s", &stdout)
			}
		})
	}
}

func TestExitCodeOfFailure(t *testing.T) {
	stage(t)
	t.Setenv(stubVar, "agency 1 fails")
	var stdout, stderr bytes.Buffer
	if code := run(stubArgs, &stdout, &stderr, nil); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	if got := stderr.String(); !strings.HasPrefix(got, "run: failed: agency 1 ") || strings.Count(got, "\n") != 1 {
		t.Errorf("stderr is %q, want one line", got)
	}
}

// Whatever ends the run, its processes end too. The run is a process itself
// here, and its processes never end by themselves.
func TestNothingSurvives(t *testing.T) {
	tests := []struct {
		signal syscall.Signal
		code   int // -1: ended by the signal itself
	}{
		{syscall.SIGINT, 130},
		{syscall.SIGTERM, 143},
		{syscall.SIGHUP, 129},
		{syscall.SIGKILL, -1},
	}
	for _, tt := range tests {
		t.Run(tt.signal.String(), func(t *testing.T) {
			if tt.signal == syscall.SIGKILL && !dieTogether {
				t.Skip("only Linux ends the processes of a run that is killed")
			}
			if tt.signal == syscall.SIGHUP && signal.Ignored(syscall.SIGHUP) {
				t.Skip("hang-ups are ignored here, as under nohup, and so by whatever is started")
			}
			stage(t)
			t.Setenv(stubVar, "agency 1 hangs,agency 2 hangs")
			alive := watch(t)
			cmd := exec.Command("bin/run", stubArgs...)
			// A terminal would send Ctrl-C to the run's group; the processes
			// are in groups of their own, so here it is sent to the run alone.
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			alive.all(t, "central", "agency 1", "agency 2")
			if err := cmd.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit code %d, want %d; it says:\n%s", code, tt.code, &out)
			}
			alive.none(t)
		})
	}
}

// The second Ctrl-C does not wait for who does not want to stop. Further
// hang-ups do, as a terminal that closes may send several.
func TestSecondInterruptKills(t *testing.T) {
	for name, sent := range map[string][]syscall.Signal{
		"Ctrl-C":                 {syscall.SIGINT, syscall.SIGINT},
		"SIGTERM":                {syscall.SIGTERM, syscall.SIGTERM},
		"a terminal that closes": {syscall.SIGHUP, syscall.SIGHUP, syscall.SIGHUP, syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			stage(t)
			t.Setenv(stubVar, "central is stubborn,agency 1 hangs")
			alive := watch(t)
			opts, _, err := parse(stubArgs)
			if err != nil {
				t.Fatal(err)
			}
			opts.grace = time.Hour
			signals := make(chan os.Signal) // taken when the one before has been
			screen := new(bytes.Buffer)
			ended := make(chan error, 1)
			go func() { ended <- play(opts, newScreen(screen), signals) }()
			alive.all(t, "central", "agency 1", "agency 2")
			for _, s := range sent {
				select {
				case signals <- s:
				case err := <-ended:
					t.Fatalf("the run ends before %v, with %v", s, err)
				case <-time.After(patience):
					t.Fatalf("nobody takes %v", s)
				}
			}
			select {
			case err := <-ended:
				if err != (interruption{sent[0]}) {
					t.Errorf("the run ends with %v", err)
				}
			case <-time.After(patience):
				t.Fatal("the run does not end")
			}
			if want := "central    did not stop and was killed\n"; !strings.Contains(screen.String(), want) {
				t.Errorf("the screen does not say %q:\n%s", want, screen)
			}
			alive.none(t)
		})
	}
}

// watcher knows which stubs are alive: each holds a connection to it.
type watcher struct {
	listener net.Listener
	conns    []net.Conn
}

func watch(t *testing.T) *watcher {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{listener: listener}
	t.Cleanup(func() {
		listener.Close()
		for _, conn := range w.conns {
			conn.Close()
		}
	})
	t.Setenv(watchVar, listener.Addr().String())
	return w
}

// accept takes one more stub in and returns its name.
func (w *watcher) accept(limit time.Duration) (string, error) {
	w.listener.(*net.TCPListener).SetDeadline(time.Now().Add(limit))
	conn, err := w.listener.Accept()
	if err != nil {
		return "", err
	}
	w.conns = append(w.conns, conn)
	conn.SetReadDeadline(time.Now().Add(patience))
	who, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(who), err
}

// all waits until these have been started.
func (w *watcher) all(t *testing.T, names ...string) {
	t.Helper()
	missing := make(map[string]bool)
	for _, name := range names {
		missing[name] = true
	}
	for len(missing) > 0 {
		who, err := w.accept(patience)
		if err != nil {
			t.Fatalf("waiting for %v to start: %v", missing, err)
		}
		delete(missing, who)
	}
}

// none checks that everyone who came is gone.
func (w *watcher) none(t *testing.T) {
	t.Helper()
	// Who came and was not taken in yet is in the backlog.
	for {
		if _, err := w.accept(10 * time.Millisecond); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				break
			}
		}
	}
	for _, conn := range w.conns {
		conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, conn); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Error("a process is still there")
			}
		}
	}
}

func TestArguments(t *testing.T) {
	tests := []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{[]string{"--help"}, exitOK, "--agencies", ""},
		{[]string{"--agency", "3"}, exitUsage, "", "--agency"},
		{[]string{"--agencies", "0"}, exitUsage, "", "--agencies is 0, expected 1 to 100"},
		{[]string{"--agencies", "101"}, exitUsage, "", "--agencies is 101"},
		{[]string{"--batch", "0"}, exitUsage, "", "--batch is 0"},
		{[]string{"--log-level", "WARN"}, exitUsage, "", `--log-level is "WARN", expected INFO or DEBUG`},
		{[]string{"--timeout", "0"}, exitUsage, "", "--timeout is 0s"},
		{[]string{"--loop-period", "-1s"}, exitUsage, "", "--loop-period is -1s, expected 0s to 24h0m0s"},
		{[]string{"--loop-period", "25h"}, exitUsage, "", "--loop-period is 25h0m0s"},
		{[]string{"data"}, exitUsage, "", `unexpected argument "data"`},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.args), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(tt.args, &stdout, &stderr, nil); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(stdout.String(), tt.stdout) || (tt.stdout == "") != (stdout.Len() == 0) {
				t.Errorf("stdout is %q, want %q", &stdout, tt.stdout)
			}
			if !strings.Contains(stderr.String(), tt.stderr) || strings.Count(stderr.String(), "\n") != min(1, len(tt.stderr)) {
				t.Errorf("stderr is %q, want one line with %q", &stderr, tt.stderr)
			}
		})
	}
}
