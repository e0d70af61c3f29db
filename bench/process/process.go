// Package process runs servers that are measured, each as a process of its own.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	readyTime = 60 * time.Second // until a server is ready
	stopTime  = 30 * time.Second // until it has ended
)

// Server is a server's process.
type Server struct {
	// Address is what the parentheses of the pattern have found in the log.
	Address string
	// Started is how long it took from the start until it was ready.
	Started time.Duration

	cmd   *exec.Cmd
	log   *os.File
	ended chan error
}

// Start starts the command in its folder, where it also leaves its log, and
// returns when there is a line in the log that the pattern matches.
func Start(cmd *exec.Cmd, ready *regexp.Regexp) (*Server, error) {
	log, err := os.Create(filepath.Join(cmd.Dir, filepath.Base(cmd.Path)+".log"))
	if err != nil {
		return nil, err
	}
	s := &Server{cmd: cmd, log: log, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = log, log
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() { s.ended <- cmd.Wait() }()
	if err := s.awaitReady(ready, begun); err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	return s, nil
}

// awaitReady looks into the log until there is the line.
func (s *Server) awaitReady(ready *regexp.Regexp, begun time.Time) error {
	for time.Since(begun) < readyTime {
		text, err := os.ReadFile(s.log.Name())
		if err != nil {
			return err
		}
		if line := ready.FindSubmatch(text); line != nil {
			s.Started = time.Since(begun)
			if len(line) > 1 {
				s.Address = string(line[1])
			}
			return nil
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			return fmt.Errorf("%s has ended (%v), its log is\n%s", s.cmd.Path, err, text)
		case <-time.After(time.Millisecond):
		}
	}
	return fmt.Errorf("%s is not ready after %v", s.cmd.Path, readyTime)
}

// Stop ends the server as an operator would.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // if it has ended, Wait says how
	select {
	case err := <-s.ended:
		return errors.Join(err, s.log.Close())
	case <-time.After(stopTime):
		return errors.Join(fmt.Errorf("%s has not ended within %v", s.cmd.Path, stopTime), s.Kill())
	}
}

// Kill ends the server at once.
func (s *Server) Kill() error {
	_ = s.cmd.Process.Kill()
	<-s.ended
	return s.log.Close()
}

// Memory returns the most memory that the server has had resident, in bytes.
func (s *Server) Memory() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kibibytes, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			return kibibytes << 10, err
		}
	}
	return 0, errors.New("the kernel does not say how much memory the server has")
}

// clockTicks is the unit of a process's times in /proc, per second. It is 100
// for every program on Linux (proc_pid_stat(5), times(2)).
const clockTicks = 100

// CPU returns the processor time that the server has used.
func (s *Server) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("the kernel does not say how much time the server has used")
	}
	var ticks int
	for _, value := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(value)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / clockTicks), nil
}

var listening = regexp.MustCompile(`action: listen \| result: success \| address: (\S+)`)

// StartCentral starts bin/server in the folder, with further arguments.
func StartCentral(ctx context.Context, bin, folder string, agencies int, args ...string) (*Server, error) {
	args = append([]string{"--bind", "127.0.0.1", "--port", "0", "--storage-dir", ".", "--contest=",
		"--expected-agencies", strconv.Itoa(agencies)}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "server"), args...)
	cmd.Dir = folder
	return Start(cmd, listening)
}
