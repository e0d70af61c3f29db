package lottery_test

import (
	"slices"
	"testing"

	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// TestStandings follows three agencies to the draw.
func TestStandings(t *testing.T) {
	c := openContest(t, t.TempDir(), 3)
	check := func(when string, want ...lottery.Standing) {
		t.Helper()
		got := c.Standings()
		for i := range got {
			if got[i].LastSeen.IsZero() {
				t.Errorf("%s: agency %d was never seen", when, i+1)
			}
			got[i].LastSeen = want[i].LastSeen
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: they stand at\n%+v, expected\n%+v", when, got, want)
		}
	}
	check("at first", lottery.Standing{Agency: 1}, lottery.Standing{Agency: 2}, lottery.Standing{Agency: 3})

	bets := append(samples(1, 0, 3), sample(2, 0))
	for i := range bets {
		bets[i].Number = lottery.WinningNumber * (i % 2) // two win: the second of agency 1, and that of agency 2
	}
	c.MustStore(newBatch(t, bets[:3]...))
	if err := c.TryFinish(1, 3, true); err != nil {
		t.Fatal(err)
	}
	c.MustStore(newBatch(t, bets[3]))
	check("one has finished", lottery.Standing{Agency: 1, Bets: 3, Ended: lottery.Finished}, lottery.Standing{Agency: 2, Bets: 1}, lottery.Standing{Agency: 3})

	if err := c.DrawWithout(3); err != nil {
		t.Fatal(err)
	}
	if err := c.TryFinish(2, 1, true); err != nil {
		t.Fatal(err)
	}
	<-c.Drawn()
	check("the draw is done", lottery.Standing{Agency: 1, Bets: 3, Ended: lottery.Finished, Winners: 1},
		lottery.Standing{Agency: 2, Bets: 1, Ended: lottery.Finished, Winners: 1}, lottery.Standing{Agency: 3, Ended: lottery.Missing})
}

// TestKnown says how much of a repeated batch was there.
func TestKnown(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	for _, test := range []struct{ position, bets, known int }{{0, 3, 0}, {0, 3, 3}, {1, 4, 2}, {5, 2, 0}} {
		b := at(uint64(test.position), newBatch(t, samples(1, test.position, test.bets)...))
		c.MustStore(b)
		if b.Known() != test.known {
			t.Errorf("of %d bets behind %d, %d were known, expected %d", test.bets, test.position, b.Known(), test.known)
		}
	}
}

// durable returns what Durable tells: -1 for an agency of which it tells nothing.
func durable(c *ledgertest.Contest, agencies int) []int {
	got := slices.Repeat([]int{-1}, agencies)
	for agency, bets := range c.Durable() {
		got[agency-1] = int(bets)
	}
	return got
}

// TestDurable has bets admitted that are not stored yet, or never will be: they
// are not told of.
func TestDurable(t *testing.T) { onMemories(t, testDurable) }

func testDurable(t *testing.T, m *ledgertest.Memory) {
	seen := &seenBy{Ledger: open(t, m, 2)}
	c := ledgertest.NewContest(t, seen)
	check := func(when string, want ...int) {
		t.Helper()
		if got := durable(c, 2); !slices.Equal(got, want) {
			t.Errorf("%s: durable are %v bets, want %v", when, got, want)
		}
	}
	unknown := map[bool]int{true: -1}[m.Lazy]
	check("at first", unknown, unknown)
	c.MustStore(newBatch(t, samples(1, 0, 3)...))
	check("stored", 3, unknown)

	resume := m.Stall()
	done := make(chan error, 2)
	for _, at := range []int{3, 5} {
		if err := c.Store(newBatch(t, samples(1, at, 2)...), 0, func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
	}
	check("admitted", 3, unknown)
	if bets := c.Standings()[0].Bets; bets != 7 {
		t.Errorf("admitted are %d bets, want 7", bets)
	}
	resume()
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	check("stored then", 7, unknown)

	restore := m.Interrupt(false)
	checkUnavailable(t, c.TryStore(newBatch(t, samples(1, 7, 2)...)))
	restore()
	for _, told := range durable(c, 2)[:1] {
		if told > 7 {
			t.Errorf("durable are %d bets, want at most 7: the last were not stored", told)
		}
	}
	checkResume(t, c, 1, 7)
	check("resumed", 7, unknown)

	seen.events.Seen(2, 9, "b")
	check("seen elsewhere", 7, 9)
	for agency := range c.Durable() {
		if agency != 1 {
			t.Error("it goes on after a break")
		}
		break
	}
}

// An agency that bets at another central is not silent.
func TestSeenElsewhereIsNotSilent(t *testing.T) {
	seen := &seenBy{Ledger: open(t, &ledgertest.Memory{Lazy: true}, 1)}
	c := ledgertest.NewContest(t, seen)
	opened := c.Standings()[0].LastSeen
	seen.events.Seen(1, 0, "b")
	if got := c.Standings()[0].LastSeen; !got.Equal(opened) {
		t.Errorf("without bets it was seen at %v, want %v", got, opened)
	}
	seen.events.Seen(1, 5, "b")
	then := c.Standings()[0].LastSeen
	if !then.After(opened) {
		t.Errorf("it has bet elsewhere, and was last seen at %v, when the contest was opened", then)
	}
	seen.events.Seen(1, 5, "b")
	if got := c.Standings()[0].LastSeen; !got.Equal(then) {
		t.Errorf("the same bets again are news at %v", got)
	}
}
