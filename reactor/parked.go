package reactor

import "loteria/codec"

// Frames behind a parked query wait for as long as the slowest agency needs, so
// their bytes are bounded, for one connection and for all.
const (
	maxBehind    = 2 * codec.MaxPayload
	maxAllBehind = 64 << 20
)

// behind is what came after a parked query.
type behind struct {
	stream      []byte // of whole frames
	frames      int
	bytes       int   // of payload
	closeReason error // why the connection must be closed after those, or nil
}

// ask parks a query for the winners of the agency. That costs others nothing, so
// only its own window counts it.
func (s *session) ask(agency int) {
	s.jobs = append(s.jobs, &job{session: s, query: agency, frames: 1, number: s.count}) // not from the pool: it needs no buffers
	s.short.opened(s.count)
	s.count++
	s.account(1, 0)
	s.parked = true
	s.server.queries.add(1)
	if s.server.announced() {
		s.flush()
		return
	}
	s.shard().parked[s] = struct{}{}
}

// keepBehind keeps a frame that came after a parked query.
func (s *session) keepBehind(frame codec.Frame) {
	server, b := s.server, &s.behind
	before := cap(b.stream)
	stream := frame.AppendTo(b.stream)
	if len(stream) > maxBehind || server.behind.get()+cap(stream)-before > maxAllBehind {
		s.endQuery()
		return
	}
	server.behind.add(cap(stream) - before)
	b.stream = stream
	b.frames++
	b.bytes += len(frame.Payload)
	s.account(1, len(frame.Payload))
}

// endQuery ends the conversation with a peer that sends more behind a parked
// query than is kept for it.
func (s *session) endQuery() {
	server := s.server
	reason := retry("more than %d bytes wait behind a query", maxBehind)
	server.logFailure(actions[0], s.peer, reason)
	server.cut.add(1)
	s.state = draining
	s.decoder = codec.Decoder{}
	if s.telling { // it gets the rest first
		s.behind.closeReason = reason
		return
	}
	s.releaseParked()
	j := s.jobs[len(s.jobs)-1]
	j.query, j.complete, j.closing = 0, true, true
	j.replies = appendReply(j.replies, &codec.Retry{Reason: reason.Error()})
	s.flush()
}

// unpark handles the frames behind a query, now that it is answered.
func (s *session) unpark() {
	behind, end, since := s.behind, s.state, s.since
	s.releaseParked()
	if s.server.stopping.Load() {
		return
	}
	s.state = framed
	var decoder codec.Decoder
	s.receiveFrames(&decoder, behind.stream)
	if s.state != framed {
		return
	}
	s.state, s.since = end, since
	if behind.closeReason != nil {
		s.closeAfterReplies(behind.closeReason)
	}
	s.flush()
}

// dropQuery forgets a query that is the only job.
func (s *session) dropQuery() {
	s.releaseParked()
	j := s.jobs[0]
	s.jobs = nil
	j.drop()
}

// releaseParked gives back what a parked query holds, except its job.
func (s *session) releaseParked() {
	if !s.parked {
		return
	}
	s.parked = false
	delete(s.shard().parked, s)
	s.server.queries.add(-1)
	s.server.behind.add(-cap(s.behind.stream))
	s.account(-s.behind.frames, -s.behind.bytes)
	s.behind = behind{}
}
