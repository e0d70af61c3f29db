package reactor

import (
	"slices"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// A connection that the server has finished with stays open for a moment, for
// its peer to read the last reply: closing it with unread bytes in the socket
// would reset it, and the reply might be lost (RFC 1122, 4.2.2.13).
const (
	lingerTime    = 2 * time.Second // until the peer closes its side
	maxStopLinger = time.Second     // likewise, of all connections together at a stop
)

// completed takes back a job whose replies are ready.
func (s *session) completed(j *job) {
	j.complete = true
	s.flush()
	s.closeIfStopping()
}

// flush writes the replies that are next, as far as they are ready.
func (s *session) flush() {
	if s.flushing {
		return // a write has closed the connection
	}
	s.flushing = true
	s.claim()
	replies := s.shard().replies[:0]
	for {
		j := s.next()
		if (j == nil || j.query != 0) && len(replies) > 0 {
			s.write(replies)
			replies = replies[:0]
			continue // there is more to do when the connection was closed
		}
		if j == nil || j.query != 0 && s.state != closed && !s.tell(j) {
			break
		}
		switch {
		case j.query != 0:
		case j.written:
			s.answered = time.Now()
		default:
			replies = append(replies, j.replies...)
		}
		closing := j.closing
		s.jobs = slices.Delete(s.jobs, 0, 1)
		j.drop()
		if closing {
			s.write(replies)
			replies = replies[:0]
			s.linger()
		}
	}
	if cap(replies) <= maxSpareJob {
		s.shard().replies = replies
	}
	s.flushing = false
	if len(s.jobs) > 1 && s.short.hasWritten(s.jobs[0]) {
		s.shard().mail.wake() // the first is there, and the next must not wait for the sweep
	}
	s.pass()
	switch {
	case len(s.jobs) > 0:
	case s.parked:
		s.unpark()
	case s.state == draining && s.inputEnded:
		s.linger()
	case s.state == closed:
		s.shard().forget(s)
	}
}

// next returns the first job, if its replies are ready or nobody waits for them.
func (s *session) next() *job {
	if len(s.jobs) == 0 {
		return nil
	}
	j := s.jobs[0]
	if j.complete || j.query != 0 && (s.state == closed || s.server.announced()) {
		return j
	}
	return nil
}

// linger ends the conversation. The peer gets an end of file after the last
// reply; the connection is closed when the peer has closed its side, or soon.
func (s *session) linger() {
	if s.state == closed {
		return
	}
	s.state, s.lingering = draining, true
	s.closeAfter = time.Now().Add(lingerTime)
	if s.inputEnded {
		s.closeAfter = time.Now().Add(tailTime)
	}
	s.endOutput()
}

// endOutput half-closes the connection of a conversation that has ended, once
// everything is written, or closes it if the peer has closed its side.
func (s *session) endOutput() {
	switch {
	case len(s.jobs) > 0 || s.owes():
	case s.inputEnded:
		s.close()
	default:
		s.sayEnd()
		_ = unix.Shutdown(s.conn.Fd(), unix.SHUT_WR) // the peer may be gone already, which does no harm
	}
}

// close closes the connection now.
func (s *session) close() {
	if s.state == closed {
		return
	}
	s.sayEnd()
	switch conn := s.conn.(type) {
	case tail:
		s.ended(nil)
		_ = unix.Close(conn.Fd())
	case gnet.Conn:
		_ = conn.EventLoop().Close(conn)
	}
}
