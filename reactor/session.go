package reactor

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"loteria/codec"
	"loteria/lottery"
)

// state is where a session stands.
type state int

const (
	fresh   state = iota // nothing was received
	framed               // an agency, which speaks the protocol
	echoing              // a person, whose line comes back
	deaf                 // whatever comes in is thrown away
	closed               // the connection is gone
)

// session is one connection. It belongs to the event loop, so it has no lock;
// only agency belongs to the worker that admits its burst.
type session struct {
	server *Server
	conn   gnet.Conn
	peer   string // IP address, noted because gnet forgets it with the connection
	state  state

	decoder codec.Decoder
	line    []byte // what an echoing peer has sent of its line

	gathering *burst   // the frames for the next burst, or nil
	out       []*burst // with the queue or workers, in their order
	parked    *burst   // waits for the draw, or nil; none is out then
	frames    int      // in gathering, out and parked
	bytes     int      // of payload in them
	pipeline  pipeline

	agency int         // the first one named, or 0
	gone   atomic.Bool // the state is closed; workers look at it

	heard time.Time // when something came in last
	since time.Time // when the first byte of what is not complete came in, or zero

	unread     int       // bytes of answers that the peer had not taken, when last looked at
	ignored    int       // bytes thrown away
	closeAfter time.Time // when a lingering connection is closed at the latest
}

// A connection that the server has finished with stays open for a moment, for
// its peer to read the last answer: closing it with unread bytes in the socket
// would reset it, and the answer might be lost (RFC 1122, 4.2.2.13).
const (
	maxIgnored = 1 << 20         // bytes
	lingerTime = 2 * time.Second // until the peer closes its side
)

// receive takes what has come in.
func (s *session) receive(data []byte) {
	s.heard = time.Now()
	if s.state == fresh && len(data) > 0 {
		s.state, s.since = framed, s.heard
		// A frame begins with 0, or its length would be refused.
		if data[0] != 0 && s.server.config.Echo {
			s.state = echoing
		}
	}
	switch s.state {
	case framed:
		s.receiveFrames(data)
	case echoing:
		s.receiveLine(data)
	case deaf:
		if s.ignored += len(data); s.ignored > maxIgnored {
			s.hangUp()
		}
	}
}

// receiveFrames gathers the frames in data for one burst: however many they
// are, they get their answers in one write.
func (s *session) receiveFrames(data []byte) {
	if s.decoder.Buffered() == 0 {
		s.since = s.heard
	}
	for s.state == framed {
		frame, rest, ok, err := s.decoder.Next(data)
		if err != nil {
			s.bidFarewell(farewell{err, refusalAnswer(err)})
			break
		}
		if !ok {
			break
		}
		s.gather(frame)
		s.since, data = s.heard, rest // what follows is another frame
	}
	s.dispatch()
}

// checkTime ends the conversation with a peer that is too slow, or that has
// nothing to say.
func (s *session) checkTime(now time.Time) {
	if s.state != closed {
		s.countUnread()
	}
	config := &s.server.config
	switch incomplete := s.decoder.Buffered() > 0 || s.state == echoing; {
	case s.state == deaf, s.state == closed:
	case incomplete && now.Sub(s.since) > config.FrameTimeout:
		reason := fmt.Sprintf("what was begun is not complete after %v", config.FrameTimeout)
		if s.state == echoing {
			s.refuseLine(reason)
			return
		}
		s.bidFarewell(farewell{errors.New(reason), &codec.Retry{Reason: reason}})
		s.dispatch()
	case len(s.out) == 0 && s.parked == nil && now.Sub(s.heard) > config.IdleTimeout:
		reason := fmt.Sprintf("nothing was said for %v", config.IdleTimeout)
		s.bidFarewell(farewell{errors.New(reason), &codec.Retry{Reason: reason}})
		s.dispatch()
	}
}

func (s *session) gather(frame codec.Frame) {
	config, size := &s.server.config, len(frame.Payload)
	if s.frames == config.WindowFrames || s.bytes+size > config.WindowBytes {
		reason := fmt.Sprintf("more than %d frames or %d bytes wait for their answer", config.WindowFrames, config.WindowBytes)
		s.bidFarewell(farewell{errors.New(reason), &codec.Retry{Reason: reason}})
		return
	}
	if s.parked != nil && s.bytes+size > maxBehindQuery {
		s.endQuery()
		return
	}
	if s.server.waiting.get()+size > config.MaxWaiting {
		s.hold(1, 0)
		s.gathered().addRefused(frame.Type)
		return
	}
	s.hold(1, size)
	s.gathered().add(frame)
}

// hold counts frames, and bytes of payload, that wait for their answer, or no
// longer do.
func (s *session) hold(frames, bytes int) {
	s.frames += frames
	s.bytes += bytes
	s.server.frames.add(frames)
	s.server.waiting.add(bytes)
}

// bidFarewell lets the connection end after the answers to all that came
// before.
func (s *session) bidFarewell(f farewell) {
	s.gathered().farewell = f
	s.state = deaf
}

func (s *session) gathered() *burst {
	if s.gathering == nil {
		s.gathering = newBurst(s)
	}
	return s.gathering
}

// dispatch sends what was gathered to the workers, unless it has to wait for
// a burst that is out, or for the draw.
func (s *session) dispatch() {
	if s.gathering == nil || s.parked != nil || s.server.stopping.Load() {
		return
	}
	if len(s.out) > 0 && !s.gathering.mayFollow(s.out[0]) || !s.pipeline.enter() {
		return
	}
	b := s.gathering
	s.gathering = nil
	b.bets = b.onlyBets()
	s.send(b)
}

func (s *session) send(b *burst) {
	s.out = append(s.out, b)
	s.server.enqueue(b)
}

// speaksFor returns the agency of that name, which must be the one that the
// connection named first. The error is a *lottery.Refusal. It is for whoever
// has the session's burst.
func (s *session) speaksFor(name string) (int, error) {
	agency, err := lottery.ParseAgency(name)
	if err != nil {
		return 0, err
	}
	if s.agency == 0 {
		s.agency = agency
	}
	if agency != s.agency {
		return 0, &lottery.Refusal{
			Code:   lottery.WrongAgency,
			Reason: fmt.Sprintf("the connection speaks for agency %d, not %d", s.agency, agency),
		}
	}
	return agency, nil
}

// answered takes the oldest burst that is out back from its worker.
func (s *session) answered(b *burst) {
	if s.out[0] != b {
		panic("reactor: a burst has overtaken another")
	}
	s.out = slices.Delete(s.out, 0, 1)
	if !b.bets {
		s.pipeline.leave()
	}
	s.write(b.answers)
	b.answers = b.answers[:0]
	s.observeTold(b.told)
	b.told = 0
	switch {
	case s.state == closed:
		s.release(b)
		s.forget()
	case b.hangUp:
		s.release(b)
		s.linger()
	case b.query != 0 && !s.server.announced.Load():
		s.park(b)
	case b.query != 0:
		s.tellWinners(b)
	default:
		s.release(b)
		s.dispatch()
	}
	if s.server.stopping.Load() && len(s.out) == 0 {
		s.hangUp()
	}
}

// forget drops the session, whose connection is closed, when the workers have
// nothing of it.
func (s *session) forget() {
	if len(s.out) == 0 {
		delete(s.server.sessions, s)
	}
}

// maxBehindQuery bounds what may wait behind a query that is parked, in bytes
// of payload: it waits for as long as the slowest agency needs.
const maxBehindQuery = 2 * codec.MaxPayload

// park keeps the query of a burst, and what is behind it, until the draw, in
// as little memory as that takes.
func (s *session) park(b *burst) {
	rest := b.behind()
	s.release(b)
	s.parked = rest
	s.hold(len(rest.requests), len(rest.payloads))
	s.server.parked[s] = struct{}{}
	s.server.queries.add(1)
	if s.bytes > maxBehindQuery {
		s.endQuery()
	}
}

// endQuery ends the conversation with a peer that sends more behind a parked
// query than is kept for it.
func (s *session) endQuery() {
	reason := fmt.Sprintf("more than %d bytes wait behind a query", maxBehindQuery)
	s.server.log.Error().Str("action", "receive_frame").Str("result", "fail").
		Str("ip", s.peer).Str("error", reason).Send()
	s.server.cut.add(1)
	s.letGo()
	s.write(appendAnswer(nil, &codec.Retry{Reason: reason}))
	s.linger()
}

// tellWinners answers the query that the burst waits for, now that the draw is
// announced. The burst then goes back to the workers, which have the rest of
// it, if there is any.
func (s *session) tellWinners(b *burst) {
	s.write(s.server.winnersAnswer(b.query))
	s.observeTold(b.query)
	b.query = 0
	switch {
	case s.state == closed:
		s.release(b)
		s.forget()
	case b.done() && !b.farewell.isSet():
		s.release(b)
		s.dispatch()
	default:
		s.pipeline.enter() // nothing is out: it may
		s.send(b)
	}
}

// observeTold says that the agency's winners were written, unless the connection
// had gone, or there were none to write (agency 0).
func (s *session) observeTold(agency int) {
	if agency != 0 && s.state != closed {
		s.server.config.Observer.Told(agency)
	}
}

// letGo gives back what the session holds that is not out.
func (s *session) letGo() {
	if s.gathering != nil {
		s.release(s.gathering)
		s.gathering = nil
	}
	if s.parked != nil {
		s.release(s.unpark())
	}
}

// unpark returns the burst that waited for the draw, and does not any more.
func (s *session) unpark() *burst {
	b := s.parked
	s.parked = nil
	delete(s.server.parked, s)
	s.server.queries.add(-1)
	return b
}

func (s *session) release(b *burst) {
	s.hold(-len(b.requests), -len(b.payloads))
	b.release()
}

// write writes answers. When it fails, or when the peer has left too many
// unread, the connection is closed; see ended for what follows.
func (s *session) write(answers []byte) {
	if s.state == closed || len(answers) == 0 {
		return
	}
	_, _ = s.conn.Write(answers) // on an error, gnet has closed the connection
	if s.state == closed {
		return
	}
	s.countUnread()
	config := &s.server.config
	if s.unread > config.MaxUnread || s.unread > 0 && s.server.unread.get() > config.MaxWaiting {
		s.server.log.Error().Str("action", "send_answer").Str("result", "fail").Str("ip", s.peer).
			Int("unread_bytes", s.unread).Int("max_unread_bytes", config.MaxUnread).Send()
		s.server.cut.add(1)
		s.hangUp()
	}
}

// countUnread brings the count of what peers have not taken up to date. gnet
// does not tell when it gets rid of something, so that is seen at the next
// write, or sweep.
func (s *session) countUnread() {
	now := s.conn.OutboundBuffered()
	s.server.unread.add(now - s.unread)
	s.unread = now
}

// linger ends the conversation. The peer gets an end of file after the last
// answer; the connection is closed when the peer has closed its side, or soon.
func (s *session) linger() {
	if s.state == closed {
		return
	}
	s.state = deaf
	s.closeAfter = time.Now().Add(lingerTime)
	s.server.lingering[s] = struct{}{}
	s.endOutput()
}

// endOutput shows the peer an end of file, once everything is written.
func (s *session) endOutput() {
	if s.conn.OutboundBuffered() == 0 {
		shutdownWrite(s.conn.Fd())
	}
}

// hangUp closes the connection now.
func (s *session) hangUp() {
	if s.state != closed {
		_ = s.conn.EventLoop().Close(s.conn)
	}
}

// ended lets go of everything when the connection is gone. Bursts that are
// with the queue or a worker come back to answered.
func (s *session) ended() {
	s.state = closed
	s.gone.Store(true)
	s.server.connections.add(-1)
	s.server.unread.add(-s.unread)
	s.unread = 0
	delete(s.server.lingering, s)
	s.server.left(s.peer)
	s.letGo()
	s.forget()
}
