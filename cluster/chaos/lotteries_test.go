package chaos_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"loteria/cluster/natstest"
)

// The kinds of disaster of the long form.
const (
	centralKilled  = "central killed"
	leaderKilled   = "leader killed"
	leaderStopped  = "leader SIGTERM"
	followerKilled = "follower killed"
	centralCut     = "central cut off"
	partition      = "partition"
	twoDown        = "two servers down"
	wiped          = "folder emptied"
	allKilled      = "all killed"
	leaderFrozen   = "leader SIGSTOP 25 s"
	followerFrozen = "follower SIGSTOP 25 s"
	quorumBack     = "quorum back" // a pause, of twoDown and allKilled
)

// planned is how often each comes.
var planned = map[string]int{
	centralKilled: 60, leaderKilled: 15, followerKilled: 15, leaderStopped: 7, centralCut: 20, partition: 10,
	twoDown: 4, wiped: 2, allKilled: 4, leaderFrozen: 1, followerFrozen: 1,
}

const (
	frozenTime = 25 * time.Second
	betsEach   = 40_000                // of an agency in one lottery
	betPeriod  = 20 * time.Millisecond // between two batches
)

// games is lotteries that are played one after the other until all disasters
// have happened.
type games struct {
	t       *testing.T
	cluster *natstest.Cluster
	rng     *rand.Rand
	plan    []string
	done    map[string]int
	pauses  map[string][]time.Duration
	begun   time.Time

	office *office
	table  *table
}

// TestLotteries plays lotteries with processes: three centrals, six agencies and
// three NATS servers, amid disasters of all kinds.
func TestLotteries(t *testing.T) {
	if !long() {
		t.Skip("only in the long form")
	}
	g := &games{t: t, cluster: natstest.StartProcesses(t), rng: natstest.Rand(t), done: map[string]int{}, pauses: map[string][]time.Duration{}, begun: time.Now()}
	t.Cleanup(func() {
		if t.Failed() && g.office != nil {
			t.Logf("%s\nthe servers' logs are in %s", g.look(), g.cluster.CopyLogs())
		}
	})
	for _, kind := range slices.Sorted(maps.Keys(planned)) {
		g.plan = append(g.plan, slices.Repeat([]string{kind}, planned[kind])...)
	}
	g.rng.Shuffle(len(g.plan), func(i, j int) { g.plan[i], g.plan[j] = g.plan[j], g.plan[i] })
	var sum verdict
	lotteries := 0
	for ; len(g.plan) > 0; lotteries++ {
		v := g.play(fmt.Sprintf("chaos-%d", lotteries))
		sum.add(v)
		t.Logf("%v: lottery %d: %v", time.Since(g.begun).Round(time.Second), lotteries, v)
	}
	t.Logf("pauses of acknowledgements\n%s", g.tellPauses())
	t.Logf("%d lotteries in %v, %d kills of centrals, %d of servers: %s; %v", lotteries, time.Since(g.begun).Round(time.Second),
		g.done["centrals killed in all"], g.done["servers killed in all"], tally(g.done), sum)
}

// play plays one lottery.
func (g *games) play(contest string) verdict {
	g.t.Helper()
	const agencies = 6
	g.office = newOffice(g.t, g.cluster, contest, agencies, 3)
	g.table = newTable(g.t)
	ctx, cancel := context.WithCancel(g.t.Context())
	defer g.table.running.Wait()
	defer cancel()
	batch, window := 2+g.rng.IntN(20), 1+g.rng.IntN(8)
	period := betPeriod * time.Duration(batch) / 10
	for id := 1; id <= agencies; id++ {
		g.table.newBettor(id, betsEach, nil).start(ctx, g.office.addresses(id), batch, window, period)
	}
	g.table.awaitAnswers("the first answers", 1)

	for len(g.plan) > 0 && !g.table.all(isComplete) {
		kind := g.plan[0]
		g.plan = g.plan[1:]
		begun := time.Now()
		g.strike(kind, window+2)
		g.done[kind]++
		if testing.Verbose() {
			g.t.Logf("%7v %-22s %d: %v", time.Since(g.begun).Round(time.Second), kind, g.done[kind], time.Since(begun).Round(time.Millisecond))
		}
	}
	g.table.await("all bets to be acknowledged", func() bool { return g.table.each(isComplete) })
	// The endings and the draw, with deaths around them.
	for range 3 {
		time.Sleep(upTo(g.rng, 40*time.Millisecond))
		g.killCentral(g.anyCentral())
	}
	g.table.await("the winners", func() bool { return g.table.each(hasEnded) })
	return g.check(ctx)
}

// strike makes a disaster happen and end, and waits until all agencies continue:
// n acknowledgements each. Now and then a central dies with it; the pause then
// does not count.
func (g *games) strike(kind string, n int) {
	g.t.Helper()
	for _, p := range g.office.centrals {
		g.office.checkRunning(p)
	}
	leader, follower := g.servers()
	also := kind != centralKilled && kind != allKilled && g.rng.IntN(4) == 0
	if also {
		g.killCentral(g.anyCentral())
	}
	g.table.measure()
	measured, pause := kind, time.Duration(0)
	answers := func() {
		g.t.Helper()
		g.table.awaitAnswers("answers after: "+kind, n)
		pause = cmp.Or(pause, g.table.measured())
	}
	switch kind {
	case centralKilled:
		g.killCentral(g.anyCentral())
		answers()
	case leaderKilled:
		g.kill(leader)
		answers()
		g.restart(leader)
	case followerKilled:
		g.kill(follower)
		answers()
		g.restart(follower)
	case leaderStopped:
		g.cluster.Stop(leader)
		answers()
		g.restart(leader)
	case centralCut:
		measured = ""
		access := g.anyCentral().access
		switch g.rng.IntN(4) {
		case 0:
			access.Drop()
		case 1:
			heal := access.Mute()
			time.Sleep(upTo(g.rng, 500*time.Millisecond))
			heal()
		case 2:
			heal := access.Stall()
			time.Sleep(upTo(g.rng, 5*time.Second))
			heal()
		case 3:
			heal := access.Cut()
			time.Sleep(upTo(g.rng, 3*time.Second))
			heal()
		}
		answers()
	case partition:
		measured = ""
		server := leader
		if g.rng.IntN(2) == 0 {
			server = follower
		}
		apart := g.cluster.Isolate
		if g.rng.IntN(2) == 0 {
			apart, kind = g.cluster.StallRoutes, "a partition in silence"
		}
		kind += fmt.Sprintf(" of server %d, the leader is %d", server, leader)
		heal := apart(server)
		if g.rng.IntN(3) > 0 { // until the others continue, or less
			answers()
		} else {
			time.Sleep(upTo(g.rng, 5*time.Second))
		}
		heal()
		answers()
		g.cluster.WaitCurrent(g.office.stream())
	case twoDown:
		measured = quorumBack
		g.kill(leader)
		g.kill(follower)
		time.Sleep(upTo(g.rng, 3*time.Second))
		g.cluster.Restart(follower)
		g.table.measure()
		answers()
		g.restart(leader)
	case wiped:
		g.cluster.WaitCurrent(g.office.stream())
		server := []int{leader, follower}[g.rng.IntN(2)]
		g.kill(server)
		g.cluster.Wipe(server)
		answers()
		// Until it has everything again, it counts as lost: no other may fail.
		g.cluster.Restart(server)
		g.cluster.WaitCurrent(g.office.stream())
	case allKilled:
		measured = quorumBack
		for _, p := range g.office.centrals {
			g.office.kill(p)
			g.done["centrals killed in all"]++
		}
		for i := range g.cluster.Size() {
			g.kill(i)
		}
		for _, p := range g.office.centrals {
			g.office.start(p)
		}
		for i := range g.cluster.Size() {
			g.cluster.Restart(i)
		}
		g.table.measure()
		answers()
		g.cluster.WaitCurrent(g.office.stream())
	case leaderFrozen, followerFrozen:
		measured = "" // it may end long before the server resumes
		server := leader
		if kind == followerFrozen {
			server = follower
		}
		resume := g.cluster.Pause(server)
		time.Sleep(frozenTime)
		resume()
		answers()
		g.cluster.WaitCurrent(g.office.stream())
	default:
		g.t.Fatalf("no such disaster: %s", kind)
	}
	if measured != "" && !also {
		g.pauses[measured] = append(g.pauses[measured], pause)
	}
}

func (g *games) anyCentral() *process {
	return g.office.centrals[g.rng.IntN(len(g.office.centrals))]
}

func (g *games) killCentral(p *process) {
	g.t.Helper()
	g.office.kill(p)
	g.done["centrals killed in all"]++
	g.office.start(p)
}

func (g *games) kill(server int) {
	g.t.Helper()
	g.cluster.Kill(server)
	g.done["servers killed in all"]++
}

// restart starts a server. Mostly it waits until the server has all of the
// stream.
func (g *games) restart(server int) {
	g.t.Helper()
	g.cluster.Restart(server)
	if g.rng.IntN(4) > 0 {
		g.cluster.WaitCurrent(g.office.stream())
	}
}

// servers returns the number of the stream's leader, and of another server.
func (g *games) servers() (leader, follower int) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), stuckTime)
	defer cancel()
	if leader = g.cluster.StreamLeader(ctx, g.office.stream()); leader < 0 {
		g.t.Fatal("the stream has no leader")
	}
	return leader, (leader + 1 + g.rng.IntN(g.cluster.Size()-1)) % g.cluster.Size()
}

// look describes the state, to find out why nothing happens.
func (g *games) look() string {
	var b strings.Builder
	for _, p := range g.office.centrals {
		fmt.Fprintf(&b, "%s: %v\n", p.name, p.Process)
	}
	for i := range g.cluster.Size() {
		fmt.Fprintf(&b, "%s runs: %t\n", g.cluster.Name(i), g.cluster.Running(i))
	}
	return b.String()
}

// check checks all that must hold at the end of a lottery.
func (g *games) check(ctx context.Context) verdict {
	g.t.Helper()
	g.office.awaitListening()
	rows := g.office.export()
	var sum verdict
	for i, a := range g.table.bettors {
		v := judge(rows[i], a.rows, a.acked)
		v.lost += a.lost
		if sum.add(v); !v.good() || len(rows[i]) != len(a.rows) || a.err != nil {
			g.t.Errorf("agency %d of %d bets: %v; %v", a.id, len(a.rows), v, a.err)
		}
		if !slices.Equal(a.told, a.winners) {
			g.t.Errorf("agency %d was told of %d winners, it has %d", a.id, len(a.told), len(a.winners))
		}
		for _, p := range g.office.centrals {
			told, err := a.askWinners(ctx, p.address)
			if err != nil || !slices.Equal(told, a.winners) {
				g.t.Errorf("%s tells agency %d of %d winners, %v; it has %d", p.name, a.id, len(told), err, len(a.winners))
			}
		}
	}
	checkStream(g.t, g.cluster, g.office.stream(), rows)
	g.office.close()
	if g.t.Failed() {
		g.t.FailNow()
	}
	return sum
}

// tellPauses returns the pauses as a table.
func (g *games) tellPauses() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-24s %5s %10s %10s\n", "", "times", "median", "max")
	for _, kind := range slices.Sorted(maps.Keys(g.pauses)) {
		all := slices.SortedFunc(slices.Values(g.pauses[kind]), cmp.Compare[time.Duration])
		fmt.Fprintf(&b, "%-24s %5d %10v %10v\n", kind, len(all), all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
	}
	return b.String()
}
