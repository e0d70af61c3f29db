package processtest

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Lines come in parts, and the last one may have no end.
func TestProcess(t *testing.T) {
	var mu sync.Mutex
	var watched []string
	p := Start(t, exec.Command("sh", "-c", `trap 'printf last; echo why >&2; exit 3' TERM
		printf 'on'; printf 'e\ntwo\n'; pwd; while :; do sleep 0.01; done`), func(line string) {
		mu.Lock()
		defer mu.Unlock()
		watched = append(watched, line)
	})
	for _, text := range []string{"one", "w"} {
		if line := p.Await(text); !strings.Contains(line, text) {
			t.Errorf("%q has no %q", line, text)
		}
	}
	p.Await(filepath.Base(t.Name())) // in a folder of the test
	if text := p.String(); !strings.HasPrefix(text, "sh (running):\none\ntwo\n") {
		t.Errorf("it is shown as %q", text)
	}
	p.Signal(syscall.SIGTERM)
	if code := p.End(); code != 3 || p.Stderr() != "why\n" || !p.HasEnded() {
		t.Errorf("exit code %d, stderr %q", code, p.Stderr())
	}
	lines := p.Lines()
	if len(lines) != 4 || lines[0] != "one" || lines[3] != "last" || p.Count("o") < 2 || p.Count("last") != 1 || !slices.Equal(lines, watched) {
		t.Errorf("the lines are %q, watched %q", lines, watched)
	}
	if text := p.String(); !strings.HasPrefix(text, "sh (exited with code 3):\n") || !strings.HasSuffix(text, "last\nwhy\n") {
		t.Errorf("it is shown as %q", text)
	}
}

func TestStop(t *testing.T) {
	p := Start(t, exec.Command("sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done"), nil)
	p.Await("ready")
	p.Stop()
}
