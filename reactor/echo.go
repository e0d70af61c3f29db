package reactor

import "bytes"

// MaxLine is the longest line that an echo connection gets back, in bytes,
// without its line break.
const MaxLine = 1024

// receiveLine gathers an echo connection's line. When it is whole, it goes
// back and the connection is closed.
func (s *session) receiveLine(data []byte) {
	end := bytes.IndexByte(data, '\n') + 1
	if end > 0 {
		data = data[:end]
	}
	s.line = append(s.line, data...)
	if len(s.text()) > MaxLine {
		s.server.log.Error().Str("action", "receive_message").Str("result", "fail").
			Str("ip", s.peer).Int("max_bytes", MaxLine).Str("error", "the line is too long").Send()
		s.write([]byte("the line is too long\n"))
		s.linger()
		return
	}
	if end > 0 {
		s.echo()
		s.linger()
	}
}

// echo sends back what the peer has sent, as it came.
func (s *session) echo() {
	s.server.log.Info().Str("action", "receive_message").Str("result", "success").
		Str("ip", s.peer).Bytes("msg", s.text()).Send()
	s.write(s.line)
}

// text is the line without its line break.
func (s *session) text() []byte { return bytes.TrimRight(s.line, "\r\n") }
