package reactor

import (
	"bytes"
	"fmt"
	"time"
)

// quietTime is for how long an echo connection says nothing before what it has
// sent is its line, without a line break. It is kept to about a second.
const quietTime = time.Second

// receiveLine gathers an echo connection's line. When it is whole, it goes
// back and the connection is closed.
func (s *session) receiveLine(data []byte) {
	end := bytes.IndexByte(data, '\n') + 1
	if end > 0 {
		data = data[:end]
	}
	limit := s.shard.server.config.MaxLine
	if len(s.line)+len(data) > limit+len("\r\n") { // before it is kept
		data = data[:limit+len("\r\n")+1-len(s.line)]
	}
	s.line = append(s.line, data...)
	switch {
	case len(s.text()) > limit:
		s.refuseLine(fmt.Errorf("the line is longer than %d bytes", limit))
	case end > 0:
		s.finishLine()
	}
}

// refuseLine tells the peer why it does not get its line back.
func (s *session) refuseLine(reason error) {
	s.shard.server.logFailure("receive_message", s.peer, reason)
	s.write([]byte(reason.Error() + "\n"))
	s.linger()
}

// finishLine sends back what an echo connection has sent, as it came.
func (s *session) finishLine() {
	if s.state != echoing {
		return
	}
	journal := s.shard.server.config.Journal
	journal.TryWrite(journal.AppendEcho(nil, s.peer, s.text()))
	s.write(s.line)
	s.linger()
}

// text is the line without its line break.
func (s *session) text() []byte { return bytes.TrimRight(s.line, "\r\n") }
