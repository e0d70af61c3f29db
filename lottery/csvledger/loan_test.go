package csvledger

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"loteria/lottery"
)

// borrower is whom commits are lent to in tests. It makes them one after the other,
// on a goroutine of its own, like an event loop, and finds two leaders at a time.
type borrower struct {
	t       testing.TB
	refuses func() bool // called with the ledger's lock held, like lend; or nil
	before  func()      // called before each commit, or nil
	after   func()      // likewise after

	mu      sync.Mutex
	tasks   []func()
	working bool
	offered int // calls of lend
	lent    int // of these, taken
}

func (b *borrower) lend(commit func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offered++
	if b.refuses != nil && b.refuses() {
		return false
	}
	b.lent++
	b.tasks = append(b.tasks, commit)
	if len(b.tasks) > 1 {
		b.t.Error("two commits are lent at a time")
	}
	if !b.working {
		b.working = true
		go b.work()
	}
	return true
}

func (b *borrower) work() {
	for {
		b.mu.Lock()
		if len(b.tasks) == 0 {
			b.working = false
			b.mu.Unlock()
			return
		}
		commit := b.tasks[0]
		b.tasks = b.tasks[1:]
		b.mu.Unlock()
		if b.before != nil {
			b.before()
		}
		commit()
		if b.after != nil {
			b.after()
		}
	}
}

func (b *borrower) counts() (offered, lent int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offered, b.lent
}

// alwaysLend lets commits be lent however slow the last ones were.
func (l *Ledger) alwaysLend(lend func(commit func()) bool) {
	l.LendTo(lend)
	l.loan.longest = time.Hour
}

// lenders are those to whom the tests of ledgers lend every commit.
var lenders = map[string]func(t testing.TB, seed uint64) func(commit func()) bool{
	"at once": func(t testing.TB, _ uint64) func(func()) bool {
		return (&borrower{t: t}).lend
	},
	"late": func(t testing.TB, _ uint64) func(func()) bool {
		return (&borrower{t: t, before: func() {
			for range 100 { // no sleep: a bubble's clock would stand still
				runtime.Gosched()
			}
		}}).lend
	},
	"at random": func(t testing.TB, seed uint64) func(func()) bool {
		r := newRand(seed, 15) // the ledger's lock guards it
		return (&borrower{t: t, refuses: func() bool { return r.IntN(2) == 0 }}).lend
	},
}

// Lending opens a ledger that lends commits, however slow the last ones were.
func Lending(t testing.TB, how string, seed uint64) Option {
	lend := lenders[how](t, seed)
	return func(l *Ledger) { l.alwaysLend(lend) }
}

// TestPowerCutWhileLending plays with lent commits, also when a call fails. When the
// disk sees what it does without, TestPowerCut has tried that; what is different is
// tried here.
func TestPowerCutWhileLending(t *testing.T) {
	const bets, mixes = 2, 1
	for how := range lenders {
		t.Run(how, func(t *testing.T) {
			folder := memoryFolder(t)
			s := newScript(3, 3, bets)
			for fails := range 6 {
				seed := 3 + uint64(fails)
				writeFolder(t, folder, nil)
				_, plain := s.play(t, folder, seed, fails)
				writeFolder(t, folder, nil)
				start, deeds := s.play(t, folder, seed, fails, Lending(t, how, seed))
				if reflect.DeepEqual(deeds, plain) {
					continue
				}
				n := s.cutEverywhere(t, folder, seed, start, deeds, mixes)
				t.Logf("call %d fails: %d deeds, %d cuts, %d restarts", fails, len(deeds), n.cuts, n.restarts)
				if !chaos {
					break
				}
			}
		})
	}
}

// loanTest is a ledger on a probe that hangs in each sync.
type loanTest struct {
	*borrower
	*probe
	ledger *Ledger
	hang   *gate
}

func newLoanTest(t *testing.T) *loanTest {
	p := newProbe(t)
	b := &borrower{t: t}
	l := &loanTest{b, p, p.ledger(t), nil}
	l.hang = newGate(t)
	p.onSync = l.hang.pass
	l.ledger.alwaysLend(b.lend)
	return l
}

// What is asked while a commit is lent is done after it, by the next one or on no
// commit at all; nobody else leads.
func TestCallsDuringALoan(t *testing.T) {
	deadline := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name string
		call func(l *Ledger) error
		want error
		rows bool // it has rows, which need a sync of their own
	}{
		{"an append", func(l *Ledger) error { return storeBets(l, sample(2, 0)) }, nil, true},
		{"an append of the same agency", func(l *Ledger) error { return storeBets(l, sample(1, 1)) }, nil, true},
		{"an append of nothing", func(l *Ledger) error { return <-appendNothing(l, 1) }, nil, false},
		{"a claim", func(l *Ledger) error {
			return wait(func(done func(error)) { l.Claim(1, 1, true, func(_ *lottery.Account, err error) { done(err) }) })
		}, nil, false},
		{"a claim with another mark", func(l *Ledger) error {
			return wait(func(done func(error)) {
				l.Claim(1, 7, true, func(a *lottery.Account, err error) {
					if err == nil && (a == nil || a.Bets != 1) {
						err = fmt.Errorf("the account is %v", a)
					}
					done(err)
				})
			})
		}, nil, false},
		{"an end", func(l *Ledger) error {
			return wait(func(done func(error)) { l.End(1, 1, lottery.Finished, done) })
		}, nil, false},
		{"an end that comes too late", func(l *Ledger) error {
			return wait(func(done func(error)) { l.End(1, 0, lottery.Finished, done) })
		}, lottery.ErrMoved, false},
		{"the draw", func(l *Ledger) error {
			return wait(func(done func(error)) { l.Draw(func(_ [][]string, err error) { done(err) }) })
		}, nil, false},
		{"a deadline", func(l *Ledger) error {
			return wait(func(done func(error)) { l.SetDeadline(time.Time{}, deadline, done) })
		}, nil, false},
		{"a checkpoint", (*Ledger).Checkpoint, nil, false},
		{"a close", (*Ledger).Close, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLoanTest(t)
				_, err := l.ledger.Begin(lottery.Events{Ended: func(int, lottery.Ending, *lottery.Account) {}})
				if err != nil {
					t.Fatal(err)
				}
				first := store(l.ledger, sample(1, 0))
				first.check(t, "the batch", false, nil)
				if _, lent := l.counts(); lent != 1 {
					t.Fatalf("%d commits are lent", lent)
				}
				other := start(func() error { return test.call(l.ledger) })
				other.check(t, test.name, false, nil)
				l.checkCalls(t, "write")

				l.hang.open(nil)
				first.check(t, "the batch", true, nil)
				time.Sleep(time.Second) // for those who wait for another agency
				other.check(t, test.name, true, test.want)
				want := 1
				if test.rows {
					want = 2
				}
				if got := strings.Count(strings.Join(l.calls, " "), "sync"); got != want {
					t.Errorf("the file saw %v, want %d syncs", l.calls, want)
				}
				if l.ledger.leading {
					t.Error("somebody leads still")
				}
			})
		})
	}
}

// appendNothing tells when the agency's rows are durable.
func appendNothing(l *Ledger, agency int) <-chan error {
	done := make(chan error, 1)
	if _, err := l.Append(lottery.Stretch{Agency: agency}, l.mark(agency), func(err error) { done <- err }); err != nil {
		done <- err
	}
	return done
}

// Close waits for a lent commit that nobody has begun yet, and then for all that came
// before it, which is lent no more.
func TestCloseBeforeALentCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbe(t)
		l := p.ledger(t)
		begin := newGate(t)
		b := &borrower{t: t, before: func() { _ = begin.pass() }}
		l.alwaysLend(b.lend)
		calls := []*call{store(l, sample(1, 0)), store(l, sample(2, 0))}
		synctest.Wait()
		closing := start(l.Close)
		closing.check(t, "Close", false, nil)
		store(l, sample(3, 0)).check(t, "a batch after Close", true, lottery.ErrClosed)
		for _, c := range calls {
			c.check(t, "a batch", false, nil)
		}
		begin.open(nil)
		closing.check(t, "Close", true, nil)
		for _, c := range calls {
			c.check(t, "a batch", true, nil)
		}
		p.checkCalls(t, "write", "sync", "close")
		if _, lent := b.counts(); lent != 1 {
			t.Errorf("%d commits were lent, want one", lent)
		}
	})
}

// What waits behind a lent commit when the ledger is closed, the ledger commits itself:
// who borrows may be about to end.
func TestCloseDuringALoan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoanTest(t)
		first := store(l.ledger, sample(1, 0))
		synctest.Wait()
		second := store(l.ledger, sample(1, 1))
		synctest.Wait()
		closing := start(l.ledger.Close)
		closing.check(t, "Close", false, nil)
		second.check(t, "the second batch", false, nil)
		l.hang.open(nil)
		closing.check(t, "Close", true, nil)
		first.check(t, "the first batch", true, nil)
		second.check(t, "the second batch", true, nil)
		l.checkCalls(t, "write", "sync", "write", "sync", "close")
		if offered, _ := l.counts(); offered != 1 {
			t.Errorf("%d commits were offered, want one", offered)
		}
	})
}

// failingVerify is a file that somebody else has changed.
type failingVerify struct {
	*probe
	err error
}

func (f *failingVerify) Verify(int64) error { return f.err }

// A lent commit that fails leaves the ledger as dead as any other: all who wait get
// the error, and nobody leads.
func TestLentCommitFails(t *testing.T) {
	broken := errors.New("the disk is broken")
	for _, test := range []struct {
		name  string
		fail  func(p *probe, l *Ledger)
		err   error
		calls string
	}{
		{"write", func(p *probe, _ *Ledger) { p.onWrite = func([]byte) (int, error) { return 0, broken } }, broken, "write truncate"},
		{"short write", func(p *probe, _ *Ledger) {
			p.onWrite = func(rows []byte) (int, error) {
				n, _ := p.File.Write(rows[:1])
				return n, io.ErrShortWrite
			}
		}, io.ErrShortWrite, "write truncate"},
		{"sync", func(p *probe, _ *Ledger) { p.onSync = func() error { return broken } }, broken, "write sync truncate"},
		{"truncate, too", func(p *probe, _ *Ledger) {
			p.onSync = func() error { return broken }
			p.onCut = func(int64) error { return io.ErrUnexpectedEOF }
		}, broken, "write sync truncate"},
		{"verify", func(p *probe, l *Ledger) { l.file = &failingVerify{p, broken} }, broken, "write sync"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProbe(t)
				l := p.ledger(t)
				begin := newGate(t)
				b := &borrower{t: t, before: func() { _ = begin.pass() }}
				l.alwaysLend(b.lend)
				test.fail(p, l)
				waiters := []*call{store(l, sample(1, 0)), store(l, sample(2, 0))}
				synctest.Wait()
				waiters = append(waiters, await(l, 4), start(l.Checkpoint))
				for _, c := range waiters {
					c.check(t, "a call", false, nil)
				}
				begin.open(nil)
				for _, c := range waiters {
					c.check(t, "a call", true, test.err)
				}
				store(l, sample(3, 0)).check(t, "a later batch", true, test.err)
				await(l, 4).check(t, "a later wait", true, test.err)
				if l.leading || l.Durable() != 0 {
					t.Errorf("somebody leads: %t, and %d bytes are durable", l.leading, l.Durable())
				}
				if err := l.Close(); !errors.Is(err, test.err) {
					t.Errorf("Close gives %v", err)
				}
				if got := strings.Join(p.calls, " "); got != test.calls+" close" {
					t.Errorf("the file saw %s", got)
				}
			})
		})
	}
}

// A borrower makes one commit, and is asked again for the next, also when more comes
// all the time, from callbacks or others: it may refuse, and the ledger goes on.
func TestALoanIsForOneCommit(t *testing.T) {
	for _, refusals := range []int{0, 1} { // from the third commit on
		synctest.Test(t, func(t *testing.T) {
			p := newProbe(t)
			l := p.ledger(t)
			var syncs, inOne atomic.Int32
			b := &borrower{t: t}
			b.refuses = func() bool { return refusals > 0 && b.offered > 2 }
			b.before = func() { inOne.Store(0) }
			b.after = func() {
				if n := inOne.Load(); n > 1 && refusals == 0 { // else the ledger may have gone on
					t.Errorf("a borrower has made %d commits at once", n)
				}
			}
			p.onSync = func() error { syncs.Add(1); inOne.Add(1); return nil }
			l.alwaysLend(b.lend)
			const batches = 10
			ended := make(chan error, 1)
			var next func(i int)
			next = func(i int) {
				_, err := l.Append(lottery.Stretch{Agency: 1, Bets: 1, Rows: []byte(rowsOf(sample(1, i)))}, lottery.Mark(i), func(err error) {
					if err != nil || i+1 == batches {
						ended <- err
						return
					}
					next(i + 1) // no lock is held
				})
				if err != nil {
					ended <- err
				}
			}
			next(0)
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			offered, lent := b.counts()
			if refusals == 0 && lent != batches || refusals > 0 && (lent != 2 || offered != 3) || syncs.Load() != batches {
				t.Errorf("%d of %d commits were lent, of %d that were offered", lent, syncs.Load(), offered)
			}
		})
	}
}

// The timer of those who wait for another agency ends while a commit is lent, and
// before it: nobody else begins one, and none is left undone.
func TestRegroupAndALoan(t *testing.T) {
	for _, late := range []time.Duration{0, time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			p, l, second := beginWait(t)
			b := &borrower{t: t, before: func() { time.Sleep(late) }}
			l.alwaysLend(b.lend)
			third := store(l, sample(1, 1)) // has come: the timer is not stopped
			third.check(t, "the third batch", false, nil)
			if _, lent := b.counts(); lent != 1 {
				t.Errorf("%d commits are lent", lent)
			}
			time.Sleep(2*maxRegroupTime + late)
			second.check(t, "the second batch", true, nil)
			third.check(t, "the third batch", true, nil)
			p.checkCalls(t, "write", "sync", "write", "sync")
			p.checkWrites(t, rowsOf(sample(1, 0)), rowsOf(sample(2, 0), sample(1, 1)))

			fourth := store(l, sample(2, 1)) // its timer ends, and one is missing: that is not lent
			time.Sleep(2*maxRegroupTime + 2*late)
			fourth.check(t, "the fourth batch", true, nil)
			if _, lent := b.counts(); lent != 1 {
				t.Errorf("%d commits were lent, want one", lent)
			}
		})
	}
}

// After a slow commit some are not lent, and then they are again.
func TestSlowDiskEndsLending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbe(t)
		l := p.ledger(t)
		var took time.Duration
		p.onSync = func() error { time.Sleep(took); return nil }
		b := &borrower{t: t}
		l.LendTo(b.lend)
		bets := 0
		lends := func(takes time.Duration) bool {
			_, before := b.counts()
			took = takes
			store := store(l, sample(1, bets))
			bets++
			time.Sleep(takes)
			store.check(t, "a batch", true, nil)
			_, after := b.counts()
			return after > before
		}
		for _, takes := range []time.Duration{0, maxLoan, maxLoan + 1} {
			if !lends(takes) {
				t.Errorf("the commit before one of %v is not lent", takes)
			}
		}
		for i := range loanPause {
			if i == 5 && lends(maxLoan+1) { // begins anew
				t.Error("a slow commit is lent")
			}
		}
		for i := range loanPause {
			if lends(0) {
				t.Fatalf("commit %d after a slow one is lent", i+1)
			}
		}
		if !lends(0) {
			t.Error("nothing is lent any more")
		}
	})
}

// A commit of many bytes is not lent.
func TestLargeCommitIsNotLent(t *testing.T) {
	for _, more := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			l := newProbe(t).ledger(t)
			b := &borrower{t: t}
			l.LendTo(b.lend)
			done := make(chan error, 1)
			rows := lottery.Stretch{Agency: 1, Bets: 1, Rows: make([]byte, maxLent+more)}
			if _, err := l.Append(rows, 0, func(err error) { done <- err }); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if _, lent := b.counts(); lent != 1-more {
				t.Errorf("%d bytes: %d commits were lent", maxLent+more, lent)
			}
		})
	}
}

// A commit that has become large since it was lent is made elsewhere.
func TestLentCommitThatGrows(t *testing.T) {
	for _, more := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			p, disk := newProbe(t), make(chan struct{})
			p.onSync = func() error { <-disk; return nil }
			l := p.ledger(t)
			lent := make(chan func(), 1)
			l.LendTo(func(commit func()) bool { lent <- commit; return true })
			done := make(chan error, 2)
			for i, size := range []int{1, maxLent - 1 + more} {
				rows := lottery.Stretch{Agency: 1 + i, Bets: 1, Rows: make([]byte, size)}
				if _, err := l.Append(rows, 0, func(err error) { done <- err }); err != nil {
					t.Fatal(err)
				}
			}
			var returned atomic.Bool
			commit := <-lent
			go func() { commit(); returned.Store(true) }()
			synctest.Wait()
			if elsewhere := returned.Load(); elsewhere != (more > 0) {
				t.Errorf("%d bytes: made elsewhere: %t", maxLent+more, elsewhere)
			}
			close(disk)
			for range 2 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Many agencies at once, and a borrower that refuses at random: each batch is there
// once, and no two lead.
func TestLendingUnderLoad(t *testing.T) {
	for how := range lenders {
		t.Run(how, func(t *testing.T) {
			const batches = 100
			l := openLedger(t, memoryFolder(t), Lending(t, how, 1))
			leaders := leaders{t: t, file: l.file}
			l.file = &leaders
			var agencies sync.WaitGroup
			for agency := 1; agency <= manyAgencies; agency++ {
				agencies.Go(func() {
					for i := range batches {
						if err := storeBets(l, sample(agency, i)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			for range 20 {
				if err := l.Checkpoint(); err != nil {
					t.Error(err)
				}
			}
			agencies.Wait()
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if got := countBatches(t, l, 1); got != batches*manyAgencies {
				t.Errorf("%d batches are stored", got)
			}
		})
	}
}

// leaders is a file that finds out when two use it at a time.
type leaders struct {
	file
	t      testing.TB
	active atomic.Int32
}

func (f *leaders) once(call func() error) error {
	if f.active.Add(1) > 1 {
		f.t.Error("two lead at a time")
	}
	defer f.active.Add(-1)
	return call()
}

func (f *leaders) Write(rows []byte) (n int, err error) {
	err = f.once(func() error { n, err = f.file.Write(rows); return err })
	return n, err
}
func (f *leaders) Sync() error { return f.once(f.file.Sync) }
func (f *leaders) Verify(size int64) error {
	return f.once(func() error { return f.file.Verify(size) })
}
