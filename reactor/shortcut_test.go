package reactor

import (
	"testing"

	"loteria/lottery"
)

// Replies that wait behind those of a bet on its way to the disk follow them at
// once, whichever goroutine writes those. No sweep wakes the loop.
func TestReplyBehindABetOnItsWayToTheDisk(t *testing.T) {
	for range 20 {
		g := newGate()
		c := startUnswept(t, 1, g.slowDisk().wrap)
		p, raw, bad := c.dial(), rawBetOf(1, "1", losing), rawBetOf(1, "2", "x")
		p.send(betFrame(raw))
		g.wait(t, 1)
		p.send(betFrame(bad)) // is refused by the loop itself
		c.awaitFrames(p, 2)
		g.open()
		p.expect(successFrame(raw), errorFrame(lottery.BadNumber, bad))
	}
}

// The same holds for requests that come while other replies are written.
func TestReplyWhileAnotherIsWritten(t *testing.T) {
	c := startUnswept(t, 1, nil)
	p, raw, bad := c.dial(), rawBetOf(1, "1", losing), rawBetOf(1, "2", "x")
	for range 500 {
		p.send(betFrame(raw))
		p.send(betFrame(bad))
		p.expect(successFrame(raw), errorFrame(lottery.BadNumber, bad))
	}
}

// A peer that closes its side after its answer gets the end of file at once.
func TestEndOfFileAfterAWrittenReply(t *testing.T) {
	c := startUnswept(t, 1, nil)
	for range 100 {
		p, raw := c.dial(), rawBetOf(1, "1", losing)
		p.send(betFrame(raw))
		p.expect(successFrame(raw))
		_ = p.CloseWrite()
		p.expectGone()
	}
}
