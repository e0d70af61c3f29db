package reactor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"loteria/codec"
	"loteria/lottery"
)

// refusedCase is a request that gets an ERROR on a real connection.
type refusedCase struct {
	code lottery.Code
	what string

	before func(c *central) // what else has happened; stores nothing
	fails  string           // the lottery's call that fails, if any

	bound  bool // the connection speaks for agency 1 already
	frame  []byte
	raw    lottery.RawBet // the one at fault
	closes bool           // the connection
	names  int            // the agency that the connection speaks for from then on, if not 1
}

func (r *refusedCase) String() string { return string(r.code) + "/" + r.what }

// with returns a valid raw bet of agency 1, changed.
func with(change func(*lottery.RawBet)) lottery.RawBet {
	s := rawBetOf(1, "30904465", losing)
	change(&s)
	return s
}

func firstName(s string) lottery.RawBet { return with(func(raw *lottery.RawBet) { raw.FirstName = s }) }
func lastName(s string) lottery.RawBet  { return with(func(raw *lottery.RawBet) { raw.LastName = s }) }
func document(s string) lottery.RawBet  { return with(func(raw *lottery.RawBet) { raw.Document = s }) }
func birthdate(s string) lottery.RawBet { return with(func(raw *lottery.RawBet) { raw.Birthdate = s }) }
func number(s string) lottery.RawBet    { return with(func(raw *lottery.RawBet) { raw.Number = s }) }
func agency(s string) lottery.RawBet    { return with(func(raw *lottery.RawBet) { raw.Agency = s }) }

// badBets are the rows of refused raw bets, each alone and in the middle of a
// batch.
func badBets(code lottery.Code, rawBets ...lottery.RawBet) []refusedCase {
	var rows []refusedCase
	good := losers(1, 2)
	for _, bad := range rawBets {
		rows = append(rows,
			refusedCase{code: code, what: "bet", frame: betFrame(bad), raw: bad},
			refusedCase{code: code, what: "batch", frame: batchFrame(good[0], bad, good[1]), raw: bad})
	}
	return rows
}

// broken are the rows of frames that end a connection.
func broken(code lottery.Code, what string, frames ...string) []refusedCase {
	var rows []refusedCase
	for _, f := range frames {
		rows = append(rows, refusedCase{code: code, what: what, frame: []byte(f), closes: true})
	}
	return rows
}

func finish(agencies ...int) func(*central) {
	return func(c *central) {
		for _, a := range agencies {
			c.ask(finishedFrame(a), okFrame)
		}
		if len(agencies) == c.contest.Agencies() {
			await(c.t, c.contest.Drawn(), "there is no draw")
		}
	}
}

// resumed lets agency 1 resume on a connection that is closed then.
func resumed(c *central) { c.ask(resumeFrame(1), pointFrame()) }

var errDisk = errors.New("the disk is gone")

// failing is a lottery of which a call fails for agency 1, the first time.
func failing(fails string) *hooked {
	var failed atomic.Bool
	return &hooked{refuse: func(call string, agency int) error {
		if call != fails || agency != 1 || failed.Swap(true) {
			return nil
		}
		return errDisk
	}}
}

func refusals() []refusedCase {
	rawBets := losers(1, 3)
	others := losers(2, 1)
	nines := losers(9, 1)
	var rows []refusedCase
	add := func(more ...refusedCase) { rows = append(rows, more...) }

	add(badBets(lottery.BadAgency, agency("0"), agency(""), agency("-1"), agency("one"), agency("99999999999"))...)
	add(refusedCase{code: lottery.BadAgency, what: "finished", frame: frame(&codec.Finished{Agency: "x"})})
	add(refusedCase{code: lottery.BadAgency, what: "query", frame: frame(&codec.WinnersQuery{Agency: ""})})
	add(refusedCase{code: lottery.BadAgency, what: "resume", frame: frame(&codec.Resume{Agency: "0"})})

	add(refusedCase{code: lottery.UnknownAgency, what: "bet", frame: betFrame(nines[0]), names: 9})
	add(refusedCase{code: lottery.UnknownAgency, what: "finished", frame: finishedFrame(9), names: 9})
	add(refusedCase{code: lottery.UnknownAgency, what: "query", frame: queryFrame(9), names: 9})
	add(refusedCase{code: lottery.UnknownAgency, what: "resume", frame: resumeFrame(9), names: 9})

	add(refusedCase{code: lottery.WrongAgency, what: "bet", bound: true, frame: betFrame(others[0]), raw: others[0]})
	add(refusedCase{code: lottery.WrongAgency, what: "batch", bound: true, frame: batchFrame(others...), raw: others[0]})
	add(refusedCase{code: lottery.WrongAgency, what: "finished", bound: true, frame: finishedFrame(2)})
	add(refusedCase{code: lottery.WrongAgency, what: "query", bound: true, frame: queryFrame(2)})
	add(refusedCase{code: lottery.WrongAgency, what: "resume", bound: true, frame: resumeFrame(2)})
	add(refusedCase{code: lottery.WrongAgency, what: "mixed batch", frame: batchFrame(rawBets[0], others[0], rawBets[1]), raw: others[0]})

	add(badBets(lottery.BadName, firstName(""), lastName(""), firstName("a\tb"), lastName("a\x7f"),
		firstName("\u0085"), lastName(strings.Repeat("ñ", 128)), firstName("Jos\xe9"), lastName("\xc0\x80"))...)
	// The text in the reply is UTF-8 all the same.
	add(refusedCase{code: lottery.BadDocument, what: "not UTF-8", frame: betFrame(document("1\xe9")), raw: document("1\uFFFD")})
	add(badBets(lottery.BadDocument, document(""), document("12345678901"), document("12.345"), document("١٢٣"))...)
	add(badBets(lottery.BadBirthdate, birthdate(""), birthdate("2023-02-29"), birthdate("1999-3-17"), birthdate("17/03/1999"))...)
	add(badBets(lottery.BadNumber, number(""), number("10000"), number("-1"), number("7574.0"))...)
	// With the raw bet's document, the answer would not fit a frame.
	add(refusedCase{code: lottery.BadDocument, what: "too long to repeat", frame: padded(8192)})

	add(refusedCase{code: lottery.EmptyBatch, what: "batch", frame: batchFrame()})
	add(refusedCase{code: lottery.EmptyBatch, what: "batch with a position", frame: batchAt(0)})
	add(refusedCase{code: lottery.Gap, what: "batch", bound: true, frame: batchAt(1, rawBets...)})
	add(refusedCase{code: lottery.Fenced, what: "a position from who has not resumed", frame: batchAt(0, rawBets...)})
	add(refusedCase{code: lottery.Fenced, what: "bet", before: resumed, frame: betFrame(rawBets[0])})
	add(refusedCase{code: lottery.Fenced, what: "batch", before: resumed, frame: batchFrame(rawBets...)})
	add(refusedCase{code: lottery.Fenced, what: "batch with a position", before: resumed, frame: batchAt(0, rawBets...)})
	add(refusedCase{code: lottery.Fenced, what: "finished", before: resumed, frame: finishedFrame(1)})
	add(refusedCase{code: lottery.AgencyFinished, what: "bet", before: finish(1), frame: betFrame(rawBets[0])})
	add(refusedCase{code: lottery.AgencyFinished, what: "batch", before: finish(1), bound: true, frame: batchAt(0, rawBets...)})
	add(refusedCase{code: lottery.DrawDone, what: "bet", before: finish(1, 2), frame: betFrame(rawBets[0])})
	add(refusedCase{code: lottery.DrawDone, what: "batch", before: finish(1, 2), frame: batchFrame(rawBets...)})
	add(refusedCase{code: lottery.Incomplete, what: "finished", frame: totalFrame(1, 1)})
	add(refusedCase{code: lottery.OtherBets, what: "finished", frame: frame(&codec.Finished{Agency: "1", HasTotal: true, Digest: 1, HasDigest: true})})

	add(refusedCase{code: lottery.Storage, what: "bet", fails: callStore, frame: betFrame(rawBets[0])})
	add(refusedCase{code: lottery.Storage, what: "batch", fails: callStore, frame: batchFrame(rawBets...)})
	add(refusedCase{code: lottery.Storage, what: "finished", fails: callFinish, frame: finishedFrame(1)})
	add(refusedCase{code: lottery.Storage, what: "resume", fails: callResume, frame: resumeFrame(1)})

	add(broken(codec.BadFrame, "no delimiter", "\x00\x00\x00\x03\x05\x00\x011\x00", "\x00\x00\x00\x00\x06\x00")...)
	add(broken(codec.BadFrame, "lengths that do not add up",
		"\x00\x00\x00\x00\x01\xff",                                               // a bet of nothing
		"\x00\x00\x00\x03\x05\x00\x021\xff",                                      // a text beyond the payload
		"\x00\x00\x00\x04\x06\x00\x0111\xff",                                     // more after the last text
		"\x00\x00\x00\x06\x05\x00\x011\x00\x00\x00\xff",                          // three bytes of a total
		"\x00\x00\x00\x0c\x05\x00\x011"+strings.Repeat("\x00", 9)+"\xff",         // one byte of a digest
		"\x00\x00\x00\x04\x02\x00\x00\x00\x01\xff",                               // a bet that is not there
		"\x00\x00\x00\x04\x02\xff\xff\xff\xff\xff",                               // 4,294,967,295 of them
		"\x00\x00\x00\x05\x02\x00\x00\x00\x00\x01\xff",                           // one byte of a position
		string(betFrame(rawBets[0])[:4])+"\x02"+string(betFrame(rawBets[0])[5:]), // a BET called BATCH
	)...)
	add(broken(codec.BadFrame, "not UTF-8",
		"\x00\x00\x00\x03\x05\x00\x01\xff\xff",
		"\x00\x00\x00\x04\x09\x00\x02\xc3\x28\xff")...)
	add(broken(codec.TooLong, "length", "\x00\x00\x20\x01\x01", "\x00\x00\x20\x01", "\x00\xff\xff\xff", "\xff\xff\xff\xff")...)
	add(broken(codec.UnknownType, "type", "\x00\x00\x00\x00\x0c", "\x00\x00\x00\x00\x00\xff", "\x00\x00\x20\x00\xff")...)
	add(broken(codec.UnknownType, "not for the central", "\x00\x00\x00\x04\x03\x00\x02OK\xff",
		string(errorFrame(lottery.Gap, noRawBet)), string(winnersFrame("1")), "\x00\x00\x00\x02\x08\x00\x00\xff",
		string(pointFrame()), string(frame(&codec.WinnersPart{})))...)
	return rows
}

// padded returns the frame of a bet whose document gives the payload that size,
// which codec would refuse.
func padded(size int) []byte {
	f := betFrame(lottery.RawBet{Agency: "1", FirstName: "a", LastName: "b"})
	missing := size - (len(f) - 6)
	document := 5 + 3 + 3 + 3 // the place of its length
	f = bytes.Join([][]byte{f[:document+2], bytes.Repeat([]byte("1"), missing), f[document+2:]}, nil)
	binary.BigEndian.PutUint32(f, uint32(size))
	binary.BigEndian.PutUint16(f[document:], uint16(missing))
	return f
}

func TestRefusals(t *testing.T) {
	seen := make(map[lottery.Code]bool)
	for _, r := range refusals() {
		seen[r.code] = true
		t.Run(r.String(), func(t *testing.T) { testRefusal(t, &r) })
	}
	for _, code := range []lottery.Code{
		"bad_frame", "too_long", "unknown_type", "bad_agency", "unknown_agency", "wrong_agency", "bad_name",
		"bad_document", "bad_birthdate", "bad_number", "empty_batch", "gap", "fenced", "agency_finished",
		"draw_done", "incomplete", "other_bets", "storage",
	} {
		if !seen[code] {
			t.Errorf("no connection gets %s here", code)
		}
	}
}

func testRefusal(t *testing.T, r *refusedCase) {
	c := start(t, 2, nil, failing(r.fails).wrap)
	// The witness is in the middle of a frame meanwhile.
	witness, request := c.dial(), resumeFrame(2)
	witness.send(request[:6])
	c.awaitRead(witness, 6)
	if r.before != nil {
		r.before(c)
	}

	p := c.dial()
	if r.bound || r.frame[0] != 0 { // or else it would be an echo connection
		p.send(resumeFrame(1))
		p.expect(pointFrame())
	}
	want := errorFrame(r.code, r.raw)
	if r.closes {
		// What follows is ignored, and does not cost the answer.
		p.send(r.frame, finishedFrame(1), betFrame(rawBetOf(1, "1", losing)), bytes.Repeat([]byte("x"), 256<<10))
		p.expect(want)
		p.expectEnd()
		p.Close()
	} else {
		p.send(r.frame)
		p.expect(want)
		if r.names != 0 {
			p.send(resumeFrame(r.names))
			p.expect(errorFrame(lottery.UnknownAgency, noRawBet))
		} else {
			p.send(resumeFrame(1))
			p.expect(pointFrame())
		}
	}
	fails := c.log.failures(t)
	if len(fails) == 0 || (!r.closes && fails[0]["code"] != string(r.code)) {
		t.Errorf("the log does not say so: %v", fails)
	}

	witness.send(request[6:])
	witness.expect(pointFrame())
	c.expectRows()
	if r.code != lottery.DrawDone {
		raw := rawBetOf(2, "1", losing)
		witness.send(betFrame(raw))
		witness.expect(successFrame(raw))
	}
}

// A repeated FINISHED is answered, but logged only once: it costs nothing to send.
func TestRepeatedFinishedIsLoggedOnce(t *testing.T) {
	c := start(t, 2, nil, nil)
	for range 3 {
		p := c.dial()
		p.send(bytes.Repeat(finishedFrame(1), 50))
		p.expectBytes(bytes.Repeat(okFrame, 50))
	}
	if e := c.log.only(t, "agencia_finalizada", "success"); e["agency"] != 1.0 {
		t.Errorf("the log has %v", e)
	}
	c.ask(finishedFrame(2), okFrame)
	if told := c.log.find(t, "agencia_finalizada", "success"); len(told) != 2 {
		t.Errorf("the log has %v, expected a line for each agency", told)
	}
}
