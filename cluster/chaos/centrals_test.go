package chaos_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// short is a scene of the short form: a contest, its centrals and agencies.
type short struct {
	*storage
	crowd *crowd
	rng   *rand.Rand
	done  map[string]int // disasters, by their kind
}

// A disaster hits a scene, and is over when it returns.
var disasters = map[string]func(*short){
	"central killed": func(s *short) {
		i := s.rng.IntN(len(s.centrals))
		s.die(i)
		if s.rng.IntN(2) == 0 {
			s.crowd.awaitAnswers("answers without a central", 1)
		}
		s.revive(i)
	},
	"central cut off": func(s *short) {
		heal := s.anyAccess().Cut()
		s.pause(100 * time.Millisecond)
		heal()
	},
	"central stalled": func(s *short) {
		heal := s.anyAccess().Stall()
		s.pause(patience / 2)
		heal()
	},
	"acknowledgements lost": func(s *short) {
		heal := s.anyAccess().Mute()
		s.pause(200 * time.Millisecond)
		heal()
	},
	"connections lost": func(s *short) { s.cluster.DropAllClients() },
	"leader stopped": func(s *short) {
		leader, _ := s.servers()
		s.cluster.Stop(leader)
		s.crowd.awaitAnswers("answers without the leader", 2)
		s.cluster.Restart(leader)
	},
	"leader killed": func(s *short) {
		leader, _ := s.servers()
		s.cluster.Kill(leader)
		s.crowd.awaitAnswers("answers without the leader", 2)
		s.cluster.Restart(leader)
	},
	"follower stopped": func(s *short) {
		_, follower := s.servers()
		s.cluster.Stop(follower)
		s.crowd.awaitAnswers("answers without a follower", 2)
		s.cluster.Restart(follower)
	},
	"partition": func(s *short) {
		leader, follower := s.servers()
		heal := s.cluster.Isolate([]int{leader, follower}[s.rng.IntN(2)])
		s.pause(time.Second)
		heal()
	},
}

func (s *short) stream() string { return s.centrals[0].now().stream }

// servers waits until all servers have all of the stream, and returns its leader
// and another server.
func (s *short) servers() (leader, follower int) {
	s.t.Helper()
	s.cluster.WaitCurrent(s.stream())
	if leader = s.cluster.StreamLeader(s.t.Context(), s.stream()); leader < 0 {
		s.t.Fatal("the stream has no leader")
	}
	return leader, (leader + 1 + s.rng.IntN(s.cluster.Size()-1)) % s.cluster.Size()
}

func (s *short) anyAccess() *natstest.Access {
	return s.centrals[s.rng.IntN(len(s.centrals))].now().access
}

// pause lets a disaster last for a random time up to longest.
func (s *short) pause(longest time.Duration) {
	time.Sleep(time.Duration(s.rng.Int64N(int64(longest))))
}

// TestCentrals lets agencies bet at three centrals, and move between them, while
// centrals die, are cut from the servers, and servers die.
func TestCentrals(t *testing.T) {
	rng := natstest.Rand(t)
	cluster := natstest.Start(t, 3)
	s := &short{storage: (&storage{t: t, cluster: cluster, contest: "centrals", agencies: 4}).begin(3), rng: rng, done: map[string]int{}}
	s.crowd = newCrowd(t, s.storage, rng)
	s.crowd.awaitAnswers("the first answers", 3)

	// Disasters that cost an election come once.
	plan := []string{"leader killed", "follower stopped", "partition", "central stalled"}
	for range 2 {
		plan = append(plan, "central killed", "central killed", "central cut off", "acknowledgements lost", "acknowledgements lost", "connections lost")
	}
	if long() {
		for kind := range disasters {
			plan = append(plan, slices.Repeat([]string{kind}, 4)...)
		}
	}
	slices.Sort(plan) // a map has no order, and the seed must repeat the run
	rng.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	for _, kind := range plan {
		begun := time.Now()
		disasters[kind](s)
		s.done[kind]++
		s.crowd.awaitAnswers("answers after: "+kind, 2)
		if testing.Verbose() {
			t.Logf("%-22s %v", kind, time.Since(begun).Round(time.Millisecond))
		}
	}
	// The endings and the draw, with deaths around them.
	close(s.crowd.finish)
	for range 3 {
		s.pause(50 * time.Millisecond)
		disasters["acknowledgements lost"](s)
	}
	s.crowd.awaitEnd()
	v := s.finish()
	t.Logf("%v; %v", tally(s.done), v)
}

// finish checks all that must hold at the end.
func (s *short) finish() verdict {
	s.t.Helper()
	fresh := s.open(9)
	defer fresh.contest.Close()
	contests := []*lottery.Contest{fresh.contest}
	for _, slot := range s.centrals {
		contests = append(contests, slot.now().contest)
	}
	s.crowd.checkWinners(contests...)
	v := s.crowd.check()
	if s.cluster != nil {
		checkStream(s.t, s.cluster, s.stream(), s.rows())
	}
	return v
}

func tally(done map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(done)) {
		parts = append(parts, fmt.Sprintf("%s %d", kind, done[kind]))
	}
	return strings.Join(parts, ", ")
}

// TestCentralsInMemory tries the agencies and the checks of these tests on a
// ledger that is known to be right.
func TestCentralsInMemory(t *testing.T) {
	s := &short{
		storage: (&storage{t: t, memory: &ledgertest.Memory{Lazy: true}, agencies: 4}).begin(3),
		rng:     natstest.Rand(t), done: map[string]int{},
	}
	s.crowd = newCrowd(t, s.storage, s.rng)
	for range 20 {
		disasters["central killed"](s)
		restore := s.memory.Interrupt(s.rng.IntN(2) == 0)
		s.pause(10 * time.Millisecond)
		restore()
		s.crowd.awaitAnswers("answers", 3)
	}
	close(s.crowd.finish)
	s.crowd.awaitEnd()
	t.Log(s.finish())
}
