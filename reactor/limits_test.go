package reactor

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
	"loteria/codec"
	"loteria/lottery"
)

func TestMaxConnections(t *testing.T) {
	const most = 3
	c := start(t, 1, func(config *Config) { config.MaxConnections = most }, nil)
	peers := make([]*peer, most)
	for i := range peers {
		peers[i] = c.dial()
		c.awaitSessions(i + 1)
	}
	for range 3 {
		tooMany := c.dial()
		tooMany.expectRetry()
		tooMany.expectEnd()
	}
	if refused := c.log.find(t, "accept_connection", "fail"); len(refused) != 3 {
		t.Errorf("the log has %v", refused)
	}
	for _, p := range peers { // which live on
		p.send(resumeFrame(1))
		p.expect(pointFrame())
	}
	peers[0].Close()
	c.awaitSessions(most - 1)
	p := c.dial()
	p.send(resumeFrame(1))
	p.expect(pointFrame())
}

// expectRetry reads a RETRY with some reason.
func (p *peer) expectRetry() {
	p.t.Helper()
	f := p.receive()
	var retry codec.Retry
	if f[4] != byte(codec.TypeRetry) || retry.Decode(f[5:len(f)-1]) != nil || retry.Reason == "" {
		p.t.Fatalf("received %q, expected a RETRY with a reason", f)
	}
}

func TestWindow(t *testing.T) {
	const frames = 4
	raw := rawBetOf(1, "1", losing)
	bet := betFrame(raw)
	payload := len(bet) - 6
	for what, configure := range map[string]func(*Config){
		"frames": func(config *Config) { config.WindowFrames = frames },
		"bytes":  func(config *Config) { config.WindowBytes = frames*payload + payload - 1 },
	} {
		for _, atOnce := range []bool{true, false} {
			t.Run(fmt.Sprint(what, ", at once ", atOnce), func(t *testing.T) {
				c, g := startSlow(t, 1, configure)
				p, other := c.dial(), c.dial()
				if atOnce {
					p.send(bytes.Repeat(bet, frames+1), finishedFrame(1))
				} else {
					p.send(bytes.Repeat(bet, frames))
					c.awaitFrames(p, frames)
					p.send(bet, finishedFrame(1))
				}
				g.wait(t, 1)
				c.awaitDraining(c.session(p))
				c.expectEcho("hola\n") // the loops go on
				p.expectNothing()

				g.open()
				p.expectBytes(bytes.Repeat(successFrame(raw), frames))
				p.expectRetry()
				p.expectEnd()
				p.Close()
				other.send(bet)
				other.expect(successFrame(raw))
				c.expectRows(raw, raw, raw, raw, raw)
				other.Close()
				c.awaitSessions(0)
				c.expectIdle()
			})
		}
	}
}

// The window is for what waits, not for all that a connection ever sends.
func TestWindowMoves(t *testing.T) {
	raw := rawBetOf(1, "1", losing)
	bet := betFrame(raw)
	c := start(t, 1, func(config *Config) {
		config.WindowFrames = 4
		config.WindowBytes = 4 * len(bet)
		config.MaxWaiting = jobCost + 4*(len(bet)+frameCost)
	}, nil)
	p := c.dial()
	for range 20 {
		p.send(bytes.Repeat(bet, 3), resumeFrame(2))
		p.expectBytes(bytes.Repeat(successFrame(raw), 3))
		p.expect(errorFrame(lottery.WrongAgency, noRawBet))
	}
}

// Beyond MaxWaiting, a connection that has something in flight gets RETRY; one
// that has nothing gets one frame in.
func TestMaxWaiting(t *testing.T) {
	batch1, batch2 := losers(1, 100), losers(2, 100)
	c, g := startSlow(t, 2, func(config *Config) { config.MaxWaiting = payloadOf(batchFrame(batch1...)) * 9 / 5 })
	hanging, p := c.dial(), c.dial()
	hanging.send(batchFrame(batch1...), batchFrame(batch1...))
	c.awaitFrames(hanging, 2)
	p.send(batchFrame(batch2...))
	c.awaitFrames(p, 1)
	for i := range 3 {
		p.send(batchFrame(batch2...))
		c.awaitFrames(p, 2+i)
	}
	hanging.expectNothing()
	p.expectNothing()

	g.open()
	hanging.expect(successFrame(batch1[0]))
	hanging.expectRetry()
	p.expect(successFrame(batch2[0]))
	for range 3 {
		p.expectRetry()
	}
	hanging.send(batchFrame(batch1...))
	hanging.expect(successFrame(batch1[0]))
	p.send(batchFrame(batch2...))
	p.expect(successFrame(batch2[0]))
	c.expectRows(slices.Concat(batch1, batch2, batch1, batch2)...)
	for _, e := range c.log.failures(t) {
		t.Errorf("the log has %v", e)
	}
}

// won returns a lottery whose draw is done, with that many winners of agency
// 1.
func won(t *testing.T, winners int) func(Lottery) Lottery {
	return func(l Lottery) Lottery {
		var batch lottery.Batch
		for i := range winners {
			raw := rawBetOf(1, strconv.Itoa(30000000+i), winning)
			if err := batch.Add(&raw); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Store(&batch, 0, func(error) {}); err != nil {
			t.Fatal(err)
		}
		finishNow(t, l, 1)
		return l
	}
}

// fillsUp makes the sockets of the peer and its session small: the system would take
// megabytes.
func (c *central) fillsUp(p *peer) *session {
	c.t.Helper()
	_ = p.SetReadBuffer(4 << 10)
	s := c.session(p)
	c.onLoop(s.shard(), func() { _ = s.conn.(gnet.Conn).SetWriteBuffer(4 << 10) })
	return s
}

// A peer that never reads is closed when it has left too much unread; its
// answers do not pile up.
func TestMaxUnread(t *testing.T) {
	const maxUnread = 100 << 10
	c := start(t, 1, func(config *Config) { config.MaxUnread = maxUnread }, nil)
	other, p, long := c.dial(), c.dial(), document(string(bytes.Repeat([]byte("1"), 8000)))
	s := c.fillsUp(p)
	go func() { _, _ = p.Write(bytes.Repeat(betFrame(long), 1000)) }()
	c.awaitClosed(s)
	if unread := c.log.only(t, "send_answer", "fail")["unread_bytes"].(float64); unread <= maxUnread || unread > maxUnread+2*readBuffer {
		t.Errorf("%v bytes were unread, expected more than %d, by the answers to one read", unread, maxUnread)
	}
	raw := rawBetOf(1, "1", losing)
	other.send(betFrame(raw))
	other.expect(successFrame(raw))
	p.expectGone()
	other.Close()
	c.awaitSessions(0)
	c.expectIdle()
}

// A connection that got its last answer is closed soon, even if its peer does not
// close.
func TestLingeringEnds(t *testing.T) {
	t.Parallel()
	c := start(t, 1, nil, nil)
	echoed, broken := c.dial(), c.dial()
	echoed.send([]byte("hola\n"))
	broken.send([]byte("\x00\x00\x00\x00\x0c"))
	echoed.expectBytes([]byte("hola\n"))
	broken.expect(errorFrame(codec.UnknownType, noRawBet))
	for _, p := range []*peer{echoed, broken} {
		p.expectEnd()
	}
	c.onLoops((*shard).sweep)
	if n := c.Stats().Connections; n != 2 {
		t.Errorf("%d connections are left at once, expected 2", n)
	}
	c.awaitSessions(0)
	c.expectIdle()
}

// And one that goes on sending is closed at once when it is too much.
func TestLingeringTakesNoMoreThanSoMuch(t *testing.T) {
	c := start(t, 1, nil, nil)
	p := c.dial()
	s := c.session(p)
	p.send([]byte("\x00\x00\x00\x00\x0c"))
	more := make([]byte, 1<<20)
	for range 256 {
		if _, err := p.Write(more); err != nil {
			break
		}
	}
	c.awaitClosed(s)
	if s.ignored <= maxIgnored || s.ignored > 2*maxIgnored {
		t.Errorf("%d bytes were taken, expected little more than %d", s.ignored, maxIgnored)
	}
}

// A peer whose machine is gone says nothing; the system finds out.
func TestKeepAlive(t *testing.T) {
	c := start(t, 1, nil, nil)
	c.expectKeepAlive(c.session(c.dial()))
}

func (c *central) expectKeepAlive(s *session) {
	c.t.Helper()
	c.onLoop(s.shard(), func() {
		on, err := unix.GetsockoptInt(s.conn.(gnet.Conn).Fd(), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		idle, err2 := unix.GetsockoptInt(s.conn.(gnet.Conn).Fd(), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
		if err != nil || err2 != nil || on != 1 || idle != int(keepAlive.Seconds()) {
			c.t.Errorf("keep-alive is %d after %d s, %v, %v", on, idle, err, err2)
		}
	})
}
