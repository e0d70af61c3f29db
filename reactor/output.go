package reactor

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// The loop writes to a socket itself: gnet buffers what the socket does not take,
// but does not tell when that is written, and discards it at the end of file.

const (
	// maxPart is how many bytes of an agency's winners are written at once, so
	// that no peer keeps the loop from the others.
	maxPart = 256 << 10
	// stallTime is how long a peer may take nothing of its replies. A peer that takes
	// something now and then gets all of them.
	stallTime = 30 * time.Second
)

// outlet is the socket of a connection: a gnet.Conn or a tail.
type outlet interface{ Fd() int }

// owes reports whether something is still to be written.
func (s *session) owes() bool { return len(s.unread) > 0 || s.telling }

// write writes replies, and keeps what the socket does not take. When it fails,
// or when too much is kept, the connection is closed; see ended for what follows.
func (s *session) write(replies []byte) {
	if s.state == closed || len(replies) == 0 {
		return
	}
	s.answered = time.Now()
	s.output(s.seal(replies))
}

// output is write for bytes as they go over the wire.
func (s *session) output(wire []byte) {
	if s.state == closed || len(wire) == 0 {
		return
	}
	if len(s.unread) == 0 {
		wire = wire[s.put(wire):]
	}
	if s.state == closed || len(wire) == 0 {
		return
	}
	s.unread = append(s.unread, wire...)
	s.awaitRoom()
	server := s.server
	server.debts.set(s, len(s.unread))
	if most := server.config.MaxUnread; len(s.unread) > most {
		s.cut(fmt.Errorf("the peer has left more than %d bytes of answers unread", most))
		return
	}
	if debtor := server.debts.pick(server.config.MaxWaiting); debtor != nil {
		debtor.shard().mail.put(task{do: debtor.cutDebtor, session: debtor})
	}
}

// put writes what the socket takes, and returns how many bytes that is. The
// connection is closed when the peer is gone.
func (s *session) put(p []byte) int {
	n, err := unix.Write(s.conn.Fd(), p)
	n = max(n, 0)
	s.written += n
	if err != nil && err != unix.EAGAIN && err != unix.EINTR {
		s.close()
	}
	return n
}

// awaitRoom lets hasRoom be called when the socket takes bytes again.
func (s *session) awaitRoom() {
	if s.waiting || s.state == closed {
		return
	}
	s.waiting, s.lastTaken = true, time.Now()
	if err := s.server.poller.await(s.conn.Fd(), s); err != nil {
		s.cut(fmt.Errorf("wait until the socket takes more: %w", err))
	}
}

// hasRoom continues with what is still to be written.
func (s *session) hasRoom() {
	if s.waiting = false; s.state == closed {
		return
	}
	if len(s.unread) > 0 {
		s.unread = s.unread[s.put(s.unread):]
		if s.state == closed {
			return
		}
		s.server.debts.set(s, len(s.unread))
		if len(s.unread) > 0 {
			s.awaitRoom()
			return
		}
		s.unread = nil
	}
	s.flush()
	if s.state == draining && len(s.jobs) == 0 {
		s.linger()
	}
	s.closeIfStopping()
}

// tell writes the reply to the query that is next, in parts, and reports whether
// that is done. If not, the rest follows when the peer has taken what is written.
// The reply is shared, so a slow peer costs no memory.
func (s *session) tell(j *job) (done bool) {
	if !s.telling {
		s.telling, j.replies = true, s.server.winners(j.query)
	}
	if len(s.unread) == 0 {
		s.answered = time.Now()
		j.replies = j.replies[s.putPart(j.replies):]
	}
	if s.state != closed && len(s.unread)+len(j.replies) > 0 {
		s.awaitRoom()
		return false
	}
	s.telling = false
	if s.state != closed {
		s.server.config.Observer.WinnersSent(j.query)
	}
	return true
}

// checkTaken cuts off a peer that takes nothing.
func (s *session) checkTaken(now time.Time) {
	if !s.owes() || !s.waiting {
		return
	}
	// What the socket has taken, the peer may not have.
	left, err := unix.IoctlGetInt(s.conn.Fd(), unix.SIOCOUTQ)
	if taken := s.written - left; err == nil && taken != s.taken {
		s.taken, s.lastTaken = taken, now
	}
	if now.Sub(s.lastTaken) > stallTime {
		s.cut(fmt.Errorf("the peer has taken nothing of its answers for %v", stallTime))
	}
}

var errDebtor = errors.New("peers have left too many answers unread in all, and this one is among those with the most")

// cutDebtor cuts off a peer that was picked for what it has left unread, unless it
// has taken all meanwhile. Then it may also be on its way to another loop.
func (s *session) cutDebtor() {
	if len(s.unread) > 0 {
		s.cut(errDebtor)
	}
}

// cut closes the connection of a peer that does not take its answers.
func (s *session) cut(reason error) {
	if s.state == closed {
		return
	}
	server := s.server
	server.config.LoopLog.Error().Str("action", "send_answer").Str("result", "fail").Str("ip", s.peer).
		Int("unread_bytes", len(s.unread)).Err(reason).Send()
	server.cut.add(1)
	s.close()
}
