package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// shell starts a script. The loops of scripts are the shell's own: they end with
// its signal, and take nothing along.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = t.TempDir()
	p, err := Start(cmd, "the shell")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !p.HasEnded() {
			p.Kill()
		}
	})
	return p
}

func says(text string) func([]byte) bool {
	return func(log []byte) bool { return bytes.Contains(log, []byte(text)) }
}

// A server that must not run as root is started as another user.
func TestAttributesAreKept(t *testing.T) {
	cmd := exec.Command("sh", "-c", "id -u; id -g")
	folder, err := os.MkdirTemp("", "") // one of t's is below a folder that only this user can enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.Dir = folder
	id := uint32(os.Getuid())
	if id == 0 {
		id = 65532
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: uint32(os.Getgid()), NoSetGroups: true}}
	p, err := Start(cmd, "the shell")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%d\n%d\n", id, os.Getgid())
	if err := p.Await(context.Background(), says(want)); err != nil {
		t.Errorf("%v: %s", err, p.Tail())
	}
}

func TestAwait(t *testing.T) {
	p := shell(t, "echo ready; echo too >&2; while :; do sleep 0.01; done")
	for _, text := range []string{"ready\n", "too\n"} {
		if err := p.Await(context.Background(), says(text)); err != nil {
			t.Error(err)
		}
	}
	late := errors.New("late")
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Millisecond, late)
	defer cancel()
	if err := p.Await(ctx, says("more")); !errors.Is(err, late) || !strings.Contains(err.Error(), "the shell") {
		t.Errorf("the error is %v", err)
	}
	if !strings.HasSuffix(p.Log, "/the-shell.log") {
		t.Errorf("the log is %s", p.Log)
	}

	ended := shell(t, "echo last words; exit 3")
	err := ended.Await(context.Background(), says("ready"))
	var f *Failure
	if !errors.As(err, &f) || f.Of != ended || err.Error() != "the shell exited with code 3 before it was ready" || ended.Tail() != "last words" {
		t.Errorf("the error is %v, the log's end %q", err, ended.Tail())
	}
	if err := shell(t, "echo ready").Await(context.Background(), says("ready")); err != nil {
		t.Errorf("of what has ended, but was ready: %v", err)
	}
}

func TestEnds(t *testing.T) {
	const ready, loop = "echo ready; ", "while :; do sleep 0.01; done"
	for name, test := range map[string]struct {
		script string
		grace  time.Duration
		want   string // the error of its stop
	}{
		"well":          {"trap 'exit 0' TERM; " + ready + loop, patience, ""},
		"with an error": {"trap 'exit 7' TERM; " + ready + loop, patience, "the shell was told to stop and exited with code 7"},
		"by the signal": {ready + loop, patience, "the shell was told to stop and ended with signal: terminated"},
		"not":           {"trap '' TERM; " + ready + loop, time.Millisecond, "the shell did not stop and was killed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := shell(t, test.script)
			if err := p.Await(context.Background(), says("ready")); err != nil {
				t.Fatal(err)
			}
			p.OnEnd(func(f *Failure) { t.Errorf("it was told to, and yet: %v", f) })
			err := Stop(test.grace, p)
			if got := fmt.Sprint(err); got != test.want && (err != nil || test.want != "") {
				t.Errorf("the error is %v, expected %q", err, test.want)
			}
			if !p.HasEnded() {
				t.Error("it is still there")
			}
		})
	}
}

// A process that ends by itself is reported.
func TestEndsByItself(t *testing.T) {
	early := make(chan *Failure, 1)
	shell(t, "kill -KILL $$").OnEnd(func(f *Failure) { early <- f })
	select {
	case f := <-early:
		if f.Error() != "the shell ended with signal: killed before it was to stop" {
			t.Errorf("the failure is %v", f)
		}
	case <-time.After(patience):
		t.Error("nobody was told")
	}
	if err := shell(t, "exit 0").Wait(context.Background()); err != nil {
		t.Error(err)
	}
	if err := shell(t, "exit 2").Wait(context.Background()); err == nil || err.Error() != "the shell exited with code 2" {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if p := shell(t, "sleep 1000"); !errors.Is(p.Wait(ctx), context.Canceled) || !p.HasEnded() {
		t.Error("it is waited for without an end")
	}
}

func TestTail(t *testing.T) {
	p := shell(t, "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line $i; done")
	if err := p.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(p.Tail(), "\n")
	if len(lines) != tailLines || lines[0] != "line 81" || lines[tailLines-1] != "line 100" {
		t.Errorf("the end is %q", lines)
	}
}

func TestStartOfNothing(t *testing.T) {
	if _, err := Start(&exec.Cmd{Path: t.TempDir() + "/nothing", Dir: t.TempDir()}, "x"); err == nil {
		t.Error("started what there is not")
	}
	if _, err := Start(&exec.Cmd{Path: "/bin/sh", Dir: t.TempDir() + "/nowhere"}, "x"); err == nil {
		t.Error("started in a folder that there is not")
	}
}
