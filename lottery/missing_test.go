package lottery_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"loteria/lottery"
)

func checkMissing(t testing.TB, c *contest, want ...int) {
	t.Helper()
	if got := c.Missing(); !slices.Equal(got, want) {
		t.Errorf("missing are %v, want %v", got, want)
	}
}

func checkAwaited(t testing.TB, c *contest, want ...int) {
	t.Helper()
	got := []int{}
	for _, a := range c.Awaited() {
		got = append(got, a.Agency)
		if a.Bets != c.Bets(a.Agency) {
			t.Errorf("agency %d is awaited with %d bets, it has %d", a.Agency, a.Bets, c.Bets(a.Agency))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("awaited are %v, want %v", got, want)
	}
}

// TestDrawWithout ends the betting of some of three agencies, of which each
// has six bets, and looks again after a restart.
func TestDrawWithout(t *testing.T) {
	tests := []struct {
		name     string
		finished []int // before it
		without  [][]int
		code     lottery.Code // of the last DrawWithout
		awaited  []int
		missing  []int
		drawn    bool
		state    string
	}{
		{"none", nil, [][]int{{}}, "", []int{1, 2, 3}, nil, false,
			`{"agencies":3,"finished":[],"phase":"betting"}`},
		{"one", nil, [][]int{{2}}, "", []int{1, 3}, []int{2}, false,
			`{"agencies":3,"finished":[],"missing":[2],"phase":"betting"}`},
		{"one twice", nil, [][]int{{2}, {2, 2}}, "", []int{1, 3}, []int{2}, false,
			`{"agencies":3,"finished":[],"missing":[2],"phase":"betting"}`},
		{"one that has finished", []int{2}, [][]int{{2}}, "", []int{1, 3}, nil, false,
			`{"agencies":3,"finished":[2],"phase":"betting"}`},
		{"one that has finished, and another", []int{2}, [][]int{{3, 2}}, "", []int{1}, []int{3}, false,
			`{"agencies":3,"finished":[2],"missing":[3],"phase":"betting"}`},
		{"the last", []int{1, 3}, [][]int{{2}}, "", nil, []int{2}, true,
			`{"agencies":3,"finished":[1,3],"missing":[2],"phase":"drawn"}`},
		{"one by one", nil, [][]int{{3}, {1}, {2}}, "", nil, []int{1, 2, 3}, true,
			`{"agencies":3,"finished":[],"missing":[1,2,3],"phase":"drawn"}`},
		{"all at once", nil, [][]int{{3, 1, 2}}, "", nil, []int{1, 2, 3}, true,
			`{"agencies":3,"finished":[],"missing":[1,2,3],"phase":"drawn"}`},
		{"all but one that has finished", []int{1}, [][]int{{1, 2, 3}}, "", nil, []int{2, 3}, true,
			`{"agencies":3,"finished":[1],"missing":[2,3],"phase":"drawn"}`},
		{"after the draw", []int{1, 2, 3}, [][]int{{1, 2, 3}}, "", nil, nil, true,
			`{"agencies":3,"finished":[1,2,3],"phase":"drawn"}`},
		{"an unknown one", []int{1}, [][]int{{4}}, lottery.UnknownAgency, []int{2, 3}, nil, false,
			`{"agencies":3,"finished":[1],"phase":"betting"}`},
		{"an unknown one behind known ones", []int{1}, [][]int{{2, 3, 0}}, lottery.UnknownAgency, []int{2, 3}, nil, false,
			`{"agencies":3,"finished":[1],"phase":"betting"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := openContest(t, t.TempDir(), 3)
			winners := make([][]string, 3)
			for i := range winners {
				c.MustStore(newBatch(t, samples(i+1, 0, 6)...))
				winners[i] = winnersOf(samples(i+1, 0, 6)...)
			}
			c.MustFinish(test.finished...)
			for k, agencies := range test.without {
				err := c.DrawWithout(agencies...)
				if test.code != "" && k == len(test.without)-1 {
					checkRefused(t, err, test.code)
				} else if err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				checkAwaited(t, c, test.awaited...)
				checkMissing(t, c, test.missing...)
				c.CheckDraw(test.drawn, winners...)
				c.checkState(t, test.state)
				for agency := 1; agency <= 3; agency++ {
					checkLate(t, c, agency, test.finished, test.missing, test.drawn)
				}
				c = c.reopen(t)
			}
			// Those that are still awaited can finish, and then it is drawn.
			for _, agency := range test.awaited {
				c.MustStore(at(6, newBatch(t, samples(agency, 6, 6)...)))
				winners[agency-1] = winnersOf(samples(agency, 0, 12)...)
			}
			c.MustFinish(test.awaited...)
			c.CheckDraw(true, winners...)
			checkMissing(t, c, test.missing...)
		})
	}
}

// checkLate checks the answers to an agency that goes on after its betting has
// ended.
func checkLate(t testing.TB, c *contest, agency int, finished, missing []int, drawn bool) {
	t.Helper()
	code := lottery.AgencyFinished
	if drawn {
		code = lottery.DrawDone
	}
	switch {
	case slices.Contains(missing, agency):
		for _, totalKnown := range []bool{false, true} {
			err := c.TryFinish(agency, 99, totalKnown)
			checkRefused(t, err, code)
			if !strings.Contains(err.Error(), "missing") {
				t.Errorf("the late agency %d is not told that it was missing: %v", agency, err)
			}
		}
	case slices.Contains(finished, agency):
		c.MustFinish(agency)
	default:
		return
	}
	c.CheckStoreRefused(newBatch(t, sample(agency, 6)), code)
}

// TestDrawWithoutRacesFinish ends the betting of agencies that finish at the
// same time: each has either finished or is missing, and is told which.
func TestDrawWithoutRacesFinish(t *testing.T) {
	const agencies = 6
	for range 20 {
		c := openContest(t, t.TempDir(), agencies)
		told := make([]error, agencies)
		var wg sync.WaitGroup
		for agency := 1; agency <= agencies; agency++ {
			wg.Go(func() { told[agency-1] = c.TryFinish(agency, 0, true) })
			wg.Go(func() {
				if err := c.DrawWithout(agency, agency%agencies+1); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if err := c.ledger.Checkpoint(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		missing := c.Missing()
		for i, err := range told {
			if slices.Contains(missing, i+1) != (err != nil) {
				t.Errorf("agency %d was told %v, missing are %v", i+1, err, missing)
			}
		}
		checkAwaited(t, c)
		c.CheckDraw(true, make([][]string, agencies)...)
		c = c.reopen(t)
		checkMissing(t, c, missing...)
		c.CheckDraw(true, make([][]string, agencies)...)
		c.Close()
	}
}

// TestLastSeen notes when an agency last asked for something.
func TestLastSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openContest(t, t.TempDir(), 2)
		asks := []struct {
			name string
			ask  func()
		}{
			{"a batch", func() { c.MustStore(newBatch(t, sample(1, 0))) }},
			{"a refused batch", func() { c.CheckStoreRefused(at(9, newBatch(t, sample(1, 0))), lottery.Gap) }},
			{"RESUME", func() { _, _, _ = c.TryResume(1) }},
			{"an incomplete FINISHED", func() { checkRefused(t, c.TryFinish(1, 9, true), lottery.Incomplete) }},
		}
		opened := time.Now()
		for _, a := range asks {
			time.Sleep(time.Minute) // of the bubble's clock
			a.ask()
			awaited := c.Awaited()
			if !awaited[0].LastSeen.Equal(time.Now()) || !awaited[1].LastSeen.Equal(opened) {
				t.Errorf("after %s the agencies were heard %v and %v ago", a.name, time.Since(awaited[0].LastSeen), time.Since(awaited[1].LastSeen))
			}
		}
	})
}
