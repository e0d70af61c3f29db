package reactor

import (
	"errors"
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// New connections without TLS share one event loop while there are at most maxTogether
// of them, and at most maxGathered bytes of requests, by their cost, wait for their
// answer in the whole server. Those that were moved to others stay there.
//
// With a few batches in the server one loop does the work of several with less: it
// is awake when the next batch comes, while each of several would have to be woken
// for its share, and sleeps again before it has another. With more than that it is
// the loop that others wait for.
const (
	maxTogether = 16
	maxGathered = 128 << 10
)

// shardForNew returns the shard of a new connection, and counts it there. While there
// is little to do, all are with the first: a connection can be moved later.
func (s *Server) shardForNew() *shard {
	shard := s.shards[0]
	if s.waiting.get() > s.maxGathered || shard.connections.get() >= maxTogether || shard.isStuck() {
		return s.leastLoaded()
	}
	shard.connections.add(1)
	return shard
}

// moveOn moves a session that has just received something to a loop that has fewer
// connections, when there is much to do. It reports whether it did: then the
// session belongs to that loop, and gnet must close its connection here, of which
// the other loop gets a duplicate.
func (sh *shard) moveOn(s *session, c gnet.Conn) bool {
	server := sh.server
	if server.waiting.get() <= server.maxGathered || !s.isMovable() {
		return false
	}
	to := server.fewestConnections()
	if to.connections.get()+1 >= sh.connections.get() {
		return false
	}
	select {
	case server.enrolling <- struct{}{}: // a stop waits for it
	default:
		return false
	}
	if server.stopping.Load() {
		<-server.enrolling
		return false
	}
	fd, err := c.Dup()
	if err != nil { // no descriptor is free
		<-server.enrolling
		return false
	}
	s.short.use(0, nil)
	s.flushing = true // until it has its connection
	sh.forget(s)
	sh.connections.add(-1)
	to.connections.add(1)
	c.SetContext(nil)
	s.home.Store(to) // from here on it is the other loop's
	sh.mail.wake()   // for jobs that were left there
	go func() {
		to.enrollMoved(s, fd)
		<-server.enrolling
	}()
	return true
}

// isMovable reports whether nothing but jobs would have to be moved with it.
func (s *session) isMovable() bool {
	return s.state == framed && s.secure == nil && !s.parked && !s.waiting && !s.owes() && !s.flushing
}

// enrollMoved gives the loop a session's connection. If that fails, the connection
// is closed.
func (sh *shard) enrollMoved(s *session, fd int) {
	file := os.NewFile(uintptr(fd), "connection")
	conn, err := net.FileConn(file)
	file.Close()
	switch {
	case err != nil:
	case conn.RemoteAddr() == nil: // the peer has reset it, and gnet wants an address
		err = errors.Join(os.NewSyscallError("getpeername", unix.ENOTCONN), conn.Close())
	default:
		_ = conn.(*net.TCPConn).SetKeepAliveConfig(keepAliveConfig) // FileConn has set Go's
		err = sh.give(s, conn)
	}
	if err != nil {
		if !errors.Is(err, unix.ENOTCONN) { // which is nothing to be told of: peers do that at any time
			sh.server.logFailure("accept_connection", s.peer, err)
		}
		sh.mail.put(task{session: s, do: func() {
			s.conn, s.flushing = tail(-1), false
			s.ended(err)
		}})
	}
}

// arrived lets a session that was moved go on.
func (s *session) arrived() {
	s.flushing = false
	s.flush()
}
