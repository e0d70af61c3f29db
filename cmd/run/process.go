package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// tailLines is how many lines of a log are shown of a process that failed.
const tailLines = 20

// outputDelay is how long after a process's end its output may stay open, in
// the hands of something that it started.
const outputDelay = 2 * time.Second

// process is a program that belongs to the run. It is used by one goroutine;
// what the program does arrives there as events.
type process struct {
	who     string // for the screen
	path    string
	args    []string
	env     []string // in addition to the run's own
	logName string   // in the run's folder

	// parse finds the record in a line; nil is parseRecord.
	parse func(line string) (record, bool)
	// read takes in a line that is a record, and says what is new in it. It may
	// be nil.
	read func(record, event) (news string, err error)
	// passing are actions that may fail for a moment without anybody's fault.
	passing []string
	// judge says what is wrong with the end of a process that nobody told to
	// stop, or "".
	judge func() string

	cmd     *exec.Cmd
	started time.Time
	tail    []string // the last lines, at most tailLines
	fails   int      // lines that say result: fail
	stopped bool     // it was told to stop
	killed  bool     // it was not given the time to
	exited  bool
	code    int   // exit code, -1 when a signal ended it
	err     error // how it ended, nil for exit code 0
}

// event is a line that a process wrote, or its end.
type event struct {
	from *process
	at   time.Time
	line string
	end  bool
	err  error // of the end
}

// start runs the program in dir, its output going to its log there and, line by
// line, to events. Its end is the last event that it sends.
//
// It must be called by a goroutine that is locked to a thread which lives as
// long as the run, see ownGroup.
func (p *process) start(dir string, events chan<- event) error {
	log, err := os.Create(filepath.Join(dir, p.logName))
	if err != nil {
		return err
	}
	out := &lineWriter{log: log, line: func(line string) {
		events <- event{from: p, at: time.Now(), line: line}
	}}
	p.cmd = exec.Command(p.path, p.args...)
	p.cmd.Dir = dir // no configuration lies around there
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout = out
	p.cmd.Stderr = out
	p.cmd.SysProcAttr = ownGroup()
	p.cmd.WaitDelay = outputDelay
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		log.Close()
		return fmt.Errorf("starting the %s: %w", p.who, err)
	}
	go func() {
		err := p.cmd.Wait() // returns when the output has been written too
		out.flush()
		if closeErr := log.Close(); err == nil {
			err = closeErr
		}
		events <- event{from: p, at: time.Now(), end: true, err: err}
	}()
	return nil
}

// alive says whether the process was started and has not ended.
func (p *process) alive() bool { return p.cmd != nil && p.cmd.Process != nil && !p.exited }

// stop asks the process to end, and whatever it started; the second time it
// is not asked any more.
func (p *process) stop() {
	if !p.alive() {
		return
	}
	sig := syscall.SIGTERM
	if p.stopped {
		sig, p.killed = syscall.SIGKILL, true
	}
	p.stopped = true
	// An error means that it has just ended: its event is on the way.
	_ = syscall.Kill(-p.cmd.Process.Pid, sig)
}

// endedEarly is what is wrong with the end of who has to stay.
func (p *process) endedEarly() string { return p.how() + " before it was to stop" }

// record finds the record in a line.
func (p *process) record(line string) (record, bool) {
	if p.parse != nil {
		return p.parse(line)
	}
	return parseRecord(line)
}

// remember keeps the line for the tail.
func (p *process) remember(line string) {
	if len(p.tail) == tailLines {
		p.tail = append(p.tail[:0], p.tail[1:]...)
	}
	p.tail = append(p.tail, line)
}

// ended takes in how the process ended.
func (p *process) ended(err error) {
	p.exited = true
	p.err = err
	p.code = p.cmd.ProcessState.ExitCode()
}

// how says how the process ended.
func (p *process) how() string {
	var exit *exec.ExitError
	switch {
	case p.err == nil:
		return "exited with code 0"
	case !errors.As(p.err, &exit):
		return p.err.Error()
	case p.code >= 0:
		return fmt.Sprintf("exited with code %d", p.code)
	}
	return "ended with " + exit.Error() // "signal: killed"
}
