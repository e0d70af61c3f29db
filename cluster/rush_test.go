package cluster_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/lottery"
)

// TestTheDeadlineAtThreeCentrals lets three centrals end the betting of all
// agencies at once, as at the deadline, without knowing any of them. With CHAOS
// there are so many that a server would fail if all were sent at once.
func TestTheDeadlineAtThreeCentrals(t *testing.T) {
	t.Parallel()
	agencies := 100
	if os.Getenv("CHAOS") != "" {
		agencies = 1000
	}
	c := natstest.Start(t, 1)
	config := config(c, agencies)
	config.Patience = 15 * time.Second
	var contests []*lottery.Contest
	for _, name := range []string{"A", "B", "C"} {
		config.Central = name
		contests = append(contests, openContest(t, config).Contest)
	}
	begun := time.Now()
	var ending sync.WaitGroup
	for i, contest := range contests {
		ending.Go(func() {
			for tries := 1; ; tries++ {
				var late []int
				for _, a := range contest.Awaited() {
					late = append(late, a.Agency)
				}
				err := contest.DrawWithout(late...)
				if err == nil {
					t.Logf("central %d: try %d, after %v", i, tries, time.Since(begun))
					return
				}
				if !isPassing(err) || time.Since(begun) > answerTime {
					t.Errorf("central %d, try %d: %v", i, tries, err)
					return
				}
			}
		})
	}
	ending.Wait()
	for i, contest := range contests {
		select {
		case <-contest.Drawn():
		case <-time.After(answerTime):
			t.Fatalf("central %d makes no draw", i)
		}
	}
	t.Logf("drawn after %v", time.Since(begun))
}
