package reactor

import (
	"math/bits"
	"sync"
)

// debts records which peers left replies unread, and how many bytes. Only
// connections whose socket is full are in it, so loops seldom need the lock.
type debts struct {
	mu    sync.Mutex
	owed  map[*session]int
	sizes [bits.UintSize + 1]map[*session]struct{} // debtors by the length of their debt in bits
	total int
}

// set notes what a session owes.
func (d *debts) set(s *session, bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.owed[s]
	d.total += bytes - before
	from, to := bits.Len(uint(before)), bits.Len(uint(bytes))
	if from != to {
		delete(d.sizes[from], s)
		if d.sizes[to] == nil && to > 0 {
			d.sizes[to] = make(map[*session]struct{})
		}
		if to > 0 {
			d.sizes[to][s] = struct{}{}
		}
	}
	if bytes == 0 {
		delete(d.owed, s)
		return
	}
	if d.owed == nil {
		d.owed = make(map[*session]int)
	}
	d.owed[s] = bytes
}

// pick removes a debtor to be cut off when all together owe more than most, or
// returns nil. No other owes twice as much as the one it picks.
func (d *debts) pick(most int) *session {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.total <= most {
		return nil
	}
	for i := len(d.sizes) - 1; i > 0; i-- {
		for s := range d.sizes[i] {
			d.total -= d.owed[s]
			delete(d.owed, s)
			delete(d.sizes[i], s)
			return s
		}
	}
	return nil
}

// sum returns how many bytes all owe.
func (d *debts) sum() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.total
}
