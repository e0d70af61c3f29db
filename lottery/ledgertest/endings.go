package ledgertest

import (
	"slices"
	"sync"
	"testing"

	"loteria/lottery"
)

// testEnd ends the betting of agencies: the first ending stands, is told once
// and before the answer, and no rows come after it.
func testEnd(t *testing.T, storage *Storage) {
	s := open(t, storage, 4)
	marks := make([]lottery.Mark, 4)
	for i := range 2 { // 3 and 4 have no bets
		marks[i] = s.appends(i+1, 0, 6, s.mark(i+1))
	}
	marks[2], marks[3] = s.mark(3), s.mark(4)
	for i, how := range []lottery.Ending{lottery.Finished, lottery.Missing, lottery.Missing} {
		agency := i + 1
		s.checkEnded(agency, lottery.Open, nil)
		a := s.end(agency, marks[i], how)
		a.check(nil)
		s.checkEnded(agency, how, a)
		if stored := s.endings[agency].stored; stored != nil {
			t.Errorf("agency %d: an account is told to who has ended its betting", agency)
		}
		s.tryAppend(Stretch(Bets(agency, 6, 1)...), marks[i]).check(lottery.ErrMoved)
		for _, again := range []lottery.Ending{lottery.Finished, lottery.Missing} {
			s.end(agency, marks[i], again).check(nil)
			s.end(agency, marks[i]+1<<40, again).check(nil) // it has ended, whoever asks
		}
		s.checkEnded(agency, how, a)
	}
	s.appends(4, 0, 2, marks[3]) // the others go on
	s = s.reopen()
	s.checkAccount(1, s.account(1), lottery.Finished, Bets(1, 0, 6))
	s.checkAccount(2, s.account(2), lottery.Missing, Bets(2, 0, 6))
	s.checkAccount(3, s.account(3), lottery.Missing, nil)
	s.checkAccount(4, s.account(4), lottery.Open, Bets(4, 0, 2))
	s.tryAppend(Stretch(Bets(2, 6, 1)...), s.mark(2)).check(lottery.ErrMoved)
	s.end(2, s.mark(2), lottery.Finished).check(nil)
	s.checkEnded(2, lottery.Open, nil) // what Begin has returned is not told
}

// testEndWaits ends the betting of an agency whose bets are on their way.
func testEndWaits(t *testing.T, storage *Storage) {
	if storage.Stall == nil {
		t.Skip("this ledger cannot be stalled")
	}
	s := open(t, storage, 1)
	mark := s.appends(1, 0, 5, s.mark(1))
	resume := s.stall()
	rows := s.tryAppend(Stretch(Bets(1, 5, 5)...), mark)
	end := s.end(1, rows.mark, lottery.Finished)
	late := s.tryAppend(Stretch(Bets(1, 10, 5)...), rows.mark)
	again := s.end(1, rows.mark, lottery.Missing)
	for _, a := range []*answer{rows, end, again} {
		a.checkWaits()
	}
	s.checkEnded(1, lottery.Open, nil)
	resume()
	checkInOrder(t, []*answer{rows, end})
	again.check(nil)
	late.check(lottery.ErrMoved)
	s.checkEnded(1, lottery.Finished, end)
	s.checkEnded(1, lottery.Finished, again)
	s = s.reopen()
	s.checkAccount(1, s.account(1), lottery.Finished, Bets(1, 0, 10))
}

// testEndIsCompared ends betting after marks that are not the agency's.
func testEndIsCompared(t *testing.T, storage *Storage) {
	s := open(t, storage, 1)
	none := s.mark(1)
	old := s.appends(1, 0, 3, none)
	mark := s.appends(1, 3, 3, old)
	for _, wrong := range []lottery.Mark{none, old, mark + 1<<40} {
		s.end(1, wrong, lottery.Missing).check(lottery.ErrMoved)
		s.checkEnded(1, lottery.Open, nil)
		if a := s.claim(1, mark); a.wait() != nil || a.stored != nil {
			t.Errorf("after a refused end: %v, an account is told: %t", a.err, a.stored != nil)
		}
	}
	mark = s.appends(1, 6, 3, mark)
	a := s.end(1, mark, lottery.Finished)
	a.check(nil)
	s.checkEnded(1, lottery.Finished, a)
	s = s.reopen()
	s.checkAccount(1, s.account(1), lottery.Finished, Bets(1, 0, 9))
}

// testEndsAtOnce ends the betting of many agencies at once, of each several
// times, in either way.
func testEndsAtOnce(t *testing.T, storage *Storage) {
	const agencies = 12
	s := open(t, storage, agencies)
	marks := make([]lottery.Mark, agencies)
	for i := range marks {
		marks[i] = s.tryAppend(Stretch(Bets(i+1, 0, i+1)...), s.mark(i+1)).mark
	}
	answers := make([]*answer, 4*agencies)
	var wg sync.WaitGroup
	for k := range answers {
		wg.Go(func() {
			i := k % agencies
			answers[k] = s.end(i+1, marks[i], lottery.Ending(1+(k/agencies+i)%2))
			_ = answers[k].wait()
		})
	}
	wg.Wait()
	for k, a := range answers {
		i := k % agencies
		a.check(nil)
		s.checkEnded(i+1, s.endings[i+1].how, a)
		if s.endings[i+1].how == lottery.Open {
			t.Errorf("the end of agency %d was not told", i+1)
		}
	}
	endings := s.endings
	s = s.reopen()
	for i := range agencies {
		s.checkAccount(i+1, s.account(i+1), endings[i+1].how, Bets(i+1, 0, i+1))
	}
}

// testEndIsToldToAll ends the betting of agencies on one of two ledgers: the
// other is told, too, with the account.
func testEndIsToldToAll(t *testing.T, storage *Storage) {
	if !storage.Shared {
		t.Skip("one ledger at a time stands on this storage")
	}
	a, b := open(t, storage, 2), open(t, storage, 2)
	one := a.appends(1, 0, 7, a.mark(1))
	two := b.appends(2, 0, 9, b.mark(2))
	a.end(1, one, lottery.Finished).check(nil)
	b.end(2, two, lottery.Missing).check(nil)
	for i, test := range []struct {
		s      *subject
		agency int
		how    lottery.Ending
		bets   []lottery.Bet // of the account that is told, or nil
	}{
		{a, 1, lottery.Finished, nil},
		{a, 2, lottery.Missing, Bets(2, 0, 9)},
		{b, 1, lottery.Finished, Bets(1, 0, 7)},
		{b, 2, lottery.Missing, nil},
	} {
		told := test.s.awaitEnded(test.agency)
		if told.how != test.how || (told.stored != nil) != (test.bets != nil) {
			t.Errorf("%d: the end of agency %d is told as %d, an account: %t", i, test.agency, told.how, told.stored != nil)
		}
		if test.bets != nil {
			test.s.checkAccount(test.agency, told.stored, test.how, test.bets)
		}
	}
	b.tryAppend(Stretch(Bets(1, 7, 1)...), one).check(lottery.ErrMoved)
	b.end(1, b.mark(1), lottery.Missing).check(nil) // the first one stands
	// Each may make the draw.
	a.checkDraw(Bets(1, 0, 7), Bets(2, 0, 9))
	b.checkDraw(Bets(1, 0, 7), Bets(2, 0, 9))
	c := open(t, storage, 2)
	c.checkAccount(1, c.account(1), lottery.Finished, Bets(1, 0, 7))
	c.checkAccount(2, c.account(2), lottery.Missing, Bets(2, 0, 9))
	if !c.stored.Drawn {
		t.Error("the draw is not stored")
	}
}

// checkDraw makes the draw. It tells the winners of the bets, of agency i+1,
// when the accounts do not have them.
func (s *subject) checkDraw(bets ...[]lottery.Bet) {
	s.t.Helper()
	a := s.draw()
	a.check(nil)
	if !s.storage.Lazy {
		if a.winners != nil {
			s.t.Errorf("the draw tells the winners %q, which the accounts have", a.winners)
		}
		return
	}
	if len(a.winners) != len(bets) {
		s.t.Fatalf("the draw tells the winners of %d agencies, want %d", len(a.winners), len(bets))
	}
	for i := range bets {
		if want := Winners(bets[i]...); !slices.Equal(a.winners[i], want) {
			s.t.Errorf("the winners of agency %d are %q, want %q", i+1, a.winners[i], want)
		}
	}
}

// testDraw makes the draw, which is there after a restart.
func testDraw(t *testing.T, storage *Storage) {
	s := open(t, storage, 2)
	mark := s.appends(1, 0, 5, s.mark(1))
	s.end(1, mark, lottery.Finished).check(nil)
	s = s.reopen()
	if s.stored.Drawn {
		t.Error("an agency is still betting, and the draw is made")
	}
	s.end(2, s.mark(2), lottery.Missing).check(nil)
	s = s.reopen()
	if s.stored.Drawn {
		t.Error("nobody has made the draw, and it is stored")
	}
	for range 2 {
		s.checkDraw(Bets(1, 0, 5), nil)
		s.checkDraw(Bets(1, 0, 5), nil)
		s = s.reopen()
		if !s.stored.Drawn {
			t.Error("the draw is not stored")
		}
	}
	s.checkAccount(1, s.account(1), lottery.Finished, Bets(1, 0, 5))
	s.checkAccount(2, s.account(2), lottery.Missing, nil)
	s.tryAppend(Stretch(Bets(1, 5, 1)...), s.mark(1)).check(lottery.ErrMoved)
}
