package lottery

import (
	"slices"
	"time"
)

// tooLate returns the refusal of what comes after an agency's betting has
// ended.
func (c *Contest) tooLate(agency int) error {
	c.mu.Lock()
	how := c.draw.endings[agency-1]
	c.mu.Unlock()
	code, when := AgencyFinished, "has finished"
	if c.isDrawn.Load() {
		code, when = DrawDone, "is too late: the draw is done, and a new lottery is another contest"
	}
	if how == missing {
		when = "is too late: it was missing when its betting was ended"
	}
	return refuse(code, "agency %d %s", agency, when)
}

// Finish closes the agency's betting and returns when that is on disk; said
// again it does nothing. With a total, it first checks that just so many bets
// are stored. When the last agency finishes, the draw is made before Finish
// returns. The error is a *Refusal with code UnknownAgency, Incomplete or
// Storage, or, when the agency's betting was ended without it, AgencyFinished
// or, after the draw, DrawDone.
func (c *Contest) Finish(agency int, total uint64, totalKnown bool) error {
	b, err := c.book(agency)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.heard = time.Now()
	if totalKnown && total != b.count && !b.closed {
		b.mu.Unlock()
		return refuse(Incomplete, "agency %d finishes with %d bets, stored are %d", agency, total, b.count)
	}
	b.closed = true // under the same lock as the check: no bet comes between
	b.mu.Unlock()
	if err := c.end(finished, agency); err != nil {
		return err
	}
	c.mu.Lock()
	how := c.draw.endings[agency-1]
	c.mu.Unlock()
	if how == missing {
		return c.tooLate(agency)
	}
	return nil
}

// DrawWithout ends the betting of agencies that have not finished: the draw is
// made from what is stored of theirs, and they are noted as missing. Those that
// have finished stay as they are. The error is a *Refusal with code
// UnknownAgency or Storage.
func (c *Contest) DrawWithout(agencies ...int) error {
	for _, agency := range agencies {
		if _, err := c.book(agency); err != nil {
			return err
		}
	}
	return c.end(missing, agencies...)
}

// end closes the books of the agencies, and returns when all that is in them,
// and how their betting has ended, is on disk.
func (c *Contest) end(how ending, agencies ...int) error {
	var last Receipt
	for _, agency := range agencies {
		b := &c.books[agency-1]
		b.mu.Lock()
		b.closed = true
		last = max(last, b.end)
		b.mu.Unlock()
	}
	if err := c.Await(last); err != nil {
		return err
	}
	// With a broken ledger nobody finishes: a bet that it sent may have been refused.
	if err := c.ledger.Err(); err != nil {
		return c.storageFailure(err)
	}
	c.mu.Lock()
	for _, agency := range agencies {
		if c.draw.end(agency, how) {
			c.version++
		}
	}
	c.mu.Unlock()
	return c.storageFailure(c.settle())
}

// Missing returns the agencies that the draw is made without, ascending.
func (c *Contest) Missing() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draw.with(missing)
}

// Standing is how far an agency is.
type Standing struct {
	Agency  int
	Bets    uint64    // admitted so far
	Heard   time.Time // when it last asked for something, or when the contest was opened
	Ended   bool      // its betting has
	Missing bool      // it was ended without the agency
	Winners int       // of its bets; 0 until the draw is done
}

// Standings returns how far every agency is, ascending.
func (c *Contest) Standings() []Standing {
	c.mu.Lock()
	endings := slices.Clone(c.draw.endings)
	c.mu.Unlock()
	standings := make([]Standing, len(endings))
	for i, how := range endings {
		b := &c.books[i]
		b.mu.Lock()
		standings[i] = Standing{Agency: i + 1, Bets: b.count, Heard: b.heard, Ended: how != open, Missing: how == missing}
		if c.isDrawn.Load() {
			standings[i].Winners = len(b.winners)
		}
		b.mu.Unlock()
	}
	return standings
}

// Awaited returns the agencies whose betting has not ended, ascending.
func (c *Contest) Awaited() []Standing {
	return slices.DeleteFunc(c.Standings(), func(s Standing) bool { return s.Ended })
}

// settle makes the draw's state durable, and the draw itself when it is due.
// Agencies that finish while the state goes to disk share the next save. After
// a failure it can be called again.
func (c *Contest) settle() error {
	c.mu.Lock()
	version := c.version
	c.mu.Unlock()

	c.saving.Lock()
	defer c.saving.Unlock()
	if c.saved >= version {
		return nil
	}
	return c.advance()
}

// advance saves the draw's state, and makes the draw when it is due: whoever
// saves does both, so that none is left for nobody. The caller holds saving.
func (c *Contest) advance() error {
	phase, err := c.save()
	if err != nil {
		return err
	}
	if phase == Drawing {
		// All books are closed and durable, so their winners are final.
		c.mu.Lock()
		c.draw.complete()
		c.version++
		c.mu.Unlock()
		if phase, err = c.save(); err != nil {
			return err
		}
	}
	if phase == Drawn && !c.isDrawn.Load() {
		c.isDrawn.Store(true)
		close(c.drawn)
	}
	return nil
}

// save writes the draw's state as it is now and returns its phase. The caller
// holds saving.
func (c *Contest) save() (Phase, error) {
	c.mu.Lock()
	s, version := c.draw.state(), c.version
	c.mu.Unlock()
	if !c.unsynced {
		s.LedgerBytes = c.ledger.Durable()
	}
	if err := saveState(c.disk, c.statePath, s); err != nil {
		return "", err
	}
	c.saved, c.savedBytes = version, s.LedgerBytes
	return s.Phase, nil
}

// Checkpoint notes how much of the ledger is on disk: nothing of that is taken
// for torn at a later start. It is to be called now and then, and is cheap when
// there is nothing new.
func (c *Contest) Checkpoint() error {
	c.saving.Lock()
	defer c.saving.Unlock()
	if c.unsynced || c.ledger.Durable() == c.savedBytes {
		return nil
	}
	return c.advance()
}
