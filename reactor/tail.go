package reactor

import (
	"time"

	"github.com/panjf2000/gnet/v2"
	"loteria/codec"
)

// tailTime is how long a query stays parked after its peer has closed its side. Most
// of these peers are gone, which looks like a half-close; but if that was the
// agency's last word, the draw may be about to come.
const tailTime = 10 * time.Second

// tail is what remains of a connection whose peer has closed its side and still gets
// replies. gnet closes a connection at its end of file, so this is a duplicate of
// its descriptor, which is never read.
type tail int

// Fd implements outlet.
func (t tail) Fd() int { return int(t) }

// goOn turns a connection that gnet is about to close into a tail, if there are
// replies to come.
func (s *session) goOn(c gnet.Conn) bool {
	if len(s.jobs) == 0 && !s.owes() {
		return false
	}
	server := s.server
	server.poller.forget(c.Fd()) // or the copy would keep it in epoll
	fd, err := c.Dup()
	if err != nil {
		return false
	}
	s.short.use(0, nil)
	s.conn = tail(fd)
	s.endInput()
	if s.waiting {
		s.waiting = false
		s.awaitRoom()
	}
	return true
}

// takeWritten takes back jobs that are answered already: they are no reason to go on.
func (s *session) takeWritten() {
	if len(s.jobs) > 0 && s.short.hasWritten(s.jobs[0]) {
		s.shard().mail.empty()
	}
}

// endInput lets the conversation end with the replies to come.
func (s *session) endInput() {
	if s.inputEnded { // over TLS the end of file may follow
		return
	}
	s.inputEnded = true
	s.state, s.lingering, s.decoder = draining, true, codec.Decoder{}
	s.closeAfter = time.Now().Add(tailTime)
}
