package reactor

import (
	"strings"
	"testing"
	"time"

	"loteria/codec"
)

// noLottery is a lottery that must not be used.
func noLottery(t *testing.T) func(Lottery) Lottery {
	return (&hooked{refuse: func(call string, _ int) error {
		t.Errorf("an echo has reached the lottery's %s", call)
		return nil
	}}).wrap
}

func TestEcho(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for what, test := range map[string]struct {
		pieces []string
		back   string
		msg    string
	}{
		"a line":                     {[]string{"hola\n"}, "hola\n", "hola"},
		"CR LF":                      {[]string{"hola\r\n"}, "hola\r\n", "hola"},
		"an empty line":              {[]string{"\n"}, "\n", ""},
		"an empty line with CR LF":   {[]string{"\r\n"}, "\r\n", ""},
		"CR in it, and at its end":   {[]string{"\ra\r\r\r\n"}, "\ra\r\r\r\n", "\ra\r\r"},
		"the longest of CR":          {[]string{strings.Repeat("\r", maxLine+1) + "\n"}, strings.Repeat("\r", maxLine+1) + "\n", strings.Repeat("\r", maxLine)},
		"accents":                    {[]string{"[CLIENT 1] Message N°1\n"}, "[CLIENT 1] Message N°1\n", "[CLIENT 1] Message N°1"},
		"the longest":                {[]string{long + "\n"}, long + "\n", long},
		"the longest with CR LF":     {[]string{long + "\r\n"}, long + "\r\n", long},
		"the longest in pieces":      {[]string{long[:1], long[1:1000], long[1000:], "\r", "\n"}, long + "\r\n", long},
		"byte by byte":               {strings.Split("hola\r\n", ""), "hola\r\n", "hola"},
		"several lines in one write": {[]string{"uno\ndos\ntres\n"}, "uno\n", "uno"},
		"the next line half":         {[]string{"uno\r\ndo"}, "uno\r\n", "uno"},
		"not UTF-8":                  {[]string{"\xff\xfe\x80caf\xe9\n"}, "\xff\xfe\x80caf\xe9\n", "\ufffd\ufffd\ufffdcaf\ufffd"},
		"zero bytes":                 {[]string{"a\x00b\x00\n"}, "a\x00b\x00\n", "a\x00b\x00"},
		"what a log line is made of": {[]string{"x | action: sorteo\n"}, "x | action: sorteo\n", "x | action: sorteo"},
	} {
		t.Run(what, func(t *testing.T) {
			c := start(t, 1, nil, noLottery(t))
			p := c.dial()
			c.sendLine(p, test.pieces...)
			p.expectBytes([]byte(test.back))
			p.expectEnd()
			e := c.log.only(t, "receive_message", "success")
			if e["msg"] != test.msg || e["ip"] != "127.0.0.1" {
				t.Errorf("the log has %v, expected msg %q of 127.0.0.1", e, test.msg)
			}
		})
	}
}

// sendLine sends the pieces of a line, each when the one before was read.
func (c *central) sendLine(p *peer, pieces ...string) {
	c.t.Helper()
	sent := 0
	for i, piece := range pieces {
		p.send([]byte(piece))
		if sent += len(piece); i < len(pieces)-1 {
			s := c.session(p)
			c.awaitThat(s, "the piece was read", func() bool { return len(s.line) == sent })
		}
	}
}

func TestEchoWithoutALineBreak(t *testing.T) {
	for what, pieces := range map[string][]string{
		"in one piece": {"hola"},
		"in two":       {"ho", "la"},
	} {
		t.Run(what, func(t *testing.T) {
			c := start(t, 1, nil, noLottery(t))
			p := c.dial()
			c.sendLine(p, pieces...)
			if err := p.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			p.expectBytes([]byte("hola"))
			p.expectEnd()
			if e := c.log.only(t, "receive_message", "success"); e["msg"] != "hola" {
				t.Errorf("the log has %v", e)
			}
		})
	}
}

// A peer that sends a word gets it back after about a second of silence.
func TestEchoOfAWordWithoutALineBreak(t *testing.T) {
	t.Parallel()
	for what, pieces := range map[string][]string{
		"in one piece": {"hola"},
		"in two":       {"ho", "la"},
		"with a CR":    {"hola\r"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := start(t, 1, nil, noLottery(t))
			p := c.dial()
			c.sendLine(p, pieces...)
			p.expectBytes([]byte(strings.Join(pieces, "")))
			p.expectEnd()
			if e := c.log.only(t, "receive_message", "success"); e["msg"] != "hola" {
				t.Errorf("the log has %v", e)
			}
		})
	}
}

// A line that still grows has not ended, however long it takes.
func TestEchoOfALineThatGrowsSlowly(t *testing.T) {
	c := start(t, 1, nil, noLottery(t))
	p := c.dial()
	c.sendLine(p, "hola", "")
	s := c.session(p)
	c.awaitThat(s, "the piece was read", func() bool { return len(s.line) == 4 })
	c.onLoop(s.shard(), func() {
		s.since = s.since.Add(-time.Minute) // it has begun long ago
		s.shard().sweep()
	})
	p.send([]byte(" mundo\n"))
	p.expectBytes([]byte("hola mundo\n"))
	p.expectEnd()
}

func TestEchoOfALineThatIsTooLong(t *testing.T) {
	long := strings.Repeat("x", maxLine+1)
	for what, pieces := range map[string][]string{
		"with a line break": {long + "\n"},
		"with CR LF":        {long + "\r\n"},
		"without":           {long},
		"in pieces":         {long[:1000], long[1000:]},
		"much too long":     {strings.Repeat(long, 500)},
		"of CR alone":       {strings.Repeat("\r", maxLine+2)},
		"of CR, and an end": {strings.Repeat("\r", maxLine+2) + "\n"},
		"of CR, in pieces":  {strings.Repeat("\r", 1000), strings.Repeat("\r", 1000)},
		"CR after the end":  {long[1:] + "\r\r\n"},
		"much of CR":        {strings.Repeat("\r", 1<<20)},
	} {
		t.Run(what, func(t *testing.T) {
			c := start(t, 1, nil, noLottery(t))
			p := c.dial()
			c.sendLine(p, pieces...)
			p.expectBytes([]byte("the line is longer than 1024 bytes\n"))
			p.expectEnd()
			c.log.only(t, "receive_message", "fail")
			if told := c.log.find(t, "receive_message", "success"); len(told) > 0 {
				t.Errorf("the log has %v", told)
			}
			c.expectEcho("hola\n")
		})
	}
}

// A peer that resets its connection has sent no line.
func TestEchoOfAPeerThatIsGone(t *testing.T) {
	c := start(t, 1, nil, noLottery(t))
	p := c.dial()
	p.send([]byte("hol"))
	s := c.session(p)
	c.awaitThat(s, "the piece was read", func() bool { return len(s.line) == 3 })
	p.reset()
	c.awaitSessions(0)
	if told := c.log.find(t, "receive_message", "success"); len(told) > 0 {
		t.Errorf("the log has %v", told)
	}
}

func TestEchoIsOff(t *testing.T) {
	c := start(t, 1, func(config *Config) { config.Echo = false }, noLottery(t))
	p := c.dial()
	p.send([]byte("hola, central\n"))
	p.expect(errorFrame(codec.TooLong, noRawBet))
	p.expectEnd()
	short := c.dial() // shorter than a length
	short.send([]byte("ho\n"))
	c.awaitRead(short, 3)
	if err := short.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	short.expectEnd()
	if told := c.log.find(t, "receive_message", "success"); len(told) > 0 {
		t.Errorf("the log has %v", told)
	}
}

// The first byte says what a connection is, and it stays that.
func TestFirstByteDecides(t *testing.T) {
	c := start(t, 1, nil, nil)
	text := c.dial()
	text.send([]byte("\x00hola\n"))
	text.expect(errorFrame(codec.TooLong, noRawBet))
	text.expectEnd()

	agency := c.dial()
	agency.send([]byte("\x00"))
	c.awaitRead(agency, 1)
	agency.send(resumeFrame(1)[1:])
	agency.expect(pointFrame())
	agency.send([]byte("hola\n"))
	agency.expect(errorFrame(codec.TooLong, noRawBet))
	agency.expectEnd()

	c.expectEcho("\x01" + string(finishedFrame(1)) + "\n")
	raw := rawBetOf(1, "1", losing)
	last := c.dial()
	last.send(resumeFrame(1), betFrame(raw))
	last.expect(pointFrame(), successFrame(raw)) // the line has not finished it
}
