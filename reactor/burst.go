package reactor

import (
	"context"
	"sync"

	"loteria/codec"
)

// burst is the unit of work: the frames that one connection sent while its
// last burst was being worked on, in their order.
//
// A burst belongs to the loop, then to one worker, then to the loop again. One
// of bets alone belongs in between to the worker that settles the session's
// bursts; see pipeline.
type burst struct {
	session  *session
	requests []request
	payloads []byte   // of all requests, one after the other
	farewell farewell // after the last answer, when set

	stored []stored // BETs and BATCHes that are admitted or refused, and have no answer yet
	bets   bool     // of bets alone

	next    int    // the first request that no worker has looked at
	answers []byte // of the requests before next, but for those in stored
	query   int    // the agency whose winners the request before next asks for, or 0
	told    int    // the agency whose winners are in the answers, or 0
	hangUp  bool   // close the connection after the answers
}

// request is one frame. Its payload is payloads[start:end].
type request struct {
	kind       codec.Type
	start, end int
	refused    bool // the server held too much; answer RETRY
}

// farewell is why a connection is closed by the server, and what its peer is
// told: ERROR with the code of a refusal, or RETRY.
type farewell struct {
	reason error
	answer codec.Message
}

func (f farewell) isSet() bool { return f.reason != nil }

// maxPooledBurst bounds the memory, in bytes, of each buffer of a burst that
// is kept for the next one.
const maxPooledBurst = 2 << 20

var bursts = sync.Pool{New: func() any { return new(burst) }}

func newBurst(s *session) *burst {
	b := bursts.Get().(*burst)
	b.session = s
	return b
}

func (b *burst) add(frame codec.Frame) {
	start := len(b.payloads)
	b.payloads = append(b.payloads, frame.Payload...)
	b.requests = append(b.requests, request{kind: frame.Type, start: start, end: len(b.payloads)})
}

func (b *burst) addRefused(kind codec.Type) {
	b.requests = append(b.requests, request{kind: kind, refused: true})
}

func (b *burst) payload(r request) []byte { return b.payloads[r.start:r.end] }

// behind returns a burst with the requests that have no answer yet, and the
// query that they wait behind. It is as small as can be.
func (b *burst) behind() *burst {
	rest := &burst{session: b.session, farewell: b.farewell, query: b.query}
	for _, r := range b.requests[b.next:] {
		start := len(rest.payloads)
		rest.payloads = append(rest.payloads, b.payload(r)...)
		r.start, r.end = start, len(rest.payloads)
		rest.requests = append(rest.requests, r)
	}
	return rest
}

// onlyBets reports whether there are only bets to store: nothing that has to
// see, or to be logged after, what came before.
func (b *burst) onlyBets() bool {
	if b.farewell.isSet() {
		return false
	}
	for _, r := range b.requests {
		if r.refused || r.kind != codec.TypeBet && r.kind != codec.TypeBatch {
			return false
		}
	}
	return true
}

// minFollowing is how many bytes of payload make it worth while to have a
// burst admitted before the last one is answered. Fewer wait for more.
const minFollowing = 2 * codec.MaxPayload

// mayFollow reports whether the burst may go to the workers while the other,
// and those after it, are still out.
func (b *burst) mayFollow(other *burst) bool {
	return other.bets && len(b.payloads) >= minFollowing && b.onlyBets()
}

// done reports whether every request was looked at.
func (b *burst) done() bool { return b.next == len(b.requests) }

// release gives the burst back; nobody may use it any more.
func (b *burst) release() {
	if cap(b.payloads) > maxPooledBurst || cap(b.answers) > maxPooledBurst {
		return
	}
	*b = burst{requests: b.requests[:0], payloads: b.payloads[:0], answers: b.answers[:0], stored: b.stored[:0]}
	bursts.Put(b)
}

// Run brings the burst back to its session, on the event loop (gnet.Runnable).
func (b *burst) Run(context.Context) error {
	b.session.server.returned(b)
	return nil
}
