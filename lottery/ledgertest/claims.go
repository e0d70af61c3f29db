package ledgertest

import (
	"testing"

	"loteria/lottery"
)

// testClaim claims an agency whose mark is known: nothing is told of its
// account.
func testClaim(t *testing.T, storage *Storage) {
	s := open(t, storage, 2)
	mark := s.mark(1)
	for i := range 3 {
		for range 2 {
			if a := s.claim(1, mark); a.wait() != nil || a.stored != nil {
				t.Errorf("after %d bets: %v, and an account: %t", 5*i, a.err, a.stored != nil)
			}
		}
		mark = s.appends(1, 5*i, 5, mark)
	}
	s = s.reopen()
	if a := s.claim(1, s.mark(1)); a.wait() != nil || a.stored != nil {
		t.Errorf("after a restart: %v, and an account: %t", a.err, a.stored != nil)
	}
	s.appends(1, 15, 1, s.mark(1))
	s.reopen().checkStored(Bets(1, 0, 16), nil)
}

// testClaimWaits claims while bets are on their way.
func testClaimWaits(t *testing.T, storage *Storage) {
	if storage.Stall == nil {
		t.Skip("this ledger cannot be stalled")
	}
	s := open(t, storage, 1)
	mark := s.appends(1, 0, 5, s.mark(1))
	resume := s.stall()
	answers := []*answer{s.tryAppend(Stretch(Bets(1, 5, 5)...), mark)}
	answers = append(answers, s.claim(1, answers[0].mark))
	answers = append(answers, s.tryAppend(Stretch(Bets(1, 10, 5)...), answers[0].mark))
	answers = append(answers, s.claim(1, answers[2].mark))
	late := s.claim(1, mark) // its mark is no longer the agency's
	for _, a := range append(answers, late) {
		a.checkWaits()
	}
	resume()
	checkInOrder(t, answers)
	late.check(nil)
	s.checkAccount(1, late.stored, lottery.Open, Bets(1, 0, 15))
	if late.stored.Mark != answers[2].mark {
		t.Errorf("the account's mark is %d, the agency's %d", late.stored.Mark, answers[2].mark)
	}
}

// testClaimStored claims with marks that are not the agency's: the account is
// told, and one can go on from it.
func testClaimStored(t *testing.T, storage *Storage) {
	s := open(t, storage, 3)
	none := s.mark(1)
	var marks []lottery.Mark
	s.appends(2, 0, 7, s.mark(2)) // another's, before and between
	for i := range 4 {
		after := none
		if i > 0 {
			after = marks[i-1]
		}
		marks = append(marks, s.appends(1, 5*i, 5, after))
		s.appends(3, 0, 1, s.claimed(3, s.mark(3)))
	}
	last := marks[3]
	for _, wrong := range []lottery.Mark{none, marks[0], marks[2], last + 1<<40} {
		a := s.claim(1, wrong)
		a.check(nil)
		s.checkAccount(1, a.stored, lottery.Open, Bets(1, 0, 20))
		if a.stored.Mark != last {
			t.Errorf("the account's mark is %d, want %d", a.stored.Mark, last)
		}
		// It is the caller's own.
		rows := Stretch(Bets(1, 20, 5)...)
		a.stored.Add(&rows)
	}
	a := s.claim(1, none)
	a.check(nil)
	rows := Stretch(Bets(1, 20, 5)...)
	a.stored.Add(&rows)
	b := s.tryAppend(rows, a.stored.Mark)
	b.check(nil)
	s.checkAccount(1, a.stored, lottery.Open, Bets(1, 0, 25)) // the digest goes on

	s.end(1, b.mark, lottery.Missing).check(nil)
	c := s.claim(1, none)
	c.check(nil)
	s.checkAccount(1, c.stored, lottery.Missing, Bets(1, 0, 25))
	if c := s.claim(1, b.mark); c.wait() != nil || c.stored != nil {
		t.Errorf("the end has changed the mark: %v, and an account: %t", c.err, c.stored != nil)
	}
}

// claimed claims the agency and returns its mark.
func (s *subject) claimed(agency int, after lottery.Mark) lottery.Mark {
	s.t.Helper()
	a := s.claim(agency, after)
	a.check(nil)
	if a.stored != nil {
		return a.stored.Mark
	}
	return after
}

// testFence has two ledgers write for one agency in turn. The one that has not
// claimed it last cannot.
func testFence(t *testing.T, storage *Storage) {
	if !storage.Shared {
		t.Skip("one ledger at a time stands on this storage")
	}
	ledgers := [2]*subject{open(t, storage, 2), open(t, storage, 2)}
	var marks [2]lottery.Mark // that each believes to be the agency's
	for i := range marks {
		marks[i] = ledgers[i].mark(1)
	}
	stored := 0
	for turn := range 6 {
		s, mark := ledgers[turn%2], &marks[turn%2]
		a := s.claim(1, *mark)
		a.check(nil)
		if known := turn == 0; known != (a.stored == nil) {
			t.Fatalf("turn %d: an account is told: %t", turn, a.stored != nil)
		}
		if a.stored != nil {
			s.checkAccount(1, a.stored, lottery.Open, Bets(1, 0, stored))
			*mark = a.stored.Mark
		}
		for range turn { // the first one writes nothing
			*mark = s.appends(1, stored, 3, *mark)
			stored += 3
		}
		if turn == 0 {
			marks[1] = 1 << 40 // the claim has left the mark as it was
			if a := ledgers[1].claim(1, ledgers[1].mark(1)); a.wait() != nil || a.stored != nil {
				t.Fatalf("a claim has changed the mark: %v, an account is told: %t", a.err, a.stored != nil)
			}
		}
		// The other is fenced off, whatever it does. After turn 0 that is the
		// first one, whose mark is still the agency's.
		fenced, old := ledgers[(turn+1)%2], marks[(turn+1)%2]
		if turn == 0 {
			fenced, old = ledgers[0], marks[0]
		}
		fenced.tryAppend(Stretch(Bets(1, stored, 2)...), old).check(lottery.ErrMoved)
		fenced.end(1, old, lottery.Missing).check(lottery.ErrMoved)
		ledgers[turn%2].checkEnded(1, lottery.Open, nil)
	}
	// Other agencies are none of its business.
	ledgers[0].appends(2, 0, 2, ledgers[0].mark(2))
	for _, s := range ledgers {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	open(t, storage, 2).checkStored(Bets(1, 0, stored), Bets(2, 0, 2))
}

// testFenceInFlight claims an agency while another ledger has a chain of its
// bets on the way. What is stored is the beginning of the chain, and all that
// was answered.
func testFenceInFlight(t *testing.T, storage *Storage) {
	if !storage.Shared {
		t.Skip("one ledger at a time stands on this storage")
	}
	const calls = 50
	a, b := open(t, storage, 1), open(t, storage, 1)
	mark := a.mark(1)
	var answers []*answer
	var claim *answer
	for i := range calls {
		if i == calls/2 {
			claim = b.claim(1, b.mark(1))
		}
		next := a.tryAppend(Stretch(Bets(1, i, 1)...), mark)
		if mark = next.mark; next.refused {
			break
		}
		answers = append(answers, next)
	}
	claim.check(nil)
	stored, moved := 0, false
	for i, answer := range answers {
		switch err := answer.wait(); {
		case err == nil && !moved:
			stored++
		case is(err, lottery.ErrMoved):
			moved = true
		default:
			t.Errorf("append %d gives %v after another was refused: %t", i, err, moved)
		}
	}
	if claim.stored != nil {
		b.checkAccount(1, claim.stored, lottery.Open, Bets(1, 0, int(claim.stored.Bets)))
		if claim.stored.Bets != uint64(stored) {
			t.Errorf("answered are %d bets, after the claim there are %d", stored, claim.stored.Bets)
		}
	} else if known := b.account(1).Bets; known != uint64(stored) {
		t.Errorf("answered are %d bets, before the claim %d were known, and it tells no others", stored, known)
	}
}
