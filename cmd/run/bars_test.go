package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"loteria/cmd/internal/progress/terminaltest"
)

// onTerminal starts the run on a terminal, with the stubs or programs in bin.
func onTerminal(t *testing.T, columns, rows int, args ...string) (*exec.Cmd, *terminaltest.Terminal) {
	t.Helper()
	t.Setenv("TERM", "xterm-256color")
	cmd := exec.Command("bin/run", args...)
	return cmd, terminaltest.Start(t, cmd, columns, rows)
}

// matching returns the index of each line that matches.
func matching(lines []string, expression string) (at []int) {
	re := regexp.MustCompile(expression)
	for i, line := range lines {
		if re.MatchString(line) {
			at = append(at, i)
		}
	}
	return at
}

const (
	anyBar   = `^(agency \d+|\d+ agencies) +\[[=>-]*\]`
	tableTop = `^ +agency +bets +batches +seconds +winners$`
)

// A whole run, with the real programs and data: five bars, all news above them, the
// table below.
func TestFiveBars(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	stage(t, "")
	cmd, screen := onTerminal(t, 100, 30, "--data", filepath.Join(root, ".data"), "--loop-period", "2ms")
	first := screen.Says("/ 26,936") // while it runs
	if !regexp.MustCompile(anyBar + ` +\d+%  `).MatchString(first) {
		t.Errorf("a bar is %q", first)
	}
	code, lines := screen.Wait(cmd)
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	totals := []string{"26,936", "25,518", "16,014", "9,238", "991"}
	at := matching(lines, anyBar)
	if len(at) != len(totals) {
		t.Fatalf("%d bars are left, expected %d", len(at), len(totals))
	}
	for i, total := range totals {
		want := fmt.Sprintf(`^agency %d \[=+\] 100%% +%s / %s +[\d,]+ bets/s +in \d+\.\d+ s$`, i+1, total, total)
		if at[i] != at[0]+i || !regexp.MustCompile(want).MatchString(lines[at[i]]) {
			t.Errorf("bar %d is %q", i+1, lines[at[i]])
		}
	}
	// Nothing above them says the same.
	if news := matching(lines, `^agency \d   | bets? in |\d winners?$`); len(news) > 0 {
		t.Errorf("the lines %v say what the bars and the table do", news)
	}
	table := matching(lines, tableTop)
	if len(table) != 1 || table[0] != at[4]+2 {
		t.Errorf("the table is in line %v, the last bar in line %d", table, at[4])
	}
	if !strings.Contains(screen.String(), "78697 rows, each agency's as many as it sent.") {
		t.Error("nobody compared the bets with the rows")
	}
}

// Where there is no room for all bars, there is one for all.
func TestOneBarForAll(t *testing.T) {
	stage(t, "")
	cmd, screen := onTerminal(t, 60, 3, stubArgs...)
	code, lines := screen.Wait(cmd)
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	at := matching(lines, anyBar)
	if len(at) != 1 || !strings.HasPrefix(lines[at[0]], "2 agencies [===") || !strings.Contains(lines[at[0]], "] 100% 4 ") {
		t.Errorf("the bars are %v", at)
	}
	if len(matching(lines, tableTop)) != 1 {
		t.Error("there is no table")
	}
}

// Bars that are not done stay where they are, above the reason.
func TestBarsOfFailure(t *testing.T) {
	stage(t, "")
	writeAgency(t, "2", "Luz,Ríos,2000001,1990-01-01,x\n")
	cmd, screen := onTerminal(t, 110, 40, dawdle...)
	code, lines := screen.Wait(cmd)
	if code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	at := matching(lines, anyBar)
	if len(at) != 2 || !regexp.MustCompile(`^agency 1 .* stopped$`).MatchString(lines[at[0]]) ||
		!regexp.MustCompile(`^agency 2 \[-+\] .* 0 .*stopped$`).MatchString(lines[at[1]]) {
		t.Errorf("the bars are in the lines %v", at)
	}
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "run: failed: agency 2: data/agency-2.csv: line 1") {
		t.Errorf("the last line is %q", last)
	}
}

// A Ctrl-C in the middle of it leaves the bars where they are.
func TestBarsInterrupted(t *testing.T) {
	stage(t, "")
	cmd, screen := onTerminal(t, 110, 40, dawdle...)
	screen.Says("2 / 3")
	screen.Says("1 / 1")
	screen.Type("\x03")
	code, lines := screen.Wait(cmd)
	if code != exitSignal+int(syscall.SIGINT) {
		t.Errorf("exit code %d", code)
	}
	at := matching(lines, anyBar)
	if len(at) != 2 || !regexp.MustCompile(`^agency 1 \[=+>-+\]  66%  2 / 3 .* stopped$`).MatchString(lines[at[0]]) ||
		!regexp.MustCompile(`^agency 2 \[=+\] 100%  1 / 1 .* in \d+\.\d+ s$`).MatchString(lines[at[1]]) {
		t.Errorf("the bars are in the lines %v", at)
	}
	if last := lines[len(lines)-1]; last != "run: stopped by a signal: interrupt" {
		t.Errorf("the last line is %q", last)
	}
}

// NO_COLOR keeps the bars, which have no colours, and removes all others.
func TestNoColours(t *testing.T) {
	for value, coloured := range map[string]bool{"": true, "1": false} {
		stage(t, "")
		t.Setenv("NO_COLOR", value)
		cmd, screen := onTerminal(t, 110, 40, stubArgs...)
		_, lines := screen.Wait(cmd)
		if got := strings.Contains(screen.Raw(), "\x1b[3"); got != coloured || len(matching(lines, anyBar)) != 2 {
			t.Errorf("NO_COLOR=%s: there are colours: %v, expected %v, and two bars", value, got, coloured)
		}
	}
}

// A dumb terminal gets what a file gets.
func TestNoBars(t *testing.T) {
	stage(t, "")
	t.Setenv("TERM", "dumb")
	cmd := exec.Command("bin/run", stubArgs...)
	screen := terminaltest.Start(t, cmd, 110, 40)
	code, lines := screen.Wait(cmd)
	if code != exitOK || strings.Contains(screen.Raw(), "\x1b") || len(matching(lines, anyBar)) > 0 || len(matching(lines, tableTop)) != 1 {
		t.Errorf("exit code %d, the screen has\n%s", code, screen)
	}
}

// What is said of the central's page.
func TestPage(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for admin, want := range map[string]string{
		"127.0.0.1:0":         `(?m)^central    its page is http://127\.0\.0\.1:\d+/$`,
		taken.Addr().String(): `(?m)^central    its page has to wait: ` + taken.Addr().String() + `: .*address already in use`,
	} {
		stage(t, "")
		var stdout, stderr bytes.Buffer
		if code := run(context.Background(), append(stubArgs, "--admin", admin), &stdout, &stderr); code != exitOK {
			t.Errorf("exit code %d, stderr: %s", code, &stderr)
		}
		if !regexp.MustCompile(want).MatchString(stdout.String()) {
			t.Errorf("the screen has\n%s, expected %q in it", &stdout, want)
		}
	}
}
