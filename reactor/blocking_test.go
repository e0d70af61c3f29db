package reactor

import (
	"testing"

	"loteria/lottery"
)

// hang is a lottery of which the first calls of one kind do not return until
// the gate is opened. How many is what the test puts into tickets.
type hang struct {
	*gate
	tickets chan struct{}
	lottery *hooked
	request []byte // of agency 3, makes such a call
	after   []byte // its answer when the draw was done meanwhile
}

func (h *hang) pass() error {
	select {
	case <-h.tickets:
		return h.gate.pass()
	default:
		return nil
	}
}

func (h *hang) hold(calls int) {
	for range calls {
		h.tickets <- struct{}{}
	}
}

// hangs returns the ways in which a lottery can hang.
func hangs() map[string]*hang {
	slip := slipOf(3, "30904465", winning)
	all := make(map[string]*hang)
	add := func(call string, request, after []byte, into func(*hooked, *hang)) {
		h := &hang{gate: newGate(), tickets: make(chan struct{}, 64), lottery: new(hooked), request: request, after: after}
		into(h.lottery, h)
		all[call] = h
	}
	add("Store", betFrame(slip), errorFrame(lottery.DrawDone, noSlip), func(l *hooked, h *hang) {
		l.store = func(*lottery.Batch) error { return h.pass() }
	})
	add("Await", betFrame(slip), successFrame(slip), func(l *hooked, h *hang) { l.await = h.pass })
	add("Finish", finishedFrame(3), okFrame, func(l *hooked, h *hang) {
		l.finish = func(int) error { return h.pass() }
	})
	add("Resume", resumeFrame(3), pointFrame(), func(l *hooked, h *hang) {
		l.resume = func(int) error { return h.pass() }
	})
	return all
}

// A worker that hangs holds up its own connection and no other.
func TestOthersWorkWhileALotteryHangs(t *testing.T) {
	for call, h := range hangs() {
		t.Run(call, func(t *testing.T) {
			c := start(t, 3, func(config *Config) { config.Workers = 2 }, h.lottery.wrap)
			defer h.open()

			parked := c.dial()
			parked.send(queryFrame(2))
			c.awaitParked(1)

			h.hold(1)
			hanging := c.dial()
			hanging.send(h.request)
			h.wait(t, 1)

			c.expectEcho("hola\n")
			won := slipOf(2, "20000002", winning)
			agency2 := c.dial()
			agency2.send(betFrame(won), resumeFrame(2), finishedFrame(2), queryFrame(2))
			agency2.expect(successFrame(won), pointFrame(won), okFrame)
			c.awaitParked(2)

			c.ask(finishedFrame(1), okFrame)
			c.ask(finishedFrame(3), okFrame)
			parked.expect(winnersFrame(won.Document))
			agency2.expect(winnersFrame(won.Document))
			c.ask(queryFrame(1), winnersFrame())
			hanging.expectNothing()

			h.open()
			hanging.expect(h.after)
		})
	}
}

// When all workers hang and more connections want one, the event loop still
// does all that needs none.
func TestEventLoopWhileAllWorkersHang(t *testing.T) {
	const workers, connections = 2, 6
	for call, h := range hangs() {
		t.Run(call, func(t *testing.T) {
			c := start(t, 3, func(config *Config) { config.Workers = workers }, h.lottery.wrap)
			defer h.open()
			staying, leaving := c.dial(), c.dial()
			staying.send(queryFrame(2))
			leaving.send(queryFrame(2))
			c.awaitParked(2)

			h.hold(connections)
			hanging := make([]*peer, connections)
			for i := range hanging {
				hanging[i] = c.dial()
				hanging[i].send(h.request)
			}
			h.wait(t, workers)

			c.expectEcho("hola\n")
			leaving.Close()
			c.awaitParked(1)
			broken := c.dial() // is read, though its answer needs a worker
			broken.send([]byte("\x00\x00\x00\x00\x0c"))
			later := c.dial()
			later.send(resumeFrame(1)[:5])
			c.awaitRead(later, 5)
			later.send(resumeFrame(1)[5:], queryFrame(1))
			c.awaitFrames(later, 2)
			c.expectEcho("otra vez\n")
			for _, p := range hanging {
				p.expectNothing()
			}

			h.open()
			for _, p := range hanging {
				p.receive()
			}
			broken.expect(errorFrame("unknown_type", noSlip))
			broken.expectEnd()
			later.expect(pointFrame())
			for a := 1; a <= 3; a++ {
				c.ask(finishedFrame(a), okFrame)
			}
			later.expect(winnersFrame())
			staying.expect(winnersFrame())
		})
	}
}

// Pitfalls 4 and 5: a client that says nothing, and one that says half of
// something, cost nobody a worker or the loop.
func TestPitfalls4And5SilentClientsAndHalfFrames(t *testing.T) {
	c := start(t, 1, func(config *Config) { config.Workers = 1 }, nil)
	slip := slipOf(1, "30904465", winning)
	halves := [][]byte{nil, []byte("\x00"), betFrame(slip)[:5], betFrame(slip)[:20], []byte("medio ren")}
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
	c.ask(betFrame(slip), successFrame(slip))
	c.ask(totalFrame(1, 1), okFrame)
	c.ask(queryFrame(1), winnersFrame(slip.Document))
	c.awaitSessions(each * len(halves))
}
