//go:build e2e

package e2e

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	succeeded = "action: test_echo_server | result: success"
	failed    = "action: test_echo_server | result: fail"
)

func TestEchoScriptAgainstTheCentral(t *testing.T) {
	l := newLab(t)
	l.configureServer(usualCentral)
	l.generate(0)
	l.up("server")
	l.await("server", "listen", "success", 1)
	times := 0
	for _, shell := range shells() {
		l.validateWith(shell, succeeded)
		times++
	}
	l.await("server", "receive_message", "success", times)
	if n := len(l.logs("server").of("receive_message", "success")); n != times {
		t.Errorf("the central logged %d messages, was asked %d times", n, times)
	}
	l.compose("stop")
	l.validate(failed)
}

func TestEchoScriptAgainstOthers(t *testing.T) {
	for name, test := range map[string]struct {
		answers string // a program, for a shell
		want    string
	}{
		"healthy":         {`read -r line && printf "%s\n" "$line"`, succeeded},
		"never closes":    {`read -r line && printf "%s\n" "$line" && sleep 60`, succeeded},
		"another answer":  {`read -r line && echo hola`, failed},
		"part of it":      {`read -r line && printf "%s\n" "${line%?}"`, failed},
		"more than it":    {`read -r line && printf "%s\n%s\n" "$line" "$line"`, failed},
		"closes":          {`read -r line`, failed},
		"says nothing":    {`sleep 60`, failed},
		"without an end":  {`yes`, failed},
		"an empty answer": {`read -r line && echo`, failed},
	} {
		t.Run(name, func(t *testing.T) {
			l := newNetwork(t)
			l.foreign(test.answers)
			l.validate(test.want)
		})
	}
}

func TestEchoScriptAgainstNobody(t *testing.T) {
	t.Run("no server", func(t *testing.T) { newNetwork(t).validate(failed) })
	t.Run("no network", func(t *testing.T) { newLab(t).validate(failed) })
}

// newNetwork returns a lab with the project's network and nothing on it.
func newNetwork(t *testing.T) *lab {
	l := newLab(t)
	l.docker("network", "create", "--subnet", "172.25.125.0/24", network)
	t.Cleanup(func() { l.docker("network", "rm", network) })
	return l
}

// foreign starts an echo server that is not ours, or what pretends to be one. It
// runs a shell program for each connection.
func (l *lab) foreign(program string) {
	l.Helper()
	begun := time.Now()
	id := l.docker("run", "--detach", "--name", "server", "--network", network,
		"--health-interval", "500ms", "--health-cmd", "grep -q ':3039 .* 0A ' /proc/net/tcp /proc/net/tcp6", // 12345 listens
		busybox, "sh", "-c", `while true; do nc -l -p 12345 -e sh -c "$0"; done`, program)
	l.Cleanup(func() { l.docker("rm", "--force", "server") })
	// Events from before this command are shown too, so nothing is missed.
	l.follow([]string{"events", "--since", begun.Format(time.RFC3339Nano),
		"--filter", "container=" + strings.TrimSpace(id), "--filter", "event=health_status"},
		func(text string) bool { return strings.Contains(text, "health_status: healthy") })
}

// shells returns the installed POSIX shells.
func shells() (found []string) {
	for _, shell := range []string{"sh", "dash", "busybox sh"} {
		if _, err := exec.LookPath(strings.Fields(shell)[0]); err == nil {
			found = append(found, shell)
		}
	}
	return found
}

func (l *lab) validate(want string) {
	l.Helper()
	l.validateWith("sh", want)
}

// validateWith runs the script with a shell.
func (l *lab) validateWith(shell, want string) {
	l.Helper()
	const limit = 10 * time.Second
	words := append(strings.Fields(shell), "validar-echo-server.sh")
	before := l.docker("ps", "--all", "--quiet")
	begun := time.Now()
	output, err := l.command(nil, words[0], words[1:]...).Output()
	if taken := time.Since(begun); taken > limit {
		l.Errorf("%s: it took %v", shell, taken)
	}
	lines := strings.Split(strings.TrimSuffix(string(output), "\n"), "\n")
	if last := lines[len(lines)-1]; last != want {
		l.Errorf("%s: the last line is %q, want %q", shell, last, want)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) != (want == failed) {
		l.Errorf("%s: it ended with %v, its last line should be %q", shell, err, want)
	}
	if after := l.docker("ps", "--all", "--quiet"); after != before {
		l.Errorf("%s: the containers were %q and are %q", shell, before, after)
	}
}
