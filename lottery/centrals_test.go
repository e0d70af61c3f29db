package lottery_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// This file tests several contests on one ledger, as several centrals have, and a
// ledger that is not always there.

// onMemories runs a test on a ledger that knows all accounts, and on one that
// knows none before it is claimed.
func onMemories(t *testing.T, test func(*testing.T, *ledgertest.Memory)) {
	for _, lazy := range []bool{false, true} {
		t.Run(fmt.Sprintf("lazy=%t", lazy), func(t *testing.T) { test(t, &ledgertest.Memory{Lazy: lazy}) })
	}
}

// central opens one more contest on the memory.
func central(t testing.TB, m *ledgertest.Memory, agencies int) *ledgertest.Contest {
	t.Helper()
	ledger, err := m.Open(agencies)
	if err != nil {
		t.Fatal(err)
	}
	return ledgertest.NewContest(t, ledger)
}

// checkResume checks that of the agency's samples the first n are stored.
func checkResume(t testing.TB, c *ledgertest.Contest, agency, n int) {
	t.Helper()
	want := ledgertest.Account(samples(agency, 0, n)...)
	bets, digest, err := c.TryResume(agency)
	if err != nil || bets != uint64(n) || digest != want.Digest.Sum64() {
		t.Fatalf("RESUME of agency %d tells %d bets, digest %x, %v; want %d and %x", agency, bets, digest, err, n, want.Digest.Sum64())
	}
}

func checkUnavailable(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, lottery.ErrUnavailable) {
		t.Errorf("the error is %v, want %v", err, lottery.ErrUnavailable)
	}
}

// TestAgencyMoves has an agency go from central to central. The one that it has
// left takes nothing for it until it comes back and says RESUME.
func TestAgencyMoves(t *testing.T) { onMemories(t, testAgencyMoves) }

func testAgencyMoves(t *testing.T, m *ledgertest.Memory) {
	one, two := central(t, m, 2), central(t, m, 2)
	centrals := []*ledgertest.Contest{one, two}
	stored := 0
	for round := range 6 {
		c, left := centrals[round%2], centrals[(round+1)%2]
		checkResume(t, c, 1, stored)
		for range round % 3 { // now and then it only asks
			c.MustStore(at(uint64(stored), newBatch(t, samples(1, stored, 5)...)))
			stored += 5
		}
		for range 2 {
			checkRefused(t, left.TryStore(newBatch(t, samples(1, stored, 5)...)), lottery.Fenced)
			checkRefused(t, left.TryFinish(1, 0, false), lottery.Fenced)
		}
		if got, want := m.Rows(1), rowsOf(samples(1, 0, stored)...); got != want {
			t.Fatalf("round %d: stored are %d bytes, want %d", round, len(got), len(want))
		}
	}
	two.MustStore(at(0, newBatch(t, samples(2, 0, 6)...))) // never says RESUME
	two.MustFinish(2)
	checkResume(t, one, 1, stored)
	one.MustFinish(1)
	for _, c := range append(centrals, central(t, m, 2)) {
		c.CheckDraw(true, winnersOf(samples(1, 0, stored)...), winnersOf(samples(2, 0, 6)...))
		c.CheckStoreRefused(newBatch(t, sample(1, stored)), lottery.DrawDone)
		c.MustFinish(1, 2)
	}
}

// TestAgencyMovesInFlight has an agency go to another central while bets are on
// their way from the first: those that are not stored are refused, also the
// ones that come later, and RESUME tells what is stored.
func TestAgencyMovesInFlight(t *testing.T) { onMemories(t, testAgencyMovesInFlight) }

func testAgencyMovesInFlight(t *testing.T, m *ledgertest.Memory) {
	one, two := central(t, m, 1), central(t, m, 1)
	resume := m.Stall()
	const batches = 20
	told := make(chan error, batches)
	for i := range batches {
		if err := one.Store(newBatch(t, sample(1, i)), 0, func(err error) { told <- err }); err != nil {
			t.Fatal(err)
		}
	}
	resumed := make(chan uint64)
	if _, err := two.Resume(1, func(bets, _ uint64, err error) {
		if err != nil {
			t.Error(err)
		}
		resumed <- bets
	}); err != nil {
		t.Fatal(err)
	}
	resume()
	stored := int(<-resumed)
	for i := range batches {
		if err := <-told; i < stored && err != nil {
			t.Errorf("bet %d of %d that are stored is refused: %v", i, stored, err)
		} else if i >= stored {
			checkRefused(t, err, lottery.Fenced)
		}
	}
	checkResume(t, two, 1, stored)
	two.MustStore(at(uint64(stored), newBatch(t, samples(1, stored, 3)...)))
	checkRefused(t, one.TryStore(newBatch(t, sample(1, batches))), lottery.Fenced)
	checkResume(t, one, 1, stored+3)
	one.MustStore(at(uint64(stored+3), newBatch(t, sample(1, stored+3))))
}

// TestUnavailable interrupts the ledger under a batch, which is stored
// nevertheless, or is not. RESUME tells, when the ledger is back.
func TestUnavailable(t *testing.T) {
	for i := range 4 {
		keeps, lazy := i%2 > 0, i/2 > 0
		t.Run(fmt.Sprintf("keeps=%t, lazy=%t", keeps, lazy), func(t *testing.T) {
			m := ledgertest.Memory{Lazy: lazy}
			c := central(t, &m, 1)
			c.MustStore(newBatch(t, samples(1, 0, 5)...))
			restore := m.Interrupt(keeps)
			checkUnavailable(t, c.TryStore(at(5, newBatch(t, samples(1, 5, 5)...))))
			for range 2 {
				checkUnavailable(t, c.TryStore(newBatch(t, sample(1, 10))))
				checkUnavailable(t, c.TryFinish(1, 0, false))
				_, _, err := c.TryResume(1)
				checkUnavailable(t, err)
			}
			restore()
			checkUnavailable(t, c.TryStore(newBatch(t, sample(1, 10)))) // it does not know yet
			stored := 5
			if keeps {
				stored = 10
			}
			checkResume(t, c, 1, stored)
			c.MustStore(at(uint64(stored), newBatch(t, samples(1, stored, 7)...)))
			c.MustFinish(1)
			c.CheckDraw(true, winnersOf(samples(1, 0, stored+7)...))
		})
	}
}

// TestUnavailableWithoutResume is an agency that never says RESUME, but tries
// its batch again until it is stored: at least once.
func TestUnavailableWithoutResume(t *testing.T) {
	for i := range 4 {
		keeps, lazy := i%2 > 0, i/2 > 0
		t.Run(fmt.Sprintf("keeps=%t, lazy=%t", keeps, lazy), func(t *testing.T) {
			m := ledgertest.Memory{Lazy: lazy}
			c := central(t, &m, 1)
			restore := m.Interrupt(keeps)
			for range 3 {
				checkUnavailable(t, c.TryStore(newBatch(t, samples(1, 0, 5)...)))
			}
			restore()
			for tries := 0; ; tries++ {
				err := c.TryStore(newBatch(t, samples(1, 0, 5)...))
				if err == nil {
					break
				}
				if checkUnavailable(t, err); tries == 1000 {
					t.Fatal("it cannot go on")
				}
				time.Sleep(time.Millisecond)
			}
			all := samples(1, 0, 5)
			if keeps && !lazy { // else nothing is tried before the account is known
				all = append(all, all...)
			}
			if got, want := m.Rows(1), rowsOf(all...); got != want {
				t.Errorf("stored are %d bytes, want %d", len(got), len(want))
			}
			c.MustFinish(1)
			c.CheckDraw(true, winnersOf(all...))
		})
	}
}

// TestUnavailableInFlight interrupts the ledger under the first of several
// batches. Those behind it are answered the same, although the ledger is back.
func TestUnavailableInFlight(t *testing.T) { onMemories(t, testUnavailableInFlight) }

func testUnavailableInFlight(t *testing.T, m *ledgertest.Memory) {
	c := central(t, m, 1)
	resume, restore := m.Stall(), m.Interrupt(false)
	const batches = 3
	told := make(chan error, batches)
	for i := range batches {
		err := c.Store(newBatch(t, sample(1, i)), 0, func(err error) {
			if i == 0 {
				restore()
			}
			told <- err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	resume()
	for range batches {
		checkUnavailable(t, <-told)
	}
	for tries := 0; c.TryStore(newBatch(t, sample(1, 0))) != nil; tries++ {
		if tries == 1000 {
			t.Fatal("it cannot go on")
		}
		time.Sleep(time.Millisecond)
	}
	if got, want := m.Rows(1), rowsOf(sample(1, 0)); got != want {
		t.Errorf("stored are %q, want %q", got, want)
	}
}

// TestUnavailableFinish interrupts the ledger under a FINISHED, which is stored
// nevertheless, or is not.
func TestUnavailableFinish(t *testing.T) {
	for i := range 4 {
		keeps, lazy := i%2 > 0, i/2 > 0
		t.Run(fmt.Sprintf("keeps=%t, lazy=%t", keeps, lazy), func(t *testing.T) {
			m := ledgertest.Memory{Lazy: lazy}
			one, two := central(t, &m, 2), central(t, &m, 2)
			one.MustFinish(2)
			one.MustStore(newBatch(t, samples(1, 0, 5)...))
			restore := m.Interrupt(keeps)
			for range 2 {
				checkUnavailable(t, one.TryFinish(1, 5, true))
				one.CheckStoreRefused(newBatch(t, sample(1, 5)), lottery.AgencyFinished)
			}
			restore()
			stored := 5
			if !keeps {
				// It has more bets after all, and sends them to the other.
				checkResume(t, two, 1, 5)
				two.MustStore(at(5, newBatch(t, samples(1, 5, 4)...)))
				// Back again, it can go on: nothing has ended.
				checkResume(t, one, 1, 9)
				one.MustStore(at(9, newBatch(t, sample(1, 9))))
				stored = 10
				two.CheckDraw(false)
			}
			if err := one.TryFinish(1, uint64(stored), true); err != nil {
				t.Error(err)
			}
			for _, c := range []*ledgertest.Contest{one, two} {
				c.CheckDraw(true, winnersOf(samples(1, 0, stored)...), nil)
			}
		})
	}
}

// TestDrawWithoutElsewhere ends the betting of agencies by a central that does
// not know of all their bets.
func TestDrawWithoutElsewhere(t *testing.T) { onMemories(t, testDrawWithoutElsewhere) }

func testDrawWithoutElsewhere(t *testing.T, m *ledgertest.Memory) {
	one, two := central(t, m, 3), central(t, m, 3)
	checkResume(t, one, 1, 0)
	one.MustStore(newBatch(t, samples(1, 0, 6)...))
	one.MustStore(newBatch(t, samples(2, 0, 3)...))
	checkResume(t, two, 2, 3) // has only asked
	two.MustStore(newBatch(t, samples(3, 0, 6)...))
	if err := two.DrawWithout(1); err != nil {
		t.Fatal(err)
	}
	if err := one.DrawWithout(3, 2); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*ledgertest.Contest{one, two} {
		c.CheckDraw(true, winnersOf(samples(1, 0, 6)...), winnersOf(samples(2, 0, 3)...), winnersOf(samples(3, 0, 6)...))
		if missing := c.Missing(); !slices.Equal(missing, []int{1, 2, 3}) {
			t.Errorf("missing are %v", missing)
		}
		for i, n := range []uint64{6, 3, 6} {
			if got := c.Bets(i + 1); got != n {
				t.Errorf("agency %d has %d bets, want %d", i+1, got, n)
			}
		}
		err := c.TryFinish(1, 6, true)
		if checkRefused(t, err, lottery.DrawDone); !strings.Contains(err.Error(), "missing") {
			t.Errorf("it is not told that it was missing: %v", err)
		}
	}
}

// neverEnds is a ledger on which somebody else always writes in between.
type neverEnds struct{ lottery.Ledger }

func (l neverEnds) End(agency int, after lottery.Mark, how lottery.Ending, done func(error)) {
	l.Claim(agency, after, false, func(*lottery.Account, error) { done(lottery.ErrMoved) })
}

// TestDrawWithoutGivesUp ends the betting of an agency that goes on elsewhere
// again and again.
func TestDrawWithoutGivesUp(t *testing.T) { onMemories(t, testDrawWithoutGivesUp) }

func testDrawWithoutGivesUp(t *testing.T, m *ledgertest.Memory) {
	ledger, err := m.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	c := ledgertest.NewContest(t, neverEnds{ledger})
	checkRefused(t, c.DrawWithout(1), lottery.Fenced)
	c.MustStore(newBatch(t, sample(1, 0))) // it is not closed
}

func TestDrawWithoutUnavailable(t *testing.T) { onMemories(t, testDrawWithoutUnavailable) }

func testDrawWithoutUnavailable(t *testing.T, m *ledgertest.Memory) {
	c := central(t, m, 2)
	c.MustStore(newBatch(t, samples(1, 0, 6)...))
	restore := m.Interrupt(false)
	checkUnavailable(t, c.DrawWithout(1, 2))
	c.CheckDraw(false)
	restore()
	if err := c.DrawWithout(1, 2); err != nil {
		t.Fatal(err)
	}
	c.CheckDraw(true, winnersOf(samples(1, 0, 6)...), nil)
}

// TestDrawIsTriedAgain interrupts the ledger before the draw: it is made when
// the ledger is back, without anybody asking.
func TestDrawIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m ledgertest.Memory
		one, two := central(t, &m, 1), central(t, &m, 1)
		one.MustStore(newBatch(t, samples(1, 0, 6)...))
		restore := m.Interrupt(true)
		checkUnavailable(t, one.TryFinish(1, 6, true))
		time.Sleep(time.Minute) // of the bubble's clock
		for _, c := range []*ledgertest.Contest{one, two} {
			c.CheckDraw(false)
			c.CheckPhase(lottery.Drawing)
			c.CheckStoreRefused(newBatch(t, sample(1, 6)), lottery.AgencyFinished)
		}
		if err := two.Close(); err != nil { // it no longer tries
			t.Error(err)
		}
		restore()
		time.Sleep(10 * time.Second)
		one.CheckDraw(true, winnersOf(samples(1, 0, 6)...))
		two.CheckPhase(lottery.Drawing)
	})
}

// TestDrawnLate opens a contest in which the last agency has ended its betting
// and nobody has made the draw.
func TestDrawnLate(t *testing.T) { onMemories(t, testDrawnLate) }

func testDrawnLate(t *testing.T, m *ledgertest.Memory) {
	ledger, err := m.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = ledger.Begin(lottery.Events{Ended: func(int, lottery.Ending, *lottery.Account) {}}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	ledger.Claim(1, 0, false, func(stored *lottery.Account, err error) {
		ledger.End(1, stored.Mark, lottery.Missing, func(err error) { ended <- err })
	})
	if err := errors.Join(<-ended, ledger.Close()); err != nil {
		t.Fatal(err)
	}

	// The ledger is not available: the contest is there, and draws when it is.
	restore := m.Interrupt(false)
	waits := central(t, m, 1)
	waits.CheckPhase(lottery.Drawing)
	restore()
	for i, want := range []bool{true, false, false} {
		c := waits
		if i > 0 {
			c = central(t, m, 1)
		}
		if c.CheckDraw(true, nil); c.WasDrawn() == want {
			t.Errorf("contest %d: drawn late: %t, want %t", i, !c.WasDrawn(), want)
		}
	}
}

// TestDead has the ledger die under a batch.
func TestDead(t *testing.T) { onMemories(t, testDead) }

func testDead(t *testing.T, m *ledgertest.Memory) {
	c := central(t, m, 2)
	c.MustStore(newBatch(t, samples(1, 0, 5)...))
	m.Break()
	checkRefused(t, c.TryStore(newBatch(t, samples(1, 5, 5)...)), lottery.Storage)
	<-c.Failed()
	if c.Err() == nil {
		t.Error("the contest does not say why it has failed")
	}
	for agency := 1; agency <= 2; agency++ {
		checkRefused(t, c.TryStore(newBatch(t, sample(agency, 10))), lottery.Storage)
		_, _, err := c.TryResume(agency)
		checkRefused(t, err, lottery.Storage)
		checkRefused(t, c.TryFinish(agency, 0, false), lottery.Storage)
		checkRefused(t, c.DrawWithout(agency), lottery.Storage)
	}
	c.CheckDraw(false)
	if err := c.Close(); !errors.Is(err, c.Err()) {
		t.Errorf("Close gives %v, want %v", err, c.Err())
	}
}

// TestCloseAgain closes a contest that is closed.
func TestCloseAgain(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	c.MustStore(newBatch(t, sample(1, 0)))
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestKnownAfterFinished sends batches again after FINISHED and after the draw,
// as an agency does that has lost the answers: what is stored is acknowledged,
// what is new is refused.
func TestKnownAfterFinished(t *testing.T) {
	c := openContest(t, t.TempDir(), 2)
	c.MustStore(newBatch(t, samples(1, 0, 10)...))
	check := func(code lottery.Code) {
		t.Helper()
		for _, position := range []int{0, 3, 9} {
			b := at(uint64(position), newBatch(t, samples(1, position, 10-position)...))
			c.MustStore(b)
			if b.Known() != 10-position {
				t.Errorf("of %d bets that are stored %d are known", 10-position, b.Known())
			}
			c.CheckStoreRefused(at(uint64(position), newBatch(t, samples(1, position, 11-position)...)), code)
		}
		for _, position := range []int{10, 11, 99} {
			c.CheckStoreRefused(at(uint64(position), newBatch(t, sample(1, position))), code)
		}
		c.CheckStoreRefused(newBatch(t, sample(1, 0)), code)
	}
	c.MustFinish(1)
	check(lottery.AgencyFinished)
	c = c.reopen(t)
	check(lottery.AgencyFinished)
	c.MustFinish(2)
	c.CheckDraw(true, winnersOf(samples(1, 0, 10)...), nil)
	check(lottery.DrawDone)
	c.checkRows(t, samples(1, 0, 10)...)
}

// TestManyCentrals has agencies send their bets in windows, to one central
// after the other, while the ledger comes and goes. All of them are stored once
// and in order, and every central has the same winners.
func TestManyCentrals(t *testing.T) { onMemories(t, testManyCentrals) }

func testManyCentrals(t *testing.T, m *ledgertest.Memory) {
	const agencies, bets, centrals = 4, 120, 3
	var all []*ledgertest.Contest
	for range centrals {
		all = append(all, central(t, m, agencies))
	}
	var wg sync.WaitGroup
	for agency := 1; agency <= agencies; agency++ {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(2, uint64(agency)))
			for !sendSome(t, all[r.IntN(centrals)], agency, bets, r) {
			}
		})
	}
	stop := make(chan struct{})
	var breaks sync.WaitGroup
	breaks.Go(func() {
		r := rand.New(rand.NewPCG(2, 0))
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			restore := m.Interrupt(r.IntN(2) == 0)
			time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
			restore()
		}
	})
	wg.Wait()
	close(stop)
	breaks.Wait()
	var winners [][]string
	for agency := 1; agency <= agencies; agency++ {
		if got, want := m.Rows(agency), rowsOf(samples(agency, 0, bets)...); got != want {
			t.Errorf("agency %d: stored are %d bytes, want %d", agency, len(got), len(want))
		}
		winners = append(winners, winnersOf(samples(agency, 0, bets)...))
	}
	for _, c := range append(all, central(t, m, agencies)) {
		c.CheckDraw(true, winners...)
	}
}

// sendSome has an agency resume at a central and send batches until it is
// refused or has sent some. It reports whether the agency has finished.
func sendSome(t *testing.T, c *ledgertest.Contest, agency, bets int, r *rand.Rand) bool {
	stored, digest, err := c.TryResume(agency)
	if err != nil {
		checkUnavailable(t, err)
		return false
	}
	if want := ledgertest.Account(samples(agency, 0, int(stored))...); digest != want.Digest.Sum64() {
		t.Errorf("agency %d: RESUME tells the digest %x for %d bets, want %x", agency, digest, stored, want.Digest.Sum64())
	}
	const batches = 6
	told := make(chan error, batches)
	sent := 0
	for next := int(stored); next < bets && sent < batches; sent++ {
		n := min(1+r.IntN(3), bets-next)
		if err := c.Store(at(uint64(next), newBatch(t, samples(agency, next, n)...)), c.Writer(agency), func(err error) { told <- err }); err != nil {
			told <- err
		}
		next += n
	}
	for range sent {
		switch err := <-told; {
		case err == nil, errors.Is(err, lottery.ErrUnavailable), errors.Is(err, lottery.Fenced):
		case errors.Is(err, lottery.Gap): // behind one that was refused at once
		default:
			t.Errorf("agency %d: %v", agency, err)
			return true
		}
	}
	if sent == batches {
		return false
	}
	err = c.TryFinish(agency, uint64(bets), true)
	if err != nil && !errors.Is(err, lottery.ErrUnavailable) && !errors.Is(err, lottery.Fenced) && !errors.Is(err, lottery.Incomplete) {
		t.Errorf("agency %d: %v", agency, err)
	}
	return err == nil
}
