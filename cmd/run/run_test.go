package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"loteria/internal/certs/certstest"
	"loteria/internal/process"
	"loteria/internal/process/processtest"
)

func TestRun(t *testing.T) {
	stage(t, "")
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), stubArgs, &stdout, &stderr); code != exitOK {
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

// Over TLS each agency gets its own certificate, and the central has no other port.
func TestRunOverTLS(t *testing.T) {
	stage(t, "")
	if err := os.Mkdir("certs", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := certstest.New("certs", 2); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), append(stubArgs, "--tls", "certs"), &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d, want %d; stderr: %s; the screen:\n%s", code, exitOK, &stderr, &stdout)
	}
	log, err := os.ReadFile(filepath.Join(folder(t), "central.log"))
	if n := strings.Count(string(log), "action: listen "); err != nil || n != 1 || !strings.Contains(string(log), " | tls: true") {
		t.Errorf("the central listens at %d ports (%v):\n%s", n, err, log)
	}
}

// Agencies go to a running central, or to the next one.
func TestCentralOfOthers(t *testing.T) {
	stage(t, "")
	if err := os.Mkdir("central", 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := process.StartCentral(context.Background(), "bin", "central", "central", false,
		"--bind", "127.0.0.1", "--port", "0", "--storage-dir", ".", "--contest=", "--admin=", "--expected-agencies", "2")
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), append(stubArgs, "--bin", "none", "--central", "127.0.0.1:1,"+c.Address), &stdout, &stderr)
	if code != exitOK || !hasRow(stdout.String(), []string{"total", "4", "3", "", "1"}) || strings.Contains(stdout.String(), "bets.csv") {
		t.Errorf("exit code %d; stderr: %s; the screen:\n%s", code, &stderr, &stdout)
	}
	if err := process.Stop(patience, c.Process); err != nil {
		t.Errorf("the central: %v", err)
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
		agency2    string // its file
		args       []string
		err        string   // the line on standard error
		screen     []string // what the screen says too
		hidden     []string // and what it does not say
	}{
		{
			name:    "an agency fails, another dawdles",
			agency2: "Luz,Ríos,2000001,1990-01-01,x\n",
			args:    dawdle,
			err:     "agency 2: data/agency-2.csv: line 1: ",
			screen:  []string{"agency 2: data/agency-2.csv: line 1: "},
			hidden:  []string{"total"},
		},
		{
			name:       "the central dies at once",
			misbehaves: "dies",
			err:        "central exited with code 3 before it was ready",
			screen: []string{
				"    2026-01-31 10:00:00 INFO     action: getting_ready | result: success | step: 40\n",
				"    panic: nothing works\ufffd[31m today\n",
				"central.log",
			},
			hidden: []string{"step: 21\n", "agency 1"},
		},
		{
			name:       "the central dies among the agencies",
			misbehaves: "crashes",
			args:       dawdle, // or all may be over by then
			err:        "central exited with code 4 before it was to stop",
			screen:     []string{"    panic: an agency came\n"},
		},
		{
			name:       "the central never listens",
			misbehaves: "is silent",
			args:       []string{"--timeout", "100ms"},
			err:        "waiting for the central: not done after 100ms",
		},
		{
			name: "an agency is never done",
			args: append(dawdle, "--timeout", "10s"),
			err:  "not done after 10s",
		},
		{
			name:       "a row is lost",
			misbehaves: "loses a row",
			err:        "run/",
			screen:     []string{"total"},
		},
		{
			name:       "a line says fail",
			misbehaves: "grumbles",
			err:        "central logged 1 line with result: fail",
			screen:     []string{"central    action: apuesta_recibida | result: fail | cantidad: 1\n"},
		},
		{
			name:       "nobody says that there was a draw",
			misbehaves: "hides the draw",
			err:        "central logged 0 draws (sorteo), expected one",
		},
		{
			name:       "two draws",
			misbehaves: "draws again",
			err:        "central logged 2 draws (sorteo), expected one",
		},
		{
			name:       "the central stops badly",
			misbehaves: "stops badly",
			err:        "central was told to stop and exited with code 1",
			screen:     []string{"    server: cannot stop\n"},
		},
		{
			name:       "the central does not stop",
			misbehaves: "is stubborn",
			err:        "central did not stop and was killed",
		},
		{
			name: "a file is missing",
			args: []string{"--agencies", "3"},
			err:  "agency 3: ",
		},
		{name: "no programs", args: []string{"--bin", "data"}, err: "there is no data/server: build it first (make build)"},
		{name: "no data", args: []string{"--data", "dta"}, err: "there is no data folder dta"},
		{name: "data is a file", args: []string{"--data", "data/agency-1.csv"}, err: "there is no data folder data/agency-1.csv"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stage(t, tt.misbehaves)
			if tt.agency2 != "" {
				writeAgency(t, "2", tt.agency2)
			}
			alive := watch(t)
			opts, _, err := parse(append(stubArgs, tt.args...))
			if err != nil {
				t.Fatal(err)
			}
			if tt.misbehaves == "is stubborn" {
				opts.grace = 300 * time.Millisecond
			}
			var stdout bytes.Buffer
			err = play(context.Background(), opts, &stdout)
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
			alive.gone(t)
			if t.Failed() {
				t.Logf("the screen:\n%s", &stdout)
			}
		})
	}
}

func TestExitCodeOfFailure(t *testing.T) {
	stage(t, "")
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), append(stubArgs, "--agencies", "3"), &stdout, &stderr); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	if got := stderr.String(); !strings.HasPrefix(got, "run: failed: agency 3: ") || strings.Count(got, "\n") != 1 {
		t.Errorf("stderr is %q, want one line", got)
	}
}

// start starts the run as a process, with the stubs or programs in bin.
func start(t *testing.T, args ...string) *processtest.Process {
	t.Helper()
	cmd := exec.Command("bin/run", args...)
	cmd.Dir = "."
	return processtest.Start(t, cmd, nil)
}

// Whatever ends the run, its central ends too. The run is a process here, and its
// agencies are never done.
func TestNothingSurvives(t *testing.T) {
	tests := []struct {
		name    string
		central string
		signals []syscall.Signal
		code    int // -1: ended by the last signal itself
	}{
		{"Ctrl-C", "", []syscall.Signal{syscall.SIGINT}, 130},
		{"SIGTERM", "", []syscall.Signal{syscall.SIGTERM}, 143},
		{"a terminal that closes", "", []syscall.Signal{syscall.SIGHUP, syscall.SIGHUP}, 129},
		{"SIGKILL", "", []syscall.Signal{syscall.SIGKILL}, -1},
		{"Ctrl-C twice", "is stubborn", []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, -1},
		{"SIGTERM after it", "is stubborn", []syscall.Signal{syscall.SIGHUP, syscall.SIGHUP, syscall.SIGTERM}, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.code < 0 && !process.DieTogether {
				t.Skip("only Linux ends the processes of a run that is killed")
			}
			if tt.signals[0] == syscall.SIGHUP && signal.Ignored(syscall.SIGHUP) {
				t.Skip("hang-ups are ignored here, as under nohup, and so by whatever is started")
			}
			stage(t, tt.central)
			alive := watch(t)
			// A terminal would send Ctrl-C to the run's group; the central is in a
			// group of its own, so here it is sent to the run alone.
			run := start(t, dawdle...)
			alive.central(t)
			for i, s := range tt.signals {
				if i == 1 {
					alive.stopping(t)
				}
				run.Signal(s)
			}
			if code := run.End(); code != tt.code {
				t.Errorf("exit code %d, want %d: %v", code, tt.code, run)
			}
			alive.gone(t)
		})
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
		{[]string{"--log-level", "LOUD"}, exitUsage, "", `--log-level is "LOUD", expected INFO or DEBUG`},
		{[]string{"--timeout", "0"}, exitUsage, "", "--timeout is 0s"},
		{[]string{"--loop-period", "-1s"}, exitUsage, "", "--loop-period is -1s, expected 0s to 24h0m0s"},
		{[]string{"--loop-period", "25h"}, exitUsage, "", "--loop-period is 25h0m0s"},
		{[]string{"data"}, exitUsage, "", `unexpected argument "data"`},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.args), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(context.Background(), tt.args, &stdout, &stderr); code != tt.code {
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
