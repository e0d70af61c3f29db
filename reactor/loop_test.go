package reactor

import (
	"runtime"
	"time"
)

// onLoop runs f on the event loop, between two of its events, and waits for
// it. Some connection must be there, or be coming.
func (c *central) onLoop(f func()) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); c.loop.Load() == nil; runtime.Gosched() {
		if time.Now().After(deadline) {
			c.t.Fatal("no connection was opened")
		}
	}
	done := make(chan struct{})
	if !c.post(runnable(func() { f(); close(done) })) {
		c.t.Fatal("the event loop has ended")
	}
	await(c.t, done, "the event loop is blocked")
}

// await looks at what is the loop's until it is so.
func (c *central) await(what string, so func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		var ok bool
		c.onLoop(func() { ok = so() })
		if ok {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("it never came that %s", what)
		}
	}
}

// awaitSessions waits until that many sessions are left.
func (c *central) awaitSessions(n int) {
	c.t.Helper()
	c.await("the sessions are as many as expected", func() bool { return len(c.sessions) == n })
}

// awaitParked waits until that many queries are parked.
func (c *central) awaitParked(n int) {
	c.t.Helper()
	c.await("the parked queries are as many as expected", func() bool { return len(c.parked) == n })
}

// session returns the peer's session, which is the loop's.
func (c *central) session(p *peer) (found *session) {
	c.t.Helper()
	c.await("the peer has a session", func() bool {
		for s := range c.sessions {
			if s.state != closed && s.conn.RemoteAddr().String() == p.LocalAddr().String() {
				found = s
			}
		}
		return found != nil
	})
	return found
}

// awaitRead waits until the server has read so far that it holds n bytes of a
// frame of the peer's that has not ended.
func (c *central) awaitRead(p *peer, n int) {
	c.t.Helper()
	s := c.session(p)
	c.await("the piece was read", func() bool { return s.state != fresh && s.decoder.Buffered() == n })
}

// awaitFrames waits until that many of the peer's frames were read and have
// no answer; a parked query is not one of them.
func (c *central) awaitFrames(p *peer, n int) {
	c.t.Helper()
	s := c.session(p)
	c.await("the frames were read", func() bool { return s.frames == n })
}

// expectIdle says that nothing is kept of the connections there were.
func (c *central) expectIdle() {
	c.t.Helper()
	c.onLoop(func() {
		if len(c.sessions)+len(c.parked)+len(c.lingering)+c.waiting.get()+c.busy.get() != 0 {
			c.t.Errorf("left are: %d sessions, %d parked, %d lingering, %d bytes waiting, %d busy bursts",
				len(c.sessions), len(c.parked), len(c.lingering), c.waiting.get(), c.busy.get())
		}
	})
}
