package csvledger

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"loteria/lottery"
)

// probe is a ledger's file that notes what is done to it, and that can be told
// to hang or fail.
type probe struct {
	*os.File
	onWrite func(rows []byte) (int, error) // in place of Write, unless nil
	onSync  func() error                   // in place of Sync, unless nil
	onCut   func(size int64) error         // in place of Truncate, unless nil

	mu     sync.Mutex
	writes []string
	calls  []string
}

func newProbe(t testing.TB) *probe {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), LedgerFile), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	return &probe{File: f}
}

// ledger begins a ledger on the probe.
func (p *probe) ledger(t testing.TB) *Ledger {
	l := newLedger(p.Name(), p, 0, make([]place, manyAgencies))
	l.state.path = filepath.Join(filepath.Dir(p.Name()), StateFile)
	l.state.endings = make([]lottery.Ending, manyAgencies)
	t.Cleanup(func() { l.Close() })
	return l
}

func (p *probe) note(call string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, call)
}

func (p *probe) Write(rows []byte) (int, error) {
	p.note("write")
	p.mu.Lock()
	p.writes = append(p.writes, string(rows))
	p.mu.Unlock()
	if p.onWrite != nil {
		return p.onWrite(rows)
	}
	return p.File.Write(rows)
}

func (p *probe) Sync() (err error) {
	if p.onSync != nil {
		err = p.onSync()
	}
	p.note("sync") // it has returned
	return err
}

func (p *probe) Truncate(size int64) error {
	p.note("truncate")
	if p.onCut != nil {
		return p.onCut(size)
	}
	return p.File.Truncate(size)
}

func (p *probe) Verify(int64) error { return nil } // what is written need not be in the file

func (p *probe) Close() error {
	p.note("close")
	return p.File.Close()
}

func (p *probe) checkCalls(t testing.TB, want ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.calls, want) {
		t.Errorf("the file saw %v, want %v", p.calls, want)
	}
}

func (p *probe) checkWrites(t testing.TB, want ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.writes, want) {
		t.Errorf("the file was written %.300q, want %.300q", p.writes, want)
	}
}

// gate is where calls hang until it is opened; each of them then returns err.
type gate struct {
	opened chan struct{}
	once   sync.Once
	err    error
}

// newGate returns a gate that opens at the end of the test. A ledger that hangs
// there must be begun before, so that it is closed after that.
func newGate(t testing.TB) *gate {
	g := &gate{opened: make(chan struct{})}
	t.Cleanup(func() { g.open(nil) })
	return g
}

func (g *gate) pass() error { <-g.opened; return g.err }

func (g *gate) open(err error) {
	g.once.Do(func() {
		g.err = err
		close(g.opened)
	})
}

// call is something that runs in a goroutine of its own.
type call struct {
	done atomic.Bool
	err  error
}

func start(run func() error) *call {
	c := new(call)
	go func() {
		c.err = run()
		c.done.Store(true)
	}()
	return c
}

// check checks, when all goroutines hang or have ended, how the call stands.
func (c *call) check(t testing.TB, what string, done bool, want error) {
	t.Helper()
	synctest.Wait()
	if c.done.Load() != done {
		t.Fatalf("%s has returned: %t", what, !done)
	}
	if done && !errors.Is(c.err, want) {
		t.Fatalf("%s gave %v, want %v", what, c.err, want)
	}
}

func store(l *Ledger, bets ...lottery.Bet) *call {
	return start(func() error { return storeBets(l, bets...) })
}

// await appends nothing, which tells when the agency's rows are durable.
func await(l *Ledger, agency int) *call {
	return start(func() error {
		done := make(chan error, 1)
		if _, err := l.Append(lottery.Stretch{Agency: agency}, l.mark(agency), func(err error) { done <- err }); err != nil {
			return err
		}
		return <-done
	})
}

// TestAnsweredWhenDurable is pitfall 9 at its root: what is written and not yet
// synced is not answered, and not loaded.
func TestAnsweredWhenDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbe(t)
		l := p.ledger(t)
		hang := newGate(t)
		p.onSync = hang.pass
		bets := samples(1, 0, 500)
		storing := store(l, bets...)
		storing.check(t, "the batch", false, nil)
		p.checkWrites(t, rowsOf(bets...))       // all in one piece:
		checkFile(t, p.Name(), rowsOf(bets...)) // it is in the file already,
		p.checkCalls(t, "write")                // but not synced,
		checkBets(t, l, nil)                    // and nobody sees it

		hang.open(nil)
		storing.check(t, "the batch", true, nil)
		p.checkCalls(t, "write", "sync")
		checkBets(t, l, bets)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		p.checkCalls(t, "write", "sync", "close")
	})
}

// TestGroupCommit lets batches come while a sync hangs: they share one write,
// in their order, and are not answered before its own sync.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbe(t)
		l := p.ledger(t)
		hang, hangAgain := newGate(t), newGate(t)
		p.onSync = func() error {
			defer func() { p.onSync = hangAgain.pass }()
			return hang.pass()
		}
		first := store(l, samples(1, 0, 3)...)
		first.check(t, "the first batch", false, nil)

		var later []*call
		var together []lottery.Bet
		for agency := 2; agency <= 5; agency++ {
			bets := samples(agency, 0, agency)
			later = append(later, store(l, bets...))
			synctest.Wait() // so that their order is known
			together = append(together, bets...)
		}
		hang.open(nil)
		first.check(t, "the first batch", true, nil)
		for _, c := range later {
			c.check(t, "a later batch", false, nil)
		}
		checkBets(t, l, samples(1, 0, 3))

		hangAgain.open(nil)
		for _, c := range later {
			c.check(t, "a later batch", true, nil)
		}
		checkBets(t, l, append(samples(1, 0, 3), together...))
		p.checkWrites(t, rowsOf(samples(1, 0, 3)...), rowsOf(together...))
		p.checkCalls(t, "write", "sync", "write", "sync")
	})
}

// TestLoneBatchWaitsForNothing stores batches one after the other, on a clock
// that stands still while anything can run: a timer would move it.
func TestLoneBatchWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbe(t)
		l := p.ledger(t)
		begin := time.Now()
		var want []string
		for i := range 3 {
			if err := storeBets(l, samples(1, i, 1)...); err != nil {
				t.Fatal(err)
			}
			want = append(want, rowsOf(sample(1, i)))
		}
		p.checkWrites(t, want...)
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("three lone batches waited %v for a timer", waited)
		}
	})
}

// TestDiskFailure lets a write or a sync fail while some wait for it, and
// others have come behind it.
func TestDiskFailure(t *testing.T) {
	broken := errors.New("the disk is broken")
	half := func(p *probe, rows []byte) (int, error) {
		n, _ := p.File.Write(rows[:len(rows)/2])
		return n, io.ErrShortWrite
	}
	tests := []struct {
		name  string
		err   error
		write func(p *probe, rows []byte) (int, error) // the failing write, or nil
		sync  error                                    // of the failing sync
		calls []string
	}{
		{"write", broken, func(*probe, []byte) (int, error) { return 0, broken }, nil, []string{"write"}},
		{"short write", io.ErrShortWrite, half, nil, []string{"write"}},
		{"sync", broken, nil, broken, []string{"write", "sync"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProbe(t)
				l := p.ledger(t)
				hang := newGate(t)
				good := samples(1, 0, 5)
				if err := storeBets(l, good...); err != nil {
					t.Fatal(err)
				}

				// The ledger is idle now.
				p.onWrite = func(rows []byte) (int, error) {
					if test.write == nil {
						return p.File.Write(rows)
					}
					_ = hang.pass()
					return test.write(p, rows)
				}
				p.onSync = hang.pass
				waiters := []*call{store(l, samples(1, 5, 5)...)}
				synctest.Wait()
				waiters = append(waiters,
					await(l, 1),
					await(l, 4), // all of its rows are durable, and it waits its turn
					store(l, samples(2, 0, 1)...),
					store(l, samples(3, 0, 1)...))
				for _, c := range waiters {
					c.check(t, "a batch", false, nil)
				}
				hang.open(test.sync)
				for _, c := range waiters {
					c.check(t, "a batch", true, test.err)
				}

				store(l, sample(1, 10)).check(t, "a later batch", true, test.err)
				await(l, 1).check(t, "a later wait", true, test.err)
				await(l, 4).check(t, "a later wait for what was durable before", true, test.err)
				select {
				case <-l.Failed():
				default:
					t.Error("Failed is not closed")
				}
				for _, err := range []error{l.Err(), l.Close(), l.Close()} {
					if !errors.Is(err, test.err) {
						t.Errorf("Err or Close gives %v, want %v", err, test.err)
					}
				}
				// Nothing is written after the failure, and nothing is left of it.
				p.checkCalls(t, slices.Concat([]string{"write", "sync"}, test.calls, []string{"truncate", "close"})...)
				checkFile(t, p.Name(), rowsOf(good...))
				checkBets(t, l, good)
			})
		})
	}
}

// TestFailureThatCannotBeUndone leaves half a row of a failed write in the
// file. The next start cuts it off.
func TestFailureThatCannotBeUndone(t *testing.T) {
	p := newProbe(t)
	good, lost := samples(1, 0, 2), rowsOf(sample(1, 2))
	writes := 0
	p.onWrite = func(rows []byte) (int, error) {
		if writes++; writes == 1 {
			return p.File.Write(rows)
		}
		n, _ := p.File.Write(rows[:30])
		return n, io.ErrShortWrite
	}
	p.onCut = func(int64) error { return errors.New("the disk is broken") }
	l := p.ledger(t)
	if err := storeBets(l, good...); err != nil {
		t.Fatal(err)
	}
	if err := storeBets(l, samples(1, 2, 1)...); !errors.Is(err, io.ErrShortWrite) {
		t.Fatalf("the error is %v", err)
	}
	l.Close()
	checkFile(t, p.Name(), rowsOf(good...)+lost[:30])

	again, err := Open(filepath.Dir(p.Name()), manyAgencies, WithReopen())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Torn() != 30 {
		t.Errorf("the torn row has %d bytes, want 30", again.Torn())
	}
	checkBets(t, again, good)
}

// TestCloseWithWaiters closes while a sync hangs: what was appended before is
// written and answered, what comes after is refused.
func TestCloseWithWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbe(t)
		l := p.ledger(t)
		hang := newGate(t)
		p.onSync = hang.pass
		first := store(l, samples(1, 0, 2)...)
		synctest.Wait()
		second := store(l, samples(1, 2, 2)...)
		synctest.Wait()
		closing := start(l.Close)
		closing.check(t, "Close", false, nil)
		store(l, sample(1, 4)).check(t, "a batch after Close", true, lottery.ErrClosed)

		hang.open(nil)
		for _, c := range []*call{first, second, closing, start(l.Close)} {
			c.check(t, "a batch or Close", true, nil)
		}
		checkFile(t, p.Name(), rowsOf(samples(1, 0, 4)...))
	})
}

// TestConcurrentStores stores from many goroutines, while others load: each batch
// is in the file once and in one piece, and a load sees whole batches only.
func TestConcurrentStores(t *testing.T) {
	const agencies, batches, size = 8, 10, 150
	l := openLedger(t, t.TempDir())
	var stores, loads sync.WaitGroup
	for agency := 1; agency <= agencies; agency++ {
		stores.Go(func() {
			for i := range batches {
				if err := storeBets(l, samples(agency, i*size, size)...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	stop := make(chan struct{})
	loads.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if n := countBatches(t, l, size); n < 0 {
				return
			}
		}
	})
	stores.Wait()
	close(stop)
	loads.Wait()
	if n := countBatches(t, l, size); n != agencies*batches {
		t.Errorf("%d batches are in the ledger, want %d", n, agencies*batches)
	}
}

// countBatches returns how many batches of that many samples the ledger holds,
// or -1 when it holds anything else.
func countBatches(t *testing.T, l *Ledger, size int) (batches int) {
	next := map[int]int{} // bets of each agency so far
	n, agency := 0, 0
	rows, err := loadRows(l)
	if err != nil {
		t.Error(err)
		return -1
	}
	for row := range strings.Lines(rows) {
		bet, err := lottery.ParseRow(row)
		if err != nil {
			t.Error(err)
			return -1
		}
		if n%size == 0 {
			agency = bet.Agency
		}
		if bet != sample(agency, next[agency]) {
			t.Errorf("bet %d is %+v, want the bet %d of agency %d", n, bet, next[agency], agency)
			return -1
		}
		next[agency]++
		n++
	}
	if n%size != 0 {
		t.Errorf("%d bets are no whole batches", n)
		return -1
	}
	return n / size
}

// TestLargeCommitIsLetGo checks that one large commit does not stay in memory.
func TestLargeCommitIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbe(t)
		l := p.ledger(t)
		hang := newGate(t)
		p.onSync = hang.pass
		p.onWrite = func(rows []byte) (int, error) { return len(rows), nil }
		row := rowsOf(sample(1, 0))
		large := strings.Repeat(row, maxSpare*chunkSize/len(row)+1)
		for range 2 {
			rows := lottery.Stretch{Agency: 1, Bets: 1, Rows: []byte(large)}
			if _, err := l.Append(rows, l.mark(1), func(error) {}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		hang.open(nil)
		for i := range 3 {
			if err := storeBets(l, samples(1, i, 1)...); err != nil {
				t.Fatal(err)
			}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if n := len(l.pending.spare); n > maxSpare || len(l.pending.chunks) > 0 {
			t.Errorf("%d chunks are kept for the next commit, and %d with rows, expected at most %d and none", n, len(l.pending.chunks), maxSpare)
		}
	})
}

// TestCommitsAreTold compares what is told of commits with what the file saw.
func TestCommitsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbe(t)
		var commits []lottery.Commit
		l := p.ledger(t)
		l.committed = func(c lottery.Commit) { commits = append(commits, c) }
		hang := newGate(t)
		p.onSync = func() error {
			p.onSync = func() error { time.Sleep(3 * time.Millisecond); return nil } // of the bubble's clock
			return hang.pass()
		}
		first := store(l, samples(1, 0, 3)...)
		synctest.Wait()
		store(l, samples(2, 0, 2)...)
		store(l, samples(3, 0, 4)...)
		synctest.Wait()
		time.Sleep(time.Second)
		hang.open(nil)
		first.check(t, "the first batch", true, nil)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		want := []lottery.Commit{
			{Bytes: len(rowsOf(samples(1, 0, 3)...)), Appends: 1, Sync: time.Second},
			{Bytes: len(rowsOf(samples(2, 0, 2)...)) + len(rowsOf(samples(3, 0, 4)...)), Appends: 2, Sync: 3 * time.Millisecond},
		}
		if !slices.Equal(commits, want) {
			t.Errorf("told are %v, expected %v", commits, want)
		}
	})
}
