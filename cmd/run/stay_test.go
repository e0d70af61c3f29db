package main

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"loteria/cmd/internal/progress/terminaltest"
)

const stays = "run        the central stays up, listening on 127.0.0.1:"

// After the draw the central stays up, with the table on the screen, until a
// signal, which is a normal end.
func TestStay(t *testing.T) {
	signals := map[string]func(*exec.Cmd, *terminaltest.Terminal){
		"Ctrl-C":  func(_ *exec.Cmd, screen *terminaltest.Terminal) { screen.Type("\x03") },
		"SIGTERM": func(cmd *exec.Cmd, _ *terminaltest.Terminal) { _ = cmd.Process.Signal(syscall.SIGTERM) },
	}
	for name, stop := range signals {
		t.Run(name, func(t *testing.T) {
			stage(t, "")
			alive := watch(t)
			cmd, screen := onTerminal(t, 110, 40, append(stubArgs, "--stay")...)
			screen.Says(stays)
			before := screen.Lines()
			if len(matching(before, tableTop)) != 1 || len(matching(before, anyBar)) != 2 {
				t.Error("the table or the bars are not there")
			}
			if len(matching(before, "has 4 rows")) != 0 {
				t.Error("the run has ended already")
			}
			alive.central(t)
			stop(cmd, screen)
			code, lines := screen.Wait(cmd)
			if code != exitOK {
				t.Errorf("exit code %d", code)
			}
			if len(matching(lines, tableTop)) != 1 || len(matching(lines, "bets.csv has 4 rows, each agency's as many as it sent.")) != 1 {
				t.Error("the end is not that of a run")
			}
			alive.gone(t)
		})
	}
}

// Without a terminal, it says the same, and no more lines come meanwhile.
func TestStayIntoAFile(t *testing.T) {
	stage(t, "")
	run := start(t, append(stubArgs, "--stay")...)
	run.Await("  agency     bets  batches")
	if line := run.Await(stays); !strings.HasSuffix(line, "until Ctrl-C") {
		t.Errorf("it says %q", line)
	}
	run.Stop()
}

// A central that ends by itself while it should stay has failed.
func TestCentralEndsWhileItStays(t *testing.T) {
	stage(t, "")
	alive := watch(t)
	cmd, screen := onTerminal(t, 110, 40, append(stubArgs, "--stay")...)
	screen.Says(stays)
	alive.central(t)
	alive.close() // without which the stub ends
	code, lines := screen.Wait(cmd)
	if last := lines[len(lines)-1]; code != exitFailure || last != "run: failed: central ended with signal: killed before it was to stop" {
		t.Errorf("exit code %d, the last line is %q", code, last)
	}
}
