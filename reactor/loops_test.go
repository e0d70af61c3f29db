package reactor

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/panjf2000/gnet/v2"
)

// withLoops runs a test with one event loop and with several.
func withLoops(t *testing.T, test func(t *testing.T, configure func(*Config))) {
	t.Helper()
	for _, loops := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d loops", loops), func(t *testing.T) {
			test(t, func(config *Config) { config.Loops = loops })
		})
	}
}

// onEach returns how many sessions each loop has.
func (c *central) onEach() []int {
	c.t.Helper()
	n := make([]int, len(c.shards))
	for i, sh := range c.shards {
		c.onLoop(sh, func() { n[i] = len(sh.sessions) })
	}
	return n
}

// dialMany connects n times at once.
func (c *central) dialMany(n int) []*peer {
	c.t.Helper()
	peers := make([]*peer, n)
	var dialing sync.WaitGroup
	for i := range peers {
		dialing.Go(func() { peers[i] = c.dial() })
	}
	dialing.Wait()
	return peers
}

func TestConnectionsAreSpread(t *testing.T) {
	const loops, each = 3, 20
	c := start(t, 1, func(config *Config) { config.Loops = loops }, nil)
	peers := c.dialMany(loops * each)
	c.awaitSessions(len(peers))
	if got := c.onEach(); !slices.Equal(got, []int{each, each, each}) {
		t.Errorf("the loops have %v connections, expected %d each", got, each)
	}
	// Those that come take the place of those that leave.
	left := c.session(peers[0]).shard()
	for _, p := range peers {
		if c.session(p).shard() == left {
			p.reset()
		}
	}
	c.awaitSessions((loops - 1) * each)
	c.dialMany(each)
	c.awaitSessions(loops * each)
	if got := c.onEach(); !slices.Equal(got, []int{each, each, each}) {
		t.Errorf("the loops have %v connections then, expected %d each", got, each)
	}
}

func TestLimitsHoldAcrossLoops(t *testing.T) {
	for what, test := range map[string]struct {
		configure func(*Config)
		from      []string // the peers
		refused   int
	}{
		"connections": {func(config *Config) { config.MaxConnections = 7 }, []string{"127.0.0.1", "127.0.0.2"}, 13},
		"per address": {func(config *Config) { config.MaxPerAddress = 4 }, []string{"127.0.0.1", "127.0.0.2"}, 12},
	} {
		t.Run(what, func(t *testing.T) {
			c := start(t, 1, func(config *Config) { config.Loops = 3; test.configure(config) }, nil)
			const each = 10
			var dialing sync.WaitGroup
			for _, ip := range test.from {
				for range each {
					dialing.Go(func() { c.dialFrom(ip) })
				}
			}
			dialing.Wait()
			c.awaitSessions(each*len(test.from) - test.refused)
			c.await("the others are refused", func() bool { return c.Stats().RefusedConnections == test.refused })
			if n := c.Stats().Connections; n != each*len(test.from)-test.refused {
				t.Errorf("%d connections are counted", n)
			}
		})
	}
}

func TestDrawIsToldOnAllLoops(t *testing.T) {
	const loops, queries = 4, 40
	c := start(t, 2, func(config *Config) { config.Loops = loops }, nil)
	won := rawBetOf(1, "1", winning)
	c.ask(betFrame(won), successFrame(won))
	c.ask(finishedFrame(1), okFrame)
	peers := c.dialMany(queries)
	for _, p := range peers {
		p.send(queryFrame(1), resumeFrame(1))
	}
	c.awaitParked(queries)
	for i, n := range c.onEach() {
		if n == 0 {
			t.Errorf("loop %d has none of the queries", i)
		}
	}
	c.ask(finishedFrame(2), okFrame)
	for _, p := range peers {
		p.expect(winnersFrame("1"), pointFrame(won))
	}
	c.awaitParked(0)
}

// A busy loop holds up its own connections, also those that it has yet to take, and
// no other loop's.
func TestOneLoopIsBusy(t *testing.T) {
	c := start(t, 1, nil, nil)
	first, second := c.dial(), c.dial()
	busy, free := c.session(first), c.session(second)
	if busy.shard() == free.shard() {
		t.Fatal("both connections have the same loop")
	}
	_, release := blockLoop(t, busy.conn.(gnet.Conn).EventLoop(), true)
	first.send(resumeFrame(1))
	peers := c.dialMany(maxEnrolling) // half of them on each
	for _, p := range peers {
		p.send(resumeFrame(1))
	}
	second.send(resumeFrame(1))
	second.expect(pointFrame())
	served := func() (n int) {
		for _, p := range peers {
			if p.segments() > 0 {
				n++
			}
		}
		return n
	}
	c.await("the free loop has served its own", func() bool { return served() == len(peers)/2 })
	release()
	first.expect(pointFrame())
	for _, p := range peers {
		p.expect(pointFrame())
	}
}

// More connections than may wait for a busy loop are accepted when it goes on.
func TestManyWaitForABusyLoop(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		c := start(t, 1, func(config *Config) { config.Loops = 1; config.Backlog = 4 * maxEnrolling }, nil)
		first := c.dial()
		_, release := blockLoop(t, c.session(first).conn.(gnet.Conn).EventLoop(), true)
		peers := c.dialMany(2 * maxEnrolling)
		for _, p := range peers {
			p.send(resumeFrame(1))
		}
		c.await("as many wait as may", func() bool { return len(c.enrolling) == maxEnrolling })
		stopped := make(chan error, 1)
		release()
		for _, p := range peers {
			p.expect(pointFrame())
			p.Close()
		}
		first.Close()
		go func() { stopped <- c.stop() }()
		if err := await(t, stopped, "the central does not stop"); err != nil {
			t.Error(err)
		}
	})
}

// A stop while connections wait for their loop closes them.
func TestStopWhileConnectionsComeIn(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		c := start(t, 1, nil, nil)
		p := c.dial()
		_, release := blockLoop(t, c.session(p).conn.(gnet.Conn).EventLoop(), true)
		peers := c.dialMany(40)
		stopped := make(chan error, 1)
		go func() { stopped <- c.stop() }()
		c.await("it is stopping", c.stopping.Load)
		release()
		if err := await(t, stopped, "the central does not stop"); err != nil {
			t.Error(err)
		}
		for _, p := range append(peers, p) {
			p.expectGone()
			p.Close()
		}
		if n := c.Stats().Connections; n != 0 {
			t.Errorf("%d connections are counted", n)
		}
	})
}

// An agency's answers come in order on whichever loops its connections are, and what
// many of them send at once is stored whole.
func TestOneAgencyOnAllLoops(t *testing.T) {
	const connections, each = 12, 30
	c := start(t, 1, func(config *Config) { config.Loops = 4 }, nil)
	ended := make(chan error, connections)
	for i, p := range c.dialMany(connections) {
		go func() {
			var request, answer []byte
			for j := range each {
				rawBets := losers(1+i*each+j, 3)
				for k := range rawBets {
					rawBets[k].Agency = "1"
				}
				request, answer = append(request, batchFrame(rawBets...)...), append(answer, successFrame(rawBets[0])...)
			}
			_, _ = p.Write(request)
			ended <- p.match(answer)
		}()
	}
	for range connections {
		if err := await(t, ended, "a connection gets no answer"); err != nil {
			t.Error(err)
		}
	}
	if n := bytes.Count([]byte(c.rows()), []byte("\r\n")); n != connections*each*3 {
		t.Errorf("%d bets are stored, expected %d", n, connections*each*3)
	}
}
