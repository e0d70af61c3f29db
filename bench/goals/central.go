package main

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
	listenTime = 60 * time.Second // until a central listens
	stopTime   = 30 * time.Second // until it has ended
)

// central is a process of bin/server.
type central struct {
	cmd     *exec.Cmd
	log     *os.File
	address string
	started time.Duration // from its start until it took connections
	ended   chan error
}

// startCentral starts a central in the folder, where it also leaves its log.
func startCentral(ctx context.Context, bin, folder string, agencies int) (*central, error) {
	log, err := os.Create(filepath.Join(folder, "central.log"))
	if err != nil {
		return nil, err
	}
	c := &central{log: log, ended: make(chan error, 1)}
	c.cmd = exec.CommandContext(ctx, filepath.Join(bin, "server"), "--bind", "127.0.0.1", "--port", "0",
		"--storage-dir", ".", "--expected-agencies", strconv.Itoa(agencies))
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = folder, log, log
	begun := time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() { c.ended <- c.cmd.Wait() }()
	if err := c.awaitListen(begun); err != nil {
		return nil, errors.Join(err, c.kill())
	}
	return c, nil
}

var listenLine = regexp.MustCompile(`action: listen \| result: success \| address: (\S+)`)

// awaitListen looks into the log until there is the line.
func (c *central) awaitListen(begun time.Time) error {
	for time.Since(begun) < listenTime {
		text, err := os.ReadFile(c.log.Name())
		if err != nil {
			return err
		}
		if line := listenLine.FindSubmatch(text); line != nil {
			c.address, c.started = string(line[1]), time.Since(begun)
			return nil
		}
		select {
		case err := <-c.ended:
			c.ended <- err
			return fmt.Errorf("the central has ended (%v), its log is\n%s", err, text)
		case <-time.After(time.Millisecond):
		}
	}
	return fmt.Errorf("the central does not listen after %v", listenTime)
}

// stop ends the central as an operator would.
func (c *central) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // if it has ended, Wait says how
	select {
	case err := <-c.ended:
		return errors.Join(err, c.log.Close())
	case <-time.After(stopTime):
		return errors.Join(fmt.Errorf("the central has not ended within %v", stopTime), c.kill())
	}
}

func (c *central) kill() error {
	_ = c.cmd.Process.Kill()
	<-c.ended
	return c.log.Close()
}

// memory returns the most memory that the central has had resident, in bytes.
func (c *central) memory() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kibibytes, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			return kibibytes << 10, err
		}
	}
	return 0, errors.New("the kernel does not say how much memory the central has")
}

// clockTicks is the unit of a process's times in /proc, per second. It is 100
// for every program on Linux (proc_pid_stat(5), times(2)).
const clockTicks = 100

// cpu returns the processor time that the central has used.
func (c *central) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("the kernel does not say how much time the central has used")
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
