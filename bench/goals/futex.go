package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"loteria/bench/process"
	"loteria/bench/report"
)

// futexCalls counts the central's futex(2) calls for each batch of agencies in
// lock-step: the cost of waking threads. It needs perf and the right to use its
// tracepoints.
func futexCalls(l *lab) ([]row, error) {
	const goal = 1.5
	what := fmt.Sprintf("futex calls per batch, %d agencies in lock-step", agencies)
	if exec.CommandContext(l.Ctx, "perf", "stat", "-e", futexEvent, "true").Run() != nil {
		fmt.Fprintln(l.News, "futex calls are not counted: there is no perf that may count them")
		return []row{{what, "≤ 1.5", "not counted: that needs perf", ""}}, nil
	}
	var calls []float64
	err := l.Repeat("futex calls", func() error {
		return l.InFolder(func(folder string) error {
			return l.withCentralIn(folder, agencies, func(c *process.Server) error {
				count, stop, err := countFutex(l.Ctx, c.PID(), filepath.Join(folder, "perf"))
				if err != nil {
					return err
				}
				measured, err := l.load(c, agencies, 1)
				if err := errors.Join(err, stop()); err != nil {
					return err
				}
				n, err := count()
				// The warm-up is counted, too.
				all := float64(measured.Bets) / batchSize * float64(l.Duration+l.Duration/4) / float64(l.Duration)
				calls = append(calls, n/all)
				return err
			})
		})
	})
	if err != nil {
		return nil, err
	}
	return []row{verdict(what, "≤ 1.5", fmt.Sprintf("%.2f", report.Median(calls)), goal/report.Median(calls))}, nil
}

const futexEvent = "syscalls:sys_enter_futex"

// countFutex counts the calls of a process until stop is called; count then
// reads the result that perf leaves in the file.
func countFutex(ctx context.Context, pid int, path string) (count func() (float64, error), stop func() error, err error) {
	cmd := exec.CommandContext(ctx, "perf", "stat", "-x", ",", "-e", futexEvent, "-o", path, "-p", strconv.Itoa(pid))
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	time.Sleep(200 * time.Millisecond) // perf does not say when it has begun
	stop = func() error {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait() // it ends by the signal
		return nil
	}
	count = func() (float64, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			if value, rest, ok := strings.Cut(line, ","); ok && strings.Contains(rest, futexEvent) {
				return strconv.ParseFloat(value, 64)
			}
		}
		return 0, fmt.Errorf("perf has counted nothing:\n%s", text)
	}
	return count, stop, nil
}
