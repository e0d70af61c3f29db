package lottery

import (
	"errors"
	"fmt"
	"time"
)

// Terms are what a contest is begun with, and every central on its ledger keeps
// to.
type Terms struct {
	Agencies int       // that are expected, numbered from 1
	Deadline time.Time // when betting ends at the latest; zero is never
}

// Times are when a contest came to be what it is, as its ledger has noted them:
// UTC, and zero when that is not known.
type Times struct {
	Opened time.Time // it was begun
	Closed time.Time // the last betting has ended
	Drawn  time.Time // the draw was noted
}

// ErrDeadline is why a deadline cannot be a contest's.
var ErrDeadline = errors.New("the deadline cannot be used")

// Deadline returns when betting ends at the latest, by the wall clock, or zero.
// Whoever runs the contest ends it then, with DrawWithout.
func (c *Contest) Deadline() time.Time { return c.ledger.Terms().Deadline }

// SetDeadline gives the contest the deadline that it is run with, and returns
// when that is durable; zero leaves the one that it has. now is the time of the
// wall clock.
//
// Agencies rely on a deadline. So one that has passed stays, one that has not is
// only replaced by one to come, and a contest without bets, which may begin
// again with other terms, takes none that has passed: that would draw it at
// once. Otherwise the error is ErrDeadline, with the reason.
func (c *Contest) SetDeadline(deadline, now time.Time) error {
	kept := c.Deadline()
	if deadline.IsZero() {
		deadline = kept
	}
	passed := func(t time.Time) bool { return !t.IsZero() && !now.Round(0).Before(t) }
	unusable := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrDeadline, fmt.Sprintf(format, args...))
	}
	isUnused := c.isUnused()
	switch {
	case isUnused && passed(deadline):
		return unusable("%s has passed and nobody has bet, so it would draw an empty contest: set one that is to come", inZone(deadline, now))
	case deadline.Equal(kept):
		return nil
	case !isUnused && passed(kept):
		return unusable("%s comes too late, betting has ended at %s: begin another contest, or leave the deadline as it is",
			inZone(deadline, now), inZone(kept, now))
	case c.Phase() == Drawn:
		return nil // it is of no use any more
	case !kept.IsZero() && passed(deadline):
		return unusable("%s has passed, and agencies may bet until %s: set one that is to come, or draw without those that the draw waits for",
			inZone(deadline, now), inZone(kept, now))
	}
	return wait(func(done func(error)) { c.ledger.SetDeadline(kept, deadline.Round(0), done) })
}

// inZone writes a time in the zone of another.
func inZone(t, other time.Time) string { return t.In(other.Location()).Format(time.RFC3339) }

// isUnused reports whether nobody has bet, nor ended its betting.
func (c *Contest) isUnused() bool {
	if c.used {
		return false
	}
	for _, s := range c.Standings() {
		if s.Bets > 0 || s.Ended != Open {
			return false
		}
	}
	return true
}
