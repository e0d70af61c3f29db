package reactor

import (
	"bytes"
	"slices"
	"strconv"
	"testing"
	"time"

	"loteria/codec"
	"loteria/lottery"
)

// awaitTail waits until the server knows that the peer has closed its side, and
// keeps the connection.
func (c *central) awaitTail(s *session) {
	c.t.Helper()
	c.awaitThat(s, "the peer has closed its side", func() bool { return s.state != closed && s.inputEnded })
}

// endTail lets the time pass of a connection whose peer has closed its side.
func (c *central) endTail(s *session) {
	c.t.Helper()
	c.awaitThat(s, "the peer has closed its side", func() bool { return s.state == closed || s.inputEnded })
	c.onLoop(s.shard(), func() { s.closeAfter = time.Time{} })
}

// sendLast sends the pieces, and the end of file.
func (p *peer) sendLast(pieces ...[]byte) {
	p.t.Helper()
	p.send(pieces...)
	if err := p.CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

// An end of file behind requests is no reason not to answer them.
func TestAnswersAfterTheEndOfFile(t *testing.T) {
	rawBets := losers(1, 3)
	won := rawBetOf(1, "7", winning)
	const broken = "\x00\x00\x00\x00\x0c"
	for what, test := range map[string]struct{ sent, answers [][]byte }{
		"a bet":          {[][]byte{betFrame(won)}, [][]byte{successFrame(won)}},
		"half a frame":   {[][]byte{betFrame(won), resumeFrame(1)[:7]}, [][]byte{successFrame(won)}},
		"a broken frame": {[][]byte{betFrame(won), []byte(broken)}, [][]byte{successFrame(won), errorFrame(codec.UnknownType, noRawBet)}},
		"all there is": {
			[][]byte{resumeFrame(1), batchAt(0, rawBets...), betFrame(won), finishedFrame(1), queryFrame(1)},
			[][]byte{pointFrame(), successFrame(rawBets[0]), successFrame(won), okFrame, winnersFrame("7")},
		},
		"more behind a query": {
			[][]byte{finishedFrame(1), queryFrame(1), betFrame(won), queryFrame(1), resumeFrame(1), []byte(broken)},
			[][]byte{
				okFrame, winnersFrame(), errorFrame(lottery.DrawDone, noRawBet), winnersFrame(), pointFrame(),
				errorFrame(codec.UnknownType, noRawBet),
			},
		},
	} {
		t.Run(what, func(t *testing.T) {
			leavesNothing(t, func(t *testing.T) {
				c := start(t, 1, nil, nil)
				p := c.dial()
				p.sendLast(test.sent...)
				p.expect(test.answers...)
				p.expectEnd()
				p.Close()
				c.awaitSessions(0)
				c.expectIdle()
				c.log.only(t, "close_connection", "success")
			})
		})
	}
}

// Bets on their way to disk at the end of file are answered when durable.
func TestEndOfFileWhileBetsGoToDisk(t *testing.T) {
	withLoops(t, func(t *testing.T, configure func(*Config)) {
		leavesNothing(t, func(t *testing.T) {
			const connections = 10
			c, g := startSlow(t, connections, configure)
			peers := c.dialMany(connections)
			for i, p := range peers {
				s, raw := c.session(p), rawBetOf(i+1, "1", losing)
				p.sendLast(bytes.Repeat(betFrame(raw), 3), resumeFrame(i+1))
				c.awaitTail(s)
				p.expectNothing()
			}
			if n := c.Stats().Connections; n != connections {
				t.Errorf("%d connections are counted, expected %d", n, connections)
			}
			g.open()
			for i, p := range peers {
				raw := rawBetOf(i+1, "1", losing)
				p.expectBytes(bytes.Repeat(successFrame(raw), 3))
				p.expect(pointFrame(raw, raw, raw))
				p.expectEnd()
				p.Close()
			}
			c.awaitSessions(0)
			c.expectIdle()
		})
	})
}

// A query that is parked when its peer closes its side has some time left.
func TestEndOfFileBehindAParkedQuery(t *testing.T) {
	c := start(t, 2, nil, nil)
	answered, late := c.dial(), c.dial()
	for _, p := range []*peer{answered, late} {
		s := c.session(p)
		p.sendLast(queryFrame(1), resumeFrame(1))
		c.awaitTail(s)
		c.awaitThat(s, "it is parked", func() bool { return s.parked })
		if p == late {
			c.endTail(s)
		}
	}
	c.awaitParked(1)
	late.expectEnd()
	c.ask(finishedFrame(1), okFrame)
	c.ask(finishedFrame(2), okFrame)
	answered.expect(winnersFrame(), pointFrame())
	answered.expectEnd()
	answered.Close()
	c.awaitSessions(0)
	c.expectIdle()
}

// A peer that is gone for good looks like one that has closed its side, until the
// first answer.
func TestEndOfFileOfAPeerThatIsGone(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		c, g := startSlow(t, 1, nil)
		raw := rawBetOf(1, "1", losing)
		for range 20 {
			p := c.dial()
			s := c.session(p)
			p.send(bytes.Repeat(betFrame(raw), 3))
			c.awaitFrames(p, 3)
			p.send(bytes.Repeat(betFrame(raw), 3))
			c.awaitFrames(p, 6)
			p.Close()
			c.awaitTail(s)
		}
		g.open()
		c.awaitSessions(0)
		c.expectIdle()
	})
}

// An answer that the socket does not take at once follows, as far as the peer
// reads it in time.
func TestLongAnswerAfterTheEndOfFile(t *testing.T) {
	const winners = 20_000
	for _, reads := range []bool{true, false} {
		t.Run("reads "+strconv.FormatBool(reads), func(t *testing.T) {
			c := start(t, 1, nil, nil)
			p, sender := c.dial(), c.dial()
			s := c.fillsUp(p)
			p.sendLast(queryFrame(1))
			c.awaitTail(s)
			for i := 0; i < winners; i += 100 {
				rawBets := make([]lottery.RawBet, 100)
				for j := range rawBets {
					rawBets[j] = rawBetOf(1, strconv.Itoa(30000000+i+j), winning)
				}
				sender.send(batchFrame(rawBets...))
				sender.expect(successFrame(rawBets[0]))
			}
			sender.send(finishedFrame(1))
			sender.expect(okFrame)
			c.awaitThat(s, "it is told", func() bool { return s.telling })
			if !reads {
				c.stall(s)
				c.log.only(t, "send_answer", "fail")
			} else {
				p.expectBytes(c.winners(1))
				p.expectEnd()
			}
			p.Close()
			sender.reset()
			c.awaitSessions(0)
			c.expectIdle()
		})
	}
}

// A peer that has closed its side and does not read is cut like any other.
func TestMaxUnreadAfterTheEndOfFile(t *testing.T) {
	const maxUnread = 10 << 10
	c, g := startSlow(t, 1, func(config *Config) { config.MaxUnread = maxUnread })
	p, raw, long := c.dial(), rawBetOf(1, "1", losing), document(string(bytes.Repeat([]byte("1"), 8000)))
	s := c.fillsUp(p)
	p.sendLast(betFrame(raw), bytes.Repeat(betFrame(long), 100))
	c.awaitTail(s)
	g.open()
	c.awaitClosed(s)
	c.log.only(t, "send_answer", "fail")
	c.expectIdle()
}

// A stop answers what is in flight also when the peer has closed its side, and
// closes the other connections.
func TestStopAfterTheEndOfFile(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		c, g := startSlow(t, 2, nil)
		raw := rawBetOf(1, "1", losing)
		betting, asking := c.dial(), c.dial()
		sessions := []*session{c.session(betting), c.session(asking)}
		betting.sendLast(betFrame(raw))
		asking.sendLast(queryFrame(2))
		for _, s := range sessions {
			c.awaitTail(s)
		}
		stopped := make(chan error, 1)
		go func() { stopped <- c.stop() }()
		asking.expectEnd()
		g.open()
		betting.expect(successFrame(raw))
		betting.expectEnd()
		if err := await(t, stopped, "the central does not stop"); err != nil {
			t.Error(err)
		}
		betting.Close()
		asking.Close()
	})
}

// One that waits for a lottery that hangs is closed with the central, too.
func TestStopAfterTheEndOfFileWithALotteryThatHangs(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		c, _ := startSlow(t, 1, func(config *Config) { config.StopTimeout = 10 * time.Millisecond })
		p := c.dial()
		s := c.session(p)
		p.sendLast(betFrame(rawBetOf(1, "1", losing)))
		c.awaitTail(s)
		if err := c.stop(); err == nil {
			t.Error("the stop is not late")
		}
		p.expectEnd()
		p.Close()
		if n := c.Stats().Connections; n != 0 {
			t.Errorf("%d connections are counted", n)
		}
	})
}

// The documents of an answer do not depend on when the end of file comes.
func TestEndOfFileAtAnyTime(t *testing.T) {
	const agencies = 60
	c := start(t, agencies, nil, nil)
	var want [][]byte
	peers := c.dialMany(agencies)
	for i, p := range peers {
		won := rawBetOf(i+1, strconv.Itoa(i), winning)
		f := slices.Concat(betFrame(won), finishedFrame(i+1), queryFrame(i+1))
		want = append(want, slices.Concat(successFrame(won), okFrame, winnersFrame(won.Document)))
		cut := i * len(f) / agencies
		p.send(f[:cut])
		p.sendLast(f[cut:])
	}
	for i, p := range peers {
		p.expectBytes(want[i])
		p.expectEnd()
	}
}
