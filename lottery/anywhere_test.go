package lottery_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// TestAnywhere has an agency that never says RESUME send one batch to one
// central and the next one to another, as behind a balancer that knows nothing
// of it.
func TestAnywhere(t *testing.T) { onMemories(t, testAnywhere) }

func testAnywhere(t *testing.T, m *ledgertest.Memory) {
	centrals := []*ledgertest.Contest{central(t, m, 2), central(t, m, 2), central(t, m, 2)}
	stored := 0
	for round := range 12 {
		c := centrals[round*round%3]
		for range round%3 + 1 {
			if err := c.TryStore(newBatch(t, samples(1, stored, 5)...)); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			stored += 5
		}
		if got, want := m.Rows(1), rowsOf(samples(1, 0, stored)...); got != want {
			t.Fatalf("round %d: stored are %d bytes, want %d", round, len(got), len(want))
		}
	}
	// It finishes at one that does not know of its last bets.
	if err := centrals[2].TryFinish(1, uint64(stored-1), true); !errors.Is(err, lottery.Incomplete) {
		t.Errorf("with one bet less it finishes with %v", err)
	}
	if err := centrals[0].TryFinish(1, uint64(stored), true); err != nil {
		t.Error(err)
	}
	centrals[1].MustFinish(2)
	for _, c := range centrals {
		c.CheckDraw(true, winnersOf(samples(1, 0, stored)...), nil)
		c.CheckStoreRefused(newBatch(t, sample(1, stored)), lottery.DrawDone)
	}
}

// TestAnywhereInFlight has an agency that never says RESUME send windows to two
// centrals at once. All of it is stored once, that of each central in its order.
func TestAnywhereInFlight(t *testing.T) { onMemories(t, testAnywhereInFlight) }

func testAnywhereInFlight(t *testing.T, m *ledgertest.Memory) {
	const bets, window = 60, 4
	centrals := []*ledgertest.Contest{central(t, m, 1), central(t, m, 1)}
	var wg sync.WaitGroup
	for side, c := range centrals {
		wg.Go(func() {
			told := make(chan error, bets)
			for i := range bets {
				err := c.Store(newBatch(t, sample(1, side*bets+i)), 0, func(err error) { told <- err })
				if err == nil && i >= window {
					err = <-told
				}
				if err != nil {
					t.Errorf("central %d, bet %d: %v", side, i, err)
					return
				}
			}
			for range window {
				if err := <-told; err != nil {
					t.Errorf("central %d: %v", side, err)
				}
			}
		})
	}
	wg.Wait()
	var got [2][]string
	for row := range strings.Lines(m.Rows(1)) {
		side := 0
		if i := slices.Index(rows(samples(1, bets, bets)), row); i >= 0 {
			side = 1
		}
		got[side] = append(got[side], row)
	}
	for side := range got {
		if want := rows(samples(1, side*bets, bets)); !slices.Equal(got[side], want) {
			t.Errorf("of central %d stored are %d bets, want %d, or in another order", side, len(got[side]), len(want))
		}
	}
}

// TestAnywhereInVain has another central claim an agency whenever this one has. For a
// while that keeps a batch and FINISHED waiting; when it does not end, they are told
// so, and the agency can go on later.
func TestAnywhereInVain(t *testing.T) { onMemories(t, testAnywhereInVain) }

func testAnywhereInVain(t *testing.T, m *ledgertest.Memory) {
	disturbed := &disturbed{Ledger: open(t, m, 1), rival: open(t, m, 1)}
	if _, err := disturbed.rival.Begin(lottery.Events{Ended: func(int, lottery.Ending, *lottery.Account) {}}); err != nil {
		t.Fatal(err)
	}
	c, other := ledgertest.NewContest(t, disturbed), central(t, m, 1)
	store := func() error { return c.TryStore(newBatch(t, sample(1, 1))) }
	finish := func() error { return c.TryFinish(1, 3, true) }

	other.MustStore(newBatch(t, sample(1, 0))) // c does not know it
	for i, request := range []func() error{store, finish} {
		disturbed.claims.Store(math.MaxInt64)
		if err := request(); !errors.Is(err, lottery.ErrUnavailable) {
			t.Errorf("request %d: while it cannot be done, the error is %v", i, err)
		}
		disturbed.claims.Store(30)
		err := request()
		for start := time.Now(); errors.Is(err, lottery.ErrUnavailable) && time.Since(start) < time.Minute; {
			err = request() // until it is known what is stored
		}
		if err != nil {
			t.Errorf("request %d: %v", i, err)
		}
		if i == 0 {
			other.MustStore(newBatch(t, sample(1, 2)))
		}
	}
	if got, want := m.Rows(1), rowsOf(samples(1, 0, 3)...); got != want {
		t.Fatalf("stored are %d bytes, want %d", len(got), len(want))
	}
	c.CheckDraw(true, winnersOf(samples(1, 0, 3)...))
}

// disturbed is a ledger for a central whose claims are followed by those of a rival,
// so many times.
type disturbed struct {
	lottery.Ledger
	rival  lottery.Ledger
	claims atomic.Int64
}

func (d *disturbed) Claim(agency int, after lottery.Mark, resumed bool, done func(*lottery.Account, error)) {
	d.Ledger.Claim(agency, after, resumed, func(stored *lottery.Account, err error) {
		if d.claims.Add(-1) < 0 {
			done(stored, err)
			return
		}
		d.rival.Claim(agency, 0, false, func(*lottery.Account, error) { done(stored, err) })
	})
}

func rows(bets []lottery.Bet) (rows []string) {
	for i := range bets {
		rows = append(rows, rowsOf(bets[i]))
	}
	return rows
}

// TestAnywhereIsFenced has an agency resume at one central. From then on nothing
// is taken from anybody else, at any central, also one that knew it before.
func TestAnywhereIsFenced(t *testing.T) { onMemories(t, testAnywhereIsFenced) }

func testAnywhereIsFenced(t *testing.T, m *ledgertest.Memory) {
	one, two := central(t, m, 1), central(t, m, 1)
	two.MustStore(newBatch(t, samples(1, 0, 5)...))
	checkResume(t, one, 1, 5)
	one.MustStore(at(5, newBatch(t, samples(1, 5, 5)...)))
	for range 2 {
		for _, c := range []*ledgertest.Contest{two, central(t, m, 1)} {
			checkRefused(t, c.TryStore(newBatch(t, sample(1, 10))), lottery.Fenced)
			checkRefused(t, c.TryFinish(1, 10, true), lottery.Fenced)
		}
	}
	if got, want := m.Rows(1), rowsOf(samples(1, 0, 10)...); got != want {
		t.Fatalf("stored are %d bytes, want %d", len(got), len(want))
	}
}

// TestAnywhereWaits has batches and FINISHED come for an agency whose account is
// not known, while the ledger answers nothing: they are done in their order.
func TestAnywhereWaits(t *testing.T) {
	for _, available := range []bool{true, false} {
		t.Run(fmt.Sprintf("available=%t", available), func(t *testing.T) {
			m := &ledgertest.Memory{Lazy: true}
			central(t, m, 1).MustStore(newBatch(t, samples(1, 0, 5)...))
			c := central(t, m, 1)
			resume := m.Stall()
			restore := func() {}
			if !available {
				restore = m.Interrupt(false)
			}
			var order []int
			told := make(chan error, 5)
			for i := range 4 {
				if err := c.Store(newBatch(t, samples(1, 5+5*i, 5)...), 0, func(err error) {
					order = append(order, i)
					told <- err
				}); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Finish(1, 0, lottery.Tally{Bets: 25, HasBets: true}, func(err error) { told <- err }); err != nil {
				t.Fatal(err)
			}
			resume()
			for range 5 {
				if err := <-told; available && err != nil || !available && !errors.Is(err, lottery.ErrUnavailable) {
					t.Errorf("the error is %v", err)
				}
			}
			if !slices.Equal(order, []int{0, 1, 2, 3}) {
				t.Errorf("batches are answered in the order %v", order)
			}
			restore()
			if !available {
				for i := range 4 {
					c.MustStore(newBatch(t, samples(1, 5+5*i, 5)...))
				}
				c.MustFinish(1)
			}
			c.CheckDraw(true, winnersOf(samples(1, 0, 25)...))
			if got, want := m.Rows(1), rowsOf(samples(1, 0, 25)...); got != want {
				t.Fatalf("stored are %d bytes, want %d", len(got), len(want))
			}
		})
	}
}

// TestSeen tells what other centrals store.
func TestSeen(t *testing.T) {
	seen := &seenBy{Ledger: open(t, &ledgertest.Memory{Lazy: true}, 2)}
	c := ledgertest.NewContest(t, seen)
	check := func(agency int, bets uint64, central string) {
		t.Helper()
		if got := c.Standings()[agency-1]; got.Bets != bets || got.Central != central {
			t.Errorf("agency %d has %d bets, by %q; want %d, by %q", agency, got.Bets, got.Central, bets, central)
		}
	}
	check(1, 0, "")
	seen.events.Seen(1, 7, "b")
	check(1, 7, "b")
	c.MustStore(newBatch(t, samples(2, 0, 3)...))
	check(2, 3, "")
	seen.events.Seen(2, 2, "a")
	check(2, 3, "a") // it knows better
	seen.events.Seen(2, 9, "b")
	check(2, 9, "b")
}

func open(t testing.TB, m *ledgertest.Memory, agencies int) lottery.Ledger {
	t.Helper()
	l, err := m.Open(agencies)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type seenBy struct {
	lottery.Ledger
	events lottery.Events
}

func (s *seenBy) Begin(events lottery.Events) (lottery.Stored, error) {
	s.events = events
	return s.Ledger.Begin(events)
}
