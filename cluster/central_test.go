package cluster_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"loteria/lottery"
	"loteria/lottery/ledgertest"
	"loteria/lottery/natsledger"
)

const answerTime = time.Minute // for a call, in a test with many faults

// central is a test's ledger, whose calls wait for the answer.
type central struct {
	*natsledger.Ledger
	t      *testing.T
	stored lottery.Stored

	mu    sync.Mutex
	ended map[int]int // notices of the end of each agency
	seen  map[int]uint64
}

func openCentral(t *testing.T, config natsledger.Config) *central {
	t.Helper()
	l, err := openConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	c := &central{Ledger: l, t: t, ended: map[int]int{}, seen: map[int]uint64{}}
	t.Cleanup(func() { _ = l.Close() })
	c.stored, err = l.Begin(lottery.Events{
		Ended: func(agency int, _ lottery.Ending, _ *lottery.Account) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.ended[agency]++
		},
		Seen: func(agency int, bets uint64, _ string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.seen[agency] = bets
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// await waits for an answer.
func await[T any](t *testing.T, what string, call func(done func(T))) T {
	t.Helper()
	answer := make(chan T, 1)
	call(func(v T) { answer <- v })
	select {
	case v := <-answer:
		return v
	case <-time.After(answerTime):
		t.Errorf("%s is not answered", what)
		var none T
		return none
	}
}

type claimed struct {
	stored *lottery.Account
	err    error
}

func (c *central) claim(agency int, after lottery.Mark) (*lottery.Account, error) {
	c.t.Helper()
	v := await(c.t, "a claim", func(done func(claimed)) {
		c.Claim(agency, after, false, func(stored *lottery.Account, err error) { done(claimed{stored, err}) })
	})
	return v.stored, v.err
}

// account claims the agency until that succeeds, and returns its account.
func (c *central) account(agency int) *lottery.Account {
	c.t.Helper()
	for begun := time.Now(); time.Since(begun) < answerTime; {
		stored, err := c.claim(agency, 0)
		if err == nil {
			return stored
		}
		if !errors.Is(err, lottery.ErrUnavailable) {
			c.t.Fatal(err)
		}
	}
	c.t.Fatalf("agency %d cannot be claimed", agency)
	return nil
}

// expectEnds expects that the ends of so many agencies are told, each once.
func (c *central) expectEnds(agencies int) {
	c.t.Helper()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		c.mu.Lock()
		told, twice := len(c.ended), false
		for _, times := range c.ended {
			twice = twice || times != 1
		}
		c.mu.Unlock()
		switch {
		case twice || time.Since(begun) > answerTime:
			c.t.Errorf("the ends of %d agencies were told, of some more than once: %t; want %d", told, twice, agencies)
			return
		case told == agencies:
			return
		}
	}
}

func (c *central) append(rows lottery.Stretch, after lottery.Mark) (lottery.Mark, error) {
	var mark lottery.Mark
	err := await(c.t, "an append", func(done func(error)) {
		var err error
		if mark, err = c.Append(rows, after, done); err != nil {
			done(err)
		}
	})
	return mark, err
}

func (c *central) end(agency int, after lottery.Mark, how lottery.Ending) error {
	return await(c.t, "an end", func(done func(error)) { c.End(agency, after, how, done) })
}

// mustEnd ends the betting of an agency, and retries if needed.
func (c *central) mustEnd(agency int) {
	c.t.Helper()
	for begun := time.Now(); time.Since(begun) < answerTime; {
		if c.end(agency, c.account(agency).Mark, lottery.Finished) == nil {
			return
		}
	}
	c.t.Errorf("the betting of agency %d cannot be ended", agency)
}

// mustDraw makes the draw, and compares the winners with those of the bets.
func (c *central) mustDraw(bets ...[]lottery.Bet) {
	c.t.Helper()
	for begun := time.Now(); time.Since(begun) < answerTime; {
		var winners [][]string
		err := await(c.t, "the draw", func(done func(error)) {
			c.Draw(func(w [][]string, err error) {
				winners = w
				done(err)
			})
		})
		if err != nil {
			continue
		}
		for i := range bets {
			if want := ledgertest.Winners(bets[i]...); !slices.Equal(winners[i], want) {
				c.t.Errorf("agency %d has the winners %q, want %q", i+1, winners[i], want)
			}
		}
		return
	}
	c.t.Error("the draw is not made")
}

// writer bets for an agency at several centrals, as an agency with RESUME does:
// after each failure it claims, and continues after the stored bets.
type writer struct {
	agency  int
	answers int // bets acknowledged as durable
	window  int
}

// write bets until count bets are durable, with a window of appends in flight.
// pick returns the central to use.
func (w *writer) write(t *testing.T, count, batch int, pick func() *central) {
	t.Helper()
	for w.answers < count && !t.Failed() {
		c := pick()
		account := c.account(w.agency)
		if account == nil {
			return
		}
		if int(account.Bets) < w.answers {
			t.Errorf("agency %d: %d bets were answered, stored are %d", w.agency, w.answers, account.Bets)
			return
		}
		want := ledgertest.Account(ledgertest.Bets(w.agency, 0, int(account.Bets))...)
		if want.Digest.Sum64() != account.Digest.Sum64() {
			t.Errorf("agency %d: of %d bets the digest is another one", w.agency, account.Bets)
			return
		}
		w.stretch(t, c, int(account.Bets), account.Mark, count, batch)
	}
}

// stretch bets at one central until something fails.
func (w *writer) stretch(t *testing.T, c *central, sent int, mark lottery.Mark, count, batch int) {
	type answer struct {
		bets int
		err  error
	}
	answers := make(chan answer, w.window)
	flying, failed, refused := 0, false, false
	w.answers = max(w.answers, sent)
	for {
		for !failed && !refused && flying < w.window && sent < count {
			n := min(batch, count-sent)
			upTo := sent + n
			next, err := c.Append(ledgertest.Stretch(ledgertest.Bets(w.agency, sent, n)...), mark, func(err error) { answers <- answer{upTo, err} })
			if err != nil {
				refused = true // others may be durable, whose answer waits
				break
			}
			mark, sent = next, upTo
			flying++
		}
		if flying == 0 {
			return
		}
		select {
		case a := <-answers:
			flying--
			switch {
			case a.err == nil && failed:
				t.Errorf("agency %d: rows are durable after others failed", w.agency)
			case a.err == nil:
				w.answers = a.bets
			case errors.Is(a.err, lottery.ErrMoved) || errors.Is(a.err, lottery.ErrUnavailable):
				failed = true
			default:
				t.Error(a.err)
				return
			}
		case <-time.After(answerTime):
			t.Errorf("agency %d: an append is not answered", w.agency)
			return
		}
	}
}

// checkStream reads the whole stream, and compares its rows with the bets of
// agency i+1.
func checkStream(t *testing.T, config natsledger.Config, bets ...[]lottery.Bet) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	rows := make([]string, len(bets))
	_, err := natsledger.Read(ctx, config, func(s lottery.Stretch) error {
		rows[s.Agency-1] += string(s.Rows)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for i := range bets {
		if want := ledgertest.Rows(bets[i]...); rows[i] != want {
			t.Errorf("agency %d: stored are %d bytes of rows, want %d, and the same", i+1, len(rows[i]), len(want))
		}
	}
}

// counts returns the bets of agencies 1 to n, count of each.
func counts(n, count int) (bets [][]lottery.Bet) {
	for i := range n {
		bets = append(bets, ledgertest.Bets(i+1, 0, count))
	}
	return bets
}

func one(c *central) func() *central { return func() *central { return c } }
