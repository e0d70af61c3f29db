package ledgertest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"loteria/lottery"
)

// Storage is where ledgers keep one contest, and what can be done to it.
type Storage struct {
	// Open opens a ledger on the storage, as the next process does after the
	// last has closed its own.
	Open func(agencies int) (lottery.Ledger, error)

	// Shared storage can have several ledgers open at once.
	Shared bool

	// Lazy ledgers know an account only when it is claimed, and the winners only
	// with the draw.
	Lazy bool

	// What a storage cannot do is nil.

	// Stall lets nothing become durable until resume is called.
	Stall func() (resume func())
	// Interrupt makes endings, deadlines and the draw fail with ErrUnavailable
	// until restore is called; rows and claims may fail, too.
	Interrupt func() (restore func())
	// Break makes a ledger die when it next stores rows.
	Break func()
}

// Run runs the suite. Each test has a storage of its own.
func Run(t *testing.T, storage func(t *testing.T) *Storage) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *Storage)
	}{
		{"Begin", testBegin},
		{"Restart", testRestart},
		{"Terms", testTerms},
		{"OtherTerms", testOtherTerms},
		{"Deadline", testDeadline},
		{"DeadlineUnavailable", testDeadlineUnavailable},
		{"Close", testClose},
		{"CloseWithWaiters", testCloseWithWaiters},

		{"Append", testAppend},
		{"AppendCopies", testAppendCopies},
		{"AppendIsDurable", testAppendIsDurable},
		{"Order", testOrder},
		{"Concurrency", testConcurrency},
		{"CallbacksMayCall", testCallbacksMayCall},
		{"WrongMark", testWrongMark},
		{"NoRows", testNoRows},
		{"LikeMemory", testLikeMemory},

		{"Claim", testClaim},
		{"ClaimWaits", testClaimWaits},
		{"ClaimStored", testClaimStored},
		{"Fence", testFence},
		{"FenceInFlight", testFenceInFlight},

		{"End", testEnd},
		{"EndWaits", testEndWaits},
		{"EndIsCompared", testEndIsCompared},
		{"EndsAtOnce", testEndsAtOnce},
		{"EndIsToldToAll", testEndIsToldToAll},
		{"Draw", testDraw},

		{"Unavailable", testUnavailable},
		{"Dead", testDead},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, storage(t)) })
	}
}

// patience is how long an answer may take. A replicated ledger may have to
// elect a leader first.
const patience = 2 * time.Minute

// subject is a ledger under test. It checks that each call is answered once, and not
// before it has returned.
type subject struct {
	lottery.Ledger
	t       *testing.T
	storage *Storage
	stored  lottery.Stored // by Begin

	mu      sync.Mutex // held during each call, and taken by each callback
	answers []*answer
	told    int // callbacks so far
	endings map[int]ending
}

// ending is what was told of the end of an agency's betting.
type ending struct {
	how    lottery.Ending
	stored *lottery.Account
	times  int
	order  int // of all callbacks
}

// answer is what a call has told.
type answer struct {
	t       *testing.T
	what    string
	agency  int
	mark    lottery.Mark     // that Append has returned
	refused bool             // by an error that Append has returned
	stored  *lottery.Account // that Claim has told
	winners [][]string       // that Draw has told
	err     error
	times   int
	order   int           // of all callbacks
	done    chan struct{} // closed by the first
}

// open opens a ledger for the time of the test, and calls its Begin.
func open(t *testing.T, storage *Storage, agencies int) *subject {
	t.Helper()
	l, err := storage.Open(agencies)
	if err != nil {
		t.Fatal(err)
	}
	s := &subject{Ledger: l, t: t, storage: storage, endings: map[int]ending{}}
	t.Cleanup(s.close)
	s.stored, err = l.Begin(lottery.Events{
		Ended: func(agency int, how lottery.Ending, stored *lottery.Account) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told++
			s.endings[agency] = ending{how, stored, s.endings[agency].times + 1, s.told}
		},
		Seen: func(int, uint64, string) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.stored.Accounts) != agencies {
		t.Fatalf("the ledger has %d accounts, want %d", len(s.stored.Accounts), agencies)
	}
	if s.stored.Shared != storage.Shared {
		t.Errorf("the ledger is shared: %t, want %t", s.stored.Shared, storage.Shared)
	}
	for i := range s.stored.Accounts {
		if s.stored.Accounts[i].Unknown != storage.Lazy {
			t.Fatalf("the account of agency %d is unknown: %t", i+1, s.stored.Accounts[i].Unknown)
		}
	}
	return s
}

// reopen closes the ledger, and opens it as the next process would.
func (s *subject) reopen() *subject {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Fatal(err)
	}
	return open(s.t, s.storage, len(s.stored.Accounts))
}

// close closes the ledger and checks that everything was answered once.
func (s *subject) close() {
	_ = s.Close() // it may have died
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.answers {
		if a.times != 1 {
			s.t.Errorf("%s of agency %d was answered %d times", a.what, a.agency, a.times)
		}
	}
	for agency, e := range s.endings {
		if e.times != 1 {
			s.t.Errorf("the end of agency %d was told %d times", agency, e.times)
		}
	}
}

// stall lets nothing become durable until resume is called, or the test ends.
func (s *subject) stall() (resume func()) {
	resume = sync.OnceFunc(s.storage.Stall())
	s.t.Cleanup(resume)
	return resume
}

// expect returns an answer that is still to come. The caller holds the lock.
func (s *subject) expect(what string, agency int) *answer {
	a := &answer{t: s.t, what: what, agency: agency, done: make(chan struct{})}
	s.answers = append(s.answers, a)
	return a
}

func (s *subject) tell(a *answer, stored *lottery.Account, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told++
	if a.times++; a.times == 1 {
		a.stored, a.err, a.order = stored, err, s.told
		close(a.done)
	}
}

// tryAppend appends; an error that Append returns counts as the answer.
func (s *subject) tryAppend(rows lottery.Stretch, after lottery.Mark) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.expect("Append", rows.Agency)
	var err error
	a.mark, err = s.Append(rows, after, func(err error) { s.tell(a, nil, err) })
	if err != nil {
		s.told++
		a.refused, a.times, a.err, a.order = true, 1, err, s.told
		close(a.done)
	}
	return a
}

// appends appends the next n bets of an agency after those up to from, and
// returns the new mark when they are durable.
func (s *subject) appends(agency, from, n int, after lottery.Mark) lottery.Mark {
	s.t.Helper()
	a := s.tryAppend(Stretch(Bets(agency, from, n)...), after)
	a.check(nil)
	return a.mark
}

func (s *subject) claim(agency int, after lottery.Mark) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.expect("Claim", agency)
	s.Claim(agency, after, false, func(stored *lottery.Account, err error) { s.tell(a, stored, err) })
	return a
}

func (s *subject) end(agency int, after lottery.Mark, how lottery.Ending) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.expect("End", agency)
	s.End(agency, after, how, func(err error) { s.tell(a, nil, err) })
	return a
}

func (s *subject) draw() *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.expect("Draw", 0)
	s.Draw(func(winners [][]string, err error) {
		a.winners = winners
		s.tell(a, nil, err)
	})
	return a
}

// wait returns what was answered.
func (a *answer) wait() error {
	a.t.Helper()
	select {
	case <-a.done:
	case <-time.After(patience):
		a.t.Fatalf("%s of agency %d is not answered", a.what, a.agency)
	}
	return a.err
}

// check waits for the answer, which must be want.
func (a *answer) check(want error) {
	a.t.Helper()
	if err := a.wait(); !is(err, want) {
		a.t.Fatalf("%s of agency %d gives %v, want %v", a.what, a.agency, err, want)
	}
}

// checkWaits checks that there is no answer for a while.
func (a *answer) checkWaits() {
	a.t.Helper()
	select {
	case <-a.done:
		a.t.Fatalf("%s of agency %d is answered before it is durable: %v", a.what, a.agency, a.err)
	case <-time.After(20 * time.Millisecond):
	}
}

// checkEnded checks what was told of the end of an agency's betting, and that
// it was before the answer, unless that is nil.
func (s *subject) checkEnded(agency int, how lottery.Ending, before *answer) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.endings[agency]
	if e.how != how || e.times > 1 || how != lottery.Open && e.times == 0 {
		s.t.Errorf("the end of agency %d was told %d times, as %d; want %d", agency, e.times, e.how, how)
	}
	if before != nil && e.order > before.order {
		s.t.Errorf("the end of agency %d was told after %s was answered", agency, before.what)
	}
}

// checkAccount compares an account with the bets that should be stored.
func (s *subject) checkAccount(agency int, got *lottery.Account, ended lottery.Ending, bets []lottery.Bet) {
	s.t.Helper()
	if got == nil {
		s.t.Fatalf("agency %d: there is no account", agency)
	}
	want := Account(bets...)
	if s.storage.Lazy { // the draw tells them
		want.Winners = got.Winners
	}
	if got.Bets != want.Bets || got.Digest.Sum64() != want.Digest.Sum64() || !slices.Equal(got.Winners, want.Winners) || got.Ended != ended {
		s.t.Fatalf("agency %d: stored are %d bets, digest %x, winners %q, ended %d; want %d, %x, %q, %d", agency,
			got.Bets, got.Digest.Sum64(), got.Winners, got.Ended, want.Bets, want.Digest.Sum64(), want.Winners, ended)
	}
}

// checkStored compares what Begin returned with the bets of agency i+1, none of
// which has ended its betting.
func (s *subject) checkStored(bets ...[]lottery.Bet) {
	s.t.Helper()
	for i := range bets {
		s.checkAccount(i+1, s.account(i+1), lottery.Open, bets[i])
	}
}

// account returns what is stored of an agency, as Begin has returned it or, if it
// was not known then, the first claim since.
func (s *subject) account(agency int) *lottery.Account {
	s.t.Helper()
	a := &s.stored.Accounts[agency-1]
	if a.Unknown {
		claim := s.claim(agency, 0)
		claim.check(nil)
		if claim.stored == nil {
			s.t.Fatalf("agency %d: a claim does not tell an account that is unknown", agency)
		}
		if a.Ended != lottery.Open && claim.stored.Ended != a.Ended {
			s.t.Errorf("agency %d: its end is %d, Begin has told %d", agency, claim.stored.Ended, a.Ended)
		}
		*a = *claim.stored
	}
	return a
}

func (s *subject) mark(agency int) lottery.Mark {
	s.t.Helper()
	return s.account(agency).Mark
}
