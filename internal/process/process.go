// Package process runs programs as child processes: each has a log, and a group of
// its own, and ends with this program.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	lookAgain = time.Millisecond // into a log
	tailLines = 20               // of a log are shown
	maxTail   = 16 << 10         // bytes of them
)

// Process is a program that was started.
type Process struct {
	Name string // for people
	Log  string // the file with all that it writes, if its command has no outputs

	cmd   *exec.Cmd
	told  atomic.Bool // to stop
	ended chan struct{}
}

// Failure is something that a process should not have done.
type Failure struct {
	Of   *Process
	What string
}

func (f *Failure) Error() string { return f.Of.Name + " " + f.What }

// Start starts the command. What it writes goes to a log in its folder, named after
// the process, with dashes for spaces, unless the command has outputs of its own. A
// Ctrl-C at the terminal does not reach it.
func Start(cmd *exec.Cmd, name string) (*Process, error) {
	p := &Process{Name: name, cmd: cmd, ended: make(chan struct{})}
	if cmd.Stdout == nil && cmd.Stderr == nil {
		log, err := os.Create(filepath.Join(cmd.Dir, strings.ReplaceAll(name, " ", "-")+".log"))
		if err != nil {
			return nil, err
		}
		defer log.Close() // the process has its own
		p.Log = log.Name()
		cmd.Stdout, cmd.Stderr = log, log
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	ownGroup(cmd.SysProcAttr)
	started := make(chan error)
	go func() {
		// The kernel takes the end of the starting thread for that of the parent, see
		// ownGroup: it must live as long as the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // its state says more
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting the %s: %w", name, err)
	}
	return p, nil
}

// Await waits until ready accepts the log. The error is a *Failure when the process
// ends before, or the cause of the end of ctx.
func (p *Process) Await(ctx context.Context, ready func(log []byte) bool) error {
	for {
		ended := p.HasEnded() // before the look: it may have said why
		log, err := os.ReadFile(p.Log)
		if err != nil {
			return err
		}
		switch {
		case ready(log):
			return nil
		case ended:
			return &Failure{p, p.How() + " before it was ready"}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the %s: %w", p.Name, context.Cause(ctx))
		case <-p.ended:
		case <-time.After(lookAgain):
		}
	}
}

// OnEnd calls back when the process has ended without having been told to.
func (p *Process) OnEnd(early func(*Failure)) {
	go func() {
		<-p.ended
		if !p.told.Load() {
			early(&Failure{p, p.How() + " before it was to stop"})
		}
	}()
}

// Ended is closed when the process has ended, and all that it wrote is there.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// HasEnded reports whether the process has ended.
func (p *Process) HasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Stop asks processes to end, and kills those that have not after grace. The error
// has a *Failure for each that did not end in time and with success.
func Stop(grace time.Duration, all ...*Process) (err error) {
	late := time.NewTimer(grace)
	defer late.Stop()
	for _, p := range all {
		if !p.told.Swap(true) {
			p.Signal(syscall.SIGTERM)
		}
	}
	for _, p := range all {
		select {
		case <-p.ended:
		case <-late.C:
			late.Reset(0) // nor is there time for the others
			if !p.HasEnded() {
				p.Kill()
				err = errors.Join(err, &Failure{p, "did not stop and was killed"})
				continue
			}
		}
		if !p.cmd.ProcessState.Success() {
			err = errors.Join(err, &Failure{p, "was told to stop and " + p.How()})
		}
	}
	return err
}

// Wait waits for the end of a process that ends by itself. The error is a *Failure
// when that is no success. The process is killed when ctx is done.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.Kill()
		return context.Cause(ctx)
	}
	if !p.cmd.ProcessState.Success() {
		return &Failure{p, p.How()}
	}
	return nil
}

// Kill ends the process, and whatever it has started, at once.
func (p *Process) Kill() {
	p.told.Store(true)
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // an error is that it has just ended
	<-p.ended
}

// Signal sends a signal to the process, unless that has ended.
func (p *Process) Signal(s os.Signal) {
	if !p.HasEnded() {
		_ = p.cmd.Process.Signal(s) // an error is that it has just ended
	}
}

// ExitCode returns the exit code of a process that has ended; -1 after a signal.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// PID returns the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// How says how the process has ended.
func (p *Process) How() string {
	if code := p.ExitCode(); code >= 0 {
		return fmt.Sprintf("exited with code %d", code)
	}
	return "ended with " + p.cmd.ProcessState.String() // "signal: killed"
}

// Tail returns the last lines of the log.
func (p *Process) Tail() string {
	log, _ := os.ReadFile(p.Log) // what cannot be read is not shown
	log = bytes.TrimRight(log[max(0, len(log)-maxTail):], "\n")
	lines := strings.Split(string(log), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
