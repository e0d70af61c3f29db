package lottery

import "time"

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

func (c *Contest) DrawWithout(agencies ...int) error {
	for _, agency := range agencies {
		if _, err := c.book(agency); err != nil {
			return err
		}
	}
	return c.end(missing, agencies...)
}

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

func (c *Contest) Missing() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draw.with(missing)
}

type Awaited struct {
	Agency int
	Bets   uint64    // admitted so far
	Heard  time.Time // when it last asked for something, or when the contest was opened
}

func (c *Contest) Awaited() []Awaited {
	c.mu.Lock()
	agencies := c.draw.with(open)
	c.mu.Unlock()
	awaited := make([]Awaited, len(agencies))
	for i, agency := range agencies {
		b := &c.books[agency-1]
		b.mu.Lock()
		awaited[i] = Awaited{agency, b.count, b.heard}
		b.mu.Unlock()
	}
	return awaited
}

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

func (c *Contest) Checkpoint() error {
	c.saving.Lock()
	defer c.saving.Unlock()
	if c.unsynced || c.ledger.Durable() == c.savedBytes {
		return nil
	}
	return c.advance()
}

