package ledgertest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"loteria/lottery"
)

// Contest is a contest for the time of a test. Its methods wait for the contest's
// callbacks.
type Contest struct {
	*lottery.Contest
	t testing.TB

	mu      sync.Mutex
	writers map[int]lottery.Writer // of each agency, as it was last resumed here
}

// NewContest returns the contest on a ledger.
func NewContest(t testing.TB, ledger lottery.Ledger) *Contest {
	t.Helper()
	c, err := lottery.NewContest(ledger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &Contest{Contest: c, t: t}
}

// Batch returns a batch of valid bets, without a position.
func Batch(t testing.TB, bets ...lottery.Bet) *lottery.Batch {
	t.Helper()
	b := new(lottery.Batch)
	for i := range bets {
		raw := bets[i].RawBet()
		if err := b.Add(&raw); err != nil {
			t.Error(err)
		}
	}
	return b
}

// At gives the batch its position.
func At(position uint64, b *lottery.Batch) *lottery.Batch {
	b.SetPosition(position)
	return b
}

// Writer returns the agency's writer: the one that has resumed it here last.
func (c *Contest) Writer(agency int) lottery.Writer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writers[agency]
}

// TryStore stores a batch as the agency's writer, and returns when it is durable
// or refused. With a position it resumes first, when nobody has.
func (c *Contest) TryStore(b *lottery.Batch) error {
	if _, positioned := b.Position(); positioned && c.Writer(b.Agency()) == 0 {
		_, _, _ = c.TryResume(b.Agency()) // the batch fails with the same error
	}
	return wait(func(done func(error)) error { return c.Store(b, c.Writer(b.Agency()), done) })
}

// TryFinish closes the agency's betting, and returns when that is durable or
// refused.
func (c *Contest) TryFinish(agency int, total uint64, totalKnown bool) error {
	said := lottery.Tally{Bets: total, HasBets: totalKnown}
	return wait(func(done func(error)) error { return c.Finish(agency, c.Writer(agency), said, done) })
}

// TryResume makes the test the agency's writer, and returns how many bets of it
// are durable, and their digest.
func (c *Contest) TryResume(agency int) (bets, digest uint64, err error) {
	err = wait(func(done func(error)) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		writer, err := c.Resume(agency, func(b, d uint64, err error) {
			bets, digest = b, d
			done(err)
		})
		if c.writers == nil {
			c.writers = make(map[int]lottery.Writer)
		}
		c.writers[agency] = writer
		return err
	})
	return bets, digest, err
}

func wait(call func(done func(error)) error) error {
	done := make(chan error, 1)
	if err := call(func(err error) { done <- err }); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		return errors.New("there is no answer")
	}
}

// MustStore stores a batch.
func (c *Contest) MustStore(b *lottery.Batch) {
	c.t.Helper()
	if err := c.TryStore(b); err != nil {
		c.t.Error(err)
	}
}

// MustFinish closes the betting of agencies.
func (c *Contest) MustFinish(agencies ...int) {
	c.t.Helper()
	for _, agency := range agencies {
		if err := c.TryFinish(agency, 0, false); err != nil {
			c.t.Errorf("agency %d: %v", agency, err)
		}
	}
}

// Bets returns how many bets of the agency were admitted.
func (c *Contest) Bets(agency int) uint64 {
	if agency < 1 || agency > c.Agencies() {
		return 0
	}
	return c.Standings()[agency-1].Bets
}

// CheckStoreRefused checks that a batch is refused, and that nothing of it is
// stored.
func (c *Contest) CheckStoreRefused(b *lottery.Batch, code lottery.Code) {
	c.t.Helper()
	before := c.Bets(b.Agency())
	CheckRefused(c.t, c.TryStore(b), code)
	if after := c.Bets(b.Agency()); after != before {
		c.t.Errorf("of a batch that was refused %d bets are stored", after-before)
	}
}

// CheckRefused checks that the error is a refusal.
func CheckRefused(t testing.TB, err error, code lottery.Code) {
	t.Helper()
	var refusal *lottery.Refusal
	if !errors.As(err, &refusal) || !errors.Is(err, code) {
		t.Errorf("the error is %v, want %s", err, code)
	}
}

// CheckDraw checks whether the draw is done, or is about to be, and every
// agency's winners then.
func (c *Contest) CheckDraw(done bool, winners ...[]string) {
	c.t.Helper()
	if done {
		select {
		case <-c.Drawn():
		case <-time.After(patience):
			c.t.Error("Drawn is not closed")
		}
	}
	select {
	case <-c.Drawn():
		if !done {
			c.t.Error("Drawn is closed")
		}
	default:
	}
	for i := range c.Agencies() {
		var want []string
		if done {
			want = winners[i]
		}
		documents, drawn, err := c.Winners(i + 1)
		if drawn != done || err != nil || !slices.Equal(documents, want) {
			c.t.Errorf("agency %d: winners %q, %t, %v; want %q, %t", i+1, documents, drawn, err, want, done)
		}
	}
}

// CheckPhase checks where the contest stands.
func (c *Contest) CheckPhase(want lottery.Phase) {
	c.t.Helper()
	if got := c.Phase(); got != want {
		c.t.Errorf("the phase is %s, want %s", got, want)
	}
}
