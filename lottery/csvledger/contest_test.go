package csvledger

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

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
			c := openContest(t, folder, 2, WithReopen())
			c.checkState(t, test.after)
			c.CheckDraw(test.done, winners...)
			if test.done {
				c.CheckStoreRefused(newBatch(t, sample(1, 11)), lottery.DrawDone)
			}
			c.MustFinish(1, 2)
			c.CheckDraw(true, winners...)
			checkFile(t, filepath.Join(folder, LedgerFile), rowsOf(bets...))
		})
	}
}

func TestOpenRefuses(t *testing.T) {
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
			l, err := Open(folder, test.agencies)
			if err == nil {
				l.Close()
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

// TestOpenMakesFolder opens one where there is nothing, and one with a
// torn row.
func TestOpenMakesFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	c := openContest(t, folder, 1)
	c.MustStore(newBatch(t, samples(1, 0, 2)...))
	c.Close()
	path := filepath.Join(folder, LedgerFile)
	writeFile(t, path, readFile(t, path)+"1,María")
	l, err := Open(folder, 1)
	if err != nil {
		t.Fatal(err)
	}
	c = &contest{ledgertest.NewContest(t, l), l}
	if l.Torn() != int64(len("1,María")) || c.Bets(1) != 2 {
		t.Errorf("torn are %d bytes, stored are %d bets", l.Torn(), c.Bets(1))
	}
}

// TestStateCannotBeSaved makes the save of the state fail by a folder in its way.
// FINISHED must be said again, and works then.
func TestStateCannotBeSaved(t *testing.T) {
	c := openContest(t, t.TempDir(), 2)
	c.MustStore(newBatch(t, samples(1, 0, 6)...))
	c.MustStore(newBatch(t, samples(2, 0, 1)...))
	obstacle := c.ledger.state.path + ".new"
	for _, agency := range []int{2, 1} {
		if err := os.Mkdir(obstacle, 0o755); err != nil {
			t.Fatal(err)
		}
		if agency == 1 {
			c.MustFinish(2) // said again, it needs no save
		}
		before := readFile(t, c.ledger.state.path)
		for range 2 {
			if err := c.TryFinish(agency, 0, false); !errors.Is(err, lottery.ErrUnavailable) {
				t.Errorf("FINISHED gives %v, want %v", err, lottery.ErrUnavailable)
			}
			checkFile(t, c.ledger.state.path, before)
			c.CheckDraw(false)
		}
		c.CheckStoreRefused(newBatch(t, sample(agency, 6)), lottery.AgencyFinished)
		if err := os.Remove(obstacle); err != nil {
			t.Fatal(err)
		}
		c.MustFinish(agency)
	}
	winners := [][]string{winnersOf(samples(1, 0, 6)...), winnersOf(sample(2, 0))}
	c.CheckDraw(true, winners...)
	c.reopen(t).CheckDraw(true, winners...)
}

// TestStateThatCannotBeSavedIsForgotten crashes after a save that failed: an agency
// that was not told that it has finished has not.
func TestStateThatCannotBeSavedIsForgotten(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	if err := os.Mkdir(c.ledger.state.path+".new", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.TryFinish(1, 0, false); !errors.Is(err, lottery.ErrUnavailable) {
		t.Errorf("FINISHED gives %v, want %v", err, lottery.ErrUnavailable)
	}
	if err := os.Remove(c.ledger.state.path + ".new"); err != nil {
		t.Fatal(err)
	}
	c = c.crash(t)
	c.CheckDraw(false)
	c.MustStore(newBatch(t, sample(1, 0)))
	c.MustFinish(1)
	c.CheckDraw(true, winnersOf(sample(1, 0)))
}

// onProbe begins a contest whose ledger is on a probe.
func onProbe(t testing.TB, agencies int) (*contest, *probe) {
	t.Helper()
	p := newProbe(t)
	if err := p.File.Close(); err != nil {
		t.Fatal(err)
	}
	c := openContest(t, filepath.Dir(p.Name()), agencies, func(l *Ledger) {
		p.File = l.file.(diskFile).File
		l.file = p
	})
	return c, p
}

// TestNothingIsToldBeforeItIsDurable is pitfall 9: while a sync hangs, neither
// the batch nor its copy, nor RESUME, nor FINISHED is answered.
func TestNothingIsToldBeforeItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := onProbe(t, 2)
		c.MustFinish(2)
		hang := newGate(t)
		p.onSync = hang.pass

		batch := at(0, newBatch(t, samples(1, 0, 5)...))
		calls := map[string]*call{"the batch": start(func() error { return c.TryStore(batch) })}
		synctest.Wait()
		calls["the batch sent again"] = start(func() error { return c.TryStore(batch) })
		calls["RESUME"] = start(func() error { _, _, err := c.TryResume(1); return err })
		synctest.Wait() // no batch is taken after FINISHED
		calls["FINISHED"] = start(func() error { return c.TryFinish(1, 5, true) })
		for what, c := range calls {
			c.check(t, what, false, nil)
		}
		c.checkState(t, `{"agencies":2,"finished":[2],"phase":"betting"}`)
		c.CheckDraw(false)

		hang.open(nil)
		for what, c := range calls {
			c.check(t, what, true, nil)
		}
		c.CheckDraw(true, winnersOf(samples(1, 0, 5)...), nil)
		checkFile(t, p.Name(), rowsOf(samples(1, 0, 5)...))
	})
}

// TestStorageFails breaks the disk under a batch: everybody who depends on it
// is refused, and there is no draw.
func TestStorageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := onProbe(t, 1)
		c.MustStore(newBatch(t, samples(1, 0, 5)...))
		hang := newGate(t)
		p.onSync = hang.pass
		stored := start(func() error { return c.TryStore(newBatch(t, samples(1, 5, 5)...)) })
		synctest.Wait()
		calls := map[string]*call{
			"the batch": stored,
			"RESUME":    start(func() error { _, _, err := c.TryResume(1); return err }),
			"FINISHED":  start(func() error { return c.TryFinish(1, 10, true) }),
		}
		for what, c := range calls {
			c.check(t, what, false, nil)
		}
		hang.open(errors.New("the disk is broken"))
		for what, c := range calls {
			c.check(t, what, true, lottery.Storage)
			checkRefused(t, c.err, lottery.Storage)
		}
		checkRefused(t, c.TryFinish(1, 0, false), lottery.Storage)
		c.CheckDraw(false)
		c.checkState(t, `{"agencies":1,"finished":[],"phase":"betting"}`)
		<-c.Failed()
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
	c.CheckStoreRefused(newBatch(t, sample(1, 0)), lottery.Storage)
}
