package natsledger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"loteria/lottery"
)

// The error codes of JetStream that mean something of their own here
// (nats-server, server/errors.json). All others are tried again.
const (
	codeNoMessage     = 10037 // no message found
	codeWrongLast     = 10071 // wrong last sequence: N
	codeFull          = 10077 // the store has refused it: its limit, mostly
	codeInProcess     = 10164 // wrong last sequence; another message of the subject is in process
	codeTooMany       = 10167 // too much is queued at the stream
	codeBatchNotWhole = 10176 // the first message of a batch has not come
)

// The headers of an atomic batch (ADR-50,
// https://github.com/nats-io/nats-architecture-and-design).
const (
	headerBatchID     = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
)

// flight is a message of a chain that is published until its outcome is known,
// always with the same id: so it is stored once. An end is two messages, which
// are stored both or not at all.
type flight struct {
	parcel
	chain *chain
	link  link // that the chain ends with when it is stored
	m     message
	ops   []op // that it is for; none when they were answered without it
	bytes int  // that it counts for among those in flight
}

// launch makes the next message of a chain, or returns nil when there is none
// to be made. The caller holds the lock.
func (l *Ledger) launch(c *chain) *flight {
	c.ready = false
	l.advance(c)
	if !c.ready { // everything was answered meanwhile, or it loads
		return nil
	}
	c.ready = false
	l.ready = l.ready[:len(l.ready)-1] // where advance has put it
	f := &flight{chain: c, link: c.end}
	f.m = message{
		id: l.id(), expected: c.end.seq, before: c.end.bets, digest: c.end.digest, resumed: c.end.resumed, central: l.config.Central,
	}
	switch c.ops[0].kind {
	case opAppend:
		f.m.kind = kindBets
		l.coalesce(f)
	case opClaim:
		f.m.kind = kindClaim
		f.ops = c.popClaims()
		for i := range f.ops {
			f.m.resumed = f.m.resumed || f.ops[i].resumed
		}
	case opEnd:
		f.m.kind, f.m.ended = kindClosed, c.ops[0].how
		f.ops = []op{c.pop()}
		c.endID = f.m.id
	}
	f.link.bets, f.link.digest, f.link.resumed, f.link.ended = f.m.after(), f.m.digest, f.m.resumed, f.m.ended
	f.msgs = []*nats.Msg{f.m.encode(c.subject, l.stream)}
	if f.isEnd() {
		notice := f.m
		notice.kind, notice.expected = kindEnded, 0
		f.msgs = append(f.msgs, notice.encode(endedSubject(l.stream, c.agency), l.stream))
	}
	for _, msg := range f.msgs {
		f.bytes += msg.Size()
	}
	f.reply = func(reply *nats.Msg) { l.landed(f, reply) }
	l.inFlight += f.bytes
	if f.isEnd() {
		l.ending++
	}
	c.flight = f
	l.address(&f.parcel)
	return f
}

func (f *flight) isEnd() bool { return f.m.kind == kindClosed }

// coalesce puts consecutive rows into one message, as many as fit.
func (l *Ledger) coalesce(f *flight) {
	c, most := f.chain, l.maxRows()
	all, mark, size, winners := c.rows, c.end.mark(), 0, 0
	for len(c.ops) > 0 {
		o := &c.ops[0]
		w := winnersSize(o.winners)
		if o.kind != opAppend || o.after != mark || size > 0 && (size+o.bytes > most || winners+w > maxWinners) {
			break
		}
		size, winners, mark = size+o.bytes, winners+w, o.mark
		f.m.bets += o.bets
		f.m.winners = append(f.m.winners, o.winners...)
		f.ops = append(f.ops, c.pop())
	}
	f.m.rows = all[:size:size] // what is appended later comes after it
	if len(c.rows) == 0 {
		c.rows = nil
	}
	c.size = size
	_, _ = f.m.digest.Write(f.m.rows) // never fails
}

// winnersSize returns how many bytes of the header the documents take.
func winnersSize(winners []string) (size int) {
	for _, w := range winners {
		size += len(w) + 1
	}
	return size
}

// maxRows returns how many bytes of rows a message may hold: the limits of the
// servers and of the stream are for headers and rows together.
func (l *Ledger) maxRows() int {
	most := l.server.Load().maxPayload
	if l.maxMessage > 0 {
		most = min(most, l.maxMessage)
	}
	return max(min(maxRows, most-headerRoom), lottery.MaxRow)
}

// split cuts rows into parts that each fit one message. It clones the winners, as
// they are kept.
func split(rows lottery.Stretch, most int) ([]lottery.Stretch, error) {
	rows.Winners = slices.Clone(rows.Winners)
	if len(rows.Rows) <= most && winnersSize(rows.Winners) <= maxWinners {
		return []lottery.Stretch{rows}, nil
	}
	var parts []lottery.Stretch
	part := lottery.Stretch{Agency: rows.Agency}
	begin, at, first, won := 0, 0, 0, 0
	cut := func() {
		part.Rows, part.Winners = rows.Rows[begin:at], rows.Winners[first:won:won]
		parts = append(parts, part)
		part, begin, first = lottery.Stretch{Agency: rows.Agency}, at, won
	}
	for at < len(rows.Rows) {
		row, _, _ := strings.Cut(string(rows.Rows[at:min(len(rows.Rows), at+lottery.MaxRow)]), "\n")
		row += "\n"
		bet, err := lottery.ParseRow(row)
		if err != nil {
			return nil, fmt.Errorf("rows of agency %d: %w", rows.Agency, err)
		}
		isFull := at+len(row)-begin > most
		if bet.HasWon() && won < len(rows.Winners) {
			isFull = isFull || winnersSize(rows.Winners[first:won+1]) > maxWinners
		}
		if isFull && part.Bets > 0 {
			cut()
		}
		if bet.HasWon() {
			won++
		}
		if won > len(rows.Winners) {
			return nil, fmt.Errorf("rows of agency %d: more bets have won than the %d that were said", rows.Agency, len(rows.Winners))
		}
		part.Bets++
		at += len(row)
	}
	cut()
	return parts, nil
}

// landed takes in the answer to a message. The caller holds the lock.
func (l *Ledger) landed(f *flight, reply *nats.Msg) {
	var ack acknowledgement
	if err := ack.read(reply.Data); err != nil {
		l.stumble(&f.parcel, fmt.Errorf("the answer to a message on %s: %w", f.chain.subject, err))
		return
	}
	if ack.Error == nil {
		if ack.Stream != l.stream {
			l.stumble(&f.parcel, fmt.Errorf("the message on %s went into the stream %q", f.chain.subject, ack.Stream))
			return
		}
		seq := ack.Seq
		if f.isEnd() { // that is the notice's, which follows
			seq--
		}
		l.stored(f, seq)
		return
	}
	switch ack.Error.Code {
	case codeWrongLast:
		last, ok := ack.Error.last()
		if !f.isEnd() && ok && last < f.m.expected {
			l.stumble(&f.parcel, fmt.Errorf("the leader has %d as the last message on %s, and had acknowledged %d: it is cut off, or has lost messages",
				last, f.chain.subject, f.m.expected))
			return
		}
		l.find(f)
	case codeInProcess:
		l.later(&f.parcel, min(2*time.Millisecond<<min(f.tries, 5), 50*time.Millisecond))
	case codeFull:
		l.troubles.full = fmt.Errorf("the stream %s takes no more: %s", l.stream, ack.Error.Description)
		l.later(&f.parcel, fullDelay)
	case codeTooMany:
		l.later(&f.parcel, crowdDelay)
	case codeBatchNotWhole: // its first message was lost, or came to another leader
		l.later(&f.parcel, againDelay)
	default:
		l.stumble(&f.parcel, fmt.Errorf("a message on %s was answered %d: %s", f.chain.subject, ack.Error.Code, ack.Error.Description))
	}
}

// endFlight ends a flight. The caller holds the lock.
func (l *Ledger) endFlight(f *flight) {
	l.drop(&f.parcel)
	l.inFlight -= f.bytes
	if f.isEnd() {
		l.ending--
	}
	f.chain.flight = nil
	l.wakeUp()
}

// stored takes in that a message is stored. The caller holds the lock.
func (l *Ledger) stored(f *flight, seq uint64) {
	if err := l.watch.blockedBy(); err != nil { // it is not told before the stream is whole
		l.later(&f.parcel, damageDelay)
		return
	}
	l.endFlight(f)
	l.watch.stored(seq)
	l.troubles.full, l.troubles.stumbled = nil, nil
	c := f.chain
	c.end = f.link
	c.end.seq = seq
	switch f.m.kind {
	case kindBets:
		if committed := l.config.Committed; committed != nil {
			commit := lottery.Commit{Bytes: len(f.m.rows), Appends: len(f.ops), Sync: time.Since(f.first)}
			l.tell(func() { committed(commit) })
		}
		for i := range f.ops {
			l.answer(&f.ops[i], nil)
		}
	case kindClaim:
		if len(f.ops) > 0 {
			l.claimed(c, f.ops)
		}
	case kindClosed:
		l.hasEnded(c.agency, &f.m)
		for i := range f.ops {
			l.answer(&f.ops[i], nil)
		}
	}
	l.advance(c)
}

// moved takes in that a message can never be stored, as another one is in its
// place. The caller holds the lock.
func (l *Ledger) moved(f *flight) {
	l.endFlight(f)
	c := f.chain
	c.lost()
	if f.m.kind == kindClaim { // the claims look again
		c.ops = append(f.ops, c.ops...)
	} else {
		for i := range f.ops {
			l.answer(&f.ops[i], lottery.ErrMoved)
		}
	}
	l.advance(c)
}

// find asks what is stored in the place of a message: itself, or another. That is
// the first one of its subject after the expected one. The caller holds the lock.
func (l *Ledger) find(f *flight) {
	if f.question != nil && !f.question.dropped {
		return // it is being asked
	}
	f.waiting = false
	p := l.get(getRequest{Seq: f.m.expected + 1, NextFor: f.chain.subject}, func(s *storedMessage, err error) {
		if f.dropped {
			return
		}
		if err != nil || s == nil { // the leader does not have it
			l.later(&f.parcel, againDelay)
			return
		}
		m, err := decode(s.header, nil)
		if err == nil && m.id == f.m.id {
			l.stored(f, s.seq)
			return
		}
		if err != nil {
			l.foreign(s, err)
		} else if m.expected != f.m.expected {
			l.stumble(&f.parcel, fmt.Errorf("message %d on %s follows %d, expected %d: a message is missing", s.seq, f.chain.subject, m.expected, f.m.expected))
			return
		}
		if err == nil && m.kind == kindClosed {
			l.hasEnded(f.chain.agency, m)
			if f.isEnd() {
				l.endFlight(f)
				f.chain.lost()
				for i := range f.ops {
					l.answer(&f.ops[i], nil)
				}
				l.advance(f.chain)
				return
			}
		}
		l.moved(f)
	})
	f.question = p
}

// loadLast asks for the last message of a chain. The claim that follows shows
// whether it is. The caller holds the lock.
func (l *Ledger) loadLast(c *chain) {
	c.load = l.get(getRequest{LastFor: c.subject}, func(s *storedMessage, err error) {
		c.load = nil
		if err == nil && s != nil {
			var m *message
			if m, err = decode(s.header, nil); err != nil {
				l.foreign(s, err)
			} else {
				c.end = link{place: place{m.after(), m.digest}, seq: s.seq, resumed: m.resumed, ended: m.ended}
				if m.kind == kindClosed {
					l.hasEnded(c.agency, m)
				}
			}
		}
		switch {
		case err != nil: // nobody can go on for that agency
			l.giveUp(c)
			return
		case s == nil:
			c.end = newLink()
		}
		c.known = true
		l.advance(c)
	})
}

// foreign notes a message that no ledger has written.
func (l *Ledger) foreign(s *storedMessage, err error) {
	l.troubles.foreign = fmt.Errorf("message %d on %s is not of a contest: %w; nothing is taken for its agency", s.seq, s.subject, err)
	l.log.Error().Str("action", "read_stream").Str("result", "fail").Str("stream", l.stream).Err(l.troubles.foreign).Send()
}

// number gives the messages of an atomic batch a new id. If sent again under the
// same id, they would continue its count.
func (f *flight) number(id string) {
	for i, msg := range f.msgs {
		msg.Header[headerBatchID] = []string{id}
		msg.Header[headerBatchSeq] = []string{strconv.Itoa(i + 1)}
	}
	f.msgs[len(f.msgs)-1].Header[headerBatchCommit] = []string{"1"}
}
