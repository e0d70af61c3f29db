package csvledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// TestDrawWithoutAwaitsBets ends the betting of an agency whose bets are on
// their way to the disk: the draw sees them, and is not made before.
func TestDrawWithoutAwaitsBets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := onProbe(t, 2)
		c.MustFinish(2)
		hang := newGate(t)
		p.onSync = hang.pass
		stored := start(func() error { return c.TryStore(newBatch(t, samples(1, 0, 6)...)) })
		synctest.Wait()
		ending := start(func() error { return c.DrawWithout(1) })
		ending.check(t, "DrawWithout", false, nil)
		c.CheckStoreRefused(newBatch(t, sample(1, 6)), lottery.AgencyFinished)
		c.CheckDraw(false)
		hang.open(nil)
		ending.check(t, "DrawWithout", true, nil)
		stored.check(t, "the batch", true, nil)
		c.CheckDraw(true, winnersOf(samples(1, 0, 6)...), nil)
	})
}

// ledgerBytes returns how much of the ledger the state on disk says was there.
func ledgerBytes(t testing.TB, c *contest) int64 {
	t.Helper()
	s, err := loadState(c.ledger.state.path)
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
	c.MustStore(newBatch(t, samples(1, 0, 5)...))
	if n := ledgerBytes(t, c); n != 0 {
		t.Errorf("before a checkpoint %d bytes are noted", n)
	}
	d := &faultyDisk{}
	c.ledger.state.disk = d
	for range 3 { // the second has nothing to do
		if err := c.ledger.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		if n := ledgerBytes(t, c); n != int64(rows) || d.calls != 6 {
			t.Errorf("%d bytes are noted with %d calls, want %d with 6", n, d.calls, rows)
		}
	}
	c.MustStore(newBatch(t, samples(1, 5, 5)...))
	if err := c.Close(); err != nil { // notes it too
		t.Fatal(err)
	}
	all := rowsOf(samples(1, 0, 10)...)
	if n := ledgerBytes(t, c); n != int64(len(all)) {
		t.Errorf("after Close %d bytes are noted, want %d", n, len(all))
	}
	path := filepath.Join(folder, LedgerFile)
	writeFile(t, path, all[:len(all)-1])
	_, err := Open(folder, 1)
	checkDamage(t, err, path, 10, int64(len(rowsOf(samples(1, 0, 9)...))))
}

// TestCheckpointMakesTheDraw lets a checkpoint save what a FINISHED could not: then
// the draw is made.
func TestCheckpointMakesTheDraw(t *testing.T) {
	for call := 1; call <= 12; call++ {
		t.Run(fmt.Sprintf("call=%d", call), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := openContest(t, t.TempDir(), 1)
				c.MustStore(newBatch(t, samples(1, 0, 6)...))
				c.ledger.state.disk = &faultyDisk{at: call}
				if err := c.TryFinish(1, 6, true); (err != nil) != (call <= 6) {
					t.Errorf("FINISHED gives %v", err)
				}
				synctest.Wait()
				c.CheckDraw(false)
				if err := c.ledger.Checkpoint(); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				saved, err := loadState(c.ledger.state.path)
				if err != nil || saved.Phase != lottery.Drawn {
					t.Errorf("after a checkpoint the state on disk is %+v, %v", saved, err)
				}
				c.CheckDraw(true, winnersOf(samples(1, 0, 6)...))
				c.MustFinish(1)
			})
		})
	}
}

// TestWithoutSync never syncs, and records nothing as on disk: a row that is torn
// later is no damage.
func TestWithoutSync(t *testing.T) {
	folder := t.TempDir()
	c := openContest(t, folder, 2, WithoutSync())
	c.MustStore(newBatch(t, samples(1, 0, 6)...))
	c.MustFinish(2)
	if err := c.ledger.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if state := readFile(t, c.ledger.state.path); strings.Contains(state, "ledger_bytes") {
		t.Errorf("the state is %s", state)
	}
	path := filepath.Join(folder, LedgerFile)
	rows := rowsOf(samples(1, 0, 6)...)
	checkFile(t, path, rows)
	writeFile(t, path, rows[:len(rows)-1])
	l, err := Open(folder, 2)
	if err != nil {
		t.Fatal(err)
	}
	c = &contest{ledgertest.NewContest(t, l), l}
	if l.Torn() == 0 || c.Bets(1) != 5 {
		t.Errorf("torn are %d bytes, stored are %d bets", l.Torn(), c.Bets(1))
	}
	c.MustStore(at(5, newBatch(t, sample(1, 5))))
	c.MustFinish(1, 2)
	c.CheckDraw(true, winnersOf(samples(1, 0, 6)...), nil)
}

// TestLockBeforeState opens a contest that is in use: its state is not read
// before the lock is held, as the other may be about to change it.
func TestLockBeforeState(t *testing.T) {
	folder := t.TempDir()
	c := openContest(t, folder, 1)
	writeFile(t, c.ledger.state.path, "half of a sta")
	_, err := Open(folder, 1)
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
	f, err := os.Open(d.ledger)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	if lock(f, false) == nil {
		d.t.Error("the state is saved while another central can open the contest")
	}
	return d.realDisk.rename(from, to)
}

// TestCloseSavesUnderLock closes a contest with something to note.
func TestCloseSavesUnderLock(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	d := &unlockedDisk{t: t, ledger: c.ledger.path}
	c.ledger.state.disk = d
	c.MustStore(newBatch(t, sample(1, 0)))
	if err := c.Close(); err != nil || d.saves != 1 {
		t.Errorf("Close gives %v, with %d saves", err, d.saves)
	}
}
