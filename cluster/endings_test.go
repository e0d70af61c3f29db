package cluster_test

import (
	"errors"
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
	"loteria/lottery/natsledger"
)

// openContest opens a central's contest.
func openContest(t *testing.T, config natsledger.Config) *ledgertest.Contest {
	t.Helper()
	l, err := openConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	contest := ledgertest.NewContest(t, l)
	t.Cleanup(func() { _ = contest.Close() })
	return contest
}

// TestTheDrawIsMadeWithoutAnAgencyAfterAnOutage asks for the draw without a
// missing agency while no server answers: when they do again, retries must be
// enough.
func TestTheDrawIsMadeWithoutAnAgencyAfterAnOutage(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	config := config(c, 1)
	config.Patience = 500 * time.Millisecond
	contest := openContest(t, config)
	resume := c.StallAllClients()
	if err := contest.DrawWithout(1); !errors.Is(err, lottery.ErrUnavailable) {
		t.Errorf("without servers the answer is %v, want %v", err, lottery.ErrUnavailable)
	}
	resume()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) { // as for a deadline
		err := contest.DrawWithout(1)
		if err == nil {
			break
		}
		if !errors.Is(err, lottery.ErrUnavailable) || time.Since(begun) > answerTime/2 {
			t.Fatalf("the servers are back for %v, and the answer is %v", time.Since(begun), err)
		}
	}
	select {
	case <-contest.Drawn():
	case <-time.After(answerTime):
		t.Error("there is no draw")
	}
}

// TestAnEndThatWasNotTried ends the betting of an agency, as an operator would,
// while no server answers and another request of the agency is in flight. When
// they answer again the agency, which was not ended, may bet.
func TestAnEndThatWasNotTried(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	config := config(c, 1)
	contest := openContest(t, config)
	if _, _, err := contest.TryResume(1); err != nil {
		t.Fatal(err)
	}
	resume := c.StallAllClients()
	if _, _, err := contest.TryResume(1); !errors.Is(err, lottery.ErrUnavailable) {
		t.Errorf("without servers the answer is %v, want %v", err, lottery.ErrUnavailable)
	}
	if err := contest.DrawWithout(1); !errors.Is(err, lottery.ErrUnavailable) {
		t.Errorf("without servers the answer is %v, want %v", err, lottery.ErrUnavailable)
	}
	resume()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		_, _, err := contest.TryResume(1)
		if err == nil {
			break
		}
		if !errors.Is(err, lottery.ErrUnavailable) || time.Since(begun) > answerTime {
			t.Fatal(err)
		}
	}
	if err := contest.TryStore(ledgertest.Batch(t, ledgertest.Bets(1, 0, 1)...)); err != nil {
		t.Fatalf("the agency has not ended, and its bet is refused: %v", err)
	}
	if err := contest.TryFinish(1, 1, true); err != nil {
		t.Fatal(err)
	}
	contest.CheckDraw(true, ledgertest.Winners(ledgertest.Bets(1, 0, 1)...))
}
