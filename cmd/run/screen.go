package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// progressPause is how long a screen that is no terminal, but a file or a
// pipe, is left without a line of progress.
const progressPause = 2 * time.Second

// Control sequences of a terminal.
const (
	clearLine  = "\r\x1b[K"
	red        = "\x1b[31m"
	green      = "\x1b[32m"
	uncoloured = "\x1b[0m"
)

// screen is where a person reads what happens: news, one line each, and on a
// terminal, below them, one line of progress that changes in place.
type screen struct {
	out      io.Writer
	columns  func() int // of the terminal; nil when it is none
	colours  bool
	progress string    // the line of progress as it stands there
	reported time.Time // when the last line of progress went to a file, or could have
}

// newScreen finds out whether out is a terminal.
func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		size := func() (*unix.Winsize, error) { return unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ) }
		if _, err := size(); err == nil {
			s.colours = os.Getenv("NO_COLOR") == "" // https://no-color.org
			s.columns = func() int {
				if ws, err := size(); err == nil && ws.Col > 0 {
					return int(ws.Col)
				}
				return 80
			}
		}
	}
	return s
}

// say tells what somebody did.
func (s *screen) say(who, what string) { s.tell(who, what, "") }

// alarm tells what somebody should not have done.
func (s *screen) alarm(who, what string) { s.tell(who, what, red) }

func (s *screen) tell(who, what, colour string) {
	s.print(fmt.Sprintf("%-9s  %s", who, s.coloured(colour, printable(what))))
}

// print puts lines above the line of progress.
func (s *screen) print(lines string) {
	fmt.Fprintf(s.out, "%s%s\n%s", s.erase(), lines, s.progress)
}

// coloured gives a text a colour where that can be seen; "" is none.
func (s *screen) coloured(colour, text string) string {
	if !s.colours || colour == "" {
		return text
	}
	return colour + text + uncoloured
}

// show makes text the line of progress.
func (s *screen) show(text string, now time.Time) {
	if s.columns == nil {
		if s.reported.IsZero() {
			s.reported = now // it begins with a pause: many runs are over by then
		}
		if now.Sub(s.reported) >= progressPause {
			s.say("progress", text)
			s.reported = now
		}
		return
	}
	// A line that reaches the last column would wrap, and could not be erased.
	if text = cut(text, s.columns()-1); text != s.progress {
		fmt.Fprintf(s.out, "%s%s", s.erase(), text)
		s.progress = text
	}
}

// hide takes the line of progress away.
func (s *screen) hide() {
	fmt.Fprint(s.out, s.erase())
	s.progress = ""
}

func (s *screen) erase() string {
	if s.columns == nil || s.progress == "" {
		return ""
	}
	return clearLine
}

// cut shortens text to n characters.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:max(n, 0)])
}

// printable replaces what could move the cursor or change the colours: a
// process may write anything.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
