// Package processtest runs programs under test as processes of their own: a test
// waits for lines that they print, and looks at how they end.
package processtest

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"loteria/internal/process"
)

// Patience bounds every wait; no test needs it.
const Patience = 2 * time.Minute

// shownLines is how many lines of a process its String has, at most.
const shownLines = 100

// Process is a program under test. It ends with the test at the latest.
type Process struct {
	*process.Process
	t      testing.TB
	watch  func(line string)
	stderr bytes.Buffer

	mu     sync.Mutex // guards what is below
	lines  []string   // of stdout
	begun  []byte     // of the line after those
	more   chan struct{}
	looked int // how many lines Await has seen
}

// FreeAddress returns an address on which nothing listens, see [process.FreeAddresses].
func FreeAddress(t testing.TB) string {
	t.Helper()
	addresses, err := process.FreeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	return addresses[0]
}

// Start starts a program, in a new folder if the command has none. Its lines are
// those of stdout; watch, if it is not nil, is called with each.
func Start(t testing.TB, cmd *exec.Cmd, watch func(line string)) *Process {
	t.Helper()
	p := &Process{t: t, watch: watch, more: make(chan struct{})}
	if cmd.Dir == "" {
		cmd.Dir = t.TempDir()
	}
	cmd.Stdout, cmd.Stderr = output{p}, &p.stderr
	var err error
	if p.Process, err = process.Start(cmd, filepath.Base(cmd.Path)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !p.HasEnded() {
			p.Kill()
		}
	})
	return p
}

// output takes what a process writes to stdout.
type output struct{ *Process }

func (o output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for rest := b; len(rest) > 0; {
		part, after, complete := bytes.Cut(rest, []byte("\n"))
		o.begun, rest = append(o.begun, part...), after
		if complete {
			o.finishLine()
		}
	}
	return len(b), nil
}

func (p *Process) finishLine() {
	line := string(p.begun)
	p.begun = p.begun[:0]
	p.lines = append(p.lines, line)
	close(p.more)
	p.more = make(chan struct{})
	if p.watch != nil {
		p.watch(line)
	}
}

// Await waits for a line with the text, after the one that the last Await has
// returned, and returns it.
func (p *Process) Await(text string) string {
	p.t.Helper()
	late := time.After(Patience)
	for {
		ended := p.HasEnded() // before the look: that may be the last one
		p.mu.Lock()
		unseen, more := p.lines[p.looked:], p.more
		i := slices.IndexFunc(unseen, func(line string) bool { return strings.Contains(line, text) })
		if i >= 0 {
			p.looked += i + 1
		} else {
			p.looked = len(p.lines)
		}
		p.mu.Unlock()
		switch {
		case i >= 0:
			return unseen[i]
		case ended:
			p.t.Fatalf("it has ended without %q: %v", text, p)
		}
		select {
		case <-more:
		case <-p.Ended():
		case <-late:
			p.t.Fatalf("no line has %q: %v", text, p)
		}
	}
}

// End waits for the end of the process, and returns its exit code. One that does
// not end says where it hangs.
func (p *Process) End() int {
	p.t.Helper()
	stuck := time.AfterFunc(Patience, func() { p.Signal(syscall.SIGQUIT) })
	defer stuck.Stop()
	_ = p.Wait(context.Background()) // the code says as much
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.begun) > 0 {
		p.finishLine()
	}
	return p.ExitCode()
}

// Stop sends SIGTERM, and expects a clean end.
func (p *Process) Stop() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	if code := p.End(); code != 0 {
		p.t.Fatalf("exit code %d after SIGTERM, expected 0: %v", code, p)
	}
}

// Lines returns the lines so far.
func (p *Process) Lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// Count returns how many lines so far have the text.
func (p *Process) Count(text string) (n int) {
	for _, line := range p.Lines() {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// Stderr returns what a process that has ended wrote there.
func (p *Process) Stderr() string {
	<-p.Ended()
	return p.stderr.String()
}

// String shows the process: its last lines and, when it has ended, how, and its
// stderr.
func (p *Process) String() string {
	lines := p.Lines()
	last := strings.Join(lines[max(0, len(lines)-shownLines):], "\n")
	if !p.HasEnded() {
		return fmt.Sprintf("%s (running):\n%s", p.Name, last)
	}
	return fmt.Sprintf("%s (%s):\n%s\n%s", p.Name, p.How(), last, p.Stderr())
}
