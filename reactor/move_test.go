package reactor

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"loteria/lottery"
)

// startGathered is start of a central that moves sessions once more than most bytes
// wait for their answer.
func startGathered(t *testing.T, most, agencies int, wrap func(Lottery) Lottery) *central {
	t.Helper()
	before := gathered
	gathered = most
	defer func() { gathered = before }()
	return start(t, agencies, nil, wrap)
}

// dialGathered connects n times without TLS: what has TLS is not moved.
func (c *central) dialGathered(n int) (peers []*peer) {
	c.t.Helper()
	for range n {
		p := c.dialTo(c.Address().String(), net.Dialer{})
		c.session(p)
		peers = append(peers, p)
	}
	return peers
}

// expectOnEach expects that each loop has and counts as many sessions.
func (c *central) expectOnEach(want ...int) {
	c.t.Helper()
	total := 0
	for _, n := range want {
		total += n
	}
	// One that has left its loop and not arrived yet is counted, too.
	c.await(fmt.Sprintf("the loops have and count %v sessions", want), func() bool {
		var counted []int
		for _, sh := range c.shards {
			counted = append(counted, sh.connections.get())
		}
		return slices.Equal(c.onEach(), want) && slices.Equal(counted, want) && c.Stats().Connections == total
	})
}

// block lets a loop wait until the returned function is called.
func (c *central) block(sh *shard) (release func()) {
	c.t.Helper()
	blocked, released := make(chan struct{}), make(chan struct{})
	if !sh.mail.put(task{do: func() { close(blocked); <-released }}) {
		c.t.Fatal("the loop takes no tasks")
	}
	await(c.t, blocked, "the loop does not come to the task")
	return func() { close(released) }
}

func TestSessionsAreMovedUnderLoad(t *testing.T) {
	const agencies, batches, each = 12, 40, 5
	c := startGathered(t, 0, agencies, nil)
	peers := c.dialGathered(agencies)
	c.expectOnEach(agencies, 0)
	ended := make(chan error, agencies)
	for i, p := range peers {
		go func() {
			raws, sent := losers(i+1, batches*each), make(chan error, 1)
			var request, answer []byte
			for raw := range slices.Chunk(raws, each) {
				request, answer = append(request, batchFrame(raw...)...), append(answer, successFrame(raw[0])...)
			}
			go func() { // in pieces that end anywhere
				for piece := range slices.Chunk(request, 777) {
					if _, err := p.Write(piece); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			ended <- errors.Join(p.match(answer), <-sent)
		}()
	}
	for range agencies {
		if err := await(t, ended, "an agency gets no answer"); err != nil {
			t.Error(err)
		}
	}
	if n := c.onEach(); slices.Min(n) == 0 || n[0]+n[1] != agencies {
		t.Errorf("the loops have %v sessions", n)
	}
	c.expectOnEach(c.onEach()...)
	rows := strings.SplitAfter(c.rows(), "\r\n")
	for a := 1; a <= agencies; a++ {
		var got []byte
		for _, row := range rows {
			if strings.HasPrefix(row, fmt.Sprint(a, ",")) {
				got = append(got, row...)
			}
		}
		if err := same(got, rowsOf(losers(a, batches*each))); err != nil {
			t.Errorf("the rows of agency %d: %v", a, err)
		}
	}
	for _, p := range peers {
		p.Close()
	}
	c.expectOnEach(0, 0)
	c.expectIdle()
}

// Nothing is moved until more waits than may, and then what has just sent something.
func TestSessionsAreMovedOnlyUnderLoad(t *testing.T) {
	raws := losers(1, 3)
	cost := jobCost + frameCost + len(batchFrame(raws...)) - codecOverhead
	g := newGate()
	c := startGathered(t, 2*cost, 1, g.slowDisk().wrap)
	defer g.open()
	peers := c.dialGathered(4)
	for i, want := range [][]int{{4, 0}, {4, 0}, {3, 1}, {2, 2}} {
		peers[i].send(batchFrame(raws...))
		g.wait(t, 1)
		c.expectOnEach(want...)
		if i == 1 && c.waiting.get() != 2*cost {
			t.Fatalf("two batches cost %d bytes, expected %d", c.waiting.get(), 2*cost)
		}
	}
	peers[0].send(batchFrame(raws...)) // there is much to do, but the other loop has as many
	g.wait(t, 1)
	c.expectOnEach(2, 2)
	g.open()
	for _, p := range append(peers, peers[0]) {
		p.expect(successFrame(raws[0]))
	}
}

// codecOverhead is how many bytes a frame has beside its payload.
const codecOverhead = 6

// What waits for the draw stays where it is, and is told as all others are.
func TestParkedQueriesAreNotMoved(t *testing.T) {
	c := startGathered(t, 0, 1, nil)
	peers := c.dialGathered(4)
	raw := rawBetOf(1, "1", winning)
	peers[0].send(betFrame(raw))
	peers[0].expect(successFrame(raw))
	c.expectOnEach(3, 1)
	peers[0].send(queryFrame(1))
	peers[1].send(queryFrame(1))
	c.awaitParked(2)
	c.expectOnEach(3, 1)
	peers[2].send(finishedFrame(1))
	peers[2].expect(okFrame)
	for _, p := range peers[:2] {
		p.expect(winnersFrame("1"))
	}
}

// A session may be moved again, to a loop that it was on, with all that it waits for.
func TestSessionIsMovedBack(t *testing.T) {
	g := newGate()
	c := startGathered(t, 0, 1, g.slowDisk().wrap)
	defer g.open()
	peers, raws := c.dialGathered(4), losers(1, 3)
	for i, want := range [][]int{{3, 1}, {2, 2}} {
		peers[i].send(betFrame(raws[0]))
		g.wait(t, 1)
		c.expectOnEach(want...)
	}
	peers[2].reset()
	peers[3].reset()
	c.expectOnEach(0, 2)
	peers[0].send(betFrame(raws[1]), betFrame(raws[2])[:9])
	g.wait(t, 1)
	c.expectOnEach(1, 1)
	peers[0].send(betFrame(raws[2])[9:])
	g.wait(t, 1)
	g.open()
	peers[0].expect(successFrame(raws[0]), successFrame(raws[1]), successFrame(raws[2]))
	peers[1].expect(successFrame(raws[0]))
	c.expectOnEach(1, 1)
	c.expectKeepAlive(c.session(peers[0]))
	peers[0].Close()
	peers[1].Close()
	c.expectOnEach(0, 0)
	c.expectIdle()
}

// What happens to a session while it is on its way to another loop, which is busy.
func TestInTheMiddleOfAMove(t *testing.T) {
	one, two := rawBetOf(1, "1", losing), rawBetOf(1, "2", losing)
	ends := func(p *peer) { p.expect(successFrame(one)); p.expectEnd() }
	gone := func(p *peer) { p.Close() }
	for what, test := range map[string]struct {
		middle func(c *central, p *peer, s *session)
		then   func(p *peer)
		left   bool // the peer leaves
		stop   bool
	}{
		"nothing": {},
		"more comes in": {
			middle: func(_ *central, p *peer, _ *session) { p.send(betFrame(two)[:7]) },
			then: func(p *peer) {
				p.send(betFrame(two)[7:])
				p.expect(successFrame(one), successFrame(two))
			},
		},
		"the end of file": {
			middle: func(_ *central, p *peer, _ *session) { _ = p.CloseWrite() },
			then:   ends, left: true,
		},
		"more, and the end of file": {
			middle: func(_ *central, p *peer, _ *session) { p.send(betFrame(two)); _ = p.CloseWrite() },
			then:   func(p *peer) { p.expect(successFrame(one), successFrame(two)); p.expectEnd() }, left: true,
		},
		"the peer closes": {middle: func(_ *central, p *peer, _ *session) { p.Close() }, then: gone, left: true},
		"the peer resets": {middle: func(_ *central, p *peer, _ *session) { p.reset() }, then: gone, left: true},
		// Another loop had picked it before it paid.
		"it was a debtor": {middle: func(_ *central, _ *peer, s *session) {
			s.shard().mail.put(task{do: s.cutDebtor, session: s})
		}},
		"a stop": {then: ends, left: true, stop: true},
	} {
		for _, when := range []string{"before", "after"} {
			t.Run(what+", stored "+when, func(t *testing.T) {
				leavesNothing(t, func(t *testing.T) {
					g := newGate()
					c := startGathered(t, 0, 1, g.slowDisk().wrap)
					t.Cleanup(g.open)
					peers := c.dialGathered(3)
					p, s := peers[0], c.session(peers[0])
					release := c.block(c.shards[1])
					p.send(betFrame(one))
					g.wait(t, 1)
					c.await("it is moved", func() bool { return s.shard() == c.shards[1] })
					if test.middle != nil {
						test.middle(c, p, s)
					}
					stopped := make(chan error, 1)
					if test.stop {
						go func() { stopped <- c.stop() }()
						c.await("it is stopping", c.stopping.Load)
					}
					if when == "before" {
						g.open()
					}
					release()
					if when == "after" {
						if !test.stop && !test.left {
							c.expectOnEach(2, 1)
						}
						g.open()
					}
					if test.then != nil {
						test.then(p)
					} else {
						p.expect(successFrame(one))
					}
					switch {
					case test.stop:
						p.Close() // it would wait for that
						if err := await(t, stopped, "the central does not stop"); err != nil {
							t.Error(err)
						}
					case test.left:
						p.Close()
						c.expectOnEach(2, 0)
					default:
						c.expectOnEach(2, 1)
					}
					if !test.stop {
						c.await("nothing is in flight", func() bool { return c.busy.get() == 0 })
					}
					if !strings.HasPrefix(c.rows(), string(rowsOf([]lottery.RawBet{one}))) {
						t.Errorf("bets.csv holds %q", c.rows())
					}
				})
			})
		}
	}
}

// noDescriptors lets the process open no more descriptors until the returned function
// is called.
func noDescriptors(t *testing.T) (restore func()) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Error(err)
	}
	free, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
	}
	unix.Close(free)
	limited := before
	limited.Cur = uint64(free)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limited); err != nil {
		t.Error(err)
	}
	restore = func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(restore)
	return restore
}

// A session that cannot be moved stays, and one whose connection is lost on the way
// ends, also when the other loop has had none so far.
func TestMoveFails(t *testing.T) {
	raw := rawBetOf(1, "1", losing)
	for what, test := range map[string]struct {
		fail  func(t *testing.T, p *peer) (restore func()) // when it is about to be moved
		stays bool
	}{
		"no descriptor":         {func(t *testing.T, _ *peer) func() { return noDescriptors(t) }, true},
		"the peer has reset it": {func(_ *testing.T, p *peer) func() { p.reset(); return func() {} }, false},
	} {
		t.Run(what, func(t *testing.T) {
			leavesNothing(t, func(t *testing.T) {
				peer, failed, g := make(chan *peer, 1), make(chan func(), 1), newGate()
				h := g.slowDisk()
				h.stored = func() {
					select {
					case p := <-peer:
						failed <- test.fail(t, p)
					default:
					}
				}
				c := startGathered(t, 0, 1, h.wrap)
				t.Cleanup(g.open)
				peers := c.dialGathered(3)
				s := c.session(peers[0])
				c.await("no descriptor is about to be closed", func() bool { return len(c.enrolling) == 0 })
				peer <- peers[0]
				peers[0].send(betFrame(raw))
				restore := await(t, failed, "the bet is not admitted")
				g.wait(t, 1)
				if test.stays {
					c.onLoop(c.shards[0], func() {})
					restore()
					c.expectOnEach(3, 0)
					g.open()
					peers[0].expect(successFrame(raw))
				} else {
					c.await("its connection is not counted", func() bool { return c.Stats().Connections == 2 })
					restore()
					c.expectOnEach(2, 0)
					g.open()
					peers[0].expectGone()
					if n := len(c.log.find(t, "accept_connection", "fail")); n > 0 {
						t.Errorf("the log has %d connections that were not taken: a reset is nothing to tell", n)
					}
				}
				c.await("nothing is in flight", func() bool { return c.busy.get() == 0 })
				c.expectRows(raw)
				c.onLoop(s.shard(), func() {
					if (s.state == closed) == test.stays {
						t.Errorf("its state is %d", s.state)
					}
				})
				peers[1].send(betFrame(raw)) // others are moved and served as ever
				peers[1].expect(successFrame(raw))
			})
		})
	}
}

// Agencies begin to send all at once, and the central stops meanwhile: what is
// answered is stored, and nothing is left.
func TestStopWhileSessionsAreMoved(t *testing.T) {
	const agencies = 30
	leavesNothing(t, func(t *testing.T) {
		c := startGathered(t, 0, agencies, nil)
		peers := c.dialGathered(agencies)
		answered := make(chan int, agencies)
		for i, p := range peers {
			go func() {
				raw, n := rawBetOf(i+1, "1", losing), 0
				for {
					if _, err := p.Write(bytes.Repeat(betFrame(raw), 3)); err != nil {
						break
					}
					if p.match(bytes.Repeat(successFrame(raw), 3)) != nil {
						break
					}
					n += 3
				}
				p.Close()
				answered <- n
			}()
		}
		c.await("the first is moved", func() bool { return c.shards[1].connections.get() > 0 })
		if err := c.stop(); err != nil {
			t.Error(err)
		}
		n := 0
		for range agencies {
			n += await(t, answered, "an agency does not see the end")
		}
		if stored := strings.Count(c.rows(), "\r\n"); stored < n {
			t.Errorf("%d bets are stored, %d were answered", stored, n)
		}
		if n := c.Stats().Connections; n != 0 {
			t.Errorf("%d connections are counted", n)
		}
	})
}

// A job whose answer was written while its session was about to be moved, and that is
// in the mailbox of that loop, follows it: the next answer has to wait for it.
func TestJobsFollowTheirSession(t *testing.T) {
	sweepEvery = time.Hour // which would do it, too
	defer func() { sweepEvery = sweepInterval }()
	one, two := rawBetOf(1, "1", losing), rawBetOf(1, "22", losing)
	first, second := newGate(), newGate()
	gates := make(chan *gate, 2)
	gates <- first
	gates <- second
	bets, answered := make(chan struct{}, 2), make(chan struct{})
	h := &hooked{
		done: func(_ string, _ int, err error, tell func(error)) { (<-gates).hold(func() { tell(err) }) },
		stored: func() { // on the loop, which moves the session when this returns
			if bets <- struct{}{}; len(bets) == 2 {
				first.open()
				<-answered
			}
		},
	}
	most := jobCost + frameCost + len(betFrame(one)) - codecOverhead // with the second bet there is more
	c := startGathered(t, most, 1, h.wrap)
	t.Cleanup(first.open)
	t.Cleanup(second.open)
	p := c.dialGathered(3)[0]
	p.send(betFrame(one))
	first.wait(t, 1)
	c.expectOnEach(3, 0)
	s := c.session(p)
	p.send(betFrame(two))
	p.expect(successFrame(one))
	close(answered)
	second.wait(t, 1)
	c.await("it is moved", func() bool { return s.shard() == c.shards[1] })
	second.open()
	p.expect(successFrame(two))
	c.awaitThat(s, "no job is left", func() bool { return len(s.jobs) == 0 })
}

// TestTasksFollowTheirSession leaves a task at the loop that its session was moved
// from: the other one does it.
func TestTasksFollowTheirSession(t *testing.T) {
	c := start(t, 1, nil, nil)
	from, to := c.shards[0], c.shards[1]
	s := newSession(c.Server, to, "")
	blocked, release := make(chan struct{}), make(chan struct{})
	to.mail.put(task{do: func() { close(blocked); <-release }})
	await(t, blocked, "the loop does nothing")
	done := make(chan struct{})
	from.mail.put(task{session: s, do: func() { close(done) }})
	await(t, from.mail.do(func() {}), "the first loop is blocked")
	select {
	case <-done:
		t.Error("the loop that the session was moved from has done the task")
	default:
	}
	close(release)
	await(t, done, "nobody does the task")
}

// One loop has only as many connections as it can serve as well as several could.
func TestConnectionsTogether(t *testing.T) {
	c := startGathered(t, maxGathered, 1, nil)
	for i := range 2 * maxTogether {
		c.session(c.dial())
		want := min(i+1, maxTogether)
		if n := c.shards[0].connections.get(); n != want {
			t.Fatalf("of %d connections the first loop has %d, expected %d", i+1, n, want)
		}
	}
	if a, b := c.shards[0].connections.get(), c.shards[1].connections.get(); a != b {
		t.Errorf("the loops have %d and %d connections", a, b)
	}
}
