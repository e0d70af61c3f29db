package chaos_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// TestRivals lets two senders with one agency's number bet at two centrals, with
// bets that are the same up to some point, and resume in turn again and again.
// What is acknowledged to either is stored, and the stored bets are all those of
// the one that finishes. Every second time a central dies meanwhile.
func TestRivals(t *testing.T) {
	rng := natstest.Rand(t)
	cluster := natstest.Start(t, 1)
	var sum verdict
	fenced := 0
	for round := range 6 {
		s := (&storage{t: t, cluster: cluster, contest: fmt.Sprintf("rivals-%d", round), agencies: 1}).begin(2)
		total := 100 + rng.IntN(400)
		common := [...]int{0, rng.IntN(total), total, total}[rng.IntN(4)]
		c := emptyCrowd(t, s)
		for i := range 2 {
			a := &sender{agency: 1, centrals: s.centrals[i : i+1], total: total, isRival: true}
			a.change = func(bet *lottery.Bet) {
				if len(a.bets) >= common {
					bet.FirstName = fmt.Sprintf("Rival %d", i)
				}
			}
			c.join(a, rng.Uint64())
		}
		if round%2 == 1 {
			for range 3 {
				i := rng.IntN(2)
				s.die(i)
				time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
				s.revive(i)
				c.awaitAnswers("answers after a central's death", 2)
			}
		}
		c.awaitEnd()

		for _, slot := range s.centrals {
			select {
			case <-slot.now().contest.Drawn():
			case <-time.After(stuckTime):
				t.Fatalf("round %d: there is no draw", round)
			}
		}
		rows := s.rows()[0]
		won := 0
		for i, a := range c.senders {
			fenced += a.refusals
			file := lines(ledgertest.Rows(a.bets[:min(total, len(a.bets))]...))
			if a.finished {
				won++
				v := judge(rows, file, total)
				if sum.add(v); !v.good() {
					t.Errorf("round %d: the one that has finished: %v", round, v)
				}
			} else if n := min(a.acked, len(rows)); !slices.Equal(rows[:n], file[:a.acked]) {
				t.Errorf("round %d: of rival %d %d bets are acknowledged and not all stored", round, i, a.acked)
			}
		}
		if want := map[bool]int{true: 2, false: 1}[common == total]; won != want {
			t.Errorf("round %d: %d have finished, want %d", round, won, want)
		}
		checkStream(t, cluster, s.centrals[0].now().stream, [][]string{rows})
		if t.Failed() {
			t.Fatalf("%d bets, of which the first %d are the same", total, common)
		}
	}
	t.Logf("refused %d times; %v", fenced, sum)
}

// TestWithoutResume lets agencies that never say RESUME send one batch to one
// central and the next to another, as existing ones do through a balancer. As long
// as nothing fails, nothing is lost and nothing stored twice.
func TestWithoutResume(t *testing.T) {
	rng := natstest.Rand(t)
	s := (&storage{t: t, cluster: natstest.Start(t, 1), contest: "without-resume", agencies: 3}).begin(2)
	c := emptyCrowd(t, s)
	const batches = 30
	for agency := 1; agency <= s.agencies; agency++ {
		a := &sender{agency: agency, crowd: c}
		c.senders = append(c.senders, a)
		sizes := make([]int, batches)
		for i := range sizes {
			sizes[i] = 1 + rng.IntN(5)
		}
		c.running.Go(func() {
			for i, n := range sizes {
				a.bets = append(a.bets, ledgertest.Bets(agency, len(a.bets), n)...)
				batch := ledgertest.Batch(t, a.bets[a.acked:]...)
				l := s.centrals[i%2].now()
				if err := l.wait(func(done func(error)) error { return l.contest.Store(batch, 0, done) }); err != nil {
					t.Errorf("agency %d: batch %d: %v", agency, i, err)
					return
				}
				a.acked = len(a.bets)
			}
			l := s.centrals[batches%2].now()
			if err := l.wait(func(done func(error)) error { return l.contest.Finish(agency, 0, lottery.Tally{}, done) }); err != nil {
				t.Errorf("agency %d: FINISHED: %v", agency, err)
			}
		})
	}
	c.running.Wait()
	if t.Failed() {
		t.FailNow()
	}
	c.checkWinners(s.centrals[0].now().contest, s.centrals[1].now().contest)
	t.Log(c.check())
	checkStream(t, s.cluster, s.centrals[0].now().stream, s.rows())
}
