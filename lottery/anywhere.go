package lottery

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// This file is for ledgers that several centrals share. There a contest may not
// know yet what is stored of an agency, and an agency that never says RESUME may
// send one batch here and the next one to another central. Its requests wait until
// a claim returns the account, and are then done in their order.

// maxClaims limits the claims of an agency in a row after each of which nothing was
// stored, because another central claimed it before the rows came. Which central is
// the last to claim is chance, so centrals that take turns stay far below.
const maxClaims = 100

// errContended is what requests of an agency get after maxClaims.
var errContended = fmt.Errorf("%w: other centrals keep writing for the agency", ErrUnavailable)

// request is a request of an agency that may have to wait for a claim. The caller
// bounds their number: each counts until done is called.
type request struct {
	number uint64       // within the agency: requests are done in this order
	waited bool         // for a claim
	do     func() error // called with the lock; when it returns an error, done is not called
	done   func(error)  // called without the lock
}

// storeLater stores a batch once the account is known. A writer that has resumed
// must know it before it sends bets: it is refused. The caller holds the lock.
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
// stored, whichever central has stored it. The contest owns the rows. The caller
// holds the lock.
func (c *Contest) appendAnywhere(a *account, rows Stretch, done func(error)) error {
	a.asked++
	r := &request{number: a.asked, done: done}
	r.do = func() error { return c.tryAppend(a, &rows, r) }
	return r.do()
}

// tryAppend carries out a request to append. The caller holds the lock.
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
		a.mu.Lock()
		isAgain := false
		if err == nil {
			a.fruitless = 0
		} else {
			isAgain, err = c.again(rows.Agency, a, r, err)
		}
		a.inFlight.Add(-bets) // only now, or they would look durable
		a.mu.Unlock()
		if !isAgain {
			r.done(failure(err))
		}
	})
	if err != nil {
		a.inFlight.Add(-bets)
		_, err = c.again(rows.Agency, a, r, err)
		return failure(err)
	}
	a.stored.Add(rows)
	a.stored.Mark = mark
	return nil
}

// again makes a request wait for a claim, and retries it then, if the ledger has
// refused it with err because another central has written, and the agency has no
// writer. It reports whether it does; else it returns the error that the request
// ends with. The caller holds the lock.
func (c *Contest) again(agency int, a *account, r *request, err error) (isAgain bool, failed error) {
	switch {
	case !c.shared || !errors.Is(err, ErrMoved) || a.lost != nil || a.writer != 0:
		return false, a.lose(err)
	case a.fruitless >= maxClaims:
		a.fruitless = 0
		return false, a.lose(errContended)
	}
	if a.claims == 0 { // await makes one
		a.fruitless++
	}
	a.stored.Unknown = true
	c.await(agency, a, r)
	return true, nil
}

// await makes a request wait for a claim. The caller holds the lock.
func (c *Contest) await(agency int, a *account, r *request) {
	r.waited = true
	at, _ := slices.BinarySearchFunc(a.waiting, r.number, func(w *request, number uint64) int {
		return int(w.number) - int(number)
	})
	a.waiting = slices.Insert(a.waiting, at, r)
	if a.claims == 0 {
		c.claim(agency, a, false, func(*Account, error) {})
	}
}

// proceed carries out the waiting requests when a claim was answered with err. It
// returns callbacks for those that failed, to be called without the lock. The
// caller holds the lock.
func (c *Contest) proceed(agency int, a *account, err error) (failed []func()) {
	if len(a.waiting) == 0 || a.claims > 0 { // another claim is under way
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
