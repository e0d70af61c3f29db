package reactor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
	"loteria/codec"
)

// What follows runs on the event loop, but for OnBoot, which comes before it.

// OnBoot implements gnet.EventHandler.
func (s *Server) OnBoot(engine gnet.Engine) gnet.Action {
	s.engine = engine
	if s.address, s.booted = setBacklog(engine, s.config.Backlog); s.booted != nil {
		return gnet.Shutdown
	}
	s.config.Log.Info().Str("action", "listen").Str("result", "success").Stringer("address", s.address).Send()
	close(s.ready)
	return gnet.None
}

// OnOpen implements gnet.EventHandler.
func (s *Server) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	if s.loop.Load() == nil {
		loop := c.EventLoop()
		s.loop.Store(&loop)
	}
	peer := peerOf(c)
	if s.stopping.Load() {
		return nil, gnet.Close
	}
	if reason := s.noRoom(peer); reason != "" {
		s.log.Error().Str("action", "accept_connection").Str("result", "fail").Str("ip", peer).
			Str("error", reason).Send()
		s.refused.add(1)
		return appendAnswer(nil, &codec.Retry{Reason: reason}), gnet.Close
	}
	s.addresses[peer]++
	s.connections.add(1)
	// gnet's option for it would hide why it cannot listen, when it cannot:
	// it goes on to set the option on the socket that there is not.
	_ = c.SetKeepAlivePeriod(keepAlive)
	session := &session{server: s, conn: c, peer: peer, heard: time.Now()}
	s.sessions[session] = struct{}{}
	c.SetContext(session)
	return nil, gnet.None
}

// noRoom returns why there is no room for one more connection of the peer, or
// "" when there is.
func (s *Server) noRoom(peer string) string {
	switch config := &s.config; {
	case len(s.sessions) >= config.MaxConnections:
		return fmt.Sprintf("there are %d connections, more are not taken", config.MaxConnections)
	case s.addresses[peer] >= config.MaxPerAddress:
		return fmt.Sprintf("there are %d connections from this address, more are not taken", config.MaxPerAddress)
	}
	return ""
}

// left forgets a connection of the peer.
func (s *Server) left(peer string) {
	if s.addresses[peer]--; s.addresses[peer] == 0 {
		delete(s.addresses, peer)
	}
}

// OnTraffic implements gnet.EventHandler.
func (s *Server) OnTraffic(c gnet.Conn) gnet.Action {
	data, _ := c.Next(-1) // everything, so that gnet never buffers any
	if session, ok := c.Context().(*session); ok {
		session.receive(data)
	}
	return gnet.None
}

// OnClose implements gnet.EventHandler.
func (s *Server) OnClose(c gnet.Conn, err error) gnet.Action {
	session, ok := c.Context().(*session)
	if !ok {
		return gnet.None // it was refused
	}
	if session.state == echoing && len(session.line) > 0 && errors.Is(err, io.EOF) {
		session.echo() // the peer has closed its side after a line without a break
	}
	session.ended()
	event := s.log.Debug()
	if s.stopping.Load() {
		event = s.log.Info()
	}
	event.Str("action", "close_connection").Str("result", "success").Str("ip", session.peer)
	if err != nil {
		event.Str("reason", err.Error())
	}
	event.Send()
	return gnet.None
}

// enqueue hands a burst to the workers. The queue has room for one burst of
// each session that there can be, and a session has one there at most.
func (s *Server) enqueue(b *burst) {
	select {
	case s.queue <- b:
		s.busy.add(1)
	default:
		panic("reactor: a session has two bursts in the queue")
	}
}

// returned takes a burst back from the workers.
func (s *Server) returned(b *burst) {
	s.busy.add(-1)
	b.session.answered(b)
	s.checkQuiet()
}

func (s *Server) checkQuiet() {
	if s.stopping.Load() && s.busy.get() == 0 {
		select {
		case <-s.quiet:
		default:
			close(s.quiet)
		}
	}
}

// tellParked answers all parked queries.
func (s *Server) tellParked() {
	for session := range s.parked {
		session.tellWinners(session.unpark())
	}
}

// winnersAnswer returns the frames that answer the agency's query. The draw
// is announced, so they are the same for every query.
func (s *Server) winnersAnswer(agency int) []byte {
	answer, ok := s.winners[agency]
	if ok {
		return answer
	}
	documents, _, err := s.lottery.Winners(agency)
	if err != nil {
		answer = appendAnswer(nil, refusalAnswer(err))
	} else {
		answer = appendWinners(nil, documents)
	}
	s.winners[agency] = answer
	return answer
}

// closeIdle closes, for a stop, every connection whose burst is not with the
// queue or a worker. The others follow when theirs comes back. Parked queries
// get no answer: there was no draw.
func (s *Server) closeIdle() {
	for session := range s.sessions {
		if len(session.out) == 0 {
			session.hangUp()
		}
	}
	s.checkQuiet()
}

// sweep ends the connections that have taken too long, and closes those that
// have lingered long enough.
func (s *Server) sweep() {
	now := time.Now()
	var frames, bytes int
	for session := range s.sessions {
		frames, bytes = max(frames, session.frames), max(bytes, session.bytes)
		session.checkTime(now)
	}
	s.windowFrames.set(frames)
	s.windowBytes.set(bytes)
	for session := range s.lingering {
		if now.After(session.closeAfter) {
			session.hangUp()
		} else {
			session.endOutput()
		}
	}
}

func peerOf(c gnet.Conn) string {
	if address, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return address.IP.String()
	}
	return "unknown"
}

// shutdownWrite sends an end of file. The connection may be gone already,
// which is as good.
func shutdownWrite(fd int) { _ = unix.Shutdown(fd, unix.SHUT_WR) }
