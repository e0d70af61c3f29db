package reactor

import (
	"context"
	"sync"

	"loteria/codec"
)

// burst is the unit of work: the frames that one connection sent while its
// last burst was being worked on, in their order. A session has at most one
// burst out at a time; that alone keeps the answers of a connection in the
// order of its requests, however many workers there are.
//
// A burst belongs to the loop, then to one worker, then to the loop again.
type burst struct {
	session  *session
	requests []request
	payloads []byte   // of all requests, one after the other
	farewell farewell // after the last answer, when set

	next    int    // the first request that has no answer yet
	answers []byte // of the requests before next
	query   int    // the agency whose winners the request before next asks for, or 0
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
const maxPooledBurst = 128 << 10

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

// done reports whether every request has its answer.
func (b *burst) done() bool { return b.next == len(b.requests) }

// release gives the burst back; nobody may use it any more.
func (b *burst) release() {
	if cap(b.payloads) > maxPooledBurst || cap(b.answers) > maxPooledBurst {
		return
	}
	*b = burst{requests: b.requests[:0], payloads: b.payloads[:0], answers: b.answers[:0]}
	bursts.Put(b)
}

// Run brings the burst back to its session, on the event loop (gnet.Runnable).
func (b *burst) Run(context.Context) error {
	b.session.server.returned(b)
	return nil
}
