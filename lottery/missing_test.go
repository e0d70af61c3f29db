package lottery

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func checkMissing(t testing.TB, c *Contest, want ...int) {
	t.Helper()
	if got := c.Missing(); !slices.Equal(got, want) {
		t.Errorf("missing are %v, want %v", got, want)
	}
}

func checkAwaited(t testing.TB, c *Contest, want ...int) {
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
		code     Code // of the last DrawWithout
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
		{"an unknown one", []int{1}, [][]int{{4}}, UnknownAgency, []int{2, 3}, nil, false,
			`{"agencies":3,"finished":[1],"phase":"betting"}`},
		{"an unknown one behind known ones", []int{1}, [][]int{{2, 3, 0}}, UnknownAgency, []int{2, 3}, nil, false,
			`{"agencies":3,"finished":[1],"phase":"betting"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := openContest(t, t.TempDir(), 3)
			winners := make([][]string, 3)
			for i := range winners {
				mustStore(t, c, newBatch(t, samples(i+1, 0, 6)...))
				winners[i] = winnersOf(samples(i+1, 0, 6)...)
			}
			mustFinish(t, c, test.finished...)
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
				checkDraw(t, c, test.drawn, winners...)
				checkState(t, c, test.state)
				for agency := 1; agency <= 3; agency++ {
					checkLate(t, c, agency, test.finished, test.missing, test.drawn)
				}
				c = reopen(t, c)
			}
			// Those that are still awaited can finish, and then it is drawn.
			for _, agency := range test.awaited {
				mustStore(t, c, at(6, newBatch(t, samples(agency, 6, 6)...)))
				winners[agency-1] = winnersOf(samples(agency, 0, 12)...)
			}
			mustFinish(t, c, test.awaited...)
			checkDraw(t, c, true, winners...)
			checkMissing(t, c, test.missing...)
		})
	}
}

// checkLate checks what an agency is answered that goes on after its betting
// has ended.
func checkLate(t testing.TB, c *Contest, agency int, finished, missing []int, drawn bool) {
	t.Helper()
	code := AgencyFinished
	if drawn {
		code = DrawDone
	}
	switch {
	case slices.Contains(missing, agency):
		for _, totalKnown := range []bool{false, true} {
			err := c.Finish(agency, 99, totalKnown)
			checkRefused(t, err, code)
			if !strings.Contains(err.Error(), "missing") {
				t.Errorf("the late agency %d is not told that it was missing: %v", agency, err)
			}
		}
	case slices.Contains(finished, agency):
		mustFinish(t, c, agency)
	default:
		return
	}
	checkStoreRefused(t, c, newBatch(t, sample(agency, 6)), code)
}

// TestDrawWithoutAwaitsBets ends the betting of an agency whose bets are on
// their way to the disk: the draw sees them, and is not made before.
func TestDrawWithoutAwaitsBets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := onProbe(t, 2)
		mustFinish(t, c, 2)
		hang := newGate(t)
		p.onSync = hang.pass
		receipt, err := c.Store(newBatch(t, samples(1, 0, 6)...))
		if err != nil {
			t.Fatal(err)
		}
		ending := start(func() error { return c.DrawWithout(1) })
		ending.check(t, "DrawWithout", false, nil)
		checkStoreRefused(t, c, newBatch(t, sample(1, 6)), AgencyFinished)
		checkDraw(t, c, false)
		hang.open(nil)
		ending.check(t, "DrawWithout", true, nil)
		if err := c.Await(receipt); err != nil {
			t.Error(err)
		}
		checkDraw(t, c, true, winnersOf(samples(1, 0, 6)...), nil)
	})
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
			wg.Go(func() { told[agency-1] = c.Finish(agency, 0, true) })
			wg.Go(func() {
				if err := c.DrawWithout(agency, agency%agencies+1); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if err := c.Checkpoint(); err != nil {
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
		checkDraw(t, c, true, make([][]string, agencies)...)
		c = reopen(t, c)
		checkMissing(t, c, missing...)
		checkDraw(t, c, true, make([][]string, agencies)...)
		c.Close()
	}
}

// TestAwaitedHeard notes when an agency last asked for something.
func TestAwaitedHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openContest(t, t.TempDir(), 2)
		asks := []struct {
			name string
			ask  func()
		}{
			{"a batch", func() { mustStore(t, c, newBatch(t, sample(1, 0))) }},
			{"a refused batch", func() { checkStoreRefused(t, c, at(9, newBatch(t, sample(1, 0))), Gap) }},
			{"RESUME", func() { _, _, _ = c.Resume(1) }},
			{"an incomplete FINISHED", func() { checkRefused(t, c.Finish(1, 9, true), Incomplete) }},
		}
		opened := time.Now()
		for _, a := range asks {
			time.Sleep(time.Minute) // of the bubble's clock
			a.ask()
			awaited := c.Awaited()
			if !awaited[0].Heard.Equal(time.Now()) || !awaited[1].Heard.Equal(opened) {
				t.Errorf("after %s the agencies were heard %v and %v ago", a.name, time.Since(awaited[0].Heard), time.Since(awaited[1].Heard))
			}
		}
	})
}

// ledgerBytes returns how much of the ledger the state on disk says was there.
func ledgerBytes(t testing.TB, c *Contest) int64 {
	t.Helper()
	s, err := loadState(c.statePath)
	if err != nil {
		t.Fatal(err)
	}
	return s.LedgerBytes
}

// TestCheckpoint notes how much is on disk, and what was noted is never cut.
func TestCheckpoint(t *testing.T) {
	folder := t.TempDir()
	c := openContest(t, folder, 1)
	rows := len(rowsOf(samples(1, 0, 5)...))
	mustStore(t, c, newBatch(t, samples(1, 0, 5)...))
	if n := ledgerBytes(t, c); n != 0 {
		t.Errorf("before a checkpoint %d bytes are noted", n)
	}
	d := &faultyDisk{}
	c.disk = d
	for range 3 { // the second has nothing to do
		if err := c.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		if n := ledgerBytes(t, c); n != int64(rows) || d.calls != 6 {
			t.Errorf("%d bytes are noted with %d calls, want %d with 6", n, d.calls, rows)
		}
	}
	mustStore(t, c, newBatch(t, samples(1, 5, 5)...))
	if err := c.Close(); err != nil { // notes it too
		t.Fatal(err)
	}
	all := rowsOf(samples(1, 0, 10)...)
	if n := ledgerBytes(t, c); n != int64(len(all)) {
		t.Errorf("after Close %d bytes are noted, want %d", n, len(all))
	}
	path := filepath.Join(folder, LedgerFile)
	writeFile(t, path, all[:len(all)-1])
	_, _, err := OpenContest(folder, 1)
	checkDamage(t, err, path, 10, int64(len(rowsOf(samples(1, 0, 9)...))))
}

// TestCheckpointMakesTheDraw lets a checkpoint save what a FINISHED could not:
// the draw is made then, and not left for nobody.
func TestCheckpointMakesTheDraw(t *testing.T) {
	for call := 1; call <= 12; call++ {
		t.Run(fmt.Sprintf("call=%d", call), func(t *testing.T) {
			c := openContest(t, t.TempDir(), 1)
			mustStore(t, c, newBatch(t, samples(1, 0, 6)...))
			c.disk = &faultyDisk{at: call}
			checkRefused(t, c.Finish(1, 6, true), Storage)
			c.savedBytes = 0 // so that there is something to note
			if err := c.Checkpoint(); err != nil {
				t.Fatal(err)
			}
			mustFinish(t, c, 1)
			checkDraw(t, c, true, winnersOf(samples(1, 0, 6)...))
		})
	}
	t.Run("between the last FINISHED and its save", func(t *testing.T) {
		c := openContest(t, t.TempDir(), 1)
		mustStore(t, c, newBatch(t, samples(1, 0, 6)...))
		c.mu.Lock()
		c.draw.end(1, finished) // as FINISHED does
		c.version++
		c.mu.Unlock()
		if err := c.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		mustFinish(t, c, 1)
		checkDraw(t, c, true, winnersOf(samples(1, 0, 6)...))
	})
}

// TestWithoutSync never syncs, and claims nothing to be on disk: a row that is
// torn later is no damage.
func TestWithoutSync(t *testing.T) {
	folder := t.TempDir()
	c, _, err := OpenContest(folder, 2, WithoutSync())
	if err != nil {
		t.Fatal(err)
	}
	mustStore(t, c, newBatch(t, samples(1, 0, 6)...))
	mustFinish(t, c, 2)
	if err := c.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if state := readFile(t, c.statePath); strings.Contains(state, "ledger_bytes") {
		t.Errorf("the state is %s", state)
	}
	path := filepath.Join(folder, LedgerFile)
	rows := rowsOf(samples(1, 0, 6)...)
	checkFile(t, path, rows)
	writeFile(t, path, rows[:len(rows)-1])
	c, torn, err := OpenContest(folder, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if torn == 0 || c.Bets(1) != 5 {
		t.Errorf("torn are %d bytes, stored are %d bets", torn, c.Bets(1))
	}
	mustStore(t, c, at(5, newBatch(t, sample(1, 5))))
	mustFinish(t, c, 1, 2)
	checkDraw(t, c, true, winnersOf(samples(1, 0, 6)...), nil)
}

// TestLockBeforeState opens a contest that is in use: its state is not read
// before the lock is held, as the other may be about to change it.
func TestLockBeforeState(t *testing.T) {
	folder := t.TempDir()
	c := openContest(t, folder, 1)
	writeFile(t, c.statePath, "half of a sta")
	_, _, err := OpenContest(folder, 1)
	if err == nil || !strings.Contains(err.Error(), "lock") {
		t.Errorf("the error is %v, want one about the lock", err)
	}
}

// unlockedDisk fails the test when the state is saved without the lock.
type unlockedDisk struct {
	realDisk
	t      *testing.T
	ledger string
	saves  int
}

func (d *unlockedDisk) rename(from, to string) error {
	d.saves++
	if f, err := lockLedger(d.ledger); err == nil {
		f.Close()
		d.t.Error("the state is saved while another central can open the contest")
	}
	return d.realDisk.rename(from, to)
}

// TestCloseSavesUnderLock closes a contest with something to note.
func TestCloseSavesUnderLock(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	d := &unlockedDisk{t: t, ledger: c.ledger.path}
	c.disk = d
	mustStore(t, c, newBatch(t, sample(1, 0)))
	if err := c.Close(); err != nil || d.saves != 1 {
		t.Errorf("Close gives %v, with %d saves", err, d.saves)
	}
}
