package process

import (
	"os/exec"
	"strings"
	"testing"
)

func shell(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = t.TempDir()
	return cmd
}

func TestStart(t *testing.T) {
	// The loop is in the shell itself: the signal ends it, and no child is left.
	s, err := Start(shell(t, "echo serving on here:1; trap 'exit 0' TERM; while :; do sleep 0.01; done"), Logs(`serving on (\S+)`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Address != "here:1" || s.Started <= 0 {
		t.Errorf("it serves on %q after %v", s.Address, s.Started)
	}
	if memory, err := s.Memory(); err != nil || memory < 100<<10 {
		t.Errorf("it has %d bytes of memory (%v)", memory, err)
	}
	if now, err := s.Resident(); err != nil || now < 100<<10 {
		t.Errorf("it has %d bytes of memory now (%v)", now, err)
	}
	if used, err := s.CPU(); err != nil || used < 0 {
		t.Errorf("it has used %v (%v)", used, err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("it has ended with %v", err)
	}
}

func TestStartOfWhatEnds(t *testing.T) {
	for name, script := range map[string]string{"with an error": "echo no disk; exit 3", "at once": "echo no disk"} {
		_, err := Start(shell(t, script), Logs(`serving on (\S+)`))
		if err == nil || !strings.Contains(err.Error(), "no disk") {
			t.Errorf("%s: the error is %v, expected its log in it", name, err)
		}
	}
	if _, err := Start(&exec.Cmd{Path: t.TempDir() + "/nothing", Dir: t.TempDir()}, Logs("")); err == nil {
		t.Error("started what there is not")
	}
}

func TestLogs(t *testing.T) {
	for _, test := range []struct {
		pattern, log, address string
		ok                    bool
	}{
		{`on (\S+)`, "on a:1\n", "a:1", true},
		{`on (\S+)`, "soon", "", false},
		{`ready`, "is ready", "", true},
	} {
		if address, ok := Logs(test.pattern)([]byte(test.log)); address != test.address || ok != test.ok {
			t.Errorf("%q in %q: %q, %v", test.pattern, test.log, address, ok)
		}
	}
}
