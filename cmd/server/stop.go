package main

import (
	"context"
	"fmt"
	"time"
)

// minStop is the shortest timeout of a stop.
const minStop = 500 * time.Millisecond

// stop bounds the time that the central may take to stop, once asked to.
type stop struct {
	timeout time.Duration
	over    chan struct{} // closed when the time is over
}

// newStop returns the stop that begins when ctx is done.
func newStop(ctx context.Context, timeout time.Duration) *stop {
	s := &stop{timeout: max(timeout, minStop), over: make(chan struct{})}
	context.AfterFunc(ctx, func() { time.AfterFunc(s.timeout, func() { close(s.over) }) })
	return s
}

// wait returns f's result, or an error when the stop's time is over first. A disk
// that hangs must not keep the process: what was acknowledged is on it.
func (s *stop) wait(what string, f func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	select {
	case err := <-ended:
		return err
	case <-s.over:
		return fmt.Errorf("%s has not ended within %v of the stop, its disk or its network may hang: what was acknowledged is on disk, "+
			"what was not is sent again by its agency", what, s.timeout)
	}
}
