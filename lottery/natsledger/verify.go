package natsledger

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"loteria/lottery"
)

// verifier takes all messages of a stream in order, and refuses the first that no
// central can have written there. Those before it are a valid contest. Without rows
// it checks that the messages agree with each other; with rows, also that the rows
// agree with the messages.
type verifier struct {
	stream   string
	withRows bool
	chains   []chainSeen // of agency i+1
	deadline deadlineSeen
	drawn    uint64        // sequence number of the draw, or 0
	times    lottery.Times // Closed is of the last chain that was closed
	noted    *time.Time    // where the time of the last message goes, or nil
	body     []byte        // its body, with rows
	messages uint64        // that it has let through
	rows     uint64
	bytes    uint64
}

// chainSeen is what was seen of one agency.
type chainSeen struct {
	last    uint64 // sequence number of its last message, or 0
	bets    uint64
	digest  xxhash.Digest // of the rows, or as the last message says
	winners []string
	ended   lottery.Ending
	closed  uint64 // sequence number of the message that closed it
	noticed bool   // the notice of its end is there
}

type deadlineSeen struct {
	last uint64
	time time.Time
}

func newVerifier(stream string, agencies int, withRows bool) *verifier {
	v := &verifier{stream: stream, withRows: withRows, chains: make([]chainSeen, agencies)}
	for i := range v.chains {
		v.chains[i].digest = *xxhash.New()
	}
	return v
}

// rowsRead is what the rows of a message say, whatever its headers do.
type rowsRead struct {
	bets     int
	stranger int      // an agency whose row is among those of another one, or 0
	winners  []string // documents, which share the memory of the rows
	err      error    // what is wrong with the row after the bets
}

// readRows reads the rows of a message of an agency.
func readRows(agency int, rows []byte) *rowsRead {
	r := new(rowsRead)
	r.err = lottery.ParseRows(rows, func(bet lottery.Bet, _ int) {
		r.bets++
		if bet.Agency != agency {
			r.stranger = bet.Agency
		}
		if bet.HasWon() {
			r.winners = append(r.winners, bet.Document)
		}
	})
	return r
}

// ahead reads the rows of a message that comes later. Any goroutine may call it. It
// returns nil for a message that has none.
func (v *verifier) ahead(subject string, payload []byte) *rowsRead {
	if what, agency, err := v.subject(subject); err == nil && what == "bets" {
		return readRows(agency, payload)
	}
	return nil
}

// message takes the next message, and what ahead has read of it, or nil. bets is false
// unless it holds rows; the stretch shares the memory of the payload. The error is a
// *DamageError.
func (v *verifier) message(sequence uint64, subject string, header nats.Header, payload []byte, read *rowsRead) (s lottery.Stretch, bets bool, err error) {
	kinds, number, err := v.subject(subject)
	if err == nil {
		switch kinds {
		case "bets":
			s, err = v.link(number, sequence, header, payload, read)
		case "ended":
			err = v.notice(number, sequence, header, payload)
		case "deadline":
			err = v.setDeadline(sequence, header, payload)
		case "draw":
			err = v.draw(sequence, header, payload)
		}
	}
	if damage, ok := err.(*DamageError); ok {
		damage.Stream, damage.Sequence, damage.Agency = v.stream, sequence, number
	}
	if err == nil {
		v.messages++
	}
	return s, s.Bets > 0, err
}

func found(expected, format string, args ...any) error {
	return &DamageError{Found: fmt.Sprintf(format, args...), Expected: expected}
}

// strange is the error for a message that decode refuses.
func strange(err error) error {
	if h, ok := err.(*headerError); ok {
		return found(h.want, "the header %s is %.40q", h.name, h.value)
	}
	return found("a message of a central", "%v", err)
}

// subject splits a subject into what it is for, and the agency, if it has one.
func (v *verifier) subject(subject string) (what string, agency int, err error) {
	rest, ok := strings.CutPrefix(subject, v.stream+".")
	what, text, numbered := strings.Cut(rest, ".")
	switch {
	case ok && !numbered && (what == "draw" || what == "deadline"):
		return what, 0, nil
	case ok && numbered && (what == "bets" || what == "ended"):
		n, err := strconv.Atoi(text)
		if err == nil && n >= 1 && n <= len(v.chains) && strconv.Itoa(n) == text {
			return what, n, nil
		}
		return "", 0, found(fmt.Sprintf("agencies 1 to %d", len(v.chains)), "the subject %.80q", subject)
	}
	return "", 0, found("a subject of a contest", "the subject %.80q", subject)
}

// link takes a message of an agency's chain.
func (v *verifier) link(agency int, sequence uint64, header nats.Header, payload []byte, read *rowsRead) (s lottery.Stretch, err error) {
	c := &v.chains[agency-1]
	m, err := decode(header, payload)
	if err != nil {
		return s, strange(err)
	}
	switch {
	case m.kind == kindEnded:
		return s, found("bets, claim or closed", "a message of the kind %s", m.kind)
	case m.expected != c.last:
		return s, found(fmt.Sprintf("message %d, as that is the agency's last one", c.last), "it follows message %d of the agency", m.expected)
	case c.closed > 0:
		return s, found("nothing more of the agency", "a message of the kind %s, although message %d has ended the betting", m.kind, c.closed)
	case m.before != c.bets:
		return s, found(strconv.FormatUint(c.bets, 10), "%d bets before it", m.before)
	case (m.kind == kindBets) != (m.bets > 0):
		return s, found("bets in those of the kind bets, and only there", "a message of the kind %s with %d bets", m.kind, m.bets)
	case len(m.winners) > m.bets:
		return s, found("at most as many as bets", "%d winners of %d bets", len(m.winners), m.bets)
	case m.bets == 0 && m.digest.Sum64() != c.digest.Sum64():
		return s, found(hex(c.digest.Sum64()), "the digest %s, although it holds no bets", hex(m.digest.Sum64()))
	}
	if v.withRows {
		if read == nil {
			read = readRows(agency, m.rows)
		}
		if err := c.compare(m, read); err != nil {
			return s, err
		}
		s = lottery.Stretch{Agency: agency, Bets: m.bets, Rows: m.rows, Winners: m.winners}
		v.rows, v.bytes = v.rows+uint64(s.Bets), v.bytes+uint64(len(s.Rows))
	}
	c.last, c.bets, c.digest, c.winners = sequence, m.after(), m.digest, append(c.winners, m.winners...)
	if m.kind == kindClosed {
		c.ended, c.closed, v.noted = m.ended, sequence, &v.times.Closed
	}
	return s, nil
}

// compare compares the rows of a message with what its headers say.
func (c *chainSeen) compare(m *message, read *rowsRead) error {
	digest := c.digest
	_, _ = digest.Write(m.rows) // never fails
	switch {
	case read.err != nil:
		return found("rows of bets", "row %d: %v", read.bets+1, read.err)
	case read.stranger > 0:
		return found("rows of the subject's agency", "a row of agency %d", read.stranger)
	case read.bets != m.bets:
		return found(fmt.Sprintf("%d, as its header says", m.bets), "%d rows", read.bets)
	case !slices.Equal(read.winners, m.winners):
		return found(fmt.Sprintf("those of its %d rows that have won", len(read.winners)), "%d winners in its header", len(m.winners))
	case digest.Sum64() != m.digest.Sum64():
		return found(hex(m.digest.Sum64())+", as its header says", "rows with the digest %s", hex(digest.Sum64()))
	}
	return nil
}

// notice takes the notice of an agency's end, which follows the message that
// closed its chain.
func (v *verifier) notice(agency int, sequence uint64, header nats.Header, payload []byte) error {
	c := &v.chains[agency-1]
	m, err := decode(header, payload)
	switch {
	case err != nil:
		return strange(err)
	case m.kind != kindEnded || len(payload) > 0:
		return found("ended, without bets", "a message of the kind %s with %d bytes", m.kind, len(payload))
	case c.closed == 0:
		return found("it after the agency's own message of that", "the notice that the agency's betting has ended")
	case c.noticed:
		return found("one", "a second notice that the agency's betting has ended")
	case m.ended != c.ended:
		return found(endingNames[c.ended], "an ending that is %s", endingNames[m.ended])
	case m.after() != c.bets:
		return found(strconv.FormatUint(c.bets, 10), "a notice with %d bets", m.after())
	case m.digest.Sum64() != c.digest.Sum64():
		return found(hex(c.digest.Sum64()), "a notice with the digest %s", hex(m.digest.Sum64()))
	}
	c.noticed = true
	return nil
}

// setDeadline takes a message that replaces the deadline.
func (v *verifier) setDeadline(sequence uint64, header nats.Header, payload []byte) error {
	if err := follows(header, v.deadline.last); err != nil {
		return err
	}
	v.deadline.last = sequence
	if !v.withRows {
		return nil
	}
	var deadline time.Time
	if len(payload) > 0 {
		var err error
		if deadline, err = time.Parse(time.RFC3339Nano, string(payload)); err != nil {
			return found("a time as RFC 3339 has it, or nothing", "the deadline %.40q", payload)
		}
	}
	if v.drawn == 0 { // a central that does not know of the draw yet may still set one
		v.deadline.time = deadline
	}
	return nil
}

// draw takes the message of the draw.
func (v *verifier) draw(sequence uint64, header nats.Header, payload []byte) error {
	if v.drawn > 0 {
		return found("one", "a second draw, after message %d", v.drawn)
	}
	if err := follows(header, 0); err != nil {
		return err
	}
	for i := range v.chains {
		if v.chains[i].closed == 0 {
			return found("it after the last agency's end", "the draw, although the betting of agency %d has not ended", i+1)
		}
	}
	v.drawn, v.body, v.noted = sequence, bytes.Clone(payload), &v.times.Drawn
	if body := v.result().body; v.withRows && !bytes.Equal(body, payload) {
		return found(fmt.Sprintf("%s, as the bets say", body), "the draw %.200q", payload)
	}
	return nil
}

// follows returns an error unless the message names last as its subject's last one.
func follows(header nats.Header, last uint64) error {
	expected := header[jetstream.ExpectedLastSubjSeqHeader]
	if want := strconv.FormatUint(last, 10); len(expected) != 1 || expected[0] != want {
		return found(fmt.Sprintf("message %s, as that is its subject's last one", want), "it follows message %.40q of its subject", strings.Join(expected, ","))
	}
	return nil
}

// isNoted reports whether the contest keeps the time of the last message: the first
// one, one that closed a chain, or the draw.
func (v *verifier) isNoted() bool { return v.messages == 1 || v.noted != nil }

// note keeps that time. It is the message's own, which a backup of the stream has;
// the stream's time of creation changes when it is restored.
func (v *verifier) note(stored time.Time) {
	stored = stored.UTC().Truncate(time.Millisecond)
	if v.messages == 1 {
		v.times.Opened = stored
	}
	if v.noted != nil {
		*v.noted, v.noted = stored, nil
	}
}

// seenTimes returns the times that are known by now.
func (v *verifier) seenTimes() lottery.Times {
	times := v.times
	for i := range v.chains {
		if v.chains[i].closed == 0 {
			times.Closed = time.Time{} // the last one is to come
		}
	}
	return times
}

// finish is called after the last message that is there. The error is a
// *DamageError.
func (v *verifier) finish(last uint64) error {
	for i := range v.chains {
		// Both come at once, but a look at the stream may fall in between.
		if c := &v.chains[i]; c.closed > 0 && !c.noticed && c.closed != last {
			return &DamageError{Stream: v.stream, Sequence: c.closed, Agency: i + 1,
				Found: "the betting of the agency has ended without a notice of that", Expected: "one with it"}
		}
	}
	return nil
}

func hex(digest uint64) string { return fmt.Sprintf("%016x", digest) }
