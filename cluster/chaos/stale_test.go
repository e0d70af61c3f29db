package chaos_test

import (
	"context"
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/natsledger"
)

// TestReadAtAStaleLeader begins to read a contest at a server that is cut off and
// still believes that it leads: the others have elected another leader, and have
// bets that it lacks. When it is back, its part must not pass for the whole
// contest.
func TestReadAtAStaleLeader(t *testing.T) {
	rng := natstest.Rand(t)
	cluster := natstest.Start(t, 3)
	stale := rng.IntN(3)
	restore := cluster.CutClients(stale)
	s := &short{storage: (&storage{t: t, cluster: cluster, contest: "stale", agencies: 2}).begin(1), rng: rng}
	s.crowd = newCrowd(t, s.storage, rng)
	s.crowd.awaitAnswers("the first answers", 3)
	cluster.MoveLeader(s.stream(), stale)
	s.crowd.awaitAnswers("answers of the new leader", 3)
	heal := cluster.Isolate(stale)
	defer heal()
	restore()
	s.crowd.awaitAnswers("answers of the next leader", 3)
	acked := 0
	s.crowd.await("what is acknowledged", func() bool {
		acked = 0
		for _, a := range s.crowd.senders {
			acked += a.acked
		}
		return true
	})

	ctx, cancel := context.WithTimeout(t.Context(), stuckTime)
	defer cancel()
	read := 0
	time.AfterFunc(time.Second, heal) // by then it has been told how much there is
	_, err := natsledger.Read(ctx, s.config(0, s.cluster.NewAccess().Addresses()[stale:stale+1]), func(rows lottery.Stretch) error {
		read += rows.Bets
		return nil
	})
	if err != nil || read < acked {
		t.Errorf("%d bets are read, %d are acknowledged; %v", read, acked, err)
	}
}
