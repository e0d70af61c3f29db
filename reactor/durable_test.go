package reactor

import (
	"testing"

	"loteria/lottery"
)

// Pitfall 9: neither the peer nor the log is told of a bet before it is on
// disk.
func TestPitfall9NothingIsToldBeforeItIsDurable(t *testing.T) {
	slips := losers(1, 3)
	for what, request := range map[string][]byte{
		"bet":             betFrame(slips[0]),
		"batch":           batchFrame(slips...),
		"several at once": append(betFrame(slips[0]), batchFrame(slips...)...),
	} {
		t.Run(what, func(t *testing.T) {
			g := newGate()
			c := start(t, 1, nil, g.slowDisk().wrap)
			defer g.open()
			p := c.dial()
			p.send(request)
			g.wait(t, 1)
			c.expectEcho("hola\n") // the loop has gone on since
			p.expectNothing()
			for _, action := range []string{"apuesta_almacenada", "apuesta_recibida"} {
				if told := c.log.find(t, action, "success"); len(told) > 0 {
					t.Errorf("the log has %v already", told)
				}
			}
			g.open()
			p.expect(successFrame(slips[0]))
		})
	}
}

// Whatever is answered can be read in bets.csv at once.
func TestAnsweredBetsAreInTheFile(t *testing.T) {
	c := start(t, 1, nil, nil)
	p := c.dial()
	p.send(resumeFrame(1))
	p.expect(pointFrame())
	var stored []lottery.Slip
	for range 20 {
		slips := losers(1, 5)
		p.send(batchAt(len(stored), slips...))
		p.expect(successFrame(slips[0]))
		stored = append(stored, slips...)
		c.expectRows(stored...)
	}
}

// A bet whose row does not get to the disk is refused, and so are those that
// came with it.
func TestDiskFailsWhileWaited(t *testing.T) {
	c := start(t, 1, nil, (&hooked{done: func(_ string, _ int, _ error, tell func(error)) { tell(errDisk) }}).wrap)
	p, slip, bad := c.dial(), slipOf(1, "1", losing), slipOf(1, "2", "x")
	p.send(betFrame(slip), betFrame(bad), batchFrame(slip, slip))
	p.expect(
		errorFrame(lottery.Storage, noSlip),
		errorFrame(lottery.BadNumber, bad),
		errorFrame(lottery.Storage, noSlip))
	if told := c.log.find(t, "apuesta_recibida", "success"); len(told) > 0 {
		t.Errorf("the log has %v", told)
	}
	c.expectEcho("hola\n")
}

// The lottery's own ledger gives the same answers when it can take no more.
func TestLedgerIsClosedUnderTheCentral(t *testing.T) {
	c := start(t, 1, nil, nil)
	p, slip := c.dial(), slipOf(1, "1", losing)
	p.send(betFrame(slip))
	p.expect(successFrame(slip))
	if err := c.closeContest(); err != nil {
		t.Fatal(err)
	}
	p.send(betFrame(slip), resumeFrame(1))
	p.expect(errorFrame(lottery.Storage, noSlip), errorFrame(lottery.Storage, noSlip))
	c.expectRows(slip)
}

func TestLogOfBets(t *testing.T) {
	c := start(t, 1, nil, nil)
	p, slips := c.dial(), losers(1, 3)
	bad := slipOf(1, "x", losing)
	p.send(betFrame(slips[0]), batchFrame(slips[1:]...), batchFrame(slips[0], bad))
	p.expect(successFrame(slips[0]), successFrame(slips[1]), errorFrame(lottery.BadDocument, bad))

	stored := c.log.find(t, "apuesta_almacenada", "success")
	if len(stored) != len(slips) {
		t.Fatalf("%d bets are in the log, expected %d", len(stored), len(slips))
	}
	for i, e := range stored {
		level := "info"
		if i > 0 { // of a batch
			level = "debug"
		}
		if e["dni"] != slips[i].Document || e["numero"] != slips[i].Number || e["level"] != level {
			t.Errorf("the log has %v for %v", e, slips[i])
		}
	}
	if e := c.log.only(t, "apuesta_recibida", "success"); e["cantidad"] != 2.0 || e["level"] != "info" {
		t.Errorf("the log has %v for the batch", e)
	}
	if e := c.log.only(t, "apuesta_recibida", "fail"); e["cantidad"] != 2.0 || e["code"] != "bad_document" {
		t.Errorf("the log has %v for the refused batch", e)
	}
}
