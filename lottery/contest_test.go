package lottery_test

import (
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

// TestPositions has ten bets stored, sends a batch, and checks what is stored then:
// in the account, in the file, among the winners, and after a restart.
func TestPositions(t *testing.T) {
	const stored = 10
	none := uint64(1 << 40) // no position
	tests := []struct {
		name     string
		position uint64
		bets     []lottery.Bet
		want     []lottery.Bet // that are new
		code     lottery.Code
	}{
		{"appended", 10, samples(1, 10, 6), samples(1, 10, 6), ""},
		{"had already, all", 0, samples(1, 0, 10), nil, ""},
		{"had already, the first", 0, samples(1, 0, 1), nil, ""},
		{"had already, the middle", 3, samples(1, 3, 4), nil, ""},
		{"had already, the last", 9, samples(1, 9, 1), nil, ""},
		{"overlaps by one", 9, samples(1, 9, 7), samples(1, 10, 6), ""},
		{"overlaps, one is new", 5, samples(1, 5, 6), samples(1, 10, 1), ""},
		{"overlaps from the beginning", 0, samples(1, 0, 21), samples(1, 10, 11), ""},
		{"a hole of one", 11, samples(1, 11, 5), nil, lottery.Gap},
		{"a hole without end", 1<<64 - 1, samples(1, 0, 5), nil, lottery.Gap},
		{"no position", none, samples(1, 10, 6), samples(1, 10, 6), ""},
		{"no position, sent again", none, samples(1, 0, 10), samples(1, 0, 10), ""},
		{"empty", 10, nil, nil, lottery.EmptyBatch},
		{"empty, no position", none, nil, nil, lottery.EmptyBatch},
		{"another agency begins", 0, samples(2, 0, 5), samples(2, 0, 5), ""},
		{"another agency with a hole", 10, samples(2, 10, 5), nil, lottery.Gap},
		{"unknown agency", 0, samples(4, 0, 5), nil, lottery.UnknownAgency},
		{"unknown agency, no position", none, samples(999, 0, 5), nil, lottery.UnknownAgency},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := openContest(t, t.TempDir(), 3)
			c.MustStore(newBatch(t, samples(1, 0, 4)...))
			c.MustStore(at(4, newBatch(t, samples(1, 4, 6)...)))

			b := newBatch(t, test.bets...)
			if test.position != none {
				b.SetPosition(test.position)
			}
			if test.code != "" {
				c.CheckStoreRefused(b, test.code)
			} else {
				c.MustStore(b)
			}
			all := append(samples(1, 0, stored), test.want...)
			c.checkRows(t, all...)

			var winners [3][]string
			var counts [3]uint64
			for _, bet := range all {
				winners[bet.Agency-1] = append(winners[bet.Agency-1], winnersOf(bet)...)
				counts[bet.Agency-1]++
			}
			checkCounts := func() {
				t.Helper()
				for i, want := range counts {
					if got := c.Bets(i + 1); got != want {
						t.Errorf("agency %d has %d bets, want %d", i+1, got, want)
					}
				}
			}
			checkCounts()
			c.MustFinish(1, 2, 3)
			c.CheckDraw(true, winners[:]...)
			c = c.reopen(t)
			checkCounts()
			c.CheckDraw(true, winners[:]...)
		})
	}
}

func TestUnknownAgency(t *testing.T) {
	c := openContest(t, t.TempDir(), 3)
	for _, agency := range []int{0, -1, 4, 1 << 40} {
		_, _, err := c.TryResume(agency)
		checkRefused(t, err, lottery.UnknownAgency)
		_, _, err = c.Winners(agency)
		checkRefused(t, err, lottery.UnknownAgency)
		checkRefused(t, c.TryFinish(agency, 0, false), lottery.UnknownAgency)
		checkRefused(t, c.TryFinish(agency, 0, true), lottery.UnknownAgency)
		if n := c.Bets(agency); n != 0 {
			t.Errorf("agency %d has %d bets", agency, n)
		}
	}
	c.MustFinish(1, 2)
	c.CheckDraw(false)
}

// TestDraw goes through a whole contest. Said twice, FINISHED counts once
// (pitfall 7), also when the second time is after a restart.
func TestDraw(t *testing.T) {
	c := openContest(t, t.TempDir(), 3)
	for agency := 1; agency <= 2; agency++ {
		c.MustStore(newBatch(t, samples(agency, 0, 12)...))
	}
	c.CheckPhase(lottery.Betting)
	c.checkState(t, `{"agencies":3,"finished":[],"phase":"betting"}`)

	c.MustFinish(2, 2, 2)
	c.checkState(t, `{"agencies":3,"finished":[2],"phase":"betting"}`)
	c.CheckDraw(false)
	c.CheckStoreRefused(newBatch(t, sample(2, 12)), lottery.AgencyFinished)
	c.MustStore(newBatch(t, samples(1, 12, 8)...)) // the others go on

	c = c.reopen(t)
	c.MustFinish(2, 2, 3)
	c.CheckDraw(false)
	c.CheckStoreRefused(newBatch(t, sample(2, 12)), lottery.AgencyFinished)
	c.CheckStoreRefused(at(12, newBatch(t, sample(2, 12))), lottery.AgencyFinished)
	c.CheckStoreRefused(newBatch(t, sample(3, 0)), lottery.AgencyFinished)

	c = c.reopen(t)
	c.MustStore(newBatch(t, samples(1, 20, 1)...))
	c.MustFinish(1)
	winners := [][]string{winnersOf(samples(1, 0, 21)...), winnersOf(samples(2, 0, 12)...), nil} // agency 3 has no bets
	if len(winners[0]) != 5 || len(winners[1]) != 3 {
		t.Fatal("the samples have other winners than this test expects")
	}
	for range 3 { // it stays so, and FINISHED may be said again
		c.CheckDraw(true, winners...)
		c.CheckPhase(lottery.Drawn)
		c.checkState(t, `{"agencies":3,"finished":[1,2,3],"phase":"drawn"}`)
		for agency := 1; agency <= 3; agency++ {
			c.CheckStoreRefused(newBatch(t, sample(agency, 0)), lottery.DrawDone)
		}
		c.MustFinish(1, 2, 3)
		c = c.reopen(t)
	}
}

// TestIncomplete is pitfall 8: an agency that says how many bets it has sent
// cannot finish with half of them.
func TestIncomplete(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	checkRefused(t, c.TryFinish(1, 1, true), lottery.Incomplete)
	c.MustStore(newBatch(t, samples(1, 0, 10)...))
	for _, total := range []uint64{0, 9, 11, 1<<64 - 1} {
		checkRefused(t, c.TryFinish(1, total, true), lottery.Incomplete)
	}
	c.CheckDraw(false)
	c.MustStore(at(10, newBatch(t, sample(1, 10)))) // it is not closed
	if err := c.TryFinish(1, 11, true); err != nil {
		t.Fatal(err)
	}
	c.CheckDraw(true, winnersOf(samples(1, 0, 11)...))
	for range 2 { // said again, it is answered as before
		if err := c.TryFinish(1, 11, true); err != nil {
			t.Error(err)
		}
	}
	checkRefused(t, c.TryFinish(1, 3, true), lottery.Incomplete) // which is not the same
}

func TestFinishWithoutBets(t *testing.T) {
	c := openContest(t, t.TempDir(), 2)
	if err := c.TryFinish(1, 0, true); err != nil {
		t.Fatal(err)
	}
	c.MustFinish(2)
	c.CheckDraw(true, nil, nil)
	c.checkRows(t)
}

// TestResume compares the digest with one of the rows in the file, with other
// agencies' between them, and after a restart.
func TestResume(t *testing.T) {
	c := openContest(t, t.TempDir(), 3)
	check := func() {
		t.Helper()
		rows := map[int]string{}
		counts := map[int]uint64{}
		for _, bet := range c.stored(t) {
			rows[bet.Agency] += rowsOf(bet)
			counts[bet.Agency]++
		}
		for agency := 1; agency <= 3; agency++ {
			count, digest, err := c.TryResume(agency)
			if want := xxhash.Sum64String(rows[agency]); err != nil || count != counts[agency] || digest != want {
				t.Errorf("agency %d: %d bets, digest %x, %v; want %d and %x", agency, count, digest, err, counts[agency], want)
			}
		}
	}
	check()
	// https://github.com/Cyan4973/xxHash: XXH64 of no bytes, seed 0.
	if _, digest, _ := c.TryResume(3); digest != 0xef46db3751d8e999 {
		t.Errorf("without bets the digest is %x", digest)
	}
	for i := range 4 {
		for agency := 1; agency <= 2; agency++ {
			c.MustStore(newBatch(t, samples(agency, 7*i, 7)...))
			c.MustStore(at(uint64(7*i), newBatch(t, samples(agency, 7*i, 7)...))) // changes nothing
			check()
		}
		c = c.reopen(t)
		check()
	}
}

// TestConcurrentAgencies has two connections of each agency send all of its
// batches, with positions, and finish. Each bet is stored once and in order,
// and there is one draw.
func TestConcurrentAgencies(t *testing.T) {
	const agencies, connections, batches, size = 5, 2, 30, 9
	c := openContest(t, t.TempDir(), agencies)
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for agency := 1; agency <= agencies; agency++ {
		for range connections {
			wg.Go(func() {
				<-begin
				for i := range batches {
					c.MustStore(at(uint64(i*size), newBatch(t, samples(agency, i*size, size)...)))
				}
			})
		}
	}
	close(begin)
	wg.Wait()

	next := map[int]int{}
	for _, bet := range c.stored(t) {
		if want := sample(bet.Agency, next[bet.Agency]); bet != want {
			t.Fatalf("stored is %+v, where %+v comes next", bet, want)
		}
		next[bet.Agency]++
	}
	var winners [][]string
	for agency := 1; agency <= agencies; agency++ {
		if next[agency] != batches*size {
			t.Errorf("agency %d has %d bets in the ledger, want %d", agency, next[agency], batches*size)
		}
		winners = append(winners, winnersOf(samples(agency, 0, batches*size)...))
	}

	begin = make(chan struct{})
	for agency := 1; agency <= agencies; agency++ {
		for range connections {
			wg.Go(func() {
				<-begin
				if err := c.TryFinish(agency, batches*size, true); err != nil {
					t.Error(err)
				}
			})
		}
	}
	close(begin)
	wg.Wait()
	c.CheckDraw(true, winners...)
	c.reopen(t).CheckDraw(true, winners...)
}

// TestConcurrentFinishes lets many agencies finish at once, over and over: the
// draw follows the last of them, and is made once (a second one would close
// Drawn again, and panic).
func TestConcurrentFinishes(t *testing.T) {
	const agencies = 8
	for range 20 {
		c := openContest(t, t.TempDir(), agencies)
		var wg sync.WaitGroup
		for agency := 1; agency <= agencies; agency++ {
			wg.Go(func() {
				if err := c.TryFinish(agency, 0, true); err != nil {
					t.Error(err)
				}
				var state struct{ Finished []int }
				err := json.Unmarshal([]byte(c.read(t, csvledger.StateFile)), &state)
				if err != nil || !slices.Contains(state.Finished, agency) {
					t.Errorf("agency %d was answered, the state on disk is %+v, %v", agency, state, err)
				}
			})
		}
		wg.Wait()
		c.CheckDraw(true, make([][]string, agencies)...)
		c.Close()
	}
}

// TestStoreRacesFinish sends batches while the agency finishes: what was
// acknowledged is drawn, and nothing else.
func TestStoreRacesFinish(t *testing.T) {
	for range 20 {
		c := openContest(t, t.TempDir(), 1)
		var wg sync.WaitGroup
		stored := 0
		wg.Go(func() {
			for {
				err := c.TryStore(newBatch(t, samples(1, stored, 5)...))
				if errors.Is(err, lottery.AgencyFinished) || errors.Is(err, lottery.DrawDone) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				stored += 5
			}
		})
		wg.Go(func() {
			if err := c.TryFinish(1, 0, false); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		c.CheckDraw(true, winnersOf(samples(1, 0, stored)...))
		c.checkRows(t, samples(1, 0, stored)...)
		c.Close()
	}
}
