package reactor

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"testing"
	"time"

	"loteria/codec"
	"loteria/lottery"
)

func TestParkedQueryLeavesWithItsConnection(t *testing.T) {
	for how, hangUp := range map[string]func(*peer){
		"closed":        func(p *peer) { p.Close() },
		"half closed":   func(p *peer) { _ = p.CloseWrite() },
		"reset":         func(p *peer) { p.reset() },
		"more was sent": func(p *peer) { p.send(resumeFrame(1), betFrame(rawBetOf(1, "1", losing))[:9]); p.Close() },
	} {
		t.Run(how, func(t *testing.T) {
			c := start(t, 2, nil, nil)
			staying, leaving := c.dial(), c.dial()
			staying.send(queryFrame(2))
			leaving.send(queryFrame(1))
			c.awaitParked(2)
			s := c.session(leaving)
			hangUp(leaving)
			c.endTail(s)
			c.awaitParked(1)
			c.awaitSessions(1)
			staying.reset()
			c.awaitSessions(0)
			c.expectIdle()
		})
	}
}

func TestRequestsAfterAParkedQuery(t *testing.T) {
	c := start(t, 2, nil, nil)
	won := rawBetOf(1, "1", winning)
	p := c.dial()
	p.send(betFrame(won), queryFrame(1), resumeFrame(1)) // in the query's read
	p.expect(successFrame(won))
	c.awaitParked(1)
	late := rawBetOf(1, "2", winning)
	p.send(betFrame(late)) // and in later ones
	c.awaitFrames(p, 3)
	p.send(queryFrame(1), resumeFrame(1))
	c.awaitFrames(p, 5)
	p.expectNothing()
	c.expectRows(won)

	c.ask(finishedFrame(1), okFrame)
	c.ask(finishedFrame(2), okFrame)
	p.expect(
		winnersFrame("1"),
		pointFrame(won),
		errorFrame(lottery.DrawDone, noRawBet),
		winnersFrame("1"),
		pointFrame(won))
}

// Who has waited long for the draw was not idle: it has just been told its winners.
func TestIdleAfterALongWait(t *testing.T) {
	c := startUnswept(t, 1, nil)
	p := c.dial()
	park(c, p)
	s := c.session(p)
	c.onLoop(s.shard(), func() { s.lastSeen = s.lastSeen.Add(-2 * c.config.IdleTimeout) })
	c.ask(finishedFrame(1), okFrame)
	p.expect(winnersFrame())
	c.awaitThat(s, "nothing is in flight", func() bool { return len(s.jobs) == 0 })
	c.onLoop(s.shard(), func() { s.checkTime(time.Now()) })
	p.send(queryFrame(1))
	p.expect(winnersFrame())
	c.onLoop(s.shard(), func() {
		s.lastSeen, s.answered = s.lastSeen.Add(-2*c.config.IdleTimeout), s.answered.Add(-2*c.config.IdleTimeout)
		s.checkTime(time.Now())
	})
	p.expectRetry()
}

func TestQueryAfterTheDraw(t *testing.T) {
	c := start(t, 2, nil, nil)
	one, two := rawBetOf(1, "1", winning), rawBetOf(2, "2", "07574")
	c.ask(batchFrame(one, rawBetOf(1, "11", losing)), successFrame(one))
	c.ask(betFrame(two), successFrame(two))
	c.ask(finishedFrame(1), okFrame)
	c.ask(append(finishedFrame(2), queryFrame(2)...), okFrame, winnersFrame("2"))
	p := c.dial()
	for range 3 {
		p.send(queryFrame(1))
		p.expect(winnersFrame("1"))
	}
	c.ask(queryFrame(2), winnersFrame("2"))
	c.awaitParked(0)
}

// Pitfall 3: more winners than a frame holds.
func TestPitfall3MoreWinnersThanAFrameHolds(t *testing.T) {
	const winners = 2000
	c := start(t, 1, nil, nil)
	var documents []string
	p := c.dial()
	for len(documents) < winners {
		rawBets := make([]lottery.RawBet, 100)
		for i := range rawBets {
			rawBets[i] = rawBetOf(1, strconv.Itoa(30000000+len(documents)), winning)
			documents = append(documents, rawBets[i].Document)
		}
		p.send(batchFrame(rawBets...))
		p.expect(successFrame(rawBets[0]))
	}
	p.send(queryFrame(1))
	c.awaitParked(1)
	c.ask(finishedFrame(1), okFrame)
	p.expectWinners(documents)
	p.send(queryFrame(1), resumeFrame(9))
	p.expectWinners(documents)
	p.expect(errorFrame(lottery.WrongAgency, noRawBet)) // the stream is still in step
	again := c.dial()
	again.send(queryFrame(1))
	again.expectWinners(documents)
}

// expectWinners reads the winners' parts, up to the last one.
func (p *peer) expectWinners(want []string) {
	p.t.Helper()
	var got []string
	parts := 0
	for {
		f := p.receive()
		if len(f) > 8192 {
			p.t.Fatalf("a frame has %d bytes", len(f))
		}
		parts++
		payload := f[5 : len(f)-1]
		count := binary.BigEndian.Uint32(payload)
		payload = payload[4:]
		for range count {
			n := 2 + int(binary.BigEndian.Uint16(payload))
			got = append(got, string(payload[2:n]))
			payload = payload[n:]
		}
		if len(payload) > 0 {
			p.t.Fatalf("% x follows the documents", payload)
		}
		if f[4] == byte(codec.TypeWinners) {
			break
		}
		if f[4] != byte(codec.TypeWinnersPart) {
			p.t.Fatalf("received type %#x, expected a part", f[4])
		}
	}
	if !slices.Equal(got, want) || parts < 2 {
		p.t.Fatalf("received %d winners in %d parts, expected %d; the first are %v", len(got), parts, len(want), got[:min(5, len(got))])
	}
}

// Pitfall 14: the descriptors of queries are given back, whichever side closes.
func TestPitfall14ThousandQueries(t *testing.T) {
	const queries = 1000
	c := start(t, 2, nil, nil)
	c.ask(finishedFrame(1), okFrame)
	c.awaitSessions(0)
	before := descriptors(t)

	parked := make([]*peer, queries)
	for i := range parked {
		parked[i] = c.dial()
		parked[i].send(queryFrame(1 + i%2))
	}
	c.awaitParked(queries)
	c.awaitDescriptors(before + 2*queries)
	leaving, staying := parked[:queries/2], parked[queries/2:]
	for i, p := range leaving {
		if i%2 == 0 {
			p.reset()
		} else {
			p.Close()
		}
	}
	c.await("only those that stay are parked", func() bool {
		c.onLoops(func(sh *shard) {
			for _, s := range sh.sessions { // for half of those that leave, time passes
				s.closeAfter = time.Time{}
			}
			sh.sweep()
		})
		return c.Stats().ParkedQueries == len(staying)
	})
	c.ask(finishedFrame(2), okFrame)
	for _, p := range staying {
		p.expect(winnersFrame())
		p.Close()
	}
	for range queries { // one after the other, now that there is an answer
		c.ask(queryFrame(1), winnersFrame())
	}
	c.awaitSessions(0)
	c.awaitDescriptors(before)
	c.expectIdle()
}

// Little may wait behind a parked query: it waits as long as the slowest agency
// needs. The peer is told, and others go on.
func TestTooMuchBehindAParkedQuery(t *testing.T) {
	batch := bytes.Repeat([]byte("x"), codec.MaxPayload-100)
	filler := frame(&codec.Retry{Reason: string(batch)}) // no request, but it is not looked at
	for name, send := range map[string]func(*central, *peer){
		"in one write": func(c *central, p *peer) {
			p.send(queryFrame(1), bytes.Repeat(filler, 4))
		},
		"afterwards": func(c *central, p *peer) {
			p.send(queryFrame(1))
			c.awaitParked(1)
			p.send(bytes.Repeat(filler, 4))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, 1, nil, nil)
			p := c.dial()
			send(c, p)
			p.expectRetry()
			p.expectEnd()
			p.Close()
			c.awaitSessions(0)
			c.expectIdle()
			c.ask(resumeFrame(1), pointFrame())
		})
	}
}

// What was answered before a query does not count as waiting behind it.
func TestMuchBeforeAParkedQuery(t *testing.T) {
	c := start(t, 1, nil, nil)
	p := c.dial()
	rawBets := losers(1, 60)
	var sent, want [][]byte
	for range 20 {
		sent = append(sent, batchFrame(rawBets...))
		want = append(want, successFrame(rawBets[0]))
	}
	p.send(append(sent, queryFrame(1))...)
	p.expect(want...)
	c.awaitParked(1)
	if n := c.waiting.get() + c.behind.get(); n != 0 {
		t.Errorf("%d bytes wait behind the query, expected none", n)
	}
	c.ask(frame(&codec.Finished{Agency: "1"}), frame(&codec.Success{Finished: true}))
	p.receive()
}
