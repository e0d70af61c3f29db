package csvledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"loteria/lottery"
)

var errBroken = errors.New("the disk is broken")

// faultyFile is a ledger's real file, one call of which fails.
type faultyFile struct {
	diskFile
	fault fault
	calls int // of the kind that fails
}

// fault is how a call of the ledger's leader fails.
type fault struct {
	name  string
	call  deedKind                          // ledgerWrite or ledgerSync
	write func(f *os.File, rows []byte) int // returns how much of it was written, for a failing write
	stuck bool                              // truncate fails too
}

var faults = []fault{
	{"write", ledgerWrite, func(*os.File, []byte) int { return 0 }, false},
	{"short write", ledgerWrite, writeHalf, false},
	{"short write of whole rows", ledgerWrite, writeRow, false},
	{"write of all but a byte", ledgerWrite, func(f *os.File, rows []byte) int { n, _ := f.Write(rows[:len(rows)-1]); return n }, false},
	{"fsync", ledgerSync, nil, false},
	{"short write, stuck", ledgerWrite, writeHalf, true},
	{"fsync, stuck", ledgerSync, nil, true},
}

func writeHalf(f *os.File, rows []byte) int {
	n, _ := f.Write(rows[:len(rows)/2])
	return n
}

func writeRow(f *os.File, rows []byte) int {
	row, _ := cutRow(rows)
	n, _ := f.Write(row)
	return n
}

func (f *faultyFile) fails(call deedKind, at int) bool {
	if f.fault.call != call {
		return false
	}
	f.calls++
	return f.calls == at
}

// failingAt is a faultyFile whose at-th call fails, counted from 1.
type failingAt struct {
	faultyFile
	at int
}

func (f *failingAt) Write(rows []byte) (int, error) {
	if f.fails(ledgerWrite, f.at) {
		return f.fault.write(f.File, rows), errBroken
	}
	return f.File.Write(rows)
}

func (f *failingAt) Sync() error {
	if f.fails(ledgerSync, f.at) {
		return errBroken
	}
	return f.File.Sync()
}

func (f *failingAt) Truncate(size int64) error {
	if f.fault.stuck {
		return errBroken
	}
	return f.File.Truncate(size)
}

// withFault makes the at-th call of the ledger's leader fail.
func withFault(fault fault, at int) Option {
	return func(l *Ledger) {
		l.file = &failingAt{faultyFile{diskFile: l.file.(diskFile), fault: fault}, at}
	}
}

// sendAll has every agency of the script store its bets at once, in small
// batches, until the first refusal. It returns how many bets of each were
// acknowledged, and the refusals.
func (s *script) sendAll(t *testing.T, c *contest) (stored []int, refusals []error) {
	stored, refusals = make([]int, len(s.bets)), make([]error, len(s.bets))
	var wg sync.WaitGroup
	for i, bets := range s.bets {
		wg.Go(func() {
			for n := int(c.Bets(i + 1)); n < len(bets); n = stored[i] {
				end := min(n+3, len(bets))
				if err := c.TryStore(at(uint64(n), newBatch(t, bets[n:end]...))); err != nil {
					refusals[i] = err
					return
				}
				stored[i] = end
			}
		})
	}
	wg.Wait()
	return stored, refusals
}

// checkBroken checks that a contest whose ledger has failed takes nothing, and
// says why.
func checkBroken(t *testing.T, c *contest, cause error) {
	t.Helper()
	<-c.Failed()
	if err := c.Err(); !errors.Is(err, cause) {
		t.Errorf("the ledger's failure is %v, want %v", err, cause)
	}
	for agency := 1; agency <= c.Agencies(); agency++ {
		b := newBatch(t, sample(agency, 999))
		if err := c.TryStore(b); !errors.Is(err, lottery.Storage) && !errors.Is(err, lottery.AgencyFinished) {
			t.Errorf("a batch gives %v", err)
		}
		checkRefused(t, c.TryFinish(agency, 0, false), lottery.Storage)
	}
	if err := c.Close(); !errors.Is(err, cause) {
		t.Errorf("Close gives %v, want %v", err, cause)
	}
}

// TestLedgerFaults lets each call of the ledger's leader fail in turn, in
// every way, while agencies store. All that was acknowledged is there after a
// restart, which goes on to the full set.
func TestLedgerFaults(t *testing.T) {
	s := newScript(1, 3, 12)
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			const most = 100 // calls
			for at := 1; ; at++ {
				folder := memoryFolder(t)
				c := openContest(t, folder, len(s.bets), withFault(fault, at))
				stored, refusals := s.sendAll(t, c)
				if c.Err() == nil {
					if at == 1 || at == most {
						t.Errorf("call %d has not failed", at)
					}
					return // there are no more calls
				}
				refused := 0
				for i, err := range refusals {
					if err != nil {
						checkRefused(t, err, lottery.Storage)
						checkRefused(t, c.TryFinish(i+1, 0, false), lottery.Storage)
						checkRefused(t, c.DrawWithout(i+1), lottery.Storage)
						refused++
					}
				}
				if refused == 0 {
					t.Errorf("call %d: nobody was refused", at)
				}
				c.CheckDraw(false)
				checkBroken(t, c, errBroken)
				s.checkSurvives(t, folder, stored, !fault.stuck)
			}
		})
	}
}

// checkSurvives opens the contest anew, checks that the bets that were
// acknowledged are there, and goes on to the end. Unless there may be a torn
// row, there is none.
func (s *script) checkSurvives(t *testing.T, folder string, stored []int, whole bool) {
	t.Helper()
	c, err := openQuietly(folder, len(s.bets))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if torn := c.ledger.Torn(); whole && torn != 0 {
		t.Errorf("%d bytes of a row were left", torn)
	}
	for i, n := range stored {
		count, digest, err := c.TryResume(i + 1)
		if err != nil || count < uint64(n) || digest != s.digests[i][count] {
			t.Fatalf("agency %d: %d bets are stored, digest %x, %v; acknowledged were %d", i+1, count, digest, err, n)
		}
	}
	if err := s.finish(c); err != nil {
		t.Fatal(err)
	}
}

// faultyDisk is the real disk; one call of a save of the state fails.
type faultyDisk struct {
	realDisk
	at, calls int // the call that fails, counted from 1
	last      deedKind
}

func (d *faultyDisk) fails(call deedKind) bool {
	d.calls++
	if d.calls == d.at {
		d.last = call
	}
	return d.calls == d.at
}

func (d *faultyDisk) create(path string) (newFile, error) {
	if d.fails(stateCreate) {
		return nil, errBroken
	}
	f, err := d.realDisk.create(path)
	return &faultyState{f, d}, err
}

func (d *faultyDisk) rename(from, to string) error {
	if d.fails(stateRename) {
		return errBroken
	}
	return d.realDisk.rename(from, to)
}

func (d *faultyDisk) renameNew(from, to string) error {
	if d.fails(stateRename) {
		return errBroken
	}
	return d.realDisk.renameNew(from, to)
}

func (d *faultyDisk) syncFolder(path string) error {
	if d.fails(folderSync) {
		return errBroken
	}
	return d.realDisk.syncFolder(path)
}

type faultyState struct {
	newFile
	disk *faultyDisk
}

func (f *faultyState) Write(content []byte) (int, error) {
	if f.disk.fails(stateWrite) {
		n, _ := f.newFile.Write(content[:len(content)/2])
		return n, io.ErrShortWrite
	}
	return f.newFile.Write(content)
}

func (f *faultyState) Sync() error {
	if f.disk.fails(stateSync) {
		return errBroken
	}
	return f.newFile.Sync()
}

func (f *faultyState) Close() error {
	err := f.newFile.Close()
	if f.disk.fails("close of the state") {
		return errBroken
	}
	return err
}

// TestStateFaults makes each call fail of the saves for a FINISHED and for the draw
// after it. What is on disk is the old state or the new one. The agency is told to
// ask again, or has finished; FINISHED works when it is said again, to the same
// contest or to the next.
func TestStateFaults(t *testing.T) {
	const calls = 6 // of a save
	bets := samples(1, 0, 11)
	begin := func(t *testing.T, at int) (*contest, *faultyDisk, error) {
		c := openContest(t, t.TempDir(), 2)
		c.MustStore(newBatch(t, bets...))
		c.MustFinish(2)
		d := &faultyDisk{at: at}
		c.ledger.state.disk = d
		return c, d, c.TryFinish(1, 11, true)
	}
	c, d, err := begin(t, 0)
	c.CheckDraw(true, winnersOf(bets...), nil)
	if err != nil || d.calls != 2*calls {
		t.Fatalf("FINISHED and draw make %d calls, expected are %d; %v", d.calls, 2*calls, err)
	}

	next := map[string]func(*contest, testing.TB) *contest{
		"the same": func(c *contest, _ testing.TB) *contest { return c },
		"restart":  (*contest).reopen,
		"crash":    (*contest).crash,
	}
	for at := 1; at <= 2*calls; at++ {
		for name, next := range next {
			t.Run(fmt.Sprintf("call=%d/%s", at, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { // for the tries again
					c, d, err := begin(t, at)
					if at <= calls {
						if !errors.Is(err, lottery.ErrUnavailable) || !strings.Contains(err.Error(), c.ledger.state.path) && !strings.Contains(err.Error(), "state") {
							t.Errorf("the error is %v", err)
						}
						c.CheckPhase(lottery.Betting)
					} else {
						if err != nil {
							t.Error(err)
						}
						synctest.Wait()
						c.CheckPhase(lottery.Drawing)
					}
					c.CheckDraw(false)
					saved, err := loadState(c.ledger.state.path)
					if err != nil || saved.Phase == lottery.Drawn && d.last != folderSync {
						t.Errorf("after a failed %s the state on disk is %+v, %v", d.last, saved, err)
					}
					c.CheckStoreRefused(newBatch(t, sample(1, 11)), lottery.AgencyFinished)
					c = next(c, t)
					if err := c.TryFinish(1, 11, true); err != nil {
						t.Fatal(err)
					}
					c.CheckDraw(true, winnersOf(bets...), nil)
					c.crash(t).CheckDraw(true, winnersOf(bets...), nil)
				})
			})
		}
	}
}

// TestSavesAreTriedAgain lets a save fail, and asks nobody to say FINISHED
// again: the ledger tries again by itself until it is done.
func TestSavesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var warnings []error
		c := openContest(t, t.TempDir(), 1, WithWarnings(func(err error) { warnings = append(warnings, err) }))
		c.MustStore(newBatch(t, samples(1, 0, 6)...))
		d := new(brokenDisk)
		c.ledger.state.disk = d
		d.broken.Store(true)
		if err := c.TryFinish(1, 6, true); !errors.Is(err, lottery.ErrUnavailable) || !errors.Is(err, errBroken) {
			t.Errorf("the error is %v", err)
		}
		time.Sleep(10*saveRetry + saveRetry/2) // of the bubble's clock
		synctest.Wait()
		c.CheckDraw(false)
		if len(warnings) != 11 || !errors.Is(warnings[10], errBroken) {
			t.Errorf("there were %d warnings, %v", len(warnings), warnings)
		}
		d.broken.Store(false)
		time.Sleep(saveRetry)
		synctest.Wait()
		c.checkState(t, `{"agencies":1,"finished":[1],"phase":"drawn"}`)
		c.CheckDraw(true, winnersOf(samples(1, 0, 6)...))
	})
}

// TestDrawThatCannotBeSaved lets the second save of the last FINISHED fail: nobody
// is told winners that a restart would not know. The ledger says so and tries
// again until it is done.
func TestDrawThatCannotBeSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []error
		c := openContest(t, t.TempDir(), 1, WithWarnings(func(err error) { said = append(said, err) }))
		c.MustStore(newBatch(t, samples(1, 0, 6)...))
		d := new(brokenDisk)
		d.saves.Store(1)
		c.ledger.state.disk = d
		if err := c.TryFinish(1, 6, true); err != nil { // the end of the betting is saved
			t.Error(err)
		}
		synctest.Wait()
		if err := c.ledger.Unsaved(); !errors.Is(err, errBroken) {
			t.Errorf("unsaved is %v, want %v", err, errBroken)
		}
		time.Sleep(time.Hour + saveRetry/2) // of the bubble's clock
		synctest.Wait()
		c.CheckPhase(lottery.Drawing)
		c.CheckDraw(false)
		if most := int(time.Hour/saveRetry)*2 + 2; len(said) < 3600 || len(said) > most || !errors.Is(said[len(said)-1], errBroken) {
			t.Errorf("%d warnings came in an hour, at most %d should", len(said), most)
		}
		c.checkState(t, `{"agencies":1,"finished":[1],"phase":"drawing"}`)
		d.broken.Store(false)
		time.Sleep(saveRetry)
		synctest.Wait()
		c.checkState(t, `{"agencies":1,"finished":[1],"phase":"drawn"}`)
		c.CheckDraw(true, winnersOf(samples(1, 0, 6)...))
		if err := c.ledger.Unsaved(); err != nil || said[len(said)-1] != nil {
			t.Errorf("unsaved is %v, the last warning %v", err, said[len(said)-1])
		}
	})
}

// brokenDisk is the real disk while it is not broken.
type brokenDisk struct {
	realDisk
	broken atomic.Bool
	saves  atomic.Int32 // it breaks after that many, unless 0
}

func (d *brokenDisk) create(path string) (newFile, error) {
	if d.broken.Load() {
		return nil, errBroken
	}
	if d.saves.Load() > 0 && d.saves.Add(-1) == 0 {
		d.broken.Store(true) // for the next one
	}
	return d.realDisk.create(path)
}

// TestCloseBroken closes a contest whose state cannot be saved. Close says so,
// nothing tries again later, and the next central can open it.
func TestCloseBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		c := openContest(t, folder, 1)
		d := new(brokenDisk)
		c.ledger.state.disk = d
		d.broken.Store(true)
		if err := c.TryFinish(1, 0, true); !errors.Is(err, lottery.ErrUnavailable) {
			t.Errorf("the error is %v", err)
		}
		if err := c.Close(); !errors.Is(err, errBroken) {
			t.Errorf("Close gives %v, want %v", err, errBroken)
		}
		d.broken.Store(false)
		before := readFile(t, c.ledger.state.path)
		time.Sleep(time.Minute) // of the bubble's clock
		checkFile(t, c.ledger.state.path, before)
		openContest(t, folder, 1).CheckDraw(false)
	})
}

// TestOpenWithoutState opens a new contest whose state cannot be saved.
func TestOpenWithoutState(t *testing.T) {
	folder := t.TempDir()
	const calls = 1 + 6 // the sync of the folder, and a save
	for at := 1; at <= calls; at++ {
		d := &faultyDisk{at: at}
		l, err := Open(folder, 2, func(l *Ledger) { l.state.disk = d })
		if err == nil {
			l.Close()
			t.Errorf("it was opened after a failed %s", d.last)
		}
		if n := openDescriptors(t, filepath.Join(folder, LedgerFile)); n != 0 {
			t.Errorf("%d descriptors are left", n)
		}
		if at < calls { // the last is the sync of the folder
			checkNoFile(t, filepath.Join(folder, StateFile))
		} else if err := os.Remove(filepath.Join(folder, StateFile)); err != nil {
			t.Error(err)
		}
	}
	openContest(t, folder, 2).MustFinish(1, 2)
}

func checkNoFile(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("%s is there, %v", path, err)
	}
}
