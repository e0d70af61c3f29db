package reactor

import (
	"bytes"
	"fmt"
)

// receiveLine gathers an echo connection's line. When it is whole, it goes
// back and the connection is closed.
func (s *session) receiveLine(data []byte) {
	end := bytes.IndexByte(data, '\n') + 1
	if end > 0 {
		data = data[:end]
	}
	s.line = append(s.line, data...)
	if limit := s.server.config.MaxLine; len(s.text()) > limit {
		s.refuseLine(fmt.Sprintf("the line is longer than %d bytes", limit))
		return
	}
	if end > 0 {
		s.echo()
		s.linger()
	}
}

// refuseLine tells the peer why it does not get its line back.
func (s *session) refuseLine(reason string) {
	s.server.log.Error().Str("action", "receive_message").Str("result", "fail").
		Str("ip", s.peer).Str("error", reason).Send()
	s.write([]byte(reason + "\n"))
	s.linger()
}

// echo sends back what the peer has sent, as it came.
func (s *session) echo() {
	s.server.log.Info().Str("action", "receive_message").Str("result", "success").
		Str("ip", s.peer).Bytes("msg", s.text()).Send()
	s.write(s.line)
}

// text is the line without its line break.
func (s *session) text() []byte { return bytes.TrimRight(s.line, "\r\n") }
