package lottery

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cespare/xxhash/v2"
)

// openContest opens the contest for the time of the test.
func openContest(t testing.TB, folder string, agencies int) *Contest {
	t.Helper()
	c, torn, err := OpenContest(folder, agencies)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if torn != 0 {
		t.Fatalf("the ledger had a torn row of %d bytes", torn)
	}
	return c
}

// reopen closes the contest and opens it as the next process would.
func reopen(t testing.TB, c *Contest) *Contest {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return openContest(t, filepath.Dir(c.statePath), len(c.books))
}

func at(position uint64, b *Batch) *Batch {
	b.SetPosition(position)
	return b
}

// mustStore stores a batch and waits until it is durable.
func mustStore(t testing.TB, c *Contest, b *Batch) {
	t.Helper()
	receipt, err := c.Store(b)
	if err == nil {
		err = c.Await(receipt)
	}
	if err != nil {
		t.Error(err)
	}
}

func mustFinish(t testing.TB, c *Contest, agencies ...int) {
	t.Helper()
	for _, agency := range agencies {
		if err := c.Finish(agency, 0, false); err != nil {
			t.Fatalf("agency %d: %v", agency, err)
		}
	}
}

func checkStoreRefused(t testing.TB, c *Contest, b *Batch, code Code) {
	t.Helper()
	before := c.Bets(b.Agency())
	_, err := c.Store(b)
	checkRefused(t, err, code)
	if after := c.Bets(b.Agency()); after != before {
		t.Errorf("of a batch that was refused %d bets are stored", after-before)
	}
}

func checkRefused(t testing.TB, err error, code Code) {
	t.Helper()
	var refusal *Refusal
	if !errors.As(err, &refusal) || !errors.Is(err, code) {
		t.Errorf("the error is %v, want %s", err, code)
	}
}

// checkDraw checks whether the draw is done, and every agency's winners then.
func checkDraw(t testing.TB, c *Contest, done bool, winners ...[]string) {
	t.Helper()
	select {
	case <-c.Drawn():
		if !done {
			t.Error("Drawn is closed")
		}
	default:
		if done {
			t.Error("Drawn is not closed")
		}
	}
	for i := range c.books {
		var want []string
		if done {
			want = winners[i]
		}
		documents, drawn, err := c.Winners(i + 1)
		if drawn != done || err != nil || !slices.Equal(documents, want) {
			t.Errorf("agency %d: winners %q, %t, %v; want %q, %t", i+1, documents, drawn, err, want, done)
		}
	}
}

func checkPhase(t testing.TB, c *Contest, want Phase) {
	t.Helper()
	if got := c.Phase(); got != want {
		t.Errorf("the phase is %s, want %s", got, want)
	}
}

func checkState(t testing.TB, c *Contest, want string) {
	t.Helper()
	bytes := fmt.Sprintf(`,"ledger_bytes":%d}`, c.ledger.Durable())
	got := strings.TrimSpace(readFile(t, c.statePath))
	if strings.Replace(got, bytes, "}", 1) != want {
		t.Errorf("the state on disk is %s, want %s with %s", got, want, bytes)
	}
}

// TestPositions has ten bets stored, sends a batch, and looks what is stored
// then: in the book, in the file, among the winners, and after a restart.
func TestPositions(t *testing.T) {
	const stored = 10
	none := uint64(1 << 40) // no position
	tests := []struct {
		name     string
		position uint64
		bets     []Bet
		want     []Bet // that are new
		code     Code
	}{
		{"appended", 10, samples(1, 10, 6), samples(1, 10, 6), ""},
		{"had already, all", 0, samples(1, 0, 10), nil, ""},
		{"had already, the first", 0, samples(1, 0, 1), nil, ""},
		{"had already, the middle", 3, samples(1, 3, 4), nil, ""},
		{"had already, the last", 9, samples(1, 9, 1), nil, ""},
		{"overlaps by one", 9, samples(1, 9, 7), samples(1, 10, 6), ""},
		{"overlaps, one is new", 5, samples(1, 5, 6), samples(1, 10, 1), ""},
		{"overlaps from the beginning", 0, samples(1, 0, 21), samples(1, 10, 11), ""},
		{"a hole of one", 11, samples(1, 11, 5), nil, Gap},
		{"a hole without end", 1<<64 - 1, samples(1, 0, 5), nil, Gap},
		{"no position", none, samples(1, 10, 6), samples(1, 10, 6), ""},
		{"no position, sent again", none, samples(1, 0, 10), samples(1, 0, 10), ""},
		{"empty", 10, nil, nil, EmptyBatch},
		{"empty, no position", none, nil, nil, EmptyBatch},
		{"another agency begins", 0, samples(2, 0, 5), samples(2, 0, 5), ""},
		{"another agency with a hole", 10, samples(2, 10, 5), nil, Gap},
		{"unknown agency", 0, samples(4, 0, 5), nil, UnknownAgency},
		{"unknown agency, no position", none, samples(999, 0, 5), nil, UnknownAgency},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			c := openContest(t, folder, 3)
			mustStore(t, c, newBatch(t, samples(1, 0, 4)...))
			mustStore(t, c, at(4, newBatch(t, samples(1, 4, 6)...)))

			b := newBatch(t, test.bets...)
			if test.position != none {
				b.SetPosition(test.position)
			}
			if test.code != "" {
				checkStoreRefused(t, c, b, test.code)
			} else {
				mustStore(t, c, b)
			}
			all := append(samples(1, 0, stored), test.want...)
			checkFile(t, filepath.Join(folder, LedgerFile), rowsOf(all...))

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
			mustFinish(t, c, 1, 2, 3)
			checkDraw(t, c, true, winners[:]...)
			c = reopen(t, c)
			checkCounts()
			checkDraw(t, c, true, winners[:]...)
		})
	}
}

func TestUnknownAgency(t *testing.T) {
	c := openContest(t, t.TempDir(), 3)
	for _, agency := range []int{0, -1, 4, 1 << 40} {
		_, _, err := c.Resume(agency)
		checkRefused(t, err, UnknownAgency)
		_, _, err = c.Winners(agency)
		checkRefused(t, err, UnknownAgency)
		checkRefused(t, c.Finish(agency, 0, false), UnknownAgency)
		checkRefused(t, c.Finish(agency, 0, true), UnknownAgency)
		if n := c.Bets(agency); n != 0 {
			t.Errorf("agency %d has %d bets", agency, n)
		}
	}
	mustFinish(t, c, 1, 2)
	checkDraw(t, c, false)
}

// TestDraw goes through a whole contest. Said twice, FINISHED counts once
// (pitfall 7), also when the second time is after a restart.
func TestDraw(t *testing.T) {
	c := openContest(t, t.TempDir(), 3)
	for agency := 1; agency <= 2; agency++ {
		mustStore(t, c, newBatch(t, samples(agency, 0, 12)...))
	}
	checkPhase(t, c, Betting)
	checkState(t, c, `{"agencies":3,"finished":[],"phase":"betting"}`)

	mustFinish(t, c, 2, 2, 2)
	checkState(t, c, `{"agencies":3,"finished":[2],"phase":"betting"}`)
	checkDraw(t, c, false)
	checkStoreRefused(t, c, newBatch(t, sample(2, 12)), AgencyFinished)
	mustStore(t, c, newBatch(t, samples(1, 12, 8)...)) // the others go on

	c = reopen(t, c)
	mustFinish(t, c, 2, 2, 3)
	checkDraw(t, c, false)
	checkStoreRefused(t, c, newBatch(t, sample(2, 12)), AgencyFinished)
	checkStoreRefused(t, c, at(0, newBatch(t, sample(2, 0))), AgencyFinished)
	checkStoreRefused(t, c, newBatch(t, sample(3, 0)), AgencyFinished)

	c = reopen(t, c)
	mustStore(t, c, newBatch(t, samples(1, 20, 1)...))
	mustFinish(t, c, 1)
	winners := [][]string{winnersOf(samples(1, 0, 21)...), winnersOf(samples(2, 0, 12)...), nil} // agency 3 has no bets
	if len(winners[0]) != 5 || len(winners[1]) != 3 {
		t.Fatal("the samples have other winners than this test expects")
	}
	for range 3 { // it stays so, and FINISHED may be said again
		checkDraw(t, c, true, winners...)
		checkPhase(t, c, Drawn)
		checkState(t, c, `{"agencies":3,"finished":[1,2,3],"phase":"drawn"}`)
		for agency := 1; agency <= 3; agency++ {
			checkStoreRefused(t, c, newBatch(t, sample(agency, 0)), DrawDone)
		}
		mustFinish(t, c, 1, 2, 3)
		c = reopen(t, c)
	}
}

// TestIncomplete is pitfall 8: an agency that says how many bets it has sent
// cannot finish with half of them.
func TestIncomplete(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	checkRefused(t, c.Finish(1, 1, true), Incomplete)
	mustStore(t, c, newBatch(t, samples(1, 0, 10)...))
	for _, total := range []uint64{0, 9, 11, 1<<64 - 1} {
		checkRefused(t, c.Finish(1, total, true), Incomplete)
	}
	checkDraw(t, c, false)
	mustStore(t, c, at(10, newBatch(t, sample(1, 10)))) // it is not closed
	if err := c.Finish(1, 11, true); err != nil {
		t.Fatal(err)
	}
	checkDraw(t, c, true, winnersOf(samples(1, 0, 11)...))
	if err := c.Finish(1, 3, true); err != nil { // said again, it is answered as before
		t.Error(err)
	}
}

func TestFinishWithoutBets(t *testing.T) {
	c := openContest(t, t.TempDir(), 2)
	if err := c.Finish(1, 0, true); err != nil {
		t.Fatal(err)
	}
	mustFinish(t, c, 2)
	checkDraw(t, c, true, nil, nil)
	if n := len(readFile(t, filepath.Join(filepath.Dir(c.statePath), LedgerFile))); n != 0 {
		t.Errorf("the ledger has %d bytes", n)
	}
}

// TestRestart opens contests as a crash may have left them, also between
// "drawing" on disk and "drawn".
func TestRestart(t *testing.T) {
	bets := slices.Concat(samples(1, 0, 11), samples(2, 0, 6))
	winners := [][]string{winnersOf(samples(1, 0, 11)...), winnersOf(samples(2, 0, 6)...)}
	tests := []struct {
		name  string
		state string // or none
		done  bool
		after string
	}{
		{"no state", "", false, `{"agencies":2,"finished":[],"phase":"betting"}`},
		{"betting", `{"agencies":2,"finished":[],"phase":"betting"}`, false, `{"agencies":2,"finished":[],"phase":"betting"}`},
		{"one has finished", `{"agencies":2,"finished":[2],"phase":"betting"}`, false, `{"agencies":2,"finished":[2],"phase":"betting"}`},
		{"drawing", `{"agencies":2,"finished":[1,2],"phase":"drawing"}`, true, `{"agencies":2,"finished":[1,2],"phase":"drawn"}`},
		{"drawn", `{"agencies":2,"finished":[1,2],"phase":"drawn"}`, true, `{"agencies":2,"finished":[1,2],"phase":"drawn"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			writeFile(t, filepath.Join(folder, LedgerFile), rowsOf(bets...))
			if test.state != "" {
				writeFile(t, filepath.Join(folder, StateFile), test.state+"\n")
			}
			c := openContest(t, folder, 2)
			checkState(t, c, test.after)
			checkDraw(t, c, test.done, winners...)
			if test.done {
				checkStoreRefused(t, c, newBatch(t, sample(1, 11)), DrawDone)
			}
			mustFinish(t, c, 1, 2)
			checkDraw(t, c, true, winners...)
			checkFile(t, filepath.Join(folder, LedgerFile), rowsOf(bets...))
		})
	}
}

func TestOpenContestRefuses(t *testing.T) {
	const begun = `{"agencies":5,"finished":[1],"phase":"betting"}`
	damaged := rowsOf(sample(1, 0)) + "x\r\n"
	tests := []struct {
		name     string
		agencies int
		state    string
		rows     string
		says     []string
	}{
		{"more agencies", 6, begun, "", []string{StateFile, "5", "6"}},
		{"fewer agencies", 4, begun, "", []string{StateFile, "5", "4"}},
		{"no agencies", 0, "", "", []string{"0 agencies"}},
		{"fewer than none", -1, "", "", []string{"-1 agencies"}},
		{"bets of others", 5, "", rowsOf(sample(6, 0)), []string{"agency 6"}},
		{"damaged ledger", 5, begun, damaged, []string{LedgerFile, "line 2"}},
		{"no JSON", 5, "betting", "", []string{StateFile}},
		{"half of it", 5, begun[:len(begun)/2], "", []string{StateFile}},
		{"more than it", 5, begun + begun, "", []string{StateFile}},
		{"nothing", 5, "\n", "", []string{StateFile}},
		{"null", 5, "null", "", []string{StateFile}},
		{"another thing", 5, `{"agencies":"five"}`, "", []string{StateFile}},
		{"agency 0 finished", 5, `{"agencies":5,"finished":[0],"phase":"betting"}`, "", []string{StateFile, "agency is 0"}},
		{"agency 6 finished", 5, `{"agencies":5,"finished":[6],"phase":"betting"}`, "", []string{StateFile, "agency is 6"}},
		{"no phase", 5, `{"agencies":5,"finished":[]}`, "", []string{StateFile, "phase"}},
		{"unknown phase", 5, `{"agencies":5,"finished":[],"phase":"holiday"}`, "", []string{StateFile, "holiday"}},
		{"drawn, one is missing", 5, `{"agencies":5,"finished":[1,2,3,4],"phase":"drawn"}`, "", []string{StateFile, "drawn"}},
		{"drawing, all are missing", 5, `{"agencies":5,"finished":[],"phase":"drawing"}`, "", []string{StateFile, "drawing"}},
		{"betting, none is missing", 5, `{"agencies":5,"finished":[1,2,3,4,5],"phase":"betting"}`, "", []string{StateFile, "betting"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			ledger, state := filepath.Join(folder, LedgerFile), filepath.Join(folder, StateFile)
			writeFile(t, ledger, test.rows)
			if test.state != "" {
				writeFile(t, state, test.state)
			}
			c, _, err := OpenContest(folder, test.agencies)
			if err == nil {
				c.Close()
				t.Fatal("it was opened")
			}
			for _, word := range test.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("the error does not speak of %q: %v", word, err)
				}
			}
			checkFile(t, ledger, test.rows) // nothing has changed
			if test.state != "" {
				checkFile(t, state, test.state)
			}
			if n := openDescriptors(t, ledger); n != 0 {
				t.Errorf("%d descriptors are left", n)
			}
		})
	}
}

// TestOpenContestMakesFolder opens one where there is nothing, and one with a
// torn row.
func TestOpenContestMakesFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	c := openContest(t, folder, 1)
	mustStore(t, c, newBatch(t, samples(1, 0, 2)...))
	c.Close()
	path := filepath.Join(folder, LedgerFile)
	writeFile(t, path, readFile(t, path)+"1,María")
	c, torn, err := OpenContest(folder, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if torn != int64(len("1,María")) || c.Bets(1) != 2 {
		t.Errorf("torn are %d bytes, stored are %d bets", torn, c.Bets(1))
	}
}

// TestStateCannotBeSaved lets the state's save fail by a folder in its way.
// FINISHED is refused, and works when it is said again.
func TestStateCannotBeSaved(t *testing.T) {
	c := openContest(t, t.TempDir(), 2)
	mustStore(t, c, newBatch(t, samples(1, 0, 6)...))
	mustStore(t, c, newBatch(t, samples(2, 0, 1)...))
	obstacle := c.statePath + ".new"
	for _, agency := range []int{2, 1} {
		if err := os.Mkdir(obstacle, 0o755); err != nil {
			t.Fatal(err)
		}
		if agency == 1 {
			mustFinish(t, c, 2) // said again, it needs no save
		}
		before := readFile(t, c.statePath)
		for range 2 {
			checkRefused(t, c.Finish(agency, 0, false), Storage)
			checkFile(t, c.statePath, before)
			checkDraw(t, c, false)
		}
		checkStoreRefused(t, c, newBatch(t, sample(agency, 6)), AgencyFinished)
		if err := os.Remove(obstacle); err != nil {
			t.Fatal(err)
		}
		mustFinish(t, c, agency)
	}
	winners := [][]string{winnersOf(samples(1, 0, 6)...), winnersOf(sample(2, 0))}
	checkDraw(t, c, true, winners...)
	checkDraw(t, reopen(t, c), true, winners...)
}

// TestStateThatCannotBeSavedIsForgotten restarts after a save that failed: who
// was not told that it has finished has not.
func TestStateThatCannotBeSavedIsForgotten(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	obstacle := c.statePath + ".new"
	if err := os.Mkdir(obstacle, 0o755); err != nil {
		t.Fatal(err)
	}
	checkRefused(t, c.Finish(1, 0, false), Storage)
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	c = reopen(t, c)
	checkDraw(t, c, false)
	mustStore(t, c, newBatch(t, sample(1, 0)))
	mustFinish(t, c, 1)
	checkDraw(t, c, true, winnersOf(sample(1, 0)))
}

// onProbe begins a contest whose ledger is on a probe.
func onProbe(t testing.TB, agencies int) (*Contest, *probe) {
	t.Helper()
	c := openContest(t, t.TempDir(), agencies)
	if err := c.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	p := newProbe(t)
	c.ledger = p.ledger(t)
	return c, p
}

// TestNothingIsToldBeforeItIsDurable is pitfall 9: while a sync hangs, neither
// the batch nor its copy, nor RESUME, nor FINISHED is answered.
func TestNothingIsToldBeforeItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := onProbe(t, 2)
		mustFinish(t, c, 2)
		hang := newGate(t)
		p.onSync = hang.pass

		batch := at(0, newBatch(t, samples(1, 0, 5)...))
		storeAndWait := func() error {
			receipt, err := c.Store(batch)
			if err != nil {
				return err
			}
			return c.Await(receipt)
		}
		calls := map[string]*call{"the batch": start(storeAndWait)}
		synctest.Wait()
		calls["the batch sent again"] = start(storeAndWait)
		calls["RESUME"] = start(func() error { _, _, err := c.Resume(1); return err })
		synctest.Wait() // no batch is taken after FINISHED
		calls["FINISHED"] = start(func() error { return c.Finish(1, 5, true) })
		for what, c := range calls {
			c.check(t, what, false, nil)
		}
		checkState(t, c, `{"agencies":2,"finished":[2],"phase":"betting"}`)
		checkDraw(t, c, false)

		hang.open(nil)
		for what, c := range calls {
			c.check(t, what, true, nil)
		}
		checkDraw(t, c, true, winnersOf(samples(1, 0, 5)...), nil)
		checkFile(t, p.Name(), rowsOf(samples(1, 0, 5)...))
	})
}

// TestStorageFails breaks the disk under a batch: everybody who depends on it
// is refused, and there is no draw.
func TestStorageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := onProbe(t, 1)
		mustStore(t, c, newBatch(t, samples(1, 0, 5)...))
		hang := newGate(t)
		p.onSync = hang.pass
		receipt, err := c.Store(newBatch(t, samples(1, 5, 5)...))
		if err != nil {
			t.Fatal(err)
		}
		calls := map[string]*call{
			"the batch": start(func() error { return c.Await(receipt) }),
			"RESUME":    start(func() error { _, _, err := c.Resume(1); return err }),
			"FINISHED":  start(func() error { return c.Finish(1, 10, true) }),
		}
		for what, c := range calls {
			c.check(t, what, false, nil)
		}
		hang.open(errors.New("the disk is broken"))
		for what, c := range calls {
			c.check(t, what, true, Storage)
			checkRefused(t, c.err, Storage)
		}
		checkRefused(t, c.Finish(1, 0, false), Storage)
		checkDraw(t, c, false)
		checkState(t, c, `{"agencies":1,"finished":[],"phase":"betting"}`)
		<-c.Ledger().Failed()
		if err := c.Close(); err == nil {
			t.Error("Close says nothing of the failure")
		}
		checkFile(t, p.Name(), rowsOf(samples(1, 0, 5)...))
	})
}

func TestStoreOnBrokenLedger(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	checkStoreRefused(t, c, newBatch(t, sample(1, 0)), Storage)
}

// TestResume compares the digest with one of the rows in the file, with other
// agencies' between them, and after a restart.
func TestResume(t *testing.T) {
	c := openContest(t, t.TempDir(), 3)
	check := func() {
		t.Helper()
		rows := map[int]string{}
		counts := map[int]uint64{}
		for bet, err := range c.Ledger().LoadBets() {
			if err != nil {
				t.Fatal(err)
			}
			rows[bet.Agency] += rowsOf(bet)
			counts[bet.Agency]++
		}
		for agency := 1; agency <= 3; agency++ {
			count, digest, err := c.Resume(agency)
			if want := xxhash.Sum64String(rows[agency]); err != nil || count != counts[agency] || digest != want {
				t.Errorf("agency %d: %d bets, digest %x, %v; want %d and %x", agency, count, digest, err, counts[agency], want)
			}
		}
	}
	check()
	// https://github.com/Cyan4973/xxHash: XXH64 of no bytes, seed 0.
	if _, digest, _ := c.Resume(3); digest != 0xef46db3751d8e999 {
		t.Errorf("without bets the digest is %x", digest)
	}
	for i := range 4 {
		for agency := 1; agency <= 2; agency++ {
			mustStore(t, c, newBatch(t, samples(agency, 7*i, 7)...))
			mustStore(t, c, at(uint64(7*i), newBatch(t, samples(agency, 7*i, 7)...))) // changes nothing
			check()
		}
		c = reopen(t, c)
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
				var b Batch
				for i := range batches {
					fillBatch(t, &b, slipsOf(samples(agency, i*size, size)))
					b.SetPosition(uint64(i * size))
					mustStore(t, c, &b)
				}
			})
		}
	}
	close(begin)
	wg.Wait()

	next := map[int]int{}
	for bet, err := range c.Ledger().LoadBets() {
		if err != nil {
			t.Fatal(err)
		}
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
				if err := c.Finish(agency, batches*size, true); err != nil {
					t.Error(err)
				}
			})
		}
	}
	close(begin)
	wg.Wait()
	checkDraw(t, c, true, winners...)
	checkDraw(t, reopen(t, c), true, winners...)
}

// TestConcurrentFinishes lets many agencies finish at once, over and over: the
// draw is there when the last of them is answered, and is made once (a second
// one would close Drawn again, and panic).
func TestConcurrentFinishes(t *testing.T) {
	const agencies = 8
	for range 20 {
		c := openContest(t, t.TempDir(), agencies)
		var wg sync.WaitGroup
		for agency := 1; agency <= agencies; agency++ {
			wg.Go(func() {
				if err := c.Finish(agency, 0, true); err != nil {
					t.Error(err)
				}
				s, err := loadState(c.statePath)
				if err != nil || !slices.Contains(s.Finished, agency) {
					t.Errorf("agency %d was answered, the state on disk is %+v, %v", agency, s, err)
				}
			})
		}
		wg.Wait()
		checkDraw(t, c, true, make([][]string, agencies)...)
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
				receipt, err := c.Store(newBatch(t, samples(1, stored, 5)...))
				if errors.Is(err, AgencyFinished) || errors.Is(err, DrawDone) {
					return
				}
				if err == nil {
					err = c.Await(receipt)
				}
				if err != nil {
					t.Error(err)
					return
				}
				stored += 5
			}
		})
		wg.Go(func() {
			if err := c.Finish(1, 0, false); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		checkDraw(t, c, true, winnersOf(samples(1, 0, stored)...))
		checkBets(t, c.Ledger(), samples(1, 0, stored))
		c.Close()
	}
}
