package ledgertest

import (
	"strings"
	"testing"
	"time"

	"loteria/lottery"
)

// testTerms opens a contest with another number of agencies than it was begun
// with.
func testTerms(t *testing.T, storage *Storage) {
	s := open(t, storage, 3)
	s.appends(1, 0, 1, s.mark(1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, agencies := range []int{2, 4} {
		l, err := storage.Open(agencies)
		if err == nil {
			_, err = l.Begin(lottery.Events{})
			_ = l.Close()
		}
		if err == nil {
			t.Fatalf("a contest of 3 agencies was opened with %d", agencies)
		}
		for _, number := range []string{"3", string(rune('0' + agencies))} {
			if !strings.Contains(err.Error(), number) {
				t.Errorf("the error does not speak of %s agencies: %v", number, err)
			}
		}
	}
	open(t, storage, 3).checkStored(Bets(1, 0, 1), nil, nil)
}

// testOtherTerms begins a contest again with another number of agencies, which
// it may be while it is of no use to anybody.
func testOtherTerms(t *testing.T, storage *Storage) {
	if storage.Shared {
		t.Skip("another central may stand on this storage, with its terms")
	}
	var s *subject
	for _, agencies := range []int{3, 2, 4} {
		if s != nil {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s = open(t, storage, agencies)
		s.checkTerms(agencies, time.Time{})
	}
	s.end(4, s.mark(4), lottery.Missing).check(nil) // without a bet
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err := storage.Open(3); err == nil {
		_ = l.Close()
		t.Error("a contest in which an agency has ended its betting was begun again")
	}
	open(t, storage, 4).checkTerms(4, time.Time{})
}

// Deadlines, in zones of their own: only the moment counts.
var (
	christmas = time.Date(2099, 12, 24, 18, 0, 0, 0, time.FixedZone("", -3*60*60))
	epiphany  = time.Date(2100, 1, 6, 12, 30, 15, 123456789, time.FixedZone("", 5*60*60+30*60))
)

func (s *subject) setDeadline(before, deadline time.Time) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.expect("SetDeadline", 0)
	s.SetDeadline(before, deadline, func(err error) { s.tell(a, nil, err) })
	return a
}

func (s *subject) checkTerms(agencies int, deadline time.Time) {
	s.t.Helper()
	if got := s.Terms(); got.Agencies != agencies || !got.Deadline.Equal(deadline) {
		s.t.Errorf("the terms are %+v, want %d agencies and the deadline %v", got, agencies, deadline)
	}
}

// testDeadline sets the deadline, which stays with the contest. Of two who set
// it only the first does.
func testDeadline(t *testing.T, storage *Storage) {
	s := open(t, storage, 2)
	s.checkTerms(2, time.Time{})
	mark := s.appends(1, 0, 3, s.mark(1))
	s.setDeadline(time.Time{}, christmas).check(nil)
	s.checkTerms(2, christmas)
	s.setDeadline(time.Time{}, epiphany).check(lottery.ErrMoved)
	s.setDeadline(time.Time{}, christmas.UTC()).check(nil) // it is that already
	s.checkTerms(2, christmas)
	s.appends(1, 3, 2, mark) // neither moves the agencies' marks
	s = s.reopen()
	s.checkStored(Bets(1, 0, 5), nil)
	s.checkTerms(2, christmas)
	s.setDeadline(christmas, epiphany).check(nil)
	s.end(2, s.mark(2), lottery.Finished).check(nil) // which is stored beside it
	s = s.reopen()
	s.checkTerms(2, epiphany)
	s.setDeadline(christmas, christmas.Add(time.Hour)).check(lottery.ErrMoved)
	s.checkTerms(2, epiphany)
	if storage.Shared {
		other := open(t, storage, 2)
		other.checkTerms(2, epiphany)
		other.setDeadline(epiphany, christmas).check(nil)
		for begun := time.Now(); !s.Terms().Deadline.Equal(christmas); time.Sleep(time.Millisecond) {
			if time.Since(begun) > patience {
				t.Fatal("a deadline that another central has set does not become known")
			}
		}
		s.setDeadline(epiphany, epiphany.Add(time.Hour)).check(lottery.ErrMoved)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.setDeadline(s.Terms().Deadline, epiphany.Add(time.Hour)).check(lottery.ErrClosed)
}

// testDeadlineUnavailable sets a deadline that cannot be stored at once. Asked
// for again, it is.
func testDeadlineUnavailable(t *testing.T, storage *Storage) {
	if storage.Interrupt == nil {
		t.Skip("this ledger is always available")
	}
	s := open(t, storage, 1)
	restore := storage.Interrupt()
	for range 2 {
		s.setDeadline(time.Time{}, christmas).check(lottery.ErrUnavailable)
	}
	restore()
	s.setDeadline(time.Time{}, christmas).check(nil)
	s.reopen().checkTerms(1, christmas)
}
