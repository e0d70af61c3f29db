package lottery

import (
	"slices"
	"testing"
)

// TestStandings follows three agencies to the draw.
func TestStandings(t *testing.T) {
	c := openContest(t, t.TempDir(), 3)
	check := func(when string, want ...Standing) {
		t.Helper()
		got := c.Standings()
		for i := range got {
			if got[i].Heard.IsZero() {
				t.Errorf("%s: agency %d was never heard", when, i+1)
			}
			got[i].Heard = want[i].Heard
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: they stand at\n%+v, expected\n%+v", when, got, want)
		}
	}
	check("at first", Standing{Agency: 1}, Standing{Agency: 2}, Standing{Agency: 3})

	bets := append(samples(1, 0, 3), sample(2, 0))
	for i := range bets {
		bets[i].Number = WinningNumber * (i % 2) // two win: the second of agency 1, and that of agency 2
	}
	mustStore(t, c, newBatch(t, bets[:3]...))
	if err := c.Finish(1, 3, true); err != nil {
		t.Fatal(err)
	}
	mustStore(t, c, newBatch(t, bets[3]))
	check("one has finished", Standing{Agency: 1, Bets: 3, Ended: true}, Standing{Agency: 2, Bets: 1}, Standing{Agency: 3})

	if err := c.DrawWithout(3); err != nil {
		t.Fatal(err)
	}
	if err := c.Finish(2, 1, true); err != nil {
		t.Fatal(err)
	}
	check("the draw is done", Standing{Agency: 1, Bets: 3, Ended: true, Winners: 1},
		Standing{Agency: 2, Bets: 1, Ended: true, Winners: 1}, Standing{Agency: 3, Ended: true, Missing: true})
}

// TestKnown says how much of a repeated batch was there.
func TestKnown(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	for _, test := range []struct{ position, bets, known int }{{0, 3, 0}, {0, 3, 3}, {1, 4, 2}, {5, 2, 0}} {
		b := at(uint64(test.position), newBatch(t, samples(1, test.position, test.bets)...))
		mustStore(t, c, b)
		if b.Known() != test.known {
			t.Errorf("of %d bets behind %d, %d were known, expected %d", test.bets, test.position, b.Known(), test.known)
		}
	}
}
