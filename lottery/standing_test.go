package lottery_test

import (
	"slices"
	"testing"

	"loteria/lottery"
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
