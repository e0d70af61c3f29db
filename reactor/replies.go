package reactor

import (
	"io"
	"slices"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// A connection that the server has finished with stays open for a moment, for
// its peer to read the last reply: closing it with unread bytes in the socket
// would reset it, and the reply might be lost (RFC 1122, 4.2.2.13).
const lingerTime = 2 * time.Second // until the peer closes its side

// outlet is where replies go: gnet's connection, or what remains of it.
type outlet interface {
	io.Writer
	OutboundBuffered() int // bytes that wait until the peer reads
}

// completed takes a job back whose replies are there.
func (s *session) completed(j *job) {
	j.complete = true
	s.flush()
	if s.shard.server.stopping.Load() {
		s.closeIfIdle()
	}
}

// flush writes the replies that are next, as far as they are there.
func (s *session) flush() {
	if s.flushing {
		return // the connection was closed by a write
	}
	s.flushing = true
	replies := s.shard.replies[:0]
	for {
		j := s.next()
		if j == nil && len(replies) == 0 {
			break
		}
		if j == nil || j.query != 0 {
			s.write(replies)
			replies = replies[:0]
		}
		if j == nil {
			continue // there is more to do when the connection was closed
		}
		if j.query != 0 {
			// By itself, to see whether the peer takes it: unlike any other reply, it
			// may be many times the request.
			s.tellWinners(j.query)
		}
		if !j.written {
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
		s.shard.replies = replies
	}
	s.flushing = false
	if len(s.jobs) > 1 && s.short.hasWritten(s.jobs[0]) {
		s.shard.mail.put(letter{do: func() {}}) // the first is in the mailbox, and the next must not wait for the sweep
	}
	s.short.pass(s.count-uint64(len(s.jobs)), s.unread > 0)
	switch {
	case len(s.jobs) > 0:
	case s.state == draining && s.isTail():
		s.linger()
	case s.state == closed:
		delete(s.shard.sessions, s)
	}
}

// next returns the first job, if its replies are there or nobody waits for them.
func (s *session) next() *job {
	if len(s.jobs) == 0 {
		return nil
	}
	j := s.jobs[0]
	if j.complete || j.query != 0 && (s.state == closed || s.shard.server.announced()) {
		return j
	}
	return nil
}

// write writes replies. When it fails, or when the peer has left too many
// unread, the connection is closed; see ended for what follows.
func (s *session) write(replies []byte) {
	if s.state == closed || len(replies) == 0 {
		return
	}
	if _, err := s.conn.Write(replies); err != nil {
		s.close() // which gnet has already done with its own
		return
	}
	s.countUnread()
	server := s.shard.server
	if s.unread > server.config.MaxUnread || s.unread > 0 && server.unread.get() > server.config.MaxWaiting {
		server.config.LoopLog.Error().Str("action", "send_answer").Str("result", "fail").Str("ip", s.peer).
			Int("unread_bytes", s.unread).Int("max_unread_bytes", server.config.MaxUnread).Send()
		server.cut.add(1)
		s.close()
	}
}

// countUnread brings the count of what peers have not taken up to date. gnet
// does not tell when it gets rid of something, so that is seen at the next
// write, or sweep.
func (s *session) countUnread() {
	if now := s.conn.OutboundBuffered(); now != s.unread {
		s.shard.server.unread.add(now - s.unread)
		s.unread = now
		s.short.pass(s.count-uint64(len(s.jobs)), now > 0)
	}
}

// linger ends the conversation. The peer gets an end of file after the last
// reply; the connection is closed when the peer has closed its side, or soon.
func (s *session) linger() {
	if s.state == closed {
		return
	}
	s.state = draining
	s.closeAfter = time.Now().Add(lingerTime)
	if s.isTail() {
		s.closeAfter = time.Now().Add(tailTime)
	}
	s.shard.lingering[s] = struct{}{}
	s.endOutput()
}

// endOutput shows the peer of a conversation that has ended an end of file, once
// everything is written. One that has closed its side needs nothing more.
func (s *session) endOutput() {
	if t, ok := s.conn.(*tail); ok && t.flush() != nil {
		s.close()
		return
	}
	switch {
	case len(s.jobs) > 0 || s.conn.OutboundBuffered() > 0:
	case s.isTail():
		s.close()
	default:
		_ = unix.Shutdown(s.conn.(gnet.Conn).Fd(), unix.SHUT_WR) // it may be gone already, which is as good
	}
}

// close closes the connection now.
func (s *session) close() {
	if s.state == closed {
		return
	}
	switch conn := s.conn.(type) {
	case *tail:
		_ = unix.Close(conn.fd)
		s.ended(nil)
	case gnet.Conn:
		_ = conn.EventLoop().Close(conn)
	}
}
