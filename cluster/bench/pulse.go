package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"loteria/bench/generator"
)

const (
	pulseAgencies = 5
	comeAgain     = 20 * time.Millisecond // after an agency was told to retry, or was cut off
	recovery      = 60 * time.Second      // until all agencies are acknowledged again
	lookAgain     = 5 * time.Millisecond
)

// pulse is agencies in lock-step that keep sending whatever happens. It notes how
// long each waits for an acknowledgement.
type pulse struct {
	cancel context.CancelFunc
	beats  sync.WaitGroup

	mu       sync.Mutex
	agencies [pulseAgencies]beat
	begun    time.Time // of the last note
	retries  int       // reconnections since then
	trouble  error     // why the last connection ended
}

// beat is the acknowledgements of an agency.
type beat struct {
	last    time.Time     // the last one
	first   time.Time     // the first one since the last note
	longest time.Duration // between two, of which the second came since the last note
}

// startPulse has the agencies send to the central until stop.
func startPulse(ctx context.Context, target generator.Target) (*pulse, error) {
	p := &pulse{}
	ctx, p.cancel = context.WithCancel(ctx)
	for i := range p.agencies {
		batches, err := generator.NewBatches(i+1, 1, batchSize)
		if err != nil {
			p.stop()
			return nil, err
		}
		p.beats.Go(func() { p.send(ctx, target, i, batches) })
	}
	return p, nil
}

func (p *pulse) stop() {
	p.cancel()
	p.beats.Wait()
}

// send sends an agency's batch over and over, and reconnects after an error.
func (p *pulse) send(ctx context.Context, target generator.Target, i int, batches []*generator.Batch) {
	for {
		err := p.connect(ctx, target, i, batches)
		if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		p.retries++
		p.trouble = err
		p.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(comeAgain):
		}
	}
}

func (p *pulse) connect(ctx context.Context, target generator.Target, i int, batches []*generator.Batch) error {
	conn, err := target.Dial(ctx, i+1)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for {
		if err := conn.Send(batches); err != nil {
			return err
		}
		if _, err := conn.Receive(); err != nil {
			return err
		}
		p.acknowledged(i)
	}
}

func (p *pulse) acknowledged(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, now := &p.agencies[i], time.Now()
	if b.first.IsZero() {
		b.first = now
	}
	if !b.last.IsZero() {
		b.longest = max(b.longest, now.Sub(b.last))
	}
	b.last = now
}

// note starts a new observation.
func (p *pulse) note() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun, p.retries, p.trouble = time.Now(), 0, nil
	for i := range p.agencies {
		p.agencies[i].first, p.agencies[i].longest = time.Time{}, 0
	}
}

// awaitAll waits until every agency has an acknowledgement from after a time.
func (p *pulse) awaitAll(ctx context.Context, after time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, time.Until(after)+recovery)
	defer cancel()
	for !p.all(after) {
		select {
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			return fmt.Errorf("not all agencies were acknowledged anything within %v, the last error is %v: %w", recovery, p.trouble, ctx.Err())
		case <-time.After(lookAgain):
		}
	}
	return nil
}

func (p *pulse) all(after time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.agencies {
		if !p.agencies[i].last.After(after) {
			return false
		}
	}
	return true
}

// longest returns the longest wait of an agency for an acknowledgement that has
// come since the last note.
func (p *pulse) longest() (longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.agencies {
		longest = max(longest, p.agencies[i].longest)
	}
	return longest
}

// firstOfAll returns the time from the last note until every agency had an
// acknowledgement.
func (p *pulse) firstOfAll() (took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.agencies {
		took = max(took, p.agencies[i].first.Sub(p.begun))
	}
	return took
}

// comings returns how often agencies have reconnected since the last note.
func (p *pulse) comings() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.retries
}
