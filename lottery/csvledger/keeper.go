package csvledger

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"loteria/lottery"
)

// saveRetry is how long what could not be saved waits for the next try.
const saveRetry = time.Second

// keeper keeps contest.json. Agencies that finish during a save share the next one.
// Bets do not wait for it.
type keeper struct {
	ledger *Ledger
	disk   disk
	path   string
	ended  func(agency int, how lottery.Ending, stored *lottery.Account)
	warn   func(error)

	mu         sync.Mutex
	idle       sync.Cond // saving has become false
	endings    []lottery.Ending
	deadline   time.Time
	drawn      bool
	times      lottery.Times
	clock      func() time.Time // what times are taken from
	savedBytes int64            // state.LedgerBytes on disk
	dirty      bool             // what is on disk may differ from the state
	news       []int            // agencies whose ending is not known to be on disk
	asked      []func(error)    // by those who wait for the next save
	saving     bool
	retry      *time.Timer
	failure    error // of the last save
	lost       bool  // the ledger's file is not its own any more
	closed     bool
}

// end notes how an agency's betting has ended, unless that is known.
func (k *keeper) end(agency int, how lottery.Ending, done func(error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.endings[agency-1] == lottery.Open {
		k.endings[agency-1], k.dirty = how, true
		k.news = append(k.news, agency)
		if !slices.Contains(k.endings, lottery.Open) {
			k.note(&k.times.Closed)
		}
	}
	k.ask(done)
}

// draw notes that the draw is made.
func (k *keeper) draw(done func(error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.drawn {
		k.drawn, k.dirty = true, true
		k.note(&k.times.Drawn)
	}
	k.ask(done)
}

// note records the time of an event. A contest without the time when it was begun
// is of an older version and keeps no times. The caller holds the lock.
func (k *keeper) note(at *time.Time) {
	if !k.times.Opened.IsZero() && at.IsZero() {
		*at = now(k.clock)
	}
}

// now returns the time as it is kept: in milliseconds, as no clock is more exact.
func now(clock func() time.Time) time.Time { return clock().UTC().Truncate(time.Millisecond) }

// setDeadline sets the deadline if it is still the one before. After the draw it
// stays: it no longer matters, and the acta has the one that was in force.
func (k *keeper) setDeadline(before, deadline time.Time, done func(error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.deadline.Equal(deadline), k.drawn:
	case k.deadline.Equal(before):
		k.deadline, k.dirty = deadline.UTC(), true
	default:
		deny := done
		done = func(error) { deny(lottery.ErrMoved) }
	}
	k.ask(done)
}

// checkpoint saves the state when the ledger has grown since. After the draw
// there is nothing to note any more.
func (k *keeper) checkpoint(done func(error)) {
	durable := k.ledger.Durable()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ledger.unsynced && !k.drawn && durable != k.savedBytes {
		k.dirty = true
	}
	k.ask(done)
}

// loss records how long the ledger was before somebody else changed it, so that the
// next start finds out what is missing.
func (k *keeper) loss(done func(error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lost, k.dirty = true, true
	k.ask(done)
}

// ask calls done when all is saved, which it may be already. The caller holds the
// lock.
func (k *keeper) ask(done func(error)) {
	k.asked = append(k.asked, done)
	if !k.saving {
		k.saving = true
		go k.run()
	}
}

// run saves as long as anybody waits for it.
func (k *keeper) run() {
	k.mu.Lock()
	for len(k.asked) > 0 {
		asked, news := k.asked, k.news
		k.asked, k.news = nil, nil
		err := k.save()
		if err != nil {
			k.news = append(news, k.news...)
			news = nil
			k.again()
		}
		k.mu.Unlock()
		for _, agency := range news {
			k.ended(agency, k.endings[agency-1], nil) // an ending never changes
		}
		for _, done := range asked {
			done(err)
		}
		k.mu.Lock()
	}
	k.saving = false
	k.idle.Broadcast()
	k.mu.Unlock()
}

// save writes the state as it is, unless it is on disk. The caller holds the
// lock, which is released meanwhile.
func (k *keeper) save() error {
	if !k.dirty {
		return nil
	}
	k.dirty = false
	s := newState(k.endings, k.drawn)
	s.Deadline = k.deadline
	s.setTimes(k.times)
	if !k.ledger.unsynced || k.lost {
		s.LedgerBytes = k.ledger.Durable()
	}
	k.mu.Unlock()
	err := saveState(k.disk, k.path, s)
	if err != nil || k.ledger.Unsaved() != nil {
		k.warn(err)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", lottery.ErrUnavailable, err)
	}
	k.mu.Lock()
	k.failure = err
	if err == nil {
		k.savedBytes = s.LedgerBytes
	}
	k.dirty = k.dirty || err != nil
	return err
}

// again retries the save after a while, should nobody ask before. The caller holds
// the lock.
func (k *keeper) again() {
	if k.closed || k.retry != nil {
		return
	}
	k.retry = time.AfterFunc(saveRetry, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.retry = nil
		if !k.closed {
			k.ask(func(error) {})
		}
	})
}

// close waits for a running save. Nothing may be asked for later.
func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if k.retry != nil {
		k.retry.Stop()
	}
	for k.saving {
		k.idle.Wait()
	}
}
