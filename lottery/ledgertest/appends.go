package ledgertest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"loteria/lottery"
)

func is(err, want error) bool { return errors.Is(err, want) }

func testAppend(t *testing.T, storage *Storage) {
	s := open(t, storage, 3)
	marks := [3]lottery.Mark{s.mark(1), s.mark(2), s.mark(3)}
	var all [3][]lottery.Bet
	for i, n := range []int{1, 10, 300, 7, 1, 64} {
		agency := i%2 + 1 // agency 3 has none
		bets := Bets(agency, len(all[agency-1]), n)
		all[agency-1] = append(all[agency-1], bets...)
		next := s.appends(agency, len(all[agency-1])-n, n, marks[agency-1])
		if next == marks[agency-1] {
			t.Errorf("after %d more bets the mark of agency %d is still %d", n, agency, next)
		}
		marks[agency-1] = next
	}
	for i := range marks {
		a := s.claim(i+1, marks[i])
		if a.check(nil); a.stored != nil {
			t.Errorf("agency %d: the mark %d that Append has returned is not the ledger's", i+1, marks[i])
		}
	}
	s = s.reopen()
	s.checkStored(all[:]...)
}

// testAppendCopies changes what was appended.
func testAppendCopies(t *testing.T, storage *Storage) {
	s := open(t, storage, 1)
	rows, mark := Stretch(Bets(1, 0, 100)...), s.mark(1)
	var resume func()
	if storage.Stall != nil {
		resume = s.stall()
	}
	a := s.tryAppend(rows, mark)
	clear(rows.Rows)
	clear(rows.Winners)
	if resume != nil {
		resume()
	}
	a.check(nil)
	s.reopen().checkStored(Bets(1, 0, 100))
}

// testAppendIsDurable looks for bets that were answered after a stop that does
// not wait for anything else.
func testAppendIsDurable(t *testing.T, storage *Storage) {
	if storage.Stall == nil {
		t.Skip("this ledger cannot be stalled")
	}
	s := open(t, storage, 2)
	first := s.appends(1, 0, 3, s.mark(1))
	none := s.mark(2)
	resume := s.stall()
	a := s.tryAppend(Stretch(Bets(1, 3, 3)...), first)
	b := s.tryAppend(Stretch(Bets(2, 0, 3)...), none)
	a.checkWaits()
	b.checkWaits()
	resume()
	a.check(nil)
	b.check(nil)
	s.reopen().checkStored(Bets(1, 0, 6), Bets(2, 0, 3))
}

// testOrder has many calls for one agency on their way at once.
func testOrder(t *testing.T, storage *Storage) {
	const calls = 200
	s := open(t, storage, 2)
	mark, sent := s.mark(1), 0
	var answers []*answer
	for i := range calls {
		switch i % 4 {
		case 0, 1:
			a := s.tryAppend(Stretch(Bets(1, sent, i%7+1)...), mark)
			mark, sent = a.mark, sent+i%7+1
			answers = append(answers, a)
		case 2:
			answers = append(answers, s.tryAppend(lottery.Stretch{Agency: 1}, mark))
		case 3:
			answers = append(answers, s.claim(1, mark))
		}
		if i%50 == 49 { // the ledger becomes idle now and then
			checkInOrder(t, answers)
		}
	}
	checkInOrder(t, answers)
	s.reopen().checkStored(Bets(1, 0, sent))
}

// checkInOrder checks that the calls went well and were answered in their
// order.
func checkInOrder(t *testing.T, answers []*answer) {
	t.Helper()
	for i, a := range answers {
		if a.check(nil); a.stored != nil {
			t.Fatalf("claim %d tells another mark", i)
		}
		if i > 0 && a.order < answers[i-1].order {
			t.Fatalf("call %d, %s, is answered before call %d, %s", i, a.what, i-1, answers[i-1].what)
		}
	}
}

// testConcurrency has several agencies, each with several calls on their way.
func testConcurrency(t *testing.T, storage *Storage) {
	const agencies, calls, window = 8, 150, 6
	s := open(t, storage, agencies)
	all := make([][]lottery.Bet, agencies)
	var wg sync.WaitGroup
	for i := range agencies {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			mark := s.mark(i + 1)
			var answers []*answer
			for n := range calls {
				bets := Bets(i+1, len(all[i]), r.IntN(20)) // also none
				all[i] = append(all[i], bets...)
				rows := lottery.Stretch{Agency: i + 1}
				if len(bets) > 0 {
					rows = Stretch(bets...)
				}
				a := s.tryAppend(rows, mark)
				mark = a.mark
				answers = append(answers, a)
				if n >= window {
					if err := answers[n-window].wait(); err != nil {
						t.Errorf("agency %d: %v", i+1, err)
						return
					}
				}
			}
			s.end(i+1, mark, lottery.Finished)
			for n, a := range answers {
				if a.wait() != nil || n > 0 && a.order < answers[n-1].order {
					t.Errorf("agency %d: append %d gives %v, or is answered too soon", i+1, n, a.err)
				}
			}
		})
	}
	wg.Wait()
	s = s.reopen()
	for i := range all {
		s.checkAccount(i+1, s.account(i+1), lottery.Finished, all[i])
	}
}

// testCallbacksMayCall makes each call from the callback of the last.
func testCallbacksMayCall(t *testing.T, storage *Storage) {
	const calls = 50
	s := open(t, storage, 1)
	done := make(chan error, 1)
	then := func(next func()) func(error) {
		return func(err error) {
			if err != nil {
				done <- err
				return
			}
			next()
		}
	}
	var mu sync.Mutex // of mark: a callback may come before Append has returned
	mark := s.mark(1)
	locked := func() lottery.Mark {
		mu.Lock()
		defer mu.Unlock()
		return mark
	}
	draw := func() { s.Draw(func(_ [][]string, err error) { done <- err }) }
	end := func() { s.End(1, locked(), lottery.Finished, then(draw)) }
	claim := func() { s.Claim(1, locked(), false, func(_ *lottery.Account, err error) { then(end)(err) }) }
	var next func(i int)
	next = func(i int) {
		if i == calls {
			claim()
			return
		}
		mu.Lock()
		defer mu.Unlock()
		var err error
		if mark, err = s.Append(Stretch(Bets(1, i, 1)...), mark, then(func() { next(i + 1) })); err != nil {
			done <- err
		}
	}
	next(0)
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("a call is not answered")
	}
	s = s.reopen()
	s.checkAccount(1, s.account(1), lottery.Finished, Bets(1, 0, calls))
	if !s.stored.Drawn {
		t.Error("the draw is not stored")
	}
}

// testWrongMark writes after other marks than the agency's. Nothing of that is
// stored, nor of what follows it, and the right mark is still taken.
func testWrongMark(t *testing.T, storage *Storage) {
	s := open(t, storage, 2)
	none := s.mark(1)
	old := s.appends(1, 0, 3, none)
	mark := s.appends(1, 3, 3, old)
	for name, wrong := range map[string]lottery.Mark{"none": none, "old": old, "unknown": mark + 1<<40} {
		a := s.tryAppend(Stretch(Bets(1, 6, 3)...), wrong)
		answers := []*answer{a, s.tryAppend(lottery.Stretch{Agency: 1}, wrong)}
		if !a.refused {
			b := s.tryAppend(Stretch(Bets(1, 9, 3)...), a.mark)
			answers = append(answers, b, s.tryAppend(Stretch(Bets(1, 12, 3)...), b.mark))
		}
		for _, a := range answers {
			if err := a.wait(); !is(err, lottery.ErrMoved) {
				t.Errorf("after the mark %s: %v, want %v", name, err, lottery.ErrMoved)
			}
		}
		if c := s.claim(1, mark); c.wait() != nil || c.stored != nil {
			t.Errorf("after the mark %s: the agency's mark is another one, %v", name, c.err)
		}
	}
	s.appends(2, 0, 2, s.mark(2))
	s.appends(1, 6, 1, mark)
	select {
	case <-s.Failed():
		t.Error("the ledger is dead")
	default:
	}
	s.reopen().checkStored(Bets(1, 0, 7), Bets(2, 0, 2))
}

// testNoRows appends nothing: that tells when what is before is durable.
func testNoRows(t *testing.T, storage *Storage) {
	s := open(t, storage, 2)
	nothing := lottery.Stretch{Agency: 1}
	check := func(mark lottery.Mark) {
		t.Helper()
		for range 3 {
			a := s.tryAppend(nothing, mark)
			if a.check(nil); a.mark != mark {
				t.Errorf("without rows the mark has become %d, it was %d", a.mark, mark)
			}
		}
	}
	check(s.mark(1))
	mark := s.appends(1, 0, 5, s.mark(1))
	check(mark)
	s.tryAppend(nothing, s.mark(1)).check(lottery.ErrMoved)
	if storage.Stall != nil {
		resume := s.stall()
		rows := s.tryAppend(Stretch(Bets(1, 5, 5)...), mark)
		mark = rows.mark
		a := s.tryAppend(nothing, mark)
		a.checkWaits()
		resume()
		checkInOrder(t, []*answer{rows, a})
	}
	s.end(1, mark, lottery.Finished).check(nil)
	check(mark)
	s = s.reopen()
	check(s.mark(1))
	if got := s.account(1).Bets; got != 5 && got != 10 {
		t.Errorf("stored are %d bets", got)
	}
}

// testLikeMemory makes the same calls, one after the other, of the ledger and
// of one in memory.
func testLikeMemory(t *testing.T, storage *Storage) {
	const agencies, calls = 3, 300
	model := new(Memory).Storage()
	both := [2]*subject{open(t, storage, agencies), open(t, model, agencies)}
	var marks [2][agencies][]lottery.Mark // that either has ever had
	begun := func() {
		for k := range both {
			for i := range agencies {
				marks[k][i] = []lottery.Mark{both[k].mark(i + 1)}
			}
		}
	}
	begun()
	r := rand.New(rand.NewPCG(1, 5))
	var sent [agencies]int
	ended := 0
	for call := range calls {
		i := r.IntN(agencies)
		n := len(marks[0][i]) - 1
		if r.IntN(5) == 0 {
			n = r.IntN(n + 1) // an old one, mostly
		}
		what, size := r.IntN(20), r.IntN(4)
		how := lottery.Ending(1 + r.IntN(2))
		var answers [2]*answer
		for k, s := range both {
			mark := marks[k][i][n]
			switch {
			case what < 12:
				rows := lottery.Stretch{Agency: i + 1}
				if size > 0 {
					rows = Stretch(Bets(i+1, sent[i], size)...)
				}
				answers[k] = s.tryAppend(rows, mark)
			case what < 17:
				answers[k] = s.claim(i+1, mark)
			case what < 18 && call > calls*(1+ended)/4:
				answers[k] = s.end(i+1, mark, how)
			case what < 19:
				both[k] = s.reopen()
				continue
			default:
				continue
			}
			_ = answers[k].wait()
		}
		if answers[0] == nil {
			if what < 19 { // they were reopened
				begun()
			}
			continue
		}
		a, b := answers[0], answers[1]
		if !is(a.err, b.err) || (a.stored == nil) != (b.stored == nil) {
			t.Fatalf("call %d, %s of agency %d, %d rows, mark %d of %d: %v and %+v; in memory %v and %+v", call, a.what, i+1, size, n, len(marks[0][i]), a.err, a.stored, b.err, b.stored)
		}
		switch {
		case a.err == nil && what < 12 && size > 0:
			sent[i] += size
			marks[0][i], marks[1][i] = append(marks[0][i], a.mark), append(marks[1][i], b.mark)
		case a.err == nil && a.what == "End":
			ended++
		case a.stored != nil:
			both[0].checkAccount(i+1, a.stored, b.stored.Ended, Bets(i+1, 0, sent[i]))
			if last := len(marks[0][i]) - 1; a.stored.Mark != marks[0][i][last] || b.stored.Mark != marks[1][i][last] {
				t.Fatalf("call %d: the account's mark is not the agency's", call)
			}
		}
	}
	for i := range agencies {
		both[0].checkEnded(i+1, both[1].endings[i+1].how, nil)
	}
	got, want := both[0].reopen(), both[1].reopen()
	for i := range agencies {
		got.checkAccount(i+1, got.account(i+1), want.account(i+1).Ended, Bets(i+1, 0, sent[i]))
	}
}
