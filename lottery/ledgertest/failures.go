package ledgertest

import (
	"errors"
	"testing"
	"time"

	"loteria/lottery"
)

func testBegin(t *testing.T, storage *Storage) {
	for range 2 { // the second time the contest was begun
		s := open(t, storage, 3)
		s.checkStored(nil, nil, nil)
		if s.stored.Drawn {
			t.Error("a new contest is drawn")
		}
		// https://github.com/Cyan4973/xxHash: XXH64 of no bytes, seed 0.
		if digest := s.account(3).Digest.Sum64(); digest != 0xef46db3751d8e999 {
			t.Errorf("without bets the digest is %x", digest)
		}
		if err := s.Err(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// testRestart opens the ledger over and over: the accounts are as they were,
// and their digests go on.
func testRestart(t *testing.T, storage *Storage) {
	s := open(t, storage, 3)
	var all [3][]lottery.Bet
	for round := range 4 {
		for i := range 2 { // agency 3 has none
			n := 10*round + i + 1
			s.appends(i+1, len(all[i]), n, s.mark(i+1))
			all[i] = append(all[i], Bets(i+1, len(all[i]), n)...)
		}
		s = s.reopen()
		s.checkStored(all[:]...)
		for i := range all { // they are the caller's own, and go on
			account := *s.account(i + 1)
			more := Stretch(Bets(i+1, len(all[i]), 3)...)
			account.Add(&more)
			s.checkAccount(i+1, &account, lottery.Open, append(all[i], Bets(i+1, len(all[i]), 3)...))
		}
	}
}

// testClose closes a ledger: what was appended before is durable and answered,
// what comes later is not taken.
func testClose(t *testing.T, storage *Storage) {
	s := open(t, storage, 2)
	var answers []*answer
	mark := s.mark(1)
	for i := range 5 {
		a := s.tryAppend(Stretch(Bets(1, 3*i, 3)...), mark)
		mark = a.mark
		answers = append(answers, a)
	}
	answers = append(answers, s.claim(1, mark), s.tryAppend(lottery.Stretch{Agency: 1}, mark))
	end := s.end(2, s.mark(2), lottery.Missing)
	for range 2 { // closing again is harmless
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, a := range append(answers, end) {
			select {
			case <-a.done:
			default:
				t.Errorf("Close has returned, %s is not answered", a.what)
			}
		}
	}
	checkInOrder(t, answers)
	end.check(nil)
	s.checkEnded(2, lottery.Missing, end)

	for _, a := range []*answer{
		s.tryAppend(Stretch(Bets(1, 15, 1)...), mark), s.tryAppend(lottery.Stretch{Agency: 1}, mark),
		s.claim(1, mark), s.claim(1, mark+1<<40), s.end(1, mark, lottery.Finished), s.end(2, 0, lottery.Finished), s.draw(),
	} {
		a.check(lottery.ErrClosed)
	}
	select {
	case <-s.Failed():
		t.Error("a closed ledger counts as dead")
	default:
	}
	if err := s.Err(); err != nil {
		t.Errorf("a closed ledger counts as dead of %v", err)
	}
	s = open(t, storage, 2)
	s.checkAccount(1, s.account(1), lottery.Open, Bets(1, 0, 15))
	s.checkAccount(2, s.account(2), lottery.Missing, nil)
	if s.stored.Drawn {
		t.Error("a draw was made after the end")
	}
}

// testCloseWithWaiters closes a ledger while nothing becomes durable.
func testCloseWithWaiters(t *testing.T, storage *Storage) {
	if storage.Stall == nil {
		t.Skip("this ledger cannot be stalled")
	}
	s := open(t, storage, 2)
	mark, other := s.mark(1), s.mark(2)
	resume := s.stall()
	first := s.tryAppend(Stretch(Bets(1, 0, 3)...), mark)
	first.checkWaits()
	second := s.tryAppend(Stretch(Bets(1, 3, 3)...), first.mark)
	end := s.end(1, second.mark, lottery.Finished)
	closing := 2
	closed := make(chan error, closing)
	for range closing {
		go func() { closed <- s.Close() }()
	}
	select {
	case <-closed:
		t.Error("Close does not wait for what was appended")
		closing--
	case <-time.After(20 * time.Millisecond):
	}
	late := []*answer{s.tryAppend(Stretch(Bets(2, 0, 1)...), other), s.claim(2, other), s.end(2, other, lottery.Missing)}
	resume()
	for range closing {
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
	checkInOrder(t, []*answer{first, second, end})
	for _, a := range late {
		a.check(lottery.ErrClosed)
	}
	s = open(t, storage, 2)
	s.checkAccount(1, s.account(1), lottery.Finished, Bets(1, 0, 6))
	s.checkAccount(2, s.account(2), lottery.Open, nil)
}

// testUnavailable interrupts the storage. What is answered ErrUnavailable is
// stored, then or later, or not at all; a claim tells. It works again.
func testUnavailable(t *testing.T, storage *Storage) {
	if storage.Interrupt == nil {
		t.Skip("this ledger is always available")
	}
	s := open(t, storage, 2)
	mark := s.appends(1, 0, 3, s.mark(1))
	s.end(2, s.mark(2), lottery.Finished).check(nil)
	restore := storage.Interrupt()
	rows := s.tryAppend(Stretch(Bets(1, 3, 3)...), mark)
	if err := rows.wait(); err != nil && !is(err, lottery.ErrUnavailable) {
		t.Errorf("an interrupted append gives %v", err)
	}
	if rows.err == nil {
		mark = rows.mark
	}
	for range 2 {
		if err := s.end(1, mark, lottery.Finished).wait(); !is(err, lottery.ErrUnavailable) {
			t.Errorf("an interrupted end gives %v, want %v", err, lottery.ErrUnavailable)
		}
		s.checkEnded(1, lottery.Open, nil)
	}
	select {
	case <-s.Failed():
		t.Fatal("an interrupted ledger is dead")
	default:
	}
	restore()
	bets := 3
	switch a := s.claim(1, mark); {
	case a.wait() != nil:
		t.Fatal(a.err)
	case a.stored != nil:
		mark, bets = a.stored.Mark, int(a.stored.Bets)
	case rows.err == nil:
		bets = 6
	}
	a := s.end(1, mark, lottery.Missing)
	a.check(nil)
	told := s.awaitEnded(1)
	s.checkEnded(1, told.how, a)

	restore = storage.Interrupt()
	for range 2 {
		if err := s.draw().wait(); !is(err, lottery.ErrUnavailable) {
			t.Errorf("an interrupted draw gives %v, want %v", err, lottery.ErrUnavailable)
		}
	}
	restore()
	s.draw().check(nil)
	s = s.reopen()
	s.checkAccount(1, s.account(1), told.how, Bets(1, 0, bets))
	s.checkAccount(2, s.account(2), lottery.Finished, nil)
	if !s.stored.Drawn {
		t.Error("the draw is not stored")
	}
}

// awaitEnded waits until the end of an agency's betting is told.
func (s *subject) awaitEnded(agency int) ending {
	s.t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		e := s.endings[agency]
		s.mu.Unlock()
		if e.times > 0 {
			return e
		}
	}
	s.t.Fatalf("the end of agency %d is not told", agency)
	return ending{}
}

// testDead has the ledger die while calls wait. They and all that come later
// get the error, and what was answered before is stored.
func testDead(t *testing.T, storage *Storage) {
	if storage.Break == nil {
		t.Skip("this ledger does not die")
	}
	s := open(t, storage, 3)
	one, two, three := s.appends(1, 0, 5, s.mark(1)), s.appends(2, 0, 5, s.mark(2)), s.mark(3)
	storage.Break()
	var resume func()
	if storage.Stall != nil {
		resume = s.stall()
	}
	a := s.tryAppend(Stretch(Bets(1, 5, 5)...), one)
	answers := []*answer{a, s.claim(1, a.mark), s.tryAppend(lottery.Stretch{Agency: 1}, a.mark)}
	if resume != nil {
		b := s.tryAppend(Stretch(Bets(2, 5, 5)...), two)
		answers = append(answers, b, s.end(1, a.mark, lottery.Finished), s.end(2, b.mark, lottery.Missing))
		for _, a := range answers {
			a.checkWaits()
		}
		resume()
	}
	select {
	case <-s.Failed():
	case <-time.After(patience):
		t.Fatal("the ledger does not die")
	}
	if s.Err() == nil {
		t.Error("a dead ledger does not say why")
	}
	answers = append(answers, s.tryAppend(Stretch(Bets(3, 0, 1)...), three), s.tryAppend(lottery.Stretch{Agency: 1}, one),
		s.claim(2, two), s.claim(2, 1<<40), s.end(3, three, lottery.Finished), s.end(1, one, lottery.Finished), s.draw())
	for i, a := range answers {
		if err := a.wait(); !deadly(err) || !is(err, s.Err()) {
			t.Errorf("call %d, %s, of a dead ledger gives %v, want %v", i, a.what, err, s.Err())
		}
	}
	for range 2 {
		if err := s.Close(); !is(err, s.Err()) {
			t.Errorf("Close gives %v, want %v", err, s.Err())
		}
	}
	if err := s.claim(2, two).wait(); !deadly(err) && !is(err, lottery.ErrClosed) {
		t.Errorf("a ledger that was closed dead gives %v", err)
	}
	for agency := range s.endings {
		t.Errorf("the end of agency %d was told", agency)
	}
	s = open(t, storage, 3)
	for i, bets := range []uint64{5, 5, 0} { // or more, that was not answered
		got := s.account(i + 1)
		if got.Bets < bets {
			t.Errorf("agency %d had %d bets, %d are left", i+1, bets, got.Bets)
		}
		s.checkAccount(i+1, got, lottery.Open, Bets(i+1, 0, int(got.Bets)))
	}
}

// deadly reports whether an error says that the ledger is dead.
func deadly(err error) bool {
	return err != nil && !errors.Is(err, lottery.ErrMoved) && !errors.Is(err, lottery.ErrUnavailable) && !errors.Is(err, lottery.ErrClosed)
}
