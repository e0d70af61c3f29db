package reactor

import (
	"bytes"
	"fmt"
	"time"
)

// quietTime is how long an echo connection is silent before what it has sent counts
// as its line, without a line break. It is accurate to about a second.
const quietTime = time.Second

// receiveLine gathers an echo connection's line. When it is complete, it is sent
// back and the connection is closed.
func (s *session) receiveLine(data []byte) {
	limit := s.server.config.MaxLine
	data = data[:min(len(data), limit+len("\r\n")-len(s.line))] // before it is kept
	end := bytes.IndexByte(data, '\n') + 1
	if end > 0 {
		data = data[:end]
	}
	s.line = append(s.line, data...)
	switch {
	case len(s.text()) > limit: // also of carriage returns alone
		s.refuseLine(fmt.Errorf("the line is longer than %d bytes", limit))
	case end > 0:
		s.finishLine()
	}
}

// refuseLine tells the peer why it does not get its line back.
func (s *session) refuseLine(reason error) {
	s.server.logFailure("receive_message", s.peer, reason)
	s.write([]byte(reason.Error() + "\n"))
	s.linger()
}

// finishLine sends back what an echo connection has sent, as it came.
func (s *session) finishLine() {
	if s.state != echoing {
		return
	}
	journal := s.server.config.Journal
	journal.TryWrite(journal.AppendEcho(nil, s.peer, s.text()))
	s.write(s.line)
	s.linger()
}

// text is the line without its line break, which is one LF, CR LF or CR.
func (s *session) text() []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(s.line, []byte("\n")), []byte("\r"))
}
