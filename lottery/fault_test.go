package lottery

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

var errBroken = errors.New("the disk is broken")

// faultyFile is a ledger's real file of which one call fails.
type faultyFile struct {
	*os.File
	fault fault
	calls int // of the kind that fails
}

// fault is how a call of the ledger's writer fails.
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

// onFailing opens the contest in the folder with a ledger that fails.
func onFailing(t *testing.T, folder string, agencies int, fault fault, at int) *Contest {
	t.Helper()
	c := openContest(t, folder, agencies)
	size := c.ledger.Durable()
	if err := c.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := lockLedger(c.ledger.path)
	if err != nil {
		t.Fatal(err)
	}
	c.ledger = newLedger(f.Name(), &failingAt{faultyFile{File: f, fault: fault}, at}, size, nil)
	return c
}

// sendAll has every agency of the script store its bets at once, in small
// batches, until the first refusal. It returns how many bets of each were
// acknowledged, and the refusals.
func (s *script) sendAll(t *testing.T, c *Contest) (stored []int, refusals []error) {
	stored, refusals = make([]int, len(s.bets)), make([]error, len(s.bets))
	var wg sync.WaitGroup
	for i, bets := range s.bets {
		wg.Go(func() {
			for n := int(c.Bets(i + 1)); n < len(bets); n = stored[i] {
				end := min(n+3, len(bets))
				receipt, err := c.Store(at(uint64(n), newBatch(t, bets[n:end]...)))
				if err == nil {
					err = c.Await(receipt)
				}
				if err != nil {
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
func checkBroken(t *testing.T, c *Contest, cause error) {
	t.Helper()
	<-c.Ledger().Failed()
	if err := c.Ledger().Err(); !errors.Is(err, cause) {
		t.Errorf("the ledger's failure is %v, want %v", err, cause)
	}
	for agency := 1; agency <= len(c.books); agency++ {
		b := newBatch(t, sample(agency, 999))
		if _, err := c.Store(b); !errors.Is(err, Storage) && !errors.Is(err, AgencyFinished) {
			t.Errorf("a batch gives %v", err)
		}
		checkRefused(t, c.Finish(agency, 0, false), Storage)
	}
	if err := c.Close(); !errors.Is(err, cause) {
		t.Errorf("Close gives %v, want %v", err, cause)
	}
}

// TestLedgerFaults lets each call of the ledger's writer fail in turn, in
// every way, while agencies store. All that was acknowledged is there after a
// restart, which goes on to the full set.
func TestLedgerFaults(t *testing.T) {
	s := newScript(1, 3, 12)
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			const most = 100 // calls
			for at := 1; ; at++ {
				folder := memoryFolder(t)
				c := onFailing(t, folder, len(s.bets), fault, at)
				stored, refusals := s.sendAll(t, c)
				if c.Ledger().Err() == nil {
					if at == 1 || at == most {
						t.Errorf("call %d has not failed", at)
					}
					return // there are no more calls
				}
				refused := 0
				for i, err := range refusals {
					if err != nil {
						checkRefused(t, err, Storage)
						checkRefused(t, c.Finish(i+1, 0, false), Storage)
						checkRefused(t, c.DrawWithout(i+1), Storage)
						refused++
					}
				}
				if refused == 0 {
					t.Errorf("call %d: nobody was refused", at)
				}
				checkDraw(t, c, false)
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
	c, torn, err := OpenContest(folder, len(s.bets))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if whole && torn != 0 {
		t.Errorf("%d bytes of a row were left", torn)
	}
	for i, n := range stored {
		count, digest, err := c.Resume(i + 1)
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

// TestStateFaults lets each call of the saves fail that a FINISHED makes and
// the draw after it. The agency is refused; what is on disk is the old state
// or the new one; FINISHED works when it is said again, to the same contest or
// to the next.
func TestStateFaults(t *testing.T) {
	bets := samples(1, 0, 11)
	begin := func(t *testing.T, at int) (*Contest, *faultyDisk, error) {
		c := openContest(t, t.TempDir(), 2)
		mustStore(t, c, newBatch(t, bets...))
		mustFinish(t, c, 2)
		d := &faultyDisk{at: at}
		c.disk = d
		return c, d, c.Finish(1, 11, true)
	}
	c, d, err := begin(t, 0)
	if err != nil || d.calls != 12 {
		t.Fatalf("FINISHED and draw make %d calls, expected are 12; %v", d.calls, err)
	}
	checkDraw(t, c, true, winnersOf(bets...), nil)

	for at := 1; at <= 12; at++ {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("call=%d restart=%t", at, restart), func(t *testing.T) {
				c, d, err := begin(t, at)
				checkRefused(t, err, Storage)
				checkDraw(t, c, false)
				if at > 6 {
					checkPhase(t, c, Drawing)
				}
				saved, err := loadState(c.statePath)
				if err != nil || saved.Phase == Drawn && d.last != folderSync {
					t.Errorf("after a failed %s the state on disk is %+v, %v", d.last, saved, err)
				}
				checkStoreRefused(t, c, newBatch(t, sample(1, 11)), AgencyFinished)
				if restart {
					c = reopen(t, c)
				}
				if err := c.Finish(1, 11, true); err != nil {
					t.Fatal(err)
				}
				checkDraw(t, c, true, winnersOf(bets...), nil)
				checkDraw(t, reopen(t, c), true, winnersOf(bets...), nil)
			})
		}
	}
}

// TestOpenContestWithoutState cannot save the state of a new contest.
func TestOpenContestWithoutState(t *testing.T) {
	folder := t.TempDir()
	for at := 1; at <= 6; at++ {
		d := &faultyDisk{at: at}
		c, _, err := OpenContest(folder, 2, func(c *Contest) { c.disk = d })
		if err == nil {
			c.Close()
			t.Errorf("it was opened after a failed %s", d.last)
		}
		if n := openDescriptors(t, filepath.Join(folder, LedgerFile)); n != 0 {
			t.Errorf("%d descriptors are left", n)
		}
	}
	mustFinish(t, openContest(t, folder, 2), 1, 2)
}
