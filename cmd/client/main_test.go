package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"loteria/agency"
	"loteria/internal/leaktest"
	"loteria/internal/logline"
)

// listen serves one connection after the other until the test ends.
func listen(t *testing.T, handle func(net.Conn)) (address string) {
	t.Helper()
	current := goleak.IgnoreCurrent()
	t.Cleanup(func() { // the last of the cleanups
		if err := leaktest.Find(current); err != nil {
			t.Error(err)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			handle(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	return listener.Addr().String()
}

func echoLine(conn net.Conn) {
	line, _ := bufio.NewReader(conn).ReadString('\n')
	_, _ = io.WriteString(conn, line)
}

// runClient runs the command in an empty folder. The lines of its output come
// back without their times.
func runClient(t *testing.T, ctx context.Context, environ ...string) (exitCode int, lines []string, stderr string) {
	t.Helper()
	inFolder(t, "")
	var out, errs bytes.Buffer
	exitCode = run(ctx, nil, environ, &out, &errs)
	stamp := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ([A-Z]+) +`)
	for line := range strings.Lines(out.String()) {
		if !stamp.MatchString(line) {
			t.Errorf("the line %q has no time", line)
		}
		lines = append(lines, strings.TrimSpace(stamp.ReplaceAllString(line, "$1 ")))
	}
	return exitCode, lines, errs.String()
}

func configLine(address string) string {
	return "INFO action: config | result: success | client_id: 1 | server_address: " + address +
		" | loop_amount: 1 | loop_period: 5s | log_level: INFO"
}

func TestRunEcho(t *testing.T) {
	address := listen(t, echoLine)
	code, lines, stderr := runClient(t, t.Context(), "CLI_ID=1", "CLI_MODE=echo", "CLI_LOOP_AMOUNT=1", "CLI_LOOP_PERIOD=5s",
		"CLI_SERVER_ADDRESS="+address)
	if code != exitDone || stderr != "" {
		t.Errorf("exit code %d, %q on standard error", code, stderr)
	}
	want := []string{
		configLine(address),
		"INFO action: receive_message | result: success | client_id: 1 | msg: [CLIENT 1] Message N°1",
		"INFO action: loop_finished | result: success | client_id: 1",
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the log is\n%s\nexpected\n%s", got, strings.Join(want, "\n"))
	}
}

func TestRunFails(t *testing.T) {
	address := listen(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "what?\n") })
	code, lines, stderr := runClient(t, t.Context(), "CLI_ID=1", "CLI_MODE=echo", "CLI_LOOP_AMOUNT=1", "CLI_LOOP_PERIOD=5s",
		"CLI_SERVER_ADDRESS="+address)
	if code != exitFailure || stderr != "client: 1 of 1 messages did not come back\n" {
		t.Errorf("exit code %d, %q on standard error", code, stderr)
	}
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "ERROR action: loop_finished | result: fail") {
		t.Errorf("the last line is %q", last)
	}
}

func TestRunStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	address := listen(t, func(conn net.Conn) {
		stop()
		_, _ = io.Copy(io.Discard, conn)
	})
	code, lines, stderr := runClient(t, ctx, "CLI_ID=1", "CLI_MODE=echo", "CLI_LOOP_AMOUNT=1", "CLI_LOOP_PERIOD=5s",
		"CLI_SERVER_ADDRESS="+address)
	if code != exitDone || stderr != "" {
		t.Errorf("exit code %d, %q on standard error", code, stderr)
	}
	if last := lines[len(lines)-1]; last != "INFO action: exit | result: success | client_id: 1" {
		t.Errorf("the last line is %q", last)
	}
}

// An agency that only asks for the winners needs no file.
func TestRunWinners(t *testing.T) {
	c := newCentral(t, "30904465", "30904466")
	address := c.serve()
	code, lines, stderr := runClient(t, t.Context(), "CLI_ID=1", "CLI_MODE=Winners", "CLI_LOOP_AMOUNT=1", "CLI_LOOP_PERIOD=5s",
		"CLI_SERVER_ADDRESS="+address, "CLI_WINNERS=true")
	if code != exitDone || stderr != "" {
		t.Errorf("exit code %d, %q on standard error", code, stderr)
	}
	want := []string{
		configLine(address),
		"INFO action: ganador | result: success | client_id: 1 | dni: 30904465",
		"INFO action: ganador | result: success | client_id: 1 | dni: 30904466",
		"INFO action: consulta_ganadores | result: success | cant_ganadores: 2",
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the log is\n%s\nexpected\n%s", got, strings.Join(want, "\n"))
	}
}

// Pauses between batches that take long in all are logged, others are not.
func TestLongPausesAreSaid(t *testing.T) {
	for name, test := range map[string]struct {
		bets   uint64
		batch  int
		period time.Duration
		want   string // what is logged, or empty
	}{
		"a minute":             {70, 10, 10 * time.Second, ""},
		"more":                 {71, 10, 10 * time.Second, "period: 10s | batches: 8 | pauses: 1m10s"},
		"one batch":            {10, 10, 24 * time.Hour, ""},
		"no bets":              {0, 10, 24 * time.Hour, ""},
		"frames are the limit": {1000, 100_000, time.Minute, "period: 1m0s | batches: 8 | pauses: 7m0s"},
		"for ever":             {math.MaxUint64 / 2, 1, 24 * time.Hour, "period: 24h0m0s | batches: 9223372036854775807 | pauses: 1281023h53m38s"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			lines := logline.New(&out, logline.Text)
			logPauses(lines.Logger(zerolog.InfoLevel), agency.Config{ID: 1, BatchMaxAmount: test.batch, LoopPeriod: test.period}, test.bets)
			if err := lines.Close(); err != nil {
				t.Fatal(err)
			}
			said := out.String()
			if test.want == "" && said != "" ||
				test.want != "" && !strings.Contains(said, "action: loop_period | result: in_progress | client_id: 1 | "+test.want+" | ") {
				t.Errorf("the log says %q, expected %q", said, test.want)
			}
		})
	}
}

// stopper ends a run when its output has a text.
type stopper struct {
	bytes.Buffer
	text string
	stop func()
}

func (s *stopper) Write(p []byte) (int, error) {
	n, err := s.Buffer.Write(p)
	if strings.Contains(s.String(), s.text) {
		s.stop()
	}
	return n, err
}

// A run logs long pauses at once.
func TestRunWithLongPauses(t *testing.T) {
	c := newCentral(t)
	environ := []string{"CLI_ID=1", "CLI_LOOP_PERIOD=24h", "CLI_BATCH_MAXAMOUNT=10", "CLI_SERVER_ADDRESS=" + c.serve(), "CLI_DATA_DIR=" + betsFolder(t, 15)}
	inFolder(t, "")
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	out := &stopper{text: "action: loop_period | result: in_progress", stop: stop}
	if code := run(ctx, nil, environ, out, io.Discard); code != exitDone || !strings.Contains(out.String(), out.text) {
		t.Errorf("exit code %d, and the log is\n%s", code, out)
	}
}

// A configuration that cannot be used is one line on stderr, and nothing on stdout.
func TestRunWithoutUsableConfig(t *testing.T) {
	for name, test := range map[string]struct {
		environ []string
		says    string
	}{
		"no number":   {nil, "CLI_ID"},
		"invalid bet": {[]string{"CLI_ID=1", "CLI_MODE=bet", "NOMBRE=Ana", "APELLIDO=Paz", "DOCUMENTO=1", "NACIMIENTO=2000-02-30", "NUMERO=1"}, "NACIMIENTO: bad_birthdate"},
	} {
		t.Run(name, func(t *testing.T) {
			code, lines, stderr := runClient(t, t.Context(), test.environ...)
			if code != 2 || len(lines) > 0 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, test.says) {
				t.Errorf("exit code %d, lines %q, %q on standard error", code, lines, stderr)
			}
		})
	}
}

// A file without a valid bet is a failure, unless settings allow that.
func TestRunEmpty(t *testing.T) {
	for name, test := range map[string]struct {
		file    string
		environ []string
		code    int
		says    string
	}{
		"empty":                 {"", nil, exitFailure, "has no row"},
		"empty, allowed":        {"", []string{"CLI_BATCH_ALLOWEMPTY=true"}, exitDone, ""},
		"invalid":               {"no bet\n", []string{"CLI_BATCH_SKIPINVALID=true"}, exitFailure, "no row is a valid bet"},
		"invalid, allowed":      {"no bet\n", []string{"CLI_BATCH_SKIPINVALID=true", "CLI_BATCH_ALLOWEMPTY=true"}, exitDone, ""},
		"invalid, not left out": {"no bet\n", []string{"CLI_BATCH_ALLOWEMPTY=true"}, exitFailure, "line 1: the row has 1 field"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "agency-1.csv"), []byte(test.file), 0o644); err != nil {
				t.Fatal(err)
			}
			environ := append(test.environ, "CLI_ID=1", "CLI_DATA_DIR="+folder, "CLI_SERVER_ADDRESS="+newCentral(t).serve())
			code, lines, stderr := runClient(t, t.Context(), environ...)
			if code != test.code || (stderr != "") != (test.says != "") || !strings.Contains(stderr, test.says) {
				t.Errorf("exit code %d, expected %d; %q on standard error, expected %q", code, test.code, stderr, test.says)
			}
			finished := strings.Contains(strings.Join(lines, "\n"), "action: finished | result: success")
			if finished != (test.code == exitDone) {
				t.Errorf("finished is %v in\n%s", finished, strings.Join(lines, "\n"))
			}
		})
	}
}
