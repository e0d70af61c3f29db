package natsledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/nats-io/nats.go"
	"loteria/lottery"
)

// chainOf writes an agency's messages as a central does.
type chainOf struct {
	agency int
	next   message
	last   uint64
}

func newChainOf(agency int) *chainOf {
	return &chainOf{agency: agency, next: message{digest: *xxhash.New()}}
}

// link returns the next message, which gets the sequence number.
func (c *chainOf) link(sequence uint64, k kind, bets int) *nats.Msg {
	m := c.next
	m.id, m.kind, m.expected, m.bets = fmt.Sprint(sequence), k, c.last, bets
	for i := range bets {
		bet := lottery.Bet{Agency: c.agency, FirstName: "Ana", LastName: "Paz", Document: fmt.Sprint(i), Birthdate: "2000-02-29", Number: i}
		if i == 1 {
			bet.Number = lottery.WinningNumber
			m.winners = append(m.winners, bet.Document)
		}
		m.rows = bet.AppendRow(m.rows)
	}
	_, _ = m.digest.Write(m.rows)
	subject := betsSubject("s", c.agency)
	switch k {
	case kindEnded:
		subject, m.expected, m.ended = endedSubject("s", c.agency), 0, lottery.Finished
	case kindClosed:
		m.ended = lottery.Finished
		fallthrough
	default:
		c.last, c.next.before, c.next.digest = sequence, m.after(), m.digest
	}
	return m.encode(subject, "s")
}

// sample is a stream with everything that a contest can have.
func sample() []*nats.Msg {
	one, two := newChainOf(1), newChainOf(2)
	deadline := func(last, body string) *nats.Msg {
		return &nats.Msg{Subject: "s.deadline", Data: []byte(body), Header: nats.Header{"Nats-Expected-Last-Subject-Sequence": {last}}}
	}
	return []*nats.Msg{
		one.link(1, kindClaim, 0), one.link(2, kindBets, 3), two.link(3, kindClosed, 0), two.link(4, kindEnded, 0), deadline("0", ""),
		one.link(6, kindBets, 2), deadline("5", "2030-01-02T03:04:05Z"), one.link(8, kindClosed, 0), one.link(9, kindEnded, 0),
		{Subject: "s.draw", Data: []byte(`{"bets":5,"winners":2,"xxh64":"` + hex(xxhash.Sum64String("1,1\n1,1\n")) + `"}`),
			Header: nats.Header{"Nats-Expected-Last-Subject-Sequence": {"0"}}},
	}
}

func TestSample(t *testing.T) {
	for _, withRows := range []bool{true, false} {
		v := newVerifier("s", 2, withRows)
		var noted []int // messages
		var closed lottery.Times
		for i, m := range sample() {
			data := m.Data
			if !withRows {
				data = nil
			}
			if _, _, err := v.message(uint64(i+1), m.Subject, m.Header, data, nil); err != nil {
				t.Fatal(err)
			}
			if v.isNoted() {
				if noted = append(noted, i+1); i+1 == 10 {
					closed = v.seenTimes()
				}
				v.note(time.Unix(int64(i+1), 1_999_999))
			}
		}
		// The draw is message 10, and nothing but the last chain's end before it counts.
		times := lottery.Times{Opened: time.Unix(1, 1_000_000).UTC(), Closed: time.Unix(8, 1_000_000).UTC(), Drawn: time.Unix(10, 1_000_000).UTC()}
		if !slices.Equal(noted, []int{1, 3, 8, 10}) || v.seenTimes() != times || closed.Closed != times.Closed {
			t.Errorf("of the messages %v the times are %+v, want %+v", noted, v.seenTimes(), times)
		}
		if err := v.finish(10); err != nil || v.drawn != 10 || v.chains[0].bets != 5 || len(v.chains[0].winners) != 2 {
			t.Errorf("%+v, %v", v, err)
		}
	}
}

// A deadline that comes after the draw is not the one that betting had: the
// acta of the draw would be another one.
func TestDeadlineAfterTheDraw(t *testing.T) {
	v := newVerifier("s", 2, true)
	late := &nats.Msg{Subject: "s.deadline", Data: []byte("2040-01-02T03:04:05Z"), Header: nats.Header{"Nats-Expected-Last-Subject-Sequence": {"7"}}}
	for i, m := range append(sample(), late) {
		if _, _, err := v.message(uint64(i+1), m.Subject, m.Header, m.Data, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := v.report().Terms.Deadline; got.Year() != 2030 {
		t.Errorf("the deadline is %v, want that of 2030", got)
	}
}

// A message that is missing is missed by what comes after it, unless it is its
// subject's last one: then only the gap in the sequence numbers shows it.
func TestMissingMessage(t *testing.T) {
	harmless := map[string]bool{"without 7": true, "without 10": true} // the last of their subjects
	read := func(name string, msgs []*nats.Msg, sequences []uint64) {
		v := newVerifier("s", 2, true)
		var err error
		for i, m := range msgs {
			if _, _, err = v.message(sequences[i], m.Subject, m.Header, m.Data, nil); err != nil {
				break
			}
		}
		if err == nil {
			err = v.finish(10)
		}
		var damage *DamageError
		if err != nil && !errors.As(err, &damage) {
			t.Errorf("%s: %v, want a damage", name, err)
		}
		if (err == nil) != harmless[name] {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range sample() {
		var msgs []*nats.Msg
		var sequences []uint64
		for j, m := range sample() {
			if j != i {
				msgs, sequences = append(msgs, m), append(sequences, uint64(j+1))
			}
		}
		read(fmt.Sprintf("without %d", i+1), msgs, sequences)
	}
}

// FuzzMessage feeds the verifier what a stream may hold: it must not panic, and
// what it lets through must be rows of the agency that are as they would be written.
func FuzzMessage(f *testing.F) {
	for _, m := range sample() {
		f.Add(m.Subject, headerText(m.Header), m.Data, true)
	}
	f.Fuzz(func(t *testing.T, subject, text string, data []byte, withRows bool) {
		header := nats.Header{}
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			header[name] = append(header[name], value)
		}
		v := newVerifier("s", 2, withRows)
		s, bets, err := v.message(1, subject, header, data, nil)
		var damage *DamageError
		if err != nil && (!errors.As(err, &damage) || damage.Stream != "s" || damage.Sequence != 1 || bets) {
			t.Fatalf("%v, bets %t", err, bets)
		}
		if err != nil || !bets {
			return
		}
		rows := 0
		if err := lottery.ParseRows(s.Rows, func(bet lottery.Bet, _ int) {
			if rows++; bet.Agency != s.Agency {
				t.Errorf("a row of agency %d", bet.Agency)
			}
		}); err != nil || rows != s.Bets {
			t.Errorf("%d rows, want %d: %v", rows, s.Bets, err)
		}
		if got := v.chains[s.Agency-1]; got.digest.Sum64() != xxhash.Sum64(s.Rows) || got.bets != uint64(rows) {
			t.Errorf("%+v", got)
		}
	})
}

func headerText(h nats.Header) string {
	var b strings.Builder
	for name, values := range h {
		for _, value := range values {
			fmt.Fprintf(&b, "%s=%s\n", name, value)
		}
	}
	return b.String()
}
