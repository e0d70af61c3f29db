package generator

import (
	"context"
	"fmt"
	"time"
)

const (
	maxAtOnce = 64 // batches of one Send
	// A full window is refilled when one part in windowPart is free, so that
	// batches go out several at a time.
	windowPart = 2
)

// connection is one agency's connection, which one goroutine sends to and
// another one receives from.
type connection struct {
	run    *run
	conn   Conn
	index  int
	share  int64 // batches to send, or -1 until the time is over
	counts *counts
	source []*Batch
	flight *flight
}

func newConnection(r *run, conn Conn, index int) *connection {
	return &connection{
		run:    r,
		conn:   conn,
		index:  index,
		share:  r.share(index),
		counts: r.shards[index%len(r.shards)],
		source: r.batches[index%r.Agencies],
		flight: newFlight(r.Window),
	}
}

// send sends batches until its share is sent, the time is over or ctx is done.
func (c *connection) send(ctx context.Context) error {
	defer c.flight.finish()
	group := make([]*Batch, 0, min(c.run.Window, maxAtOnce))
	for sent := int64(0); sent != c.share; sent += int64(len(group)) {
		n, due := c.next(ctx, sent)
		if n == 0 {
			return nil
		}
		group = group[:0]
		for i := range n {
			group = append(group, c.source[(sent+int64(i))%int64(len(c.source))])
		}
		c.flight.takeOff(n, due)
		if err := c.conn.Send(group); err != nil {
			return fmt.Errorf("connection %d: send: %w", c.index, err)
		}
	}
	return nil
}

// next waits until batches may be sent. It returns how many, and when they were
// due; or 0 when the time is over, or ctx is done.
func (c *connection) next(ctx context.Context, sent int64) (n int, due time.Time) {
	if c.run.Rate > 0 {
		due = c.run.due(sent, c.index)
		if c.over(due) || !sleepUntil(ctx, due) {
			return 0, due
		}
		return min(1, c.flight.room(1)), due
	}
	n = c.flight.room(max(1, c.run.Window/windowPart))
	if c.share >= 0 {
		n = int(min(int64(n), c.share-sent))
	}
	due = time.Now()
	if c.over(due) {
		return 0, due
	}
	return min(n, maxAtOnce), due
}

// sleepUntil reports false if ctx is done first.
func sleepUntil(ctx context.Context, due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *connection) over(now time.Time) bool {
	return !c.run.until.IsZero() && now.After(c.run.until)
}

// receive takes acknowledgements until every batch sent has one.
func (c *connection) receive() error {
	defer c.flight.end()
	for landed := int64(0); c.flight.await(); {
		n, err := c.conn.Receive()
		if err != nil {
			return fmt.Errorf("connection %d: receive: %w", c.index, err)
		}
		if !c.land(landed, n) {
			return fmt.Errorf("connection %d: more batches were acknowledged than sent", c.index)
		}
		landed += int64(n)
	}
	return nil
}

// land counts the n acknowledged batches from index first on. A batch counts as
// stored if it is acknowledged in the measured time, and as answered if it was
// due in it, however late.
func (c *connection) land(first int64, n int) bool {
	now := time.Now()
	c.counts.mu.Lock()
	defer c.counts.mu.Unlock()
	return c.flight.land(n, func(i int, due time.Time) {
		if now.After(c.run.from) && !c.over(now) {
			c.counts.stored(c.source[(first+int64(i))%int64(len(c.source))], now)
		}
		if !due.Before(c.run.from) { // nothing is due after the end
			c.counts.answered(now.Sub(due))
		}
	})
}
