package csvledger

import (
	"testing"
	"testing/synctest"
	"time"

	"loteria/lottery"
	"pgregory.net/rapid"
)

func TestRegroup(t *testing.T) {
	const took = time.Hour // but no longer than maxRegroupTime is waited
	for _, test := range []struct {
		name    string
		commits [][]int // agencies whose rows each had
		pending []int   // agencies of the rows that are pending, in their order
		bytes   int     // of these
		missing int
	}{
		{"the first batch", nil, []int{1}, 5000, 0},
		{"a batch that is alone", [][]int{{1}, {1}}, []int{1}, 5000, 0},
		{"another's came during the commit", [][]int{{1}}, []int{2}, 5000, 1},
		{"both are there", [][]int{{1}}, []int{2, 1}, 10_000, 0},
		{"five in two groups", [][]int{{1, 2}}, []int{3, 4, 5}, 15_000, 2},
		{"five in two groups, of the last two commits", [][]int{{3, 4, 5}, {1, 2}}, []int{3}, 5000, 4},
		{"two groups that overlap", [][]int{{1, 2, 3}, {3, 4}}, []int{5, 4}, 5000, 3},
		{"five in one", [][]int{{1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}}, []int{5}, 5000, 4},
		{"several batches of each", [][]int{{1, 1, 2}, {2, 2, 1}}, []int{2, 2, 2}, 5000, 1},
		{"one has gone", [][]int{{1, 2}, {2}, {2}}, []int{2}, 5000, 0},
		{"one that has just come", [][]int{{1}, {1}}, []int{2}, 5000, 1},
		{"bytes enough for a commit", [][]int{{1, 2}}, []int{1}, maxRegrouped, 0},
	} {
		r := newRegroup()
		var joined [6]commitNumber
		for _, agencies := range test.commits {
			for _, agency := range agencies {
				r.join(&joined[agency])
			}
			r.begin()
			r.committed(took)
		}
		for _, agency := range test.pending {
			r.join(&joined[agency])
		}
		missing, remaining := r.wait(test.bytes)
		if missing != test.missing || (remaining > 0) != (missing > 0) || remaining > maxRegroupTime {
			t.Errorf("%s: waits for %d agencies and %v, expected %d", test.name, missing, remaining, test.missing)
		}
	}

	r, joined := newRegroup(), [2]commitNumber{}
	r.join(&joined[0])
	r.begin()
	r.committed(0)
	r.join(&joined[1])
	if _, remaining := r.wait(5000); remaining > 0 {
		t.Errorf("waits for %v after a commit that took no time", remaining)
	}
}

// TestRegroupCounts compares with a count of those that are missing.
func TestRegroupCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRegroup()
		var joined [8]commitNumber
		var before, last, next [8]bool
		for _, step := range rapid.SliceOf(rapid.IntRange(0, len(joined))).Draw(t, "agencies, or 8 for a commit") {
			if step == len(joined) {
				r.begin()
				before, last, next = last, next, [8]bool{}
			} else {
				r.join(&joined[step])
				next[step] = true
			}
			want := 0
			for i := range next {
				if !next[i] && (last[i] || before[i]) {
					want++
				}
			}
			if r.missing != want {
				t.Fatalf("%d are missing, expected %d", r.missing, want)
			}
		}
	})
}

// An agency that never comes back in time is not waited for again and again.
func TestRegroupGivesUp(t *testing.T) {
	const commits = 10 * (maxRegroupMisses + regroupPause)
	for _, test := range []struct {
		name        string
		comes       func(wait int) bool
		least, most int // waits
	}{
		{"never", func(int) bool { return false }, 10 * maxRegroupMisses, 11 * maxRegroupMisses},
		{"every other time", func(wait int) bool { return wait%2 == 0 }, commits - 1, commits},
	} {
		r := newRegroup()
		var joined [2]commitNumber
		waits := 0
		for i := range commits {
			r.join(&joined[i%2]) // the other one is missing
			if missing, _ := r.wait(5000); missing > 0 {
				r.waited(test.comes(waits))
				waits++
			}
			r.begin()
			r.committed(time.Hour)
		}
		if waits < test.least || waits > test.most {
			t.Errorf("who comes %s is waited for %d times in %d commits, expected %d to %d", test.name, waits, commits, test.least, test.most)
		}
	}
}

// slowProbe is a probe whose syncs take a millisecond of the bubble's clock.
func slowProbe(t *testing.T) (*probe, *Ledger) {
	p := newProbe(t)
	p.onSync = func() error { time.Sleep(time.Millisecond); return nil }
	return p, p.ledger(t)
}

// lockStep has an agency store batches one after the other, each a while after
// the last was answered. It returns how long all took.
func lockStep(t *testing.T, l *Ledger, agency, batches int, pause time.Duration) *call {
	return start(func() error {
		for i := range batches {
			if err := storeBets(l, samples(agency, i, 1)...); err != nil {
				return err
			}
			time.Sleep(pause)
		}
		return nil
	})
}

// TestRegroupTogether lets five agencies that send one batch at a time begin in
// two groups. They come together: each batch waits for about one sync, not for
// two.
func TestRegroupTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const batches = 50
		_, l := slowProbe(t)
		var commits []lottery.Commit
		l.committed = func(c lottery.Commit) { commits = append(commits, c) }
		begin := time.Now()
		calls := []*call{lockStep(t, l, 1, batches, 100*time.Microsecond), lockStep(t, l, 2, batches, 100*time.Microsecond)}
		time.Sleep(500 * time.Microsecond)
		for agency := 3; agency <= 5; agency++ {
			calls = append(calls, lockStep(t, l, agency, batches, 100*time.Microsecond))
		}
		for !calls[4].done.Load() {
			time.Sleep(100 * time.Microsecond)
		}
		if took, most := time.Since(begin), batches*1200*time.Microsecond; took > most {
			t.Errorf("%d batches took %v, want at most %v", batches, took, most)
		}
		for _, c := range commits[2:batches] {
			if c.Appends != 5 {
				t.Errorf("a commit had %d batches: %v", c.Appends, commits)
				break
			}
		}
		for _, c := range calls {
			c.check(t, "an agency", true, nil)
		}
	})
}

// beginWait returns a ledger on which the batch of agency 2 waits for another
// one of agency 1, which has just been answered.
func beginWait(t *testing.T) (*probe, *Ledger, *call) {
	p, l := slowProbe(t)
	first := store(l, sample(1, 0))
	synctest.Wait()
	second := store(l, sample(2, 0))
	time.Sleep(time.Millisecond)
	first.check(t, "the first batch", true, nil)
	second.check(t, "the second batch", false, nil)
	p.checkCalls(t, "write", "sync")
	if !l.waiting {
		t.Fatal("nobody is waited for")
	}
	return p, l, second
}

// TestRegroupEnds waits for an agency that does not come back, for no longer
// than two commits take. What needs no commit does not wait, unless it is
// behind one.
func TestRegroupEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l, second := beginWait(t)
		claim := await(l, 2)
		claim.check(t, "what is behind the batch", false, nil)
		time.Sleep(2*time.Millisecond - 1)
		synctest.Wait()
		p.checkCalls(t, "write", "sync")
		time.Sleep(1 * time.Nanosecond)
		synctest.Wait()
		p.checkCalls(t, "write", "sync", "write")
		time.Sleep(time.Millisecond)
		second.check(t, "the second batch", true, nil)
		claim.check(t, "what is behind the batch", true, nil)
		if l.regroup.misses != 1 {
			t.Errorf("%d waits were in vain, want one", l.regroup.misses)
		}
		await(l, 1).check(t, "what is durable already", true, nil)
	})
}

// TestRegroupHasCome waits for an agency that comes back: then both are
// committed at once.
func TestRegroupHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l, second := beginWait(t)
		time.Sleep(time.Millisecond)
		third := store(l, sample(1, 1))
		synctest.Wait()
		p.checkCalls(t, "write", "sync", "write")
		time.Sleep(time.Millisecond)
		second.check(t, "the second batch", true, nil)
		third.check(t, "the third batch", true, nil)
		p.checkWrites(t, rowsOf(sample(1, 0)), rowsOf(sample(2, 0), sample(1, 1)))
		if l.regroup.misses != 0 || l.waiting {
			t.Errorf("%d waits were in vain, one goes on: %t", l.regroup.misses, l.waiting)
		}
		time.Sleep(time.Minute) // for the timer
		p.checkCalls(t, "write", "sync", "write", "sync")
	})
}

// TestRegroupIsCutShort waits for an agency until the ledger is closed: what
// was appended is committed at once.
func TestRegroupIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l, second := beginWait(t)
		begin := time.Now()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != time.Millisecond {
			t.Errorf("Close took %v, want one sync", took)
		}
		second.check(t, "the second batch", true, nil)
		checkFile(t, p.Name(), rowsOf(sample(1, 0), sample(2, 0)))
		time.Sleep(time.Minute) // for the timer
		p.checkCalls(t, "write", "sync", "write", "sync", "close")
	})
}
