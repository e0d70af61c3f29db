package csvledger

import "time"

// loan is whether somebody else's goroutine may make the next commit.
//
// To wake a goroutine for a commit of a few batches, and its thread with it, takes a
// good part of the time that a fast disk takes to sync them. An event loop that has
// just admitted the batch for which everybody was waiting has nothing else to do
// until it is durable. But it must not wait for a disk that is slow.
type loan struct {
	lend    func(commit func()) bool // nil: to nobody
	longest time.Duration            // maxLoan, except in tests
	own     int                      // commits that the ledger makes itself before it lends again
}

const (
	maxLent = 128 << 10 // bytes of a commit that is lent
	// After a commit that took longer than this, the next loanPause are not lent.
	maxLoan   = 2 * time.Millisecond
	loanPause = 64
)

// committed notes how long a commit took.
func (l *loan) committed(took time.Duration) {
	if took > l.longest {
		l.own = loanPause
	} else if l.own > 0 {
		l.own--
	}
}

// LendTo lets lend have short commits made elsewhere: it is called when one is due,
// and either returns true and has commit called soon, exactly once, on a goroutine
// that holds no lock and may wait for the disk, as long as a commit usually takes,
// and for the callbacks of all who wait; or it returns false, and the ledger makes
// the commit. lend must not block, or call the ledger.
func (l *Ledger) LendTo(lend func(commit func()) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loan.lend = lend
}

// lends offers the next round of the leader, unless agencies are missing that an event
// loop would have to read from meanwhile. The caller holds the lock.
func (l *Ledger) lends() bool {
	return l.loan.lend != nil && l.regroup.missing == 0 && l.loan.own == 0 && l.pending.size <= maxLent && !l.closing && l.loan.lend(l.leadOnce)
}

// leadOnce leads for one commit. If there is more to do, that is lent again, or not.
// What has become large since it was lent is not committed here.
func (l *Ledger) leadOnce() {
	l.mu.Lock()
	large := l.pending.size > maxLent
	l.mu.Unlock()
	if large {
		go l.lead()
		return
	}
	if !l.leadOn() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resign()
	l.wake()
}
