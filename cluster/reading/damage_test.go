package reading_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"loteria/cluster/natstest"
	"loteria/lottery/natsledger"
)

// The effects of damage to one server's files, and what finds it. The server is
// made the leader afterwards, which is the worst case.
func TestDamagedCopy(t *testing.T) {
	type damage struct {
		name  string
		kill  bool // rather than an orderly stop, which leaves an index
		do    func(t *testing.T, blocks []string)
		chaos bool // long: only with CHAOS
		// What is found, beyond what all cases find:
		counts bool // the leader's own counts show it
	}
	flip := func(block int, where int64) func(*testing.T, []string) {
		return func(t *testing.T, blocks []string) {
			path := blocks[min(block, len(blocks)-1)]
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			natstest.FlipByte(t, path, info.Size()*where/100)
		}
	}
	cut := func(block int, percent int64) func(*testing.T, []string) {
		return func(t *testing.T, blocks []string) {
			path := blocks[min(block, len(blocks)-1)]
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, info.Size()*percent/100); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(block int) func(*testing.T, []string) {
		return func(t *testing.T, blocks []string) {
			if err := os.Remove(blocks[min(block, len(blocks)-1)]); err != nil {
				t.Fatal(err)
			}
		}
	}
	const first, last = 0, 1 << 20
	tests := []damage{
		{name: "a byte of the last block", do: flip(last, 50)},
		{name: "the last block cut in half", do: cut(last, 50), counts: true},
		{name: "a byte of the first block", do: flip(first, 50), chaos: true},
		{name: "the first block cut in half", do: cut(first, 50), chaos: true},
		{name: "the first block gone", do: remove(first), counts: true, chaos: true},
		{name: "the last block gone", do: remove(last), counts: true, chaos: true},
		{name: "a byte of the last block, after a kill", do: flip(last, 50), kill: true, chaos: true},
		{name: "the last block cut in half, after a kill", do: cut(last, 50), kill: true, chaos: true},
		{name: "a byte of the first block, after a kill", do: flip(first, 50), kill: true, chaos: true},
		{name: "the first block cut in half, after a kill", do: cut(first, 50), kill: true, chaos: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.chaos && os.Getenv("CHAOS") == "" {
				t.Skip("CHAOS=1 runs it")
			}
			t.Parallel() // it is elections that take the time
			c := natstest.Start(t, 3)
			w := newWriter(t, c, 10)
			conf := config(t, c, 10)
			for range 5 { // more than a block of 8 MB
				for agency := 1; agency <= 8; agency++ {
					w.bets(agency, 5000)
				}
			}
			whole(w, 40)
			endAll(w)
			c.WaitCurrent(stream)
			damaged := (c.StreamLeader(patient(t), stream) + 1) % 3
			if test.kill {
				c.Kill(damaged)
			} else {
				c.Stop(damaged)
			}
			blocks := c.Blocks(damaged, stream)
			test.do(t, blocks)
			c.Restart(damaged)
			c.WaitCurrent(stream)
			c.MoveLeader(stream, damaged)
			s, err := w.js.Stream(patient(t), stream)
			if err != nil {
				t.Fatal(err)
			}
			state := s.CachedInfo().State
			counts := state.NumDeleted != 0 || state.FirstSeq != 1 || state.Msgs != state.LastSeq || state.Lost != nil

			// Whatever one copy lacks is read from the others.
			var export bytes.Buffer
			if report, err := exportTo(patient(t), conf, &export); err != nil || export.String() != w.export.String() {
				t.Errorf("Export: %d bytes, want %d: %+v, %v", export.Len(), w.export.Len(), report, err)
			}
			if winners, err := natsledger.Winners(patient(t), conf); err != nil || !reflect.DeepEqual(winners, w.winners()) {
				t.Errorf("Winners: %d, %v", len(winners), err)
			}

			// Check reads each copy.
			report, err := natsledger.Check(patient(t), conf)
			missing := uint64(0)
			for _, have := range report.Copies {
				if have.Server == c.Name(damaged) {
					missing = have.Missing
				} else if have.Missing != 0 {
					t.Errorf("Check: %s, which is whole, lacks message %d", have.Server, have.Missing)
				}
			}
			var found *natsledger.DamageError
			if len(report.Copies) != 3 || errors.As(err, &found) != (missing > 0) || missing > 0 && found.Server != c.Name(damaged) {
				t.Errorf("Check: %+v, %v", report.Copies, err)
			}
			t.Logf("%-45s counts show it %-5t lacks from %3d of %d, mended by the servers %t", test.name, counts, missing, w.messages, missing == 0)
			if missing == 0 && test.kill {
				return // a killed server reads its blocks anew, and may have the others send it what it finds damaged
			}
			if missing == 0 || counts != test.counts {
				t.Errorf("the leader says %+v, and lacks message %d; want counts that show it: %t", state, missing, test.counts)
			}
			watch(t, c, conf, damaged)
		})
	}
}

// watch follows the watch from the damaged leader to a whole one, and until the
// damaged copy is whole again.
func watch(t *testing.T, c *natstest.Cluster, conf natsledger.Config, damaged int) {
	ctx, cancel := context.WithCancel(patient(t))
	healths := make(chan natsledger.Health)
	var watching sync.WaitGroup
	watching.Go(func() {
		err := natsledger.Watch(ctx, conf, func(h natsledger.Health) {
			select {
			case healths <- h:
			case <-ctx.Done():
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
	defer watching.Wait()
	defer cancel()
	name := c.Name(damaged)
	await := func(what string, is func(natsledger.Health, natsledger.Replica) bool) {
		t.Helper()
		var last natsledger.Health
		for {
			select {
			case last = <-healths:
			case <-ctx.Done():
				t.Fatalf("the watch does not tell that %s: %+v", what, last)
			}
			for _, r := range last.Replicas {
				if r.Server == name && is(last, r) {
					return
				}
			}
		}
	}
	await("the leader is damaged", func(h natsledger.Health, r natsledger.Replica) bool {
		return h.Leader == name && r.Damaged && h.Problem != nil && strings.Contains(h.Problem.Error(), name)
	})
	await("another one leads", func(h natsledger.Health, r natsledger.Replica) bool {
		return h.Leader != "" && h.Leader != name && r.Damaged && h.Problem == nil
	})
	c.Stop(damaged)
	await("it is down", func(_ natsledger.Health, r natsledger.Replica) bool { return r.Offline && r.Damaged })
	c.Wipe(damaged)
	c.Restart(damaged)
	await("it is whole", func(h natsledger.Health, r natsledger.Replica) bool {
		return r.Current && !r.Damaged && h.Problem == nil
	})
}
