package chaos_test

import (
	"context"
	"testing"

	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/natsledger"
)

// TestIsolatedServer connects a central to a server that is cut off from the two
// others. It switches to one of them by itself: its own server may be cut off for
// hours, and answers that nothing can be stored.
func TestIsolatedServer(t *testing.T) {
	if !long() {
		t.Skip("only in the long form: an election takes its time")
	}
	for _, c := range []struct {
		what  string
		apart func(*natstest.Cluster, int) func()
	}{
		{"cut", (*natstest.Cluster).Isolate},
		{"in silence", (*natstest.Cluster).StallRoutes},
	} {
		t.Run(c.what, func(t *testing.T) {
			rng := natstest.Rand(t)
			cluster := natstest.Start(t, 3)
			s := &short{storage: (&storage{t: t, cluster: cluster, contest: "isolated", agencies: 2}), rng: rng, done: map[string]int{}}
			only := rng.IntN(3)
			var heal []func()
			for i := range 3 {
				if i != only {
					heal = append(heal, cluster.CutClients(i))
				}
			}
			s.begin(1)
			for _, h := range heal {
				h()
			}
			s.crowd = newCrowd(t, s.storage, rng)
			s.crowd.awaitAnswers("the first answers", 3)
			end := c.apart(cluster, only)
			defer end()
			s.crowd.awaitAnswers("answers while its server is cut off", 3)
			close(s.crowd.finish)
			s.crowd.awaitEnd()
			s.crowd.checkWinners(s.centrals[0].now().contest)
			end()
			ctx, cancel := context.WithTimeout(t.Context(), stuckTime)
			defer cancel()
			report, err := natsledger.Read(ctx, s.config(0, cluster.NewAccess().Addresses()), func(lottery.Stretch) error { return nil })
			if err != nil || !report.Drawn {
				t.Errorf("read are %d messages, drawn: %t, %v; server %d was cut off", report.Messages, report.Drawn, err, only)
			}
			t.Log(s.crowd.check())
		})
	}
}
