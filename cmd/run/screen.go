package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"loteria/cmd/internal/progress"
)

// progressPause is how long a screen that is no terminal, but a file or a
// pipe, is left without a line of progress.
const progressPause = 2 * time.Second

// Colours of a terminal.
const (
	red        = "\x1b[31m"
	green      = "\x1b[32m"
	uncoloured = "\x1b[0m"
)

// screen is where a person reads what happens: news, one line each. On a
// terminal there may be bars below them; elsewhere lines of progress are among
// them.
type screen struct {
	out      io.Writer          // bars' when there are some
	terminal *progress.Terminal // nil when it is none
	colours  bool
	reported time.Time // when the last line of progress went to a file, or could have
}

// newScreen finds out whether out is a terminal.
func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if terminal, ok := progress.FindTerminal(out); ok {
		s.terminal = terminal
		s.colours = os.Getenv("NO_COLOR") == "" // https://no-color.org
	}
	return s
}

// say tells what somebody did.
func (s *screen) say(who, what string) { s.tell(who, what, "") }

// alarm tells what somebody should not have done.
func (s *screen) alarm(who, what string) { s.tell(who, what, red) }

func (s *screen) tell(who, what, colour string) {
	s.print(fmt.Sprintf("%-9s  %s", who, s.coloured(colour, progress.Printable(what))))
}

// print puts lines there as they are.
func (s *screen) print(lines string) { fmt.Fprintln(s.out, lines) }

// coloured gives a text a colour where that can be seen; "" is none.
func (s *screen) coloured(colour, text string) string {
	if !s.colours || colour == "" {
		return text
	}
	return colour + text + uncoloured
}

// report puts text among the news, from time to time.
func (s *screen) report(text string, now time.Time) {
	if s.reported.IsZero() {
		s.reported = now // it begins with a pause: many runs are over by then
	}
	if now.Sub(s.reported) >= progressPause {
		s.say("progress", text)
		s.reported = now
	}
}
