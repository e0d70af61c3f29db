package reactor

import "testing"

// The frames of an existing agency, byte by byte: it knows neither positions nor
// totals, and opens a connection for each message.
const (
	oldBet = "\x00\x00\x00\x29" + "\x01" + // length, BET
		"\x00\x01" + "1" +
		"\x00\x03" + "Ana" +
		"\x00\x03" + "Paz" +
		"\x00\x08" + "12345678" +
		"\x00\x0a" + "1990-01-02" +
		"\x00\x04" + "7574" +
		"\xff"
	oldBetAnswer = "\x00\x00\x00\x10" + "\x03" + // length, SUCCESS
		"\x00\x08" + "12345678" +
		"\x00\x04" + "7574" +
		"\xff"

	oldBatch = "\x00\x00\x00\x5d" + "\x02" + // length, BATCH
		"\x00\x00\x00\x02" + // bets
		"\x00\x00\x00\x28" + // length of the first
		"\x00\x01" + "1" +
		"\x00\x05" + "Jos\xc3\xa9" +
		"\x00\x07" + "G\xc3\xb3mez," +
		"\x00\x01" + "7" +
		"\x00\x0a" + "1984-02-29" +
		"\x00\x04" + "0012" +
		"\x00\x00\x00\x29" + // length of the second
		"\x00\x01" + "1" +
		"\x00\x03" + "Ana" +
		"\x00\x03" + "Paz" +
		"\x00\x08" + "00345678" +
		"\x00\x0a" + "1990-01-02" +
		"\x00\x04" + "7574" +
		"\xff"
	oldBatchAnswer = "\x00\x00\x00\x09" + "\x03" + // length, SUCCESS
		"\x00\x01" + "7" +
		"\x00\x04" + "0012" +
		"\xff"

	oldFinished1   = "\x00\x00\x00\x03" + "\x05" + "\x00\x01" + "1" + "\xff"
	oldFinished2   = "\x00\x00\x00\x03" + "\x05" + "\x00\x01" + "2" + "\xff"
	finishedAnswer = "\x00\x00\x00\x04" + "\x03" + "\x00\x02" + "OK" + "\xff"

	oldQuery1    = "\x00\x00\x00\x03" + "\x06" + "\x00\x01" + "1" + "\xff"
	query1Answer = "\x00\x00\x00\x18" + "\x07" + // length, WINNERS
		"\x00\x00\x00\x02" + // documents
		"\x00\x08" + "12345678" +
		"\x00\x08" + "00345678" +
		"\xff"

	oldQuery2    = "\x00\x00\x00\x03" + "\x06" + "\x00\x01" + "2" + "\xff"
	query2Answer = "\x00\x00\x00\x04" + "\x07" + "\x00\x00\x00\x00" + "\xff"

	oldRows = "1,Ana,Paz,12345678,1990-01-02,7574\r\n" +
		"1,Jos\xc3\xa9,\"G\xc3\xb3mez,\",7,1984-02-29,12\r\n" +
		"1,Ana,Paz,00345678,1990-01-02,7574\r\n"
)

func TestExistingAgencyWithAConnectionForEachMessage(t *testing.T) {
	c := start(t, 2, nil, nil)
	for _, step := range []struct{ request, answer string }{
		{oldBet, oldBetAnswer},
		{oldBatch, oldBatchAnswer},
		{oldFinished1, finishedAnswer},
	} {
		c.ask([]byte(step.request), []byte(step.answer))
	}

	waiting := c.dial()
	waiting.send([]byte(oldQuery1))
	c.awaitParked(1)
	waiting.expectNothing()

	c.ask([]byte(oldFinished2), []byte(finishedAnswer))
	waiting.expectBytes([]byte(query1Answer))
	waiting.Close()

	for range 2 {
		c.ask([]byte(oldQuery1), []byte(query1Answer))
		c.ask([]byte(oldQuery2), []byte(query2Answer))
	}
	if got := c.rows(); got != oldRows {
		t.Errorf("bets.csv holds\n%q\nexpected\n%q", got, oldRows)
	}
}

func TestExistingAgencyOnOneConnection(t *testing.T) {
	c := start(t, 2, nil, nil)
	p := c.dial()
	for _, step := range []struct{ request, answer string }{
		{oldBet, oldBetAnswer},
		{oldBatch, oldBatchAnswer},
		{oldFinished1, finishedAnswer},
	} {
		p.send([]byte(step.request))
		p.expectBytes([]byte(step.answer))
	}
	p.send([]byte(oldQuery1))
	c.awaitParked(1)
	c.ask([]byte(oldFinished2), []byte(finishedAnswer))
	p.expectBytes([]byte(query1Answer))
}
