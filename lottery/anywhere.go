package lottery

import (
	"bytes"
	"errors"
	"slices"
)

// What follows is for ledgers that several centrals share. There a contest may
// not know yet what is stored of an agency, and one that never says RESUME may
// send one batch here and the next one to another central. Its requests wait
// until a claim has told how things stand, and are done in their order then.

// maxClaims is how often a request claims an agency that another central claims
// again and again.
const maxClaims = 10

// request is what an agency has asked for that may have to wait for a claim.
// Who calls bounds how many there are: done is not called before.
type request struct {
	number uint64       // of the agency's: they are done in this order
	claims int          // that it has waited for
	do     func() error // has the lock; when it returns an error, done is not called
	done   func(error)  // does not have the lock
}

// storeLater stores a batch when the account is known. Who resumes waits for the
// answer before it sends bets, so that its account is. The caller holds the lock.
func (c *Contest) storeLater(batch *Batch, a *account, from Writer, done func(error)) error {
	switch {
	case from != 0:
		return ErrUnavailable
	case a.ending || a.stored.Ended != Open:
		return c.tooLate(batch.agency, a.stored.Ended)
	}
	batch.known = 0
	return c.appendAnywhere(a, batch.from(0).clone(), done)
}

// appendAnywhere stores rows of an agency that has no writer: after whatever is
// stored, whichever central has stored it. The rows are the contest's. The
// caller holds the lock.
func (c *Contest) appendAnywhere(a *account, rows Stretch, done func(error)) error {
	a.asked++
	r := &request{number: a.asked, done: done}
	r.do = func() error { return c.tryAppend(a, &rows, r) }
	return r.do()
}

// tryAppend does a request to append. The caller holds the lock.
func (c *Contest) tryAppend(a *account, rows *Stretch, r *request) error {
	err := a.admits(rows.Agency, 0, false)
	switch {
	case err != nil:
		return err
	case a.stored.Unknown || len(a.waiting) > 0:
		c.await(rows.Agency, a, r)
		return nil
	case a.ending || a.stored.Ended != Open:
		return c.tooLate(rows.Agency, a.stored.Ended)
	case a.lost != nil:
		return c.refuseLost(rows.Agency, a)
	}
	bets := int64(rows.Bets)
	a.inFlight.Add(bets)
	mark, err := c.ledger.Append(*rows, a.stored.Mark, func(err error) {
		if err == nil {
			a.inFlight.Add(-bets)
			r.done(nil)
			return
		}
		a.mu.Lock()
		isAgain := c.again(rows.Agency, a, r, err)
		if !isAgain {
			err = a.lose(err)
		}
		a.inFlight.Add(-bets) // after that, or they would look durable
		a.mu.Unlock()
		if !isAgain {
			r.done(failure(err))
		}
	})
	if err != nil {
		a.inFlight.Add(-bets)
		if c.again(rows.Agency, a, r, err) {
			return nil
		}
		return failure(a.lose(err))
	}
	a.stored.Add(rows)
	a.stored.Mark = mark
	return nil
}

// again has a request wait for a claim, and then be done again, if the ledger
// has refused it since another central has written, and no writer has. The
// caller holds the lock.
func (c *Contest) again(agency int, a *account, r *request, err error) bool {
	if !errors.Is(err, ErrMoved) || a.lost != nil || a.writer != 0 || r.claims == maxClaims {
		return false
	}
	a.stored.Unknown = true
	c.await(agency, a, r)
	return true
}

// await has a request wait for a claim. The caller holds the lock.
func (c *Contest) await(agency int, a *account, r *request) {
	r.claims++
	at, _ := slices.BinarySearchFunc(a.waiting, r.number, func(w *request, number uint64) int {
		return int(w.number) - int(number)
	})
	a.waiting = slices.Insert(a.waiting, at, r)
	if a.claims == 0 {
		c.claim(agency, a, false, func(*Account, error) {})
	}
}

// proceed does what waits, when a claim has been answered with the error or nil.
// It returns what has failed, to be told without the lock, which the caller
// holds.
func (c *Contest) proceed(agency int, a *account, err error) (failed []func()) {
	if len(a.waiting) == 0 || a.claims > 0 { // another answer is to come
		return nil
	}
	if err == nil && a.stored.Unknown {
		c.claim(agency, a, false, func(*Account, error) {})
		return nil
	}
	waiting := a.waiting
	a.waiting = nil
	for _, r := range waiting {
		failure := failure(err)
		if err == nil {
			failure = r.do()
		}
		if failure != nil {
			failed = append(failed, func() { r.done(failure) })
		}
	}
	return failed
}

// clone returns rows that share no memory with these.
func (s Stretch) clone() Stretch {
	s.Rows, s.Winners = bytes.Clone(s.Rows), slices.Clone(s.Winners)
	return s
}
