package reactor

import (
	"sync/atomic"
	"time"

	"loteria/codec"
	"loteria/lottery"
)

// state is where a session stands.
type state int

const (
	unused   state = iota // nothing was received
	framed                // an agency, which speaks the protocol
	echoing               // a person, whose line comes back
	draining              // whatever comes in is thrown away
	closed                // the connection is gone
)

// session is one connection. It belongs to its shard's event loop, so it has no
// lock, except for its shortcut.
type session struct {
	server *Server
	home   atomic.Pointer[shard] // see shard
	conn   outlet
	secure *secure      // over TLS, or nil
	opened atomic.Int32 // how often a loop has taken its connection
	place  int          // among its shard's sessions
	peer   string       // IP address
	state  state

	decoder codec.Decoder
	line    []byte // what an echoing peer has sent of its line

	jobs   []*job // whose replies are still to be written, in their order
	short  shortcut
	count  uint64 // jobs that there were
	open   *job   // the last one, while requests are added to it, or nil
	frames gauge  // in jobs, and behind a parked query
	bytes  gauge  // of payload in them

	parked bool // the last job is a query that waits for the draw
	behind behind

	agency  int            // whose the certificate is, or the first one named, or 0
	writer  lottery.Writer // what its last RESUME has made it, or 0
	lost    error          // why a bet was not taken, while later ones must not be either
	losses  losses         // bets that were not taken after all, since the loop last looked
	resumed uint64         // number of the job of its last RESUME: losses before it count no more

	lastSeen time.Time // when something last came in
	since    time.Time // when the first byte of an incomplete frame or line came in

	flushing   bool      // flush is at work
	inputEnded bool      // the peer has closed its side, and is still to get replies
	ignored    int       // bytes thrown away
	lingering  bool      // it is closed soon
	closeAfter time.Time // at the latest, when everything is written

	unread    []byte    // replies that the socket has not taken
	telling   bool      // the first job is a query, of whose reply a part is written
	waiting   bool      // until the socket has room
	written   int       // bytes, to the socket by the loop; over TLS, as they are sealed
	taken     int       // of these, by the peer when last looked at
	lastTaken time.Time // when the peer took something last, or began to wait
	answered  time.Time // when something was last written
}

func newSession(server *Server, shard *shard, peer string) *session {
	s := &session{server: server, peer: peer, lastSeen: time.Now()}
	s.home.Store(shard)
	return s
}

// shard returns the shard that the session belongs to. Its loop may move the session
// to another one: for all others it is where tasks for the session go.
func (s *session) shard() *shard { return s.home.Load() }

// maxIgnored is how many bytes are thrown away before the connection is closed.
const maxIgnored = 1 << 20

// A request costs about its payload and frameCost in memory, in bytes; those that
// come with one read cost about jobCost more together.
const (
	frameCost = 192
	jobCost   = 512
)

// receive takes what has come in.
func (s *session) receive(data []byte) {
	if s.server.stopping.Load() && s.state != draining {
		return
	}
	s.lastSeen = time.Now()
	if s.state == unused && len(data) > 0 {
		s.state, s.since = framed, s.lastSeen
		// A frame begins with 0, or its length would be refused.
		if data[0] != 0 && s.server.config.Echo && s.secure == nil {
			s.state = echoing
		}
	}
	switch s.state {
	case framed:
		if s.decoder.Buffered() == 0 {
			s.since = s.lastSeen
		}
		s.receiveFrames(&s.decoder, data)
	case echoing:
		s.receiveLine(data)
	case draining:
		s.ignore(len(data))
	}
}

// ignore throws bytes away.
func (s *session) ignore(n int) {
	if s.ignored += n; s.ignored > maxIgnored {
		s.close()
	}
}

// isWithin reports whether the peer has begun something that is not complete.
func (s *session) isWithin() bool {
	return s.decoder.Buffered() > 0 || s.secure != nil && s.secure.transport.records.within()
}

// receiveFrames does what the frames in data ask for. Their replies, however many,
// go out in one write if they are ready together.
func (s *session) receiveFrames(decoder *codec.Decoder, data []byte) {
	for s.state == framed {
		frame, rest, ok, err := decoder.Next(data)
		if err != nil {
			s.closeAfterReplies(err)
			break
		}
		if !ok {
			break
		}
		s.request(frame)
		s.since, data = s.lastSeen, rest // what follows is another frame
	}
	s.send()
}

// request does what a frame asks for, within the bounds of the connection and of
// the server.
func (s *session) request(frame codec.Frame) {
	server := s.server
	config, size := &server.config, len(frame.Payload)
	frames, waiting := s.frames.get(), server.waiting.get()+frameCost+size
	if err := s.losses.take(s.resumed); err != nil {
		s.lost = err
	}
	if frames == 0 && s.writer == 0 {
		s.lost = nil
	}
	switch {
	case frames == config.WindowFrames || s.bytes.get()+size > config.WindowBytes:
		s.closeAfterReplies(retry("more than %d frames or %d bytes wait for their answer", config.WindowFrames, config.WindowBytes))
	case s.parked:
		s.keepBehind(frame)
	case frames > 0 && waiting > 2*config.MaxWaiting: // the refusals wait, too
		s.closeAfterReplies(errBusy)
	case frames > 0 && waiting > config.MaxWaiting:
		if frame.Type == codec.TypeBet || frame.Type == codec.TypeBatch {
			s.lose(errBusy)
		}
		s.conclude(outcome{agency: s.agency, err: errBusy})
	default:
		if err := s.handle(frame.Type, frame.Payload); err != nil {
			s.closeAfterReplies(err)
		}
	}
}

// openJob returns the job that requests are added to.
func (s *session) openJob() *job {
	if s.open == nil {
		s.open = newJob(s)
		s.open.number = s.count
		s.short.opened(s.count)
		s.count++
		s.jobs = append(s.jobs, s.open)
		s.server.busy.add(1)
		s.server.waiting.add(jobCost)
	}
	return s.open
}

// conclude notes the outcome of a request.
func (s *session) conclude(o outcome) {
	j := s.openJob()
	j.outcomes = append(j.outcomes, o)
	j.frames++
	j.bytes += o.bytes
	s.account(1, o.bytes)
	s.server.waiting.add(frameCost + o.bytes)
}

// send releases the open job: when nothing is left to wait for, it is complete.
func (s *session) send() {
	if j := s.open; j != nil {
		s.open = nil
		j.releaseOnLoop()
	}
}

// account adds to the frames that wait for their answer, and to their bytes of
// payload. Both may be negative.
func (s *session) account(frames, bytes int) {
	s.frames.add(frames)
	s.bytes.add(bytes)
	s.server.frames.add(frames)
}

// closeAfterReplies ends the connection after the replies to all that came before,
// and one that says why.
func (s *session) closeAfterReplies(err error) {
	s.state = draining
	s.decoder = codec.Decoder{}
	if s.parked {
		s.behind.closeReason = err
		return
	}
	s.conclude(outcome{agency: s.agency, err: err})
	s.open.closing = true
	s.send()
}

// checkTime ends the conversation with a peer that is too slow, or that has
// nothing to say.
func (s *session) checkTime(now time.Time) {
	if s.state == closed {
		return
	}
	s.checkTaken(now)
	config := &s.server.config
	switch {
	case s.state == closed:
	case s.lingering && now.After(s.closeAfter) && s.isIdle():
		s.close()
	case s.state == draining:
	case s.state == echoing && now.Sub(s.lastSeen) > quietTime:
		s.finishLine()
	case s.state == echoing && now.Sub(s.since) > config.FrameTimeout:
		s.refuseLine(s.notComplete())
	case s.isWithin() && now.Sub(s.since) > config.FrameTimeout:
		s.closeAfterReplies(s.notComplete())
	case len(s.jobs) == 0 && now.Sub(s.lastSeen) > config.IdleTimeout && now.Sub(s.answered) > config.IdleTimeout:
		s.closeAfterReplies(retry("nothing was said for %v", config.IdleTimeout))
	case s.decoder.Buffered() == 0:
		s.decoder = codec.Decoder{} // it needs no memory now
	}
}

func (s *session) notComplete() error {
	return retry("what was begun is not complete after %v", s.server.config.FrameTimeout)
}

// isIdle reports whether no reply is pending, except to a query that waits for the
// draw.
func (s *session) isIdle() bool {
	return !s.owes() && (len(s.jobs) == 0 || s.parked && len(s.jobs) == 1)
}

// closeIfStopping closes an idle connection when the server stops.
func (s *session) closeIfStopping() {
	if s.state == closed || !s.server.stopping.Load() || !s.isIdle() {
		return
	}
	if s.parked {
		s.dropQuery()
	}
	if s.inputEnded || time.Since(s.answered) > lingerTime {
		s.close()
	} else {
		s.linger()
	}
}

// ended releases everything when the connection is gone. Jobs that wait for the
// lottery come back to completed.
func (s *session) ended(err error) {
	s.state = closed
	s.short.use(0, nil)
	server := s.server
	server.poller.forget(s.conn.Fd())
	if s.secure != nil {
		server.secured.add(-1)
	}
	server.debts.set(s, 0)
	s.unread, s.telling = nil, false
	s.shard().left(s)
	s.releaseParked()
	s.flush()
	event := server.config.LoopLog.Debug()
	if server.stopping.Load() {
		event = server.config.LoopLog.Info()
	}
	event.Str("action", "close_connection").Str("result", "success").Str("ip", s.peer)
	if err != nil {
		event.Str("reason", err.Error())
	}
	event.Send()
}
