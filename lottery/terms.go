package lottery

import (
	"errors"
	"fmt"
	"time"
)

// Terms are what a contest is begun with; they bind every central on its ledger.
type Terms struct {
	Agencies int       // that are expected, numbered from 1
	Deadline time.Time // when betting ends at the latest; zero is never
}

// Times are when a contest entered its phases, as its ledger has recorded them:
// UTC, and zero when unknown.
type Times struct {
	Opened time.Time // it was begun
	Closed time.Time // the last betting has ended
	Drawn  time.Time // the draw was noted
}

// ErrDeadline is why a deadline cannot be a contest's.
var ErrDeadline = errors.New("the deadline cannot be used")

// Deadline returns when betting ends at the latest, by the wall clock, or zero. The
// caller ends it then, with DrawWithout.
func (c *Contest) Deadline() time.Time { return c.ledger.Terms().Deadline }

// SetDeadline sets the contest's deadline, and returns when it is durable; zero
// keeps the one that it has. now is the time of the wall clock.
//
// Agencies rely on a deadline. So one that has passed stays, and one that has not
// is only replaced by one in the future. A contest without bets, which may begin
// again with other terms, takes no deadline in the past: that would draw it at
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
		return nil // it no longer matters
	case !kept.IsZero() && passed(deadline):
		return unusable("%s has passed, and agencies may bet until %s: set one that is to come, or draw without those that the draw waits for",
			inZone(deadline, now), inZone(kept, now))
	}
	return wait(func(done func(error)) { c.ledger.SetDeadline(kept, deadline.Round(0), done) })
}

// inZone writes a time in the zone of another.
func inZone(t, other time.Time) string { return t.In(other.Location()).Format(time.RFC3339) }

// isUnused reports whether no agency has bet or ended its betting.
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
