package chaos_test

import (
	"context"
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/natsledger"
)

// TestIsolatedServer has a central connected to a server that is cut off from
// the two others. It goes to one of them by itself: its own server may be
// cut off for hours, and answers that nobody is there to store anything.
func TestIsolatedServer(t *testing.T) {
	for _, c := range []struct {
		what   string
		apart  func(*natstest.Cluster, int) func()
		isSlow bool
	}{
		{"cut", (*natstest.Cluster).Isolate, false},
		{"in silence", (*natstest.Cluster).StallRoutes, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.isSlow && !long() {
				t.Skip("only in the long form")
			}
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
			for i := range 3 {
				report, err := natsledger.Read(ctx, s.config(0, cluster.NewAccess().Addresses()), func(lottery.Stretch) error { return nil })
				t.Logf("read %d: %d messages, drawn %t, %v; leader %d, isolated was %d", i, report.Messages, report.Drawn, err, cluster.StreamLeader(ctx, s.stream()), only)
				time.Sleep(2 * time.Second)
			}
			t.Log(s.crowd.check())
		})
	}
}
