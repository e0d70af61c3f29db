package main

import (
	"bytes"
	"fmt"
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

	"loteria/cmd/internal/progress/terminaltest"
	"loteria/codec"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// The test binary is the client under the client's name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == name {
		main()
	}
	os.Exit(m.Run())
}

// command is the client as a process, with its settings from the environment.
func command(t *testing.T, environ ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir() // it holds no configuration
	path := filepath.Join(folder, name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Dir = folder
	cmd.Env = append([]string{"TERM=xterm-256color", "GORACE=atexit_sleep_ms=0", "CLI_ID=1", "CLI_BATCH_MAXAMOUNT=10"}, environ...)
	return cmd
}

// onTerminal starts the client on a terminal.
func onTerminal(t *testing.T, columns, rows int, environ ...string) (*exec.Cmd, *terminaltest.Terminal) {
	t.Helper()
	cmd := command(t, environ...)
	return cmd, terminaltest.Start(t, cmd, columns, rows)
}

// wantScreen compares lines with expressions, the log's without their times.
func wantScreen(t *testing.T, lines []string, want ...string) {
	t.Helper()
	same := len(lines) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = regexp.MustCompile(`^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d )?(?:` + want[i] + ")$").MatchString(lines[i])
	}
	if !same {
		t.Errorf("the screen has\n%s\nexpected\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// What a run of agency 1 leaves above the bar, see wantScreen.
const (
	configured = `INFO     action: config \| result: success \| client_id: 1 \| server_address: [\d.:]+ \| loop_amount: \d+ \| loop_period: 0s \| log_level: INFO`
	begun      = `INFO     action: batch_processing_start \| result: success`
	exited     = `INFO     action: exit \| result: success \| client_id: 1`
)

func completed(bets int) string {
	return fmt.Sprintf(`INFO     action: batch_processing_complete \| result: success \| client_id: 1 \| processed: %d/%d`, bets, bets)
}

func ended(bets, winners int) []string {
	return []string{
		fmt.Sprintf(`INFO     action: finished \| result: success \| client_id: 1 \| total: %d`, bets),
		fmt.Sprintf(`INFO     action: consulta_ganadores \| result: success \| cant_ganadores: %d`, winners),
	}
}

// The bar grows with the answers, ends with the last one, and stands below all
// lines in the end; the lines about batches are not there.
func TestBar(t *testing.T) {
	c := newCentral(t, "30904465", "00000001")
	c.admitted, c.draw = make(chan int), make(chan struct{})
	cmd, screen := onTerminal(t, 250, 30, "CLI_SERVER_ADDRESS="+c.serve(), "CLI_DATA_DIR="+betsFolder(t, 1234), "CLI_WINNERS=true")
	c.admit(62)
	if line := screen.Says("620 / 1,234"); !regexp.MustCompile(`^agency 1 \[=+>-+\]  50%  620 / 1,234( |$)`).MatchString(line) {
		t.Errorf("half of the bets look like %q", line)
	}
	c.admit(62)
	<-c.queried // all that is left is the draw
	screen.Says("100%")
	close(c.draw)
	code, lines := screen.Wait(cmd)
	if code != exitDone {
		t.Errorf("exit code %d", code)
	}
	want := append([]string{configured, begun, completed(1234)}, ended(1234, 2)...)
	want = append(want,
		`agency 1 \[=+\] 100%  1,234 / 1,234  [\d,]+ bets/s  in \d+\.\d+ s`,
		"",
		"winners of agency 1: 2",
		"",
		"    1  30904465    2  00000001",
	)
	wantScreen(t, lines, want...)
}

func TestWinnersOnATerminal(t *testing.T) {
	many := make([]string, 100_000)
	for i := range many {
		many[i] = fmt.Sprint(20_000_000 + i)
	}
	tests := []struct {
		name    string
		winners []string
		environ string
		first   []string // below the bar
		last    string
	}{
		{"none", nil, "CLI_WINNERS=true", []string{"", "agency 1 has no winners."}, ""},
		{"one", many[:1], "CLI_WINNERS=true", []string{"", "winners of agency 1: 1", "", "    1  20000000"}, ""},
		{"very many", many, "CLI_WINNERS=true",
			[]string{"", "winners of agency 1: 100,000", "", `      1  20000000     51  20000050    101  20000100    151  20000150`},
			"and 99,800 more; --no-progress logs each"},
		{"nobody asks", many[:5], "CLI_WINNERS=false", nil, ""},
		{"a hostile central", []string{"\x1b[2J\n12345678901234567890"}, "CLI_WINNERS=true",
			[]string{"", "winners of agency 1: 1", "", "    1  \ufffd\\[2J\ufffd12345…"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newCentral(t, test.winners...)
			cmd, screen := onTerminal(t, 80, 100, "CLI_SERVER_ADDRESS="+c.serve(), "CLI_DATA_DIR="+betsFolder(t, 25), test.environ)
			code, lines := screen.Wait(cmd)
			if code != exitDone {
				t.Errorf("exit code %d", code)
			}
			bar := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "agency 1 [") })
			if bar < 0 || !strings.Contains(lines[bar], "25 / 25") {
				t.Fatal("there is no full bar")
			}
			below := lines[bar+1:]
			if test.last != "" && below[len(below)-1] != test.last {
				t.Errorf("the last line is %q", below[len(below)-1])
			}
			if test.last != "" && len(below) != 3+50+2 {
				t.Errorf("%d lines are below the bar", len(below))
			} else if test.last != "" {
				below = below[:len(test.first)]
			}
			wantScreen(t, below, test.first...)
		})
	}
}

// A signal leaves the bar where it is, below the lines that the stop makes.
func TestSignalUnderBar(t *testing.T) {
	signals := map[string]func(*exec.Cmd, *terminaltest.Terminal){
		"SIGTERM": func(cmd *exec.Cmd, _ *terminaltest.Terminal) { _ = cmd.Process.Signal(syscall.SIGTERM) },
		"SIGHUP":  func(cmd *exec.Cmd, _ *terminaltest.Terminal) { _ = cmd.Process.Signal(syscall.SIGHUP) },
		"Ctrl-C":  func(_ *exec.Cmd, screen *terminaltest.Terminal) { screen.Type("\x03") },
	}
	for name, stop := range signals {
		t.Run(name, func(t *testing.T) {
			if name == "SIGHUP" {
				skipUnderNohup(t)
			}
			c := newCentral(t)
			c.admitted = make(chan int)
			cmd, screen := onTerminal(t, 250, 30, "CLI_SERVER_ADDRESS="+c.serve(), "CLI_DATA_DIR="+betsFolder(t, 1000), "CLI_WINNERS=true")
			c.admit(30)
			screen.Says("300 / 1,000")
			stop(cmd, screen)
			code, lines := screen.Wait(cmd)
			if code != exitDone {
				t.Errorf("exit code %d", code)
			}
			wantScreen(t, lines, configured, begun,
				`INFO     action: close_file \| result: success \| client_id: 1 \| file: .*`,
				`INFO     action: close_connection \| result: success \| client_id: 1 \| server_address: .*`,
				exited,
				`agency 1 \[=+>-+\]  30%  300 / 1,000  [\d,]+ bets/s  stopped`)
		})
	}
}

// An agency whose terminal is closed stops in order: the lost terminal is no
// failure.
func TestTerminalIsClosed(t *testing.T) {
	skipUnderNohup(t)
	c := newCentral(t)
	c.admitted = make(chan int)
	cmd, screen := onTerminal(t, 250, 30, "CLI_SERVER_ADDRESS="+c.serve(), "CLI_DATA_DIR="+betsFolder(t, 1000))
	c.admit(30)
	screen.Says("300 / 1,000")
	screen.Close()
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != exitDone {
		t.Errorf("it ended with %v", cmd.ProcessState)
	}
}

func skipUnderNohup(t *testing.T) {
	t.Helper()
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("SIGHUP is ignored here, as under nohup, and so by whatever is started")
	}
}

// A failure leaves the bar where it is, and its lines stand whole.
func TestFailureUnderBar(t *testing.T) {
	t.Run("the central refuses", func(t *testing.T) {
		c := newCentral(t, "30904465")
		c.onBatch = func(n int) codec.Message {
			if n == 31 {
				return &codec.Error{Document: "30904765", Number: "300", Code: "draw_done"}
			}
			return nil
		}
		cmd, screen := onTerminal(t, 250, 30, "CLI_SERVER_ADDRESS="+c.serve(), "CLI_DATA_DIR="+betsFolder(t, 1000), "CLI_WINNERS=true")
		code, lines := screen.Wait(cmd)
		if code != exitFailure {
			t.Errorf("exit code %d", code)
		}
		wantScreen(t, lines, configured, begun,
			`ERROR    action: batch_processed \| result: fail \| client_id: 1 \| batch: 301-310 \| cantidad: 10 \| code: draw_done .*`,
			`INFO     action: consulta_ganadores \| result: success \| cant_ganadores: 1`,
			`agency 1 \[=+>-+\]  30%  300 / 1,000 .* stopped`,
			"", "winners of agency 1: 1", "", "    1  30904465",
			`client: the central refused bets 301-310: draw_done .*; its winners, .*, are known: 1`)
	})
	t.Run("nobody is there", func(t *testing.T) {
		cmd, screen := onTerminal(t, 250, 30, "CLI_SERVER_ADDRESS=127.0.0.1:1", "CLI_DATA_DIR="+betsFolder(t, 1000), "CLI_CONNECT_LIMIT=1")
		code, lines := screen.Wait(cmd)
		if code != exitFailure {
			t.Errorf("exit code %d", code)
		}
		wantScreen(t, lines, configured, begun, `ERROR    action: connect \| result: fail .*`,
			`agency 1 \[-+\] .*stopped`, `client: the central 127.0.0.1:1 cannot be reached.*`)
	})
	// What is not known cannot be shown: how many bets would have been sent.
	t.Run("an invalid row", func(t *testing.T) {
		folder := betsFolder(t, 100)
		file, err := os.OpenFile(filepath.Join(folder, "agency-1.csv"), os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = file.WriteString("no bet\r\n")
			file.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		c := newCentral(t)
		cmd, screen := onTerminal(t, 250, 30, "CLI_SERVER_ADDRESS="+c.serve(), "CLI_DATA_DIR="+folder)
		code, lines := screen.Wait(cmd)
		if code != exitFailure {
			t.Errorf("exit code %d", code)
		}
		wantScreen(t, lines, configured, begun, `ERROR    action: read_file \| result: fail .*`,
			`agency 1 \[-+\]  0 bets .*stopped`, `client: .*line 101.*`)
	})
}

// Bets that the central has from an earlier run are in the bar from the beginning.
func TestBarTakenUpAgain(t *testing.T) {
	c := newCentral(t)
	c.admitted = make(chan int)
	folder := betsFolder(t, 1000)
	c.has(folder, 400)
	cmd, screen := onTerminal(t, 250, 30, "CLI_SERVER_ADDRESS="+c.serve(), "CLI_DATA_DIR="+folder)
	if line := screen.Says("400 / 1,000"); !strings.Contains(line, " 40% ") || strings.Contains(line, "bets/s") {
		t.Errorf("at the beginning, with 400 bets from before, the bar is %q", line)
	}
	c.admit(60)
	code, lines := screen.Wait(cmd)
	if code != exitDone {
		t.Errorf("exit code %d", code)
	}
	want := append([]string{configured, begun, `INFO     action: resume \| result: success \| client_id: 1 \| stored: 400`,
		completed(1000)}, ended(1000, 0)...)
	wantScreen(t, lines, append(want, `agency 1 \[=+\] 100%  1,000 / 1,000  [\d,]+ bets/s  in .*`)...)
}

func TestBarOfOneBet(t *testing.T) {
	c := newCentral(t)
	cmd, screen := onTerminal(t, 250, 30, "CLI_SERVER_ADDRESS="+c.serve(), "CLI_MODE=bet", "CLI_LOOP_AMOUNT=7",
		"NOMBRE=Ana", "APELLIDO=Paz", "DOCUMENTO=1", "NACIMIENTO=2000-02-29", "NUMERO=1")
	code, lines := screen.Wait(cmd)
	if code != exitDone {
		t.Errorf("exit code %d", code)
	}
	want := append([]string{configured, `INFO     action: loop_finished \| result: success \| client_id: 1`}, ended(7, 0)...)
	wantScreen(t, lines, append(want, `agency 1 \[=+\] 100%  7 / 7 .* in .*`)...)
}

// Forty columns are enough, and may become more.
func TestBarOnANarrowTerminal(t *testing.T) {
	c := newCentral(t, "30904465", "30904466")
	c.admitted = make(chan int)
	cmd, screen := onTerminal(t, 40, 12, "CLI_SERVER_ADDRESS="+c.serve(), "CLI_DATA_DIR="+betsFolder(t, 1000), "CLI_WINNERS=true")
	c.admit(50)
	if line := screen.Says(" 50% 500"); !regexp.MustCompile(`^agency 1 \[=+>-+\]  50% 500( |$)`).MatchString(line) {
		t.Errorf("half of the bets look like %q", line)
	}
	screen.Resize(60, 12)
	c.admit(10)
	screen.Says(" 60% 600")
	c.admit(40)
	code, lines := screen.Wait(cmd)
	if code != exitDone {
		t.Errorf("exit code %d", code)
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"\nagency 1 [==", "] 100% 1,000 ", "    1  30904465    2  30904466"} {
		if !strings.Contains(text, want) {
			t.Errorf("the screen lacks %q", want)
		}
	}
	if n := strings.Count(text, "agency 1 ["); n != 1 {
		t.Errorf("%d bars are left", n)
	}
}

// Without a bar, there are the log's lines and nothing else.
func TestNoBar(t *testing.T) {
	tests := []struct {
		name          string
		columns, rows int
		environ       []string
		json          bool
	}{
		{"--no-progress", 200, 30, []string{"CLI_NO_PROGRESS=true"}, false},
		{"--progress=off", 200, 30, []string{"CLI_PROGRESS=off"}, false},
		{"a terminal that can only write on", 200, 30, []string{"TERM=dumb"}, false},
		{"a narrow terminal", 39, 30, nil, false},
		{"a narrow terminal, and lines are asked for", 39, 30, []string{"CLI_PROGRESS=lines"}, false},
		{"lines for machines", 200, 30, []string{"CLI_LOG_FORMAT=json"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newCentral(t, "30904465", "30904466")
			environ := append([]string{"CLI_SERVER_ADDRESS=" + c.serve(), "CLI_DATA_DIR=" + betsFolder(t, 25), "CLI_WINNERS=true"}, test.environ...)
			cmd, screen := onTerminal(t, test.columns, test.rows, environ...)
			code, _ := screen.Wait(cmd)
			if code != exitDone {
				t.Errorf("exit code %d", code)
			}
			lines := strings.Split(strings.TrimSuffix(screen.Raw(), "\r\n"), "\r\n")
			if strings.Contains(screen.Raw(), "\x1b") {
				t.Error("there are control sequences")
			}
			if test.json {
				if n := strings.Count(screen.String(), `"action":"batch_processed","result":"success"`); n != 3 || !strings.Contains(screen.String(), `"dni":"30904466"`) {
					t.Errorf("%d lines about batches, expected 3, and the winners", n)
				}
				return
			}
			wantScreen(t, lines, withoutBar("30904465", "30904466")...)
		})
	}
}

// With lines asked for, they are all there, above the bar.
func TestLinesAboveTheBar(t *testing.T) {
	c := newCentral(t, "30904465")
	cmd, screen := onTerminal(t, 200, 30, "CLI_SERVER_ADDRESS="+c.serve(), "CLI_DATA_DIR="+betsFolder(t, 25), "CLI_PROGRESS=lines")
	code, lines := screen.Wait(cmd)
	if code != exitDone {
		t.Errorf("exit code %d", code)
	}
	want := withoutBar()
	want[len(want)-1] = ended(25, 1)[1]
	wantScreen(t, lines, append(want, `agency 1 \[=+\] 100%  25 / 25 .* in .*`)...)
}

// withoutBar is the log of 25 bets.
func withoutBar(winners ...string) []string {
	want := []string{configured, begun}
	for _, batch := range []string{`1-10 \| cantidad: 10`, `11-20 \| cantidad: 10`, `21-25 \| cantidad: 5`} {
		want = append(want, `INFO     action: batch_processed \| result: success \| client_id: 1 \| batch: `+batch)
	}
	tail := ended(25, 2)
	want = append(want, completed(25), tail[0])
	for _, winner := range winners {
		want = append(want, `INFO     action: ganador \| result: success \| client_id: 1 \| dni: `+winner)
	}
	return append(want, tail[1])
}

// Without a terminal nothing changes, except that winners can be logged.
func TestNotOnATerminal(t *testing.T) {
	for setting, winners := range map[string][]string{"CLI_WINNERS=false": nil, "CLI_WINNERS=true": {"30904465", "30904466"}} {
		t.Run(setting, func(t *testing.T) {
			c := newCentral(t, "30904465", "30904466")
			cmd := command(t, "CLI_SERVER_ADDRESS="+c.serve(), "CLI_DATA_DIR="+betsFolder(t, 25), setting)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Run(); err != nil || errs.Len() > 0 {
				t.Errorf("%v, %q on standard error", err, &errs)
			}
			if !strings.HasSuffix(out.String(), "\n") {
				t.Error("the last line has no end")
			}
			wantScreen(t, strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), withoutBar(winners...)...)
		})
	}
}
