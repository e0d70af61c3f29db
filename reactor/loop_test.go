package reactor

import (
	"runtime"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// onLoop runs f on the event loop of a shard, between two of its events, and
// waits for it.
func (c *central) onLoop(sh *shard, f func()) {
	c.t.Helper()
	await(c.t, sh.mail.do(f), "the event loop is blocked")
}

// onLoops runs f on all event loops, one after the other.
func (c *central) onLoops(f func(*shard)) {
	c.t.Helper()
	for _, sh := range c.shards {
		c.onLoop(sh, func() { f(sh) })
	}
}

// await waits until so reports true.
func (c *central) await(what string, so func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !so(); runtime.Gosched() {
		if time.Now().After(deadline) {
			c.t.Fatalf("it never came that %s", what)
		}
	}
}

// awaitThat is await on the session's loop.
func (c *central) awaitThat(s *session, what string, so func() bool) {
	c.t.Helper()
	c.await(what, func() (ok bool) {
		c.onLoop(s.shard(), func() { ok = so() })
		return ok
	})
}

func (c *central) awaitClosed(s *session) {
	c.t.Helper()
	c.awaitThat(s, "it is closed", func() bool { return s.state == closed })
}

func (c *central) awaitDraining(s *session) {
	c.t.Helper()
	c.awaitThat(s, "nothing more is taken", func() bool { return s.state == draining })
}

// sum adds up something of all shards.
func (c *central) sum(of func(*shard) int) (n int) {
	c.t.Helper()
	c.onLoops(func(sh *shard) { n += of(sh) })
	return n
}

// awaitSessions waits until that many sessions are left.
func (c *central) awaitSessions(n int) {
	c.t.Helper()
	c.await("the sessions are as many as expected", func() bool {
		return c.sum(func(sh *shard) int { return len(sh.sessions) }) == n
	})
}

// awaitParked waits until that many queries are parked.
func (c *central) awaitParked(n int) {
	c.t.Helper()
	c.await("the parked queries are as many as expected", func() bool {
		return c.sum(func(sh *shard) int { return len(sh.parked) }) == n
	})
}

// awaitJobs waits until that many jobs are in work. One is until after its answer was
// written.
func (c *central) awaitJobs(n int) {
	c.t.Helper()
	c.await("the jobs are as many as expected", func() bool { return c.Stats().Jobs == n })
}

// session returns the peer's session, which belongs to its loop.
func (c *central) session(p *peer) (found *session) {
	c.t.Helper()
	c.await("the peer has a session", func() bool {
		c.onLoops(func(sh *shard) {
			for _, s := range sh.sessions {
				conn, isOpen := s.conn.(gnet.Conn)
				if isOpen && s.state != closed && conn.RemoteAddr().String() == p.LocalAddr().String() {
					found = s
				}
			}
		})
		return found != nil
	})
	return found
}

// awaitRead waits until the server has read so far that it holds n bytes of a
// frame of the peer's that has not ended.
func (c *central) awaitRead(p *peer, n int) {
	c.t.Helper()
	s := c.session(p)
	c.awaitThat(s, "the piece was read", func() bool { return s.state != unused && s.decoder.Buffered() == n })
}

// awaitFrames waits until that many of the peer's frames were read and have
// no answer.
func (c *central) awaitFrames(p *peer, n int) {
	c.t.Helper()
	s := c.session(p)
	c.awaitThat(s, "the frames were read", func() bool { return s.frames.get() == n })
}

// expectIdle expects that nothing is kept of past connections.
func (c *central) expectIdle() {
	c.t.Helper()
	if n := c.sum(func(sh *shard) int { return len(sh.sessions) + len(sh.parked) }); n != 0 {
		c.t.Errorf("%d sessions are left", n)
	}
	c.await("every handshake has ended", func() bool { return c.Stats().Handshakes == 0 })
	c.awaitJobs(0)
	stats := c.Stats()
	stats.RefusedConnections, stats.CutConnections, stats.WindowFrames, stats.WindowBytes = 0, 0, 0, 0
	stats.FailedHandshakes, stats.MaxHandshakes = 0, 0
	want := Stats{
		MaxConnections: c.config.MaxConnections, MaxWaiting: c.config.MaxWaiting, Loops: c.config.Loops,
		MaxWindowFrames: c.config.WindowFrames, MaxWindowBytes: c.config.WindowBytes,
	}
	if stats != want || c.behind.get() != 0 {
		c.t.Errorf("left are %+v, and %d bytes behind queries, expected %+v", stats, c.behind.get(), want)
	}
}

// sweep is a whole sweep at once.
func (sh *shard) sweep() {
	for w := sh.newSweeper(); w.sweep(); {
	}
}
