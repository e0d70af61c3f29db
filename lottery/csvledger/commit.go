package csvledger

import (
	"fmt"
	"slices"
	"time"

	"loteria/lottery"
)

// waiter waits until the file is on disk up to end.
type waiter struct {
	end  int64
	err  error                  // why it need not wait, or nil
	next func(done func(error)) // called then in place of done, unless nil or there is an error
	done func(error)
}

func (w *waiter) complete() {
	if w.err == nil && w.next != nil {
		w.next(w.done)
	} else {
		w.done(w.err)
	}
}

// await has a leader call next or done, never the caller, after all that wait already:
// when the file is on disk up to end, or with an error. The caller holds the lock.
func (l *Ledger) await(end int64, err error, next func(done func(error)), done func(error)) {
	if e := l.unusable(); e != nil {
		end, err = 0, e
	}
	l.waiters = append(l.waiters, waiter{end, err, next, done})
	l.wake()
}

// wake finds a leader when there is something to do: somebody who borrows the commit,
// or a goroutine. The caller holds the lock.
func (l *Ledger) wake() {
	if l.leading {
		return
	}
	due := l.isDue()
	if !due && !l.isReady(0) {
		return
	}
	l.leading = true
	if !due || !l.lends() {
		go l.lead()
	}
}

// lead leads until there is nothing to do.
func (l *Ledger) lead() {
	for l.leadOn() {
	}
}

// leadOn commits what is pending and completes the waiters that are ready, as the
// leader of the group commit. No waiter is completed before the file was verified.
// It reports false when there was nothing to do: then nobody leads any more.
func (l *Ledger) leadOn() bool {
	l.mu.Lock()
	if l.isDue() {
		l.commit()
	} else if l.isReady(0) && l.err == nil && !l.closing {
		l.verify()
	}
	if !l.takeReady() {
		l.resign()
		l.mu.Unlock()
		return false
	}
	l.mu.Unlock()
	for i := range l.ready {
		l.ready[i].complete()
	}
	clear(l.ready)
	return true
}

// resign ends the leading. The caller holds the lock.
func (l *Ledger) resign() {
	l.leading = false
	l.idle.Broadcast()
}

// isDue reports whether to commit now. When it pays to wait for more appends, the
// commit is due when they have come or the timer ends. The caller holds the lock.
func (l *Ledger) isDue() bool {
	if l.appends == 0 || l.err != nil {
		return false
	}
	missing, remaining := l.regroup.wait(l.pending.size)
	if remaining <= 0 || l.closing {
		if l.waiting {
			l.waiting = false
			l.regroup.waited(missing == 0)
		}
		return true
	}
	if !l.waiting {
		l.waiting = true
		if l.timer == nil {
			l.timer = time.AfterFunc(remaining, l.waitIsOver)
		} else {
			l.timer.Reset(remaining)
		}
	}
	return false
}

// waitIsOver is called by the timer, which is not stopped when the wait ends early.
func (l *Ledger) waitIsOver() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting {
		l.regroup.until = time.Time{}
		l.wake()
	}
}

// isReady reports whether the i-th waiter need not wait any longer. The caller
// holds the lock.
func (l *Ledger) isReady(i int) bool {
	return i < len(l.waiters) && (l.waiters[i].end <= l.durable || l.err != nil)
}

// takeReady moves the waiters that are ready to l.ready, and reports whether there
// are any. No waiter overtakes those before it. The caller leads and holds the
// lock.
func (l *Ledger) takeReady() bool {
	n := 0
	for ; l.isReady(n); n++ {
		if w := &l.waiters[n]; w.err == nil {
			w.err = l.err
		}
	}
	l.ready = append(l.ready[:0], l.waiters[:n]...)
	l.waiters = slices.Delete(l.waiters, 0, n)
	return n > 0
}

// commit makes durable what is pending. The caller leads and holds the lock,
// which is released meanwhile.
func (l *Ledger) commit() {
	appends := l.appends
	chunks, size := l.pending.take(l.taken)
	l.appends = 0
	l.regroup.begin()
	l.mu.Unlock()

	begun := time.Now()
	sync, err := l.write(chunks)
	if err == nil {
		err = l.file.Verify(l.durable + int64(size))
	} else {
		// Remains of the rows must not stand before later ones. If this fails too,
		// the next start cuts a torn row.
		_ = l.file.Truncate(l.durable)
	}
	took := time.Since(begun)
	if err == nil {
		l.committed(lottery.Commit{Bytes: size, Appends: appends, Sync: sync})
	}

	l.mu.Lock()
	if err != nil {
		l.fail(err)
	} else {
		l.durable += int64(size)
	}
	l.pending.release(chunks)
	l.taken = chunks
	l.regroup.committed(took)
	l.loan.committed(took)
}

// verify looks at the file. The caller leads, or nobody does any more, and holds
// the lock, which is released meanwhile.
func (l *Ledger) verify() {
	durable := l.durable
	l.mu.Unlock()
	err := l.file.Verify(durable)
	l.mu.Lock()
	if err != nil {
		l.fail(err)
	}
}

// fail notes why the ledger is dead. The caller holds the lock.
func (l *Ledger) fail(err error) {
	l.err = err
	close(l.failed)
}

// write writes and syncs rows, and returns how long the sync took.
func (l *Ledger) write(chunks [][]byte) (sync time.Duration, err error) {
	for _, rows := range chunks {
		if _, err := l.file.Write(rows); err != nil {
			return 0, fmt.Errorf("write to the ledger: %w", err)
		}
	}
	begun := time.Now()
	if err := l.file.Sync(); err != nil {
		return 0, fmt.Errorf("sync the ledger: %w", err)
	}
	return time.Since(begun), nil
}
