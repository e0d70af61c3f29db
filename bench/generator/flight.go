package generator

import (
	"sync"
	"time"
)

// flight is the batches in flight of one connection: when each was due to be
// sent, in order. One goroutine sends and one receives; they never wait for
// each other at the same time.
type flight struct {
	mu       sync.Mutex
	changed  sync.Cond
	due      []time.Time // a ring
	first    int         // index in due of the oldest
	count    int
	finished bool // nothing more is sent
	ended    bool // nothing more is received
}

func newFlight(window int) *flight {
	f := &flight{due: make([]time.Time, window)}
	f.changed.L = &f.mu
	return f
}

// room waits until at least that many batches may be sent, and returns how many
// may; or 0 when the flight has ended.
func (f *flight) room(least int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.due)-f.count < least && !f.ended {
		f.changed.Wait()
	}
	if f.ended {
		return 0
	}
	return len(f.due) - f.count
}

// takeOff notes that n batches, for which there is room, are sent now, and when
// they were due.
func (f *flight) takeOff(n int, due time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.due[(f.first+f.count)%len(f.due)] = due
		f.count++
	}
	f.changed.Signal()
}

// await waits until a batch is in flight. It reports false when none will be.
func (f *flight) await() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.count == 0 && !f.finished {
		f.changed.Wait()
	}
	return f.count > 0
}

// land takes out the n oldest batches and says when each was due. It reports
// false when there are fewer.
func (f *flight) land(n int, each func(i int, due time.Time)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n > f.count {
		return false
	}
	for i := range n {
		each(i, f.due[f.first])
		f.first = (f.first + 1) % len(f.due)
	}
	f.count -= n
	f.changed.Signal()
	return true
}

// finish says that nothing more is sent.
func (f *flight) finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finished = true
	f.changed.Signal()
}

// end says that nothing more is received.
func (f *flight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	f.changed.Signal()
}
