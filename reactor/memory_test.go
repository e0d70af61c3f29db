package reactor

import (
	"bytes"
	"reflect"
	"testing"

	"loteria/codec"
)

// decoderRoom returns how many bytes a session's decoder has allocated.
func (c *central) decoderRoom(s *session) (room int) {
	c.t.Helper()
	c.onLoop(s.shard(), func() { room = reflect.ValueOf(s.decoder).FieldByName("partial").Cap() })
	return room
}

// A payload that a header announces costs nothing before it has come.
func TestAHeaderCostsWhatHasCome(t *testing.T) {
	c := start(t, 1, nil, nil)
	p := c.dial()
	s := c.session(p)
	p.send([]byte{0, 0, 0x20, 0, byte(codec.TypeBatch)})
	c.awaitRead(p, 5)
	if room := c.decoderRoom(s); room > 64 {
		t.Errorf("%d bytes are kept for a header", room)
	}
	p.send(make([]byte, 1000))
	c.awaitRead(p, 1005)
	if room := c.decoderRoom(s); room > 2048 {
		t.Errorf("%d bytes are kept for 1,005", room)
	}
}

// A connection's memory for a long frame is given back when it is idle, or when what
// it sends is ignored.
func TestAnIdleDecoderHoldsNothing(t *testing.T) {
	c := start(t, 1, nil, nil)
	idle, behindQuery := c.dial(), c.dial()
	rawBets := losers(1, 100)
	f := batchFrame(rawBets...)
	for _, p := range []*peer{idle, behindQuery} {
		p.send(f[:5000])
		c.awaitRead(p, 5000)
		p.send(f[5000:])
		p.expect(successFrame(rawBets[0]))
	}
	c.onLoops((*shard).sweep)
	if room := c.decoderRoom(c.session(idle)); room > 0 {
		t.Errorf("an idle connection has %d bytes", room)
	}

	behindQuery.send(queryFrame(1), f[:5000])
	c.awaitRead(behindQuery, 5000)
	behindQuery.send(make([]byte, len(f)-5000)) // no delimiter
	s := c.session(behindQuery)
	c.awaitDraining(s)
	if room := c.decoderRoom(s); room > 0 {
		t.Errorf("a connection that is not listened to any more has %d bytes", room)
	}
}

// A frame without a payload costs something, too.
func TestEmptyFramesAreCounted(t *testing.T) {
	const frames = 1000
	c, g := startSlow(t, 1, nil)
	p, raw := c.dial(), rawBetOf(1, "1", losing)
	p.send(betFrame(raw))
	c.awaitFrames(p, 1)
	before := c.Stats().WaitingBytes
	p.send(bytes.Repeat(batchFrame(), frames))
	c.awaitFrames(p, 1+frames)
	if cost := c.Stats().WaitingBytes - before; cost < frames*frameCost || cost > frames*(frameCost+jobCost) {
		t.Errorf("%d frames cost %d bytes", frames, cost)
	}
	g.open()
	p.expect(successFrame(raw))
	p.expectBytes(bytes.Repeat(errorFrame("empty_batch", noRawBet), frames))
	c.await("nothing waits", func() bool { return c.Stats().WaitingBytes == 0 })
}

// A parked query keeps none of the buffers that jobs reuse, and takes no room from
// other requests.
func TestParkedQueriesHoldNothing(t *testing.T) {
	const queries = 50
	c := start(t, 2, func(config *Config) { config.MaxWaiting = jobCost + 10*(frameCost+20) }, nil)
	filler := batchFrame(losers(1, 100)...)
	for range queries {
		p := c.dial()
		p.send(queryFrame(1), filler)
		s := c.session(p)
		c.awaitThat(s, "the frames were read", func() bool { return s.behind.frames == 1 })
		c.onLoop(s.shard(), func() {
			if j := s.jobs[0]; cap(j.outcomes)+cap(j.texts)+cap(j.refs)+cap(j.lines)+cap(j.replies) > 0 {
				t.Error("a query that is parked holds buffers")
			}
		})
	}
	if stats := c.Stats(); stats.ParkedQueries != queries || stats.WaitingFrames != 2*queries || stats.WaitingBytes != 0 {
		t.Errorf("%d queries with a frame behind each are counted as %+v", queries, stats)
	}
	p := c.dial()
	p.send(bytes.Repeat(resumeFrame(2), 10))
	p.expectBytes(bytes.Repeat(pointFrame(), 10))
}

// A thousand small frames behind a query are kept: they only cost their bytes. More
// than maxBehind bytes are not.
func TestManyFramesBehindAParkedQuery(t *testing.T) {
	const frames = 1000
	c := start(t, 1, nil, nil)
	p := c.dial()
	p.send(queryFrame(1), bytes.Repeat(resumeFrame(1), frames))
	c.awaitFrames(p, 1+frames)
	if n := c.behind.get(); n < frames*len(resumeFrame(1)) || n > 2*frames*len(resumeFrame(1)) {
		t.Errorf("%d frames of %d bytes take %d", frames, len(resumeFrame(1)), n)
	}
	c.ask(finishedFrame(1), okFrame)
	p.expect(winnersFrame())
	p.expectBytes(bytes.Repeat(pointFrame(), frames))
	if n := c.behind.get(); n != 0 {
		t.Errorf("%d bytes are kept behind no query", n)
	}

}

// When all connections together have too much behind their queries, the one
// that would bring more is told and closed.
func TestTooMuchBehindAllParkedQueries(t *testing.T) {
	c := start(t, 1, nil, nil)
	others, staying, p := maxAllBehind-300, c.dial(), c.dial()
	c.behind.add(others)
	defer c.behind.add(-others)
	staying.send(queryFrame(1), resumeFrame(1))
	c.awaitFrames(staying, 2)
	p.send(queryFrame(1), bytes.Repeat(resumeFrame(1), 100))
	p.expectRetry()
	p.expectEnd()
	if cut := c.Stats().CutConnections; cut != 1 {
		t.Errorf("%d connections were cut, expected 1", cut)
	}
	c.ask(finishedFrame(1), okFrame) // others are not concerned
	staying.expect(winnersFrame(), pointFrame())
}

// However much waits, a connection with nothing waiting gets one frame in.
func TestOneFrameGetsInAlways(t *testing.T) {
	c := start(t, 1, nil, nil)
	others := c.config.MaxWaiting
	c.waiting.add(others)
	defer c.waiting.add(-others)
	p, raw := c.dial(), rawBetOf(1, "1", losing)
	for range 3 {
		p.send(betFrame(raw))
		p.expect(successFrame(raw))
	}
	p.send(bytes.Repeat(resumeFrame(1), 3))
	p.expect(pointFrame(raw, raw, raw))
	p.expectRetry()
	p.expectRetry()
}

// The refusals of frames for which there is no room take some, too. When they
// take as much as the frames may, the conversation ends.
func TestRefusalsForWantOfRoomAreBounded(t *testing.T) {
	const connections, frames = 10, 500
	c, _ := startSlow(t, 1, func(config *Config) { config.MaxWaiting = 100 << 10 })
	raw := rawBetOf(1, "1", losing)
	for range connections {
		p := c.dial()
		s := c.session(p)
		p.send(bytes.Repeat(betFrame(raw), frames))
		c.awaitThat(s, "it is all read", func() bool { return s.frames.get() == frames || s.state == draining })
	}
	if n, most := c.Stats().WaitingBytes, 2*c.config.MaxWaiting+connections*2*(jobCost+2*frameCost); n > most {
		t.Errorf("%d bytes wait, expected at most %d", n, most)
	}
}

// The memory of a large reply is not kept for ever.
func TestLargeRepliesAreNotKept(t *testing.T) {
	c := start(t, 1, func(config *Config) { config.Loops = 1 }, nil)
	p, long := c.dial(), document(string(bytes.Repeat([]byte("1"), 8000)))
	f, refused := betFrame(long), errorFrame("bad_document", long)
	const frames = 100
	go p.send(bytes.Repeat(f, frames))
	p.expectBytes(bytes.Repeat(refused, frames))
	c.onLoops(func(sh *shard) {
		if cap(sh.replies) > maxSpareJob {
			t.Errorf("%d bytes are kept", cap(sh.replies))
		}
	})
}
