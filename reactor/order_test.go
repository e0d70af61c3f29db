package reactor

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"loteria/codec"
	"loteria/lottery"
)

// The connection's first bets are durable only when others are done, while the
// requests after them came one by one and were ready at once.
func TestAnswersComeInTheOrderOfTheRequests(t *testing.T) {
	h := newGate()
	slow := rawBetOf(1, "1", winning)
	c := start(t, 2, nil, (&hooked{done: func(call string, agency int, err error, tell func(error)) {
		if call == callStore && agency == 1 {
			h.hold(func() { tell(err) })
		} else {
			tell(err)
		}
	}}).wrap)
	defer h.open()

	bad := rawBetOf(1, "2", "x")
	next, late := rawBetOf(1, "3", losing), rawBetOf(1, "4", losing)
	p := c.dial()
	for i, request := range [][]byte{
		batchFrame(slow, slow), betFrame(next), betFrame(bad), resumeFrame(1), batchAt(7, late), finishedFrame(1),
		betFrame(late), queryFrame(1), resumeFrame(1),
	} {
		p.send(request)
		c.awaitFrames(p, i+1)
	}
	h.wait(t, 1)

	other := rawBetOf(2, "5", winning)
	for _, exchange := range [][2][]byte{
		{betFrame(other), successFrame(other)},
		{finishedFrame(2), okFrame},
		{resumeFrame(2), pointFrame(other)},
	} {
		c.ask(exchange[0], exchange[1])
	}
	p.expectNothing()

	h.open()
	p.expect(
		successFrame(slow),
		successFrame(next),
		errorFrame(lottery.BadNumber, bad),
		pointFrame(slow, slow, next),
		errorFrame(lottery.Gap, noRawBet),
		okFrame,
		errorFrame(lottery.AgencyFinished, noRawBet),
		winnersFrame("1", "1"),
		pointFrame(slow, slow, next),
	)
	c.expectRows(slow, slow, next, other)
}

// The answer to what breaks the protocol does not overtake those before it.
func TestLastAnswerComesLast(t *testing.T) {
	const broken = "\x00\x00\x00\x00\x0c"
	last := errorFrame(codec.UnknownType, noRawBet)
	t.Run("after a query that is parked", func(t *testing.T) {
		c := start(t, 1, nil, nil)
		p := c.dial()
		p.send(queryFrame(1), []byte(broken))
		c.awaitParked(1)
		c.ask(finishedFrame(1), okFrame)
		p.expect(winnersFrame(), last)
		p.expectEnd()
	})
	t.Run("read after a query that is parked", func(t *testing.T) {
		c := start(t, 1, nil, nil)
		p := c.dial()
		p.send(queryFrame(1))
		c.awaitParked(1)
		p.send(resumeFrame(1), []byte(broken))
		s := c.session(p)
		c.awaitDraining(s)
		c.ask(finishedFrame(1), okFrame)
		p.expect(winnersFrame(), pointFrame(), last)
		p.expectEnd()
	})
	t.Run("after a query when the draw is done", func(t *testing.T) {
		c := start(t, 1, nil, nil)
		c.ask(finishedFrame(1), okFrame)
		p := c.dial()
		p.send(resumeFrame(1), queryFrame(1), []byte(broken))
		p.expect(pointFrame(), winnersFrame(), last)
		p.expectEnd()
	})
	t.Run("after a bet that is being stored", func(t *testing.T) {
		c, g := startSlow(t, 1, nil)
		p, raw := c.dial(), rawBetOf(1, "1", losing)
		p.send(betFrame(raw))
		g.wait(t, 1)
		p.send(betFrame(raw), []byte(broken))
		s := c.session(p)
		c.awaitDraining(s)
		p.expectNothing()
		g.open()
		p.expect(successFrame(raw), successFrame(raw), last)
		p.expectEnd()
	})
}

// conversation returns random frames of one agency with their answers, up to its
// FINISHED and its query.
func conversation(random *rand.Rand, agency, frames int) (request, answer []byte) {
	var stored []lottery.RawBet
	var rows []byte
	var winners []string
	say := func(q, a []byte) { request, answer = append(request, q...), append(answer, a...) }
	fresh := func(n int) []lottery.RawBet {
		rawBets := make([]lottery.RawBet, n)
		for i := range rawBets {
			number := strconv.Itoa(random.IntN(lottery.MaxNumber + 1))
			if random.IntN(20) == 0 {
				number = winning
			}
			rawBets[i] = rawBetOf(agency, strconv.Itoa(random.IntN(1e8)), number)
		}
		return rawBets
	}
	store := func(rawBets []lottery.RawBet) {
		for _, s := range rawBets {
			if s.Number == winning {
				winners = append(winners, s.Document)
			}
		}
		stored = append(stored, rawBets...)
		rows = append(rows, rowsOf(rawBets)...)
	}
	say(resumeFrame(agency), pointOf(0, nil))
	for range frames {
		switch random.IntN(8) {
		case 0, 1, 2:
			rawBets := fresh(1 + random.IntN(15))
			say(batchAt(len(stored), rawBets...), successFrame(rawBets[0]))
			store(rawBets)
		case 3:
			rawBets := fresh(1)
			say(betFrame(rawBets[0]), successFrame(rawBets[0]))
			store(rawBets)
		case 4:
			bad := fresh(1)[0]
			bad.Birthdate = "2023-02-30"
			say(betFrame(bad), errorFrame(lottery.BadBirthdate, bad))
		case 5:
			rawBets := fresh(2)
			say(batchAt(len(stored)+1, rawBets...), errorFrame(lottery.Gap, noRawBet))
		case 6: // one that is stored, in whole or in part
			position := random.IntN(len(stored) + 1)
			rawBets := append(append([]lottery.RawBet(nil), stored[position:min(position+20, len(stored))]...), fresh(1)...)
			say(batchAt(position, rawBets...), successFrame(rawBets[0]))
			if more := position + len(rawBets) - len(stored); more > 0 {
				store(rawBets[len(rawBets)-more:])
			}
		case 7:
			say(resumeFrame(agency), pointOf(len(stored), rows))
		}
	}
	say(totalFrame(agency, len(stored)), okFrame)
	say(queryFrame(agency), winnersFrame(winners...))
	say(resumeFrame(agency), pointOf(len(stored), rows))
	return request, answer
}

// Each agency sends its whole stream in random pieces while all others do.
func TestManyConnectionsWithManyFrames(t *testing.T) { withLoops(t, testManyConnectionsWithManyFrames) }

func testManyConnectionsWithManyFrames(t *testing.T, configure func(*Config)) {
	const agencies, frames = 24, 100
	g := newGate()
	var first = make(chan struct{}, 1)
	first <- struct{}{}
	c := start(t, agencies, configure, (&hooked{done: func(call string, _ int, err error, tell func(error)) {
		select {
		case <-first: // is durable only when much else is
			g.hold(func() { tell(err) })
		default:
			tell(err)
		}
	}}).wrap)
	defer g.open()
	ended := make(chan error, agencies)
	for i := range agencies {
		p := c.dial()
		go func() { ended <- p.converse(rand.New(rand.NewPCG(7, uint64(i))), i+1, frames) }()
	}
	g.wait(t, 1)
	for i := range agencies {
		if i == agencies-1 {
			g.open()
		}
		if err := await(t, ended, "an agency gets no answer"); err != nil {
			t.Error(err)
		}
	}
	if n := len(c.log.find(t, "sorteo", "success")); n != 1 {
		t.Errorf("%d draws in the log, expected 1", n)
	}
}

// converse sends a conversation in random pieces, and reads the answers
// meanwhile.
func (p *peer) converse(random *rand.Rand, agency, frames int) error {
	request, answer := conversation(random, agency, frames)
	_ = p.SetDeadline(time.Now().Add(2 * patience))
	sent := make(chan error, 1)
	go func() {
		for rest := request; len(rest) > 0; {
			n := min(1+random.IntN(4000), len(rest))
			if _, err := p.Write(rest[:n]); err != nil {
				sent <- err
				return
			}
			rest = rest[n:]
		}
		sent <- nil
	}()
	if err := p.match(answer); err != nil {
		return fmt.Errorf("agency %d: %w", agency, err)
	}
	return <-sent
}

// A shard's scratch and the pooled jobs are reused; nothing of one connection may
// show in another's answers or rows.
func TestConnectionsDoNotMix(t *testing.T) {
	const agencies, each = 6, 40
	c := start(t, agencies, func(config *Config) { config.Loops = 2 }, nil)
	ended := make(chan error, agencies)
	for a := 1; a <= agencies; a++ {
		p := c.dial()
		go func() {
			for i := range each {
				rawBets := losers(a, 1+(i*a)%9)
				if _, err := p.Write(bytes.Join([][]byte{batchFrame(rawBets...), betFrame(rawBets[0])}, nil)); err != nil {
					ended <- err
					return
				}
				if err := p.match(bytes.Repeat(successFrame(rawBets[0]), 2)); err != nil {
					ended <- fmt.Errorf("agency %d: %w", a, err)
					return
				}
			}
			ended <- nil
		}()
	}
	for range agencies {
		if err := await(t, ended, "an agency gets no answer"); err != nil {
			t.Error(err)
		}
	}
	for a := 1; a <= agencies; a++ {
		var stored []lottery.RawBet
		for i := range each {
			rawBets := losers(a, 1+(i*a)%9)
			stored = append(append(stored, rawBets...), rawBets[0])
		}
		c.ask(resumeFrame(a), pointFrame(stored...))
	}
}

// A connection that is cut by the write of the replies before a query that waits
// for the draw leaves nothing.
func TestCutInFrontOfAParkedQuery(t *testing.T) {
	c := start(t, 2, func(config *Config) { config.MaxUnread = 10 << 10 }, nil)
	p, long := c.dial(), document(string(bytes.Repeat([]byte("1"), 8000)))
	_ = p.SetReadBuffer(4 << 10)
	s := c.session(p)
	c.onLoop(s.shard(), func() { _ = s.conn.(gnet.Conn).SetWriteBuffer(4 << 10) })
	// In one read, mostly, and more than sockets take. It may be cut before all is sent.
	_, _ = p.Write(slices.Concat(bytes.Repeat(betFrame(long), 28), queryFrame(1), resumeFrame(1)))
	c.awaitClosed(s)
	c.awaitSessions(0)
	c.expectIdle()
}
