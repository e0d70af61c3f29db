package reactor

import (
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
	"loteria/codec"
)

// tailTime is how long a query may be parked whose peer has closed its side. Most
// of these peers are gone, which cannot be told from one that only says no more;
// but where that was its agency's last word, the draw may be about to come.
const tailTime = 10 * time.Second

// tail is what remains of a connection whose peer has closed its side and is
// still to get replies. gnet closes a connection at its end of file, so this is
// a duplicate of its socket, at which nobody listens.
type tail struct {
	fd   int
	rest []byte // which the socket has not taken yet
}

// goOn has a connection that gnet is about to close go on as a tail, if there
// are replies to come.
func (s *session) goOn(c gnet.Conn) bool {
	if len(s.jobs) == 0 || c.OutboundBuffered() > 0 { // gnet throws away what the socket does not take
		return false
	}
	fd, err := c.Dup()
	if err != nil {
		return false
	}
	s.short.use(0)
	s.conn = &tail{fd: fd}
	s.state, s.decoder = draining, codec.Decoder{}
	s.closeAfter = time.Now().Add(tailTime)
	s.shard.lingering[s] = struct{}{}
	return true
}

// Write implements io.Writer. What the socket does not take is kept.
func (t *tail) Write(p []byte) (int, error) {
	t.rest = append(t.rest, p...)
	return len(p), t.flush()
}

// flush writes what the socket takes.
func (t *tail) flush() error {
	if len(t.rest) == 0 {
		return nil
	}
	n, err := unix.Write(t.fd, t.rest)
	if err == unix.EAGAIN || err == unix.EINTR {
		return nil
	}
	t.rest = t.rest[max(n, 0):]
	return err
}

// OutboundBuffered implements outlet.
func (t *tail) OutboundBuffered() int { return len(t.rest) }

func (s *session) isTail() bool {
	_, ok := s.conn.(*tail)
	return ok
}
