package reactor

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"loteria/codec"
)

// manyWinners is more than the sockets take, and than a peer may leave unread.
const manyWinners = 150_000

// takesPart makes the sockets of a peer take a part of manyWinners. With smaller
// ones each piece would wait for a timer of the system's.
func (c *central) takesPart(p *peer) *session {
	c.t.Helper()
	_ = p.SetReadBuffer(256 << 10)
	s := c.session(p)
	c.onLoop(s.shard(), func() { _ = s.conn.(gnet.Conn).SetWriteBuffer(128 << 10) })
	return s
}

// stall lets stallTime pass until the session is cut off.
func (c *central) stall(s *session) {
	c.t.Helper()
	c.awaitThat(s, "it is cut off", func() bool {
		s.lastTaken = time.Time{}
		s.shard().sweep()
		return s.state == closed
	})
}

// However many winners there are, a peer that reads gets them all, at its own pace
// and without a sweep. They cost the same memory for all peers together.
func TestManyWinnersForSlowReaders(t *testing.T) {
	withLoops(t, func(t *testing.T, configure func(*Config)) {
		sweepEvery = time.Hour
		c := start(t, 1, func(config *Config) { configure(config); config.MaxUnread = 8 << 10 }, won(t, manyWinners))
		sweepEvery = sweepInterval
		c.await("the draw is announced", c.announced)
		answer := c.winners(1)
		if len(answer) <= 1<<20 {
			t.Fatalf("the answer has %d bytes, which shows nothing", len(answer))
		}
		read := func(p *peer, each int, want []byte) error {
			var got bytes.Buffer
			piece := make([]byte, each)
			for got.Len() < len(want) {
				n, err := p.Read(piece[:min(each, len(want)-got.Len())])
				if got.Write(piece[:n]); err != nil {
					return err
				}
			}
			return same(got.Bytes(), want)
		}
		fast, slow, several, half, never := c.dial(), c.dial(), c.dial(), c.dial(), c.dial()
		for _, p := range []*peer{slow, several, half, never} {
			c.takesPart(p)
		}
		sleeping := c.session(never)
		fast.send(queryFrame(1))
		slow.send(queryFrame(1))
		several.send(queryFrame(1), queryFrame(1), resumeFrame(1), queryFrame(1), []byte("\x00\x00\x00\x00\x0c"))
		half.sendLast(queryFrame(1), queryFrame(1))
		never.send(queryFrame(1))
		c.awaitThat(sleeping, "it is told", func() bool { return sleeping.telling })
		most := 0
		if overTLS { // what is sealed is kept
			most = 5 * 2 * maxSealed
		}
		if n := c.Stats().UnreadBytes; n > most {
			t.Errorf("%d bytes are kept for peers that read slowly, expected at most %d", n, most)
		}
		ended := make(chan error)
		go func() { ended <- read(fast, 1<<20, answer) }()
		go func() { ended <- read(slow, 1500, answer) }()
		go func() {
			var point []byte
			err := read(several, 64<<10, bytes.Repeat(answer, 2))
			if err == nil {
				point = several.receive()
				err = read(several, 64<<10, answer)
			}
			if err == nil && point[4] != byte(codec.TypeResumePoint) {
				t.Errorf("between the winners comes %q", point)
			}
			if last, e := io.ReadAll(several); err == nil && (e != nil || !bytes.Equal(last, errorFrame(codec.UnknownType, noRawBet))) {
				t.Errorf("at the end come %q and %v", last, e)
			}
			ended <- err
		}()
		go func() {
			err := read(half, 64<<10, bytes.Repeat(answer, 2))
			if rest, e := io.ReadAll(half); err == nil && (e != nil || len(rest) > 0) {
				t.Errorf("after the end come %d bytes and %v", len(rest), e)
			}
			ended <- err
		}()
		for range 4 {
			if err := await(t, ended, "a peer is not told"); err != nil {
				t.Error(err)
			}
		}
		c.stall(sleeping)
		c.log.only(t, "send_answer", "fail")
		for _, p := range []*peer{fast, slow, several, half} {
			p.Close()
		}
		c.awaitSessions(0)
		c.expectIdle()
	})
}

// A peer that stops reading in the middle is cut off, and one that takes a
// little now and then is not.
func TestStallTime(t *testing.T) {
	c := start(t, 1, nil, won(t, manyWinners))
	for _, half := range []bool{false, true} {
		stopping, taking := c.dial(), c.dial()
		sessions := []*session{c.takesPart(stopping), c.takesPart(taking)}
		for i, p := range []*peer{stopping, taking} {
			if p.send(queryFrame(1)); half {
				_ = p.CloseWrite()
			}
			c.awaitThat(sessions[i], "it is told", func() bool { return sessions[i].telling })
		}
		answer := c.winners(1)
		stopping.expectBytes(answer[:100_000])
		c.stall(sessions[0])
		for sent := 0; sent < len(answer); {
			next := min(sent+100_000, len(answer))
			taking.expectBytes(answer[sent:next])
			sent = next
			c.onLoop(sessions[1].shard(), func() {
				s := sessions[1]
				if s.owes() { // the time passes, but something was taken
					s.lastTaken, s.taken = time.Time{}, -1
					s.shard().sweep()
				}
				if s.state == closed && !half {
					t.Error("a peer that takes something is cut off")
				}
			})
		}
		stopping.reset()
		taking.Close()
	}
	c.awaitSessions(0)
	c.expectIdle()
}

// A peer that sends more behind a query than is kept gets its answer all the same.
func TestTooMuchBehindWinners(t *testing.T) {
	c := start(t, 1, nil, won(t, manyWinners))
	p := c.dial()
	s := c.takesPart(p)
	p.send(queryFrame(1), resumeFrame(1))
	c.awaitThat(s, "it is told", func() bool { return s.telling })
	p.send(bytes.Repeat(betFrame(rawBetOf(1, "1", losing)), maxBehind/20))
	c.awaitDraining(s)
	if n := c.behind.get(); n > 2*maxBehind {
		t.Errorf("%d bytes are kept", n)
	}
	p.expectBytes(c.winners(1))
	if f := p.receive(); f[4] != byte(codec.TypeResumePoint) {
		t.Errorf("after the winners comes %q", f)
	}
	for {
		if f := p.receive(); f[4] == byte(codec.TypeRetry) {
			break
		} else if f[4] != byte(codec.TypeError) {
			t.Fatalf("received %q", f)
		}
	}
	p.expectEnd()
	p.Close()
	c.awaitSessions(0)
	c.expectIdle()
}

// Queries that are told when a stop comes are told to the end, if their peers
// read.
func TestStopWhileWinnersAreTold(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		c := start(t, 1, nil, won(t, manyWinners))
		p := c.dial()
		s := c.takesPart(p)
		p.send(queryFrame(1), queryFrame(1))
		c.awaitThat(s, "it is told", func() bool { return s.telling })
		stopped := make(chan error, 1)
		go func() { stopped <- c.stop() }()
		c.await("it stops", c.stopping.Load)
		p.expectBytes(c.winners(1))
		p.expectEnd()
		p.Close()
		if err := await(t, stopped, "the central does not stop"); err != nil {
			t.Error(err)
		}
	})
}
