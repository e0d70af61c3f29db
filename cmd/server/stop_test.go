package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"loteria/lottery/csvledger"
)

// A hanging step does not make a stop longer than allowed, and the error names it.
// Others return their own error.
func TestStopIsBounded(t *testing.T) {
	failed := errors.New("no space left on device")
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) }) // after the parallel ones
	for name, test := range map[string]struct {
		timeout time.Duration
		f       func() error
		want    string
	}{
		"it closes":          {time.Hour, func() error { return nil }, ""},
		"it fails":           {time.Hour, func() error { return failed }, failed.Error()},
		"it closes at once":  {0, func() error { return nil }, ""},
		"it hangs":           {time.Millisecond, func() error { <-hang; return nil }, "the ledger has not ended within 500ms"},
		"it hangs, no time":  {0, func() error { <-hang; return nil }, "the ledger has not ended within 500ms"},
		"it hangs, and long": {minStop + time.Millisecond, func() error { <-hang; return nil }, "within 501ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(context.Background())
			s := newStop(ctx, test.timeout)
			cancel()
			err := s.wait("the ledger", test.f)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, expected %q", err, test.want)
			}
		})
	}
}

// The time begins when the stop does.
func TestStopBeginsWhenItIsAskedFor(t *testing.T) {
	s := newStop(context.Background(), 0)
	select {
	case <-s.over:
		t.Error("it is over before it began")
	case <-time.After(2 * minStop):
	}
}

// A stop while the contest is opened, on a disk that hangs, is bounded, too.
func TestStopWhileTheContestIsOpened(t *testing.T) {
	folder := t.TempDir()
	state := filepath.Join(folder, csvledger.StateFile)
	if err := unix.Mkfifo(state, 0o600); err != nil { // its reader waits for a writer
		t.Skip(err)
	}
	p := begin(t, "--storage-dir", folder, "--shutdown-timeout", "0s", "--log-level", "DEBUG")
	p.Await("action: config")
	p.Signal(syscall.SIGTERM)
	if code := p.End(); code != 1 {
		t.Errorf("exit code %d, expected 1", code)
	}
	if said := p.Stderr(); !strings.Contains(said, "the opening of the contest has not ended") {
		t.Errorf("it says %q, expected is what has not ended", said)
	}
}
