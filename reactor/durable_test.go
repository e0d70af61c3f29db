package reactor

import (
	"testing"

	"loteria/lottery"
)

// Pitfall 9: neither the peer nor the log is told of a bet before it is on
// disk.
func TestPitfall9NothingIsToldBeforeItIsDurable(t *testing.T) {
	rawBets := losers(1, 3)
	for what, request := range map[string][]byte{
		"bet":             betFrame(rawBets[0]),
		"batch":           batchFrame(rawBets...),
		"several at once": append(betFrame(rawBets[0]), batchFrame(rawBets...)...),
	} {
		t.Run(what, func(t *testing.T) {
			c, g := startSlow(t, 1, nil)
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
			p.expect(successFrame(rawBets[0]))
		})
	}
}

// Acknowledged bets can be read in bets.csv at once.
func TestAnsweredBetsAreInTheFile(t *testing.T) {
	c := start(t, 1, nil, nil)
	p := c.dial()
	p.send(resumeFrame(1))
	p.expect(pointFrame())
	var stored []lottery.RawBet
	for range 20 {
		rawBets := losers(1, 5)
		p.send(batchAt(len(stored), rawBets...))
		p.expect(successFrame(rawBets[0]))
		stored = append(stored, rawBets...)
		c.expectRows(stored...)
	}
}

// A bet whose row does not reach the disk is refused, and so are those that came
// with it.
func TestDiskFailsWhileWaited(t *testing.T) {
	c := start(t, 1, nil, (&hooked{done: func(_ string, _ int, _ error, tell func(error)) { tell(errDisk) }}).wrap)
	p, raw, bad := c.dial(), rawBetOf(1, "1", losing), rawBetOf(1, "2", "x")
	p.send(betFrame(raw), betFrame(bad), batchFrame(raw, raw))
	p.expect(
		errorFrame(lottery.Storage, noRawBet),
		errorFrame(lottery.BadNumber, bad),
		errorFrame(lottery.Storage, noRawBet))
	if told := c.log.find(t, "apuesta_recibida", "success"); len(told) > 0 {
		t.Errorf("the log has %v", told)
	}
	c.expectEcho("hola\n")
}

// The lottery's own ledger gives the same answers when it can take no more.
func TestLedgerIsClosedUnderTheCentral(t *testing.T) {
	c := start(t, 1, nil, nil)
	p, raw := c.dial(), rawBetOf(1, "1", losing)
	p.send(betFrame(raw))
	p.expect(successFrame(raw))
	if err := c.closeContest(); err != nil {
		t.Fatal(err)
	}
	p.send(betFrame(raw), resumeFrame(1))
	p.expect(errorFrame(lottery.Storage, noRawBet), errorFrame(lottery.Storage, noRawBet))
	c.expectRows(raw)
}

func TestLogOfBets(t *testing.T) {
	c := start(t, 1, nil, nil)
	p, rawBets := c.dial(), losers(1, 3)
	bad := rawBetOf(1, "x", losing)
	p.send(betFrame(rawBets[0]), batchFrame(rawBets[1:]...), batchFrame(rawBets[0], bad))
	p.expect(successFrame(rawBets[0]), successFrame(rawBets[1]), errorFrame(lottery.BadDocument, bad))

	stored := c.log.find(t, "apuesta_almacenada", "success")
	if len(stored) != len(rawBets) {
		t.Fatalf("%d bets are in the log, expected %d", len(stored), len(rawBets))
	}
	for i, e := range stored {
		level := "info"
		if i > 0 { // of a batch
			level = "debug"
		}
		if e["dni"] != rawBets[i].Document || e["numero"] != rawBets[i].Number || e["level"] != level {
			t.Errorf("the log has %v for %v", e, rawBets[i])
		}
	}
	if e := c.log.only(t, "apuesta_recibida", "success"); e["cantidad"] != 2.0 || e["level"] != "info" {
		t.Errorf("the log has %v for the batch", e)
	}
	if e := c.log.only(t, "apuesta_recibida", "fail"); e["cantidad"] != 2.0 || e["code"] != "bad_document" {
		t.Errorf("the log has %v for the refused batch", e)
	}
}
