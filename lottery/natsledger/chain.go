package natsledger

import (
	"time"

	"github.com/cespare/xxhash/v2"
	"loteria/lottery"
)

// place is how far the rows of an agency go.
type place struct {
	bets   uint64
	digest xxhash.Digest
}

func (p *place) mark() lottery.Mark { return markOf(&p.digest) }

// link is the last message of a chain, as far as it matters to the next one.
type link struct {
	place
	seq     uint64 // of the message; 0 when there is none
	resumed bool
	ended   lottery.Ending
}

func newLink() link { return link{place: place{digest: *xxhash.New()}} }

// account returns the account that the chain ends with.
func (k *link) account() *lottery.Account {
	return &lottery.Account{Bets: k.bets, Digest: k.digest, Ended: k.ended, Mark: k.mark(), Resumed: k.resumed}
}

// chain is what this ledger knows of an agency, and its pending calls. At most one
// message is in flight, as the next one must name its sequence number; calls that
// come meanwhile share the next message.
type chain struct {
	agency  int
	subject string

	known bool  // end is the last message, as far as this ledger has claimed it
	end   link  // of what is stored
	tail  place // after all that is queued, when tailKnown
	// tailKnown is false when a claim must tell first where the agency stands.
	tailKnown bool
	failed    error // what rows and ends get until a claim has told: ErrUnavailable, or nil

	ops    []op    // that nothing was published for yet, in the order of the calls
	rows   []byte  // of those that append
	size   int     // of the last message's rows: the next one may be like it
	ready  bool    // it waits to publish
	flight *flight // that is on its way, or nil
	load   *parcel // that asks for the last message, or nil
	endID  string  // of the message that this ledger has ended the betting with, or has tried to
}

// opKind is what was asked for.
type opKind uint8

const (
	opAppend opKind = iota
	opSync          // an append without rows
	opClaim
	opEnd
)

// op is a call that is not answered yet.
type op struct {
	kind  opKind
	after lottery.Mark
	by    time.Time // when its patience is over

	mark    lottery.Mark // after the rows
	bets    int
	bytes   int
	winners []string

	resumed bool
	how     lottery.Ending

	done    func(error) // may be nil: another part of the same rows has it
	claimed func(*lottery.Account, error)
}

// copy puts rows after all that are queued.
func (c *chain) copy(part *lottery.Stretch) {
	if c.rows == nil {
		c.rows = make([]byte, 0, max(len(part.Rows), c.size))
	}
	c.rows = append(c.rows, part.Rows...)
	c.tail.bets += uint64(part.Bets)
	_, _ = c.tail.digest.Write(part.Rows) // never fails
}

// push queues a call. The caller holds the lock.
func (l *Ledger) push(c *chain, o op) {
	c.ops = append(c.ops, o)
	l.start(c)
}

// start begins with what is queued. The caller holds the lock.
func (l *Ledger) start(c *chain) {
	l.busy[c] = struct{}{}
	if c.flight == nil && c.load == nil && !c.ready {
		l.advance(c)
	}
}

// answer tells what has become of a call. The caller holds the lock.
func (l *Ledger) answer(o *op, err error) {
	switch {
	case o.kind == opClaim:
		claimed := o.claimed
		l.tell(func() { claimed(nil, err) })
	case o.done != nil:
		done := o.done
		l.tell(func() { done(err) })
	}
}

// pop takes the first call away from the queue.
func (c *chain) pop() op {
	o := c.ops[0]
	c.ops[0] = op{}
	c.ops = c.ops[1:]
	if o.kind == opAppend {
		c.rows = c.rows[o.bytes:]
	}
	return o
}

// advance answers the queued calls that need no server, and starts to ask the
// servers for the rest. The caller holds the lock.
func (l *Ledger) advance(c *chain) {
	for c.flight == nil && c.load == nil && len(c.ops) > 0 {
		o := &c.ops[0]
		ended := l.ended[c.agency-1]
		if !c.known && ended != nil { // that account is final
			c.known, c.end = true, link{place: place{ended.Bets, ended.Digest}, resumed: ended.Resumed, ended: ended.Ended}
		}
		isOver := c.known && c.end.ended != lottery.Open || ended != nil
		switch {
		case o.kind == opClaim && !c.known:
			l.loadLast(c)
			return
		case o.kind == opClaim && c.end.ended != lottery.Open:
			l.claimed(c, c.popClaims())
		case o.kind == opEnd && isOver: // the first ending stands
			l.answerFirst(c, nil)
		case o.kind == opClaim:
			l.await(c)
			return
		case c.failed != nil:
			l.answerFirst(c, c.failed)
		case !c.known || o.after != c.end.mark():
			l.answerFirst(c, lottery.ErrMoved)
		case o.kind == opSync:
			l.answerFirst(c, nil)
		case isOver:
			l.answerFirst(c, lottery.ErrMoved)
		default:
			l.await(c)
			return
		}
	}
	l.rest(c)
}

func (l *Ledger) answerFirst(c *chain, err error) {
	o := c.pop()
	l.answer(&o, err)
}

// await queues the chain to publish.
func (l *Ledger) await(c *chain) {
	if !c.ready {
		c.ready = true
		l.ready = append(l.ready, c)
		l.wakeUp()
	}
}

// rest releases what an idle chain does not need, and the mark of rows that were
// refused.
func (l *Ledger) rest(c *chain) {
	if len(c.ops) == 0 {
		c.ops, c.rows = nil, nil
		if c.flight == nil && c.load == nil {
			delete(l.busy, c)
			if c.known && c.failed == nil {
				c.tail, c.tailKnown = c.end.place, true
			}
		}
	}
	if l.closed {
		l.idle.Broadcast()
	}
}

// popClaims takes the claims at the head of the queue: one message serves them all.
func (c *chain) popClaims() (claims []op) {
	for len(c.ops) > 0 && c.ops[0].kind == opClaim {
		claims = append(claims, c.pop())
	}
	return claims
}

// claimed answers claims: the chain's end is the last message, or it has ended.
// The caller holds the lock.
func (l *Ledger) claimed(c *chain, claims []op) {
	mark := c.end.mark()
	// What was appended behind the claims stays when it still follows.
	isTail := len(c.ops) == 0 && c.tail.mark() == mark
	follows := len(c.ops) > 0 && c.ops[0].after == mark
	if !c.tailKnown || !isTail && !follows {
		c.tail = c.end.place
	}
	c.tailKnown, c.failed = true, nil
	for i := range claims {
		var stored *lottery.Account
		if claims[i].after != mark {
			stored = c.end.account()
		}
		done := claims[i].claimed
		l.tell(func() { done(stored, nil) })
	}
}

// giveUp answers all calls of the agency with ErrUnavailable. A message in flight
// is sent again until its outcome is known, and nothing else of the agency is
// published before. The caller holds the lock.
func (l *Ledger) giveUp(c *chain) {
	c.failed = lottery.ErrUnavailable
	l.refuseAll(c, lottery.ErrUnavailable)
}

// refuseAll answers all calls of the agency with an error.
func (l *Ledger) refuseAll(c *chain, err error) {
	c.tailKnown = false
	if c.flight != nil {
		for i := range c.flight.ops {
			l.answer(&c.flight.ops[i], err)
		}
		c.flight.ops = nil
	}
	for i := range c.ops {
		l.answer(&c.ops[i], err)
	}
	c.ops, c.rows = nil, nil
	if c.load != nil {
		l.drop(c.load)
		c.load = nil
	}
	l.rest(c)
}

// lost notes that somebody else has written for the agency.
func (c *chain) lost() { c.known, c.tailKnown = false, false }
