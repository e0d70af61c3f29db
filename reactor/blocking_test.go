package reactor

import "testing"

// hang is a lottery of which the first calls of one kind, as many as there are
// tickets, do not end until the gate is opened.
type hang struct {
	*gate
	tickets chan struct{}
	lottery *hooked
	request []byte // of agency 3, makes such a call
	after   []byte // its answer if the draw was done meanwhile
}

// pass calls f, or lets the gate do so if it is one of the calls to hang.
func (h *hang) pass(f func()) {
	select {
	case <-h.tickets:
		h.hold(f)
	default:
		f()
	}
}

func (h *hang) hangs(calls int) {
	for range calls {
		h.tickets <- struct{}{}
	}
}

// hangs returns the ways in which a lottery can hang.
func hangs() map[string]*hang {
	raw := rawBetOf(3, "30904465", winning)
	all := make(map[string]*hang)
	for _, c := range []struct {
		call           string
		request, after []byte
	}{
		{callStore, betFrame(raw), successFrame(raw)},
		{callFinish, finishedFrame(3), okFrame},
		{callResume, resumeFrame(3), pointFrame()},
	} {
		// It is admitted at once, or not at all: only its completion can be late.
		ends := new(hooked)
		h := &hang{gate: newGate(), tickets: make(chan struct{}, 64), lottery: ends, request: c.request, after: c.after}
		all[c.call] = h
		ends.done = func(call string, _ int, err error, tell func(error)) {
			if call == c.call {
				h.pass(func() { tell(err) })
			} else {
				tell(err)
			}
		}
	}
	return all
}

// A call that hangs holds up its own connection and no other.
func TestOthersWorkWhileALotteryHangs(t *testing.T) {
	for call, h := range hangs() {
		t.Run(call, func(t *testing.T) {
			c := start(t, 3, nil, h.lottery.wrap)
			defer h.open()

			parked := c.dial()
			parked.send(queryFrame(2))
			c.awaitParked(1)

			h.hangs(1)
			hanging := c.dial()
			hanging.send(h.request)
			h.wait(t, 1)

			c.expectEcho("hola\n")
			won := rawBetOf(2, "20000002", winning)
			agency2 := c.dial()
			agency2.send(betFrame(won), resumeFrame(2), finishedFrame(2), queryFrame(2))
			agency2.expect(successFrame(won), pointFrame(won), okFrame)
			c.awaitParked(2)

			c.finish(1)
			c.finish(3)
			parked.expect(winnersFrame(won.Document))
			agency2.expect(winnersFrame(won.Document))
			c.ask(queryFrame(1), winnersFrame())
			hanging.expectNothing()

			h.open()
			hanging.expect(h.after)
		})
	}
}

// However many calls hang, the event loops go on.
func TestEventLoopsWhileManyCallsHang(t *testing.T) {
	const connections = 6
	for call, h := range hangs() {
		t.Run(call, func(t *testing.T) {
			c := start(t, 3, nil, h.lottery.wrap)
			defer h.open()
			staying, leaving := c.dial(), c.dial()
			staying.send(queryFrame(2))
			leaving.send(queryFrame(2))
			c.awaitParked(2)

			h.hangs(connections)
			hanging := make([]*peer, connections)
			for i := range hanging {
				hanging[i] = c.dial()
				hanging[i].send(h.request)
			}
			h.wait(t, connections)

			c.expectEcho("hola\n")
			leaving.reset()
			c.awaitParked(1)
			broken := c.dial()
			broken.send([]byte("\x00\x00\x00\x00\x0c"))
			broken.expect(errorFrame("unknown_type", noRawBet))
			broken.expectEnd()
			later := c.dial()
			later.send(resumeFrame(1)[:5])
			c.awaitRead(later, 5)
			later.send(resumeFrame(1)[5:], queryFrame(1))
			later.expect(pointFrame())
			c.awaitParked(2)
			c.expectEcho("otra vez\n")
			for _, p := range hanging {
				p.expectNothing()
			}

			h.open()
			for _, p := range hanging {
				p.receive()
			}
			for a := 1; a <= 3; a++ {
				c.finish(a)
			}
			later.expect(winnersFrame())
			staying.expect(winnersFrame())
		})
	}
}

// Pitfalls 4 and 5: a client that sends nothing, and one that sends half a frame, do
// not block the loop.
func TestPitfalls4And5SilentClientsAndHalfFrames(t *testing.T) {
	c := start(t, 1, func(config *Config) { config.Loops = 1 }, nil)
	raw := rawBetOf(1, "30904465", winning)
	halves := [][]byte{nil, []byte("\x00"), betFrame(raw)[:5], betFrame(raw)[:20], []byte("medio ren")}
	const each = 8
	for range each {
		for _, half := range halves {
			p := c.dial()
			if len(half) > 0 {
				p.send(half)
			}
		}
	}
	c.awaitSessions(each * len(halves))

	c.expectEcho("hola\n")
	c.ask(betFrame(raw), successFrame(raw))
	c.ask(totalFrame(1, 1), okFrame)
	c.ask(queryFrame(1), winnersFrame(raw.Document))
	c.awaitSessions(each * len(halves))
}
