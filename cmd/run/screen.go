package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"loteria/cmd/internal/progress"
)

// Colours of a terminal.
const red, green = "\x1b[31m", "\x1b[32m"

// screen shows a person what happens, a line each. On a terminal bars and a table
// show how far the agencies are, and lines only the rest. Several goroutines may
// print at the same time.
type screen struct {
	mu       sync.Mutex
	out      io.Writer
	terminal *progress.Terminal // nil when out is none
	bars     *progress.Bars     // nil when there are none
	colours  bool
}

// newScreen finds out whether out is a terminal.
func newScreen(out io.Writer) *screen {
	terminal, _ := progress.FindTerminal(out)
	return &screen{out: out, terminal: terminal, colours: terminal != nil && os.Getenv("NO_COLOR") == ""} // https://no-color.org
}

// say tells what somebody did.
func (s *screen) say(who, what string) {
	s.print(fmt.Sprintf("%-9s  %s", who, progress.Printable(what)))
}

// detail is say, except on a terminal, whose bars show it.
func (s *screen) detail(who, what string) {
	if s.terminal == nil {
		s.say(who, what)
	}
}

// alarm tells what went wrong.
func (s *screen) alarm(who, what string) {
	s.print(fmt.Sprintf("%-9s  %s", who, s.coloured(red, progress.Printable(what))))
}

// print prints lines as they are, above the bars.
func (s *screen) print(lines string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.out
	if s.bars != nil {
		out = s.bars
	}
	fmt.Fprintln(out, lines)
}

// coloured gives a text a colour where that can be seen.
func (s *screen) coloured(colour, text string) string {
	if !s.colours {
		return text
	}
	return colour + text + "\x1b[0m"
}

// openBars puts the agencies' bars on a terminal.
func (s *screen) openBars(agencies []*agency) *progress.Group {
	if s.terminal == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bars = progress.New(s.terminal)
	return s.bars.AddGroup(len(agencies), func(i int) string { return agencies[i].String() }, plural(len(agencies), "agency", "agencies"))
}

// closeBars leaves the bars on the terminal as they are.
func (s *screen) closeBars() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bars != nil {
		_ = s.bars.Close() // there is nobody to tell but the terminal itself
		s.bars = nil
	}
}

// progress returns how far all are.
func (r *round) progress() string {
	bets, each := uint64(0), ""
	for _, a := range r.agencies {
		bets += a.stored.Load()
		each += fmt.Sprintf("  %d: %d", a.id, a.stored.Load())
		if a.complete.Load() {
			each += " ✓"
		}
	}
	return fmt.Sprintf("%d bets in %.1f s  %s", bets, time.Since(r.begun).Seconds(), each)
}

// result returns the table of a run without a failure.
func (r *round) result() string {
	var b strings.Builder
	row := func(agency any, bets uint64, batches int, took time.Duration, winners int) {
		fmt.Fprintf(&b, "%8v %8d %8d %8.2f %8d\n", agency, bets, batches, took.Seconds(), winners)
	}
	fmt.Fprintf(&b, "\n%8s %8s %8s %8s %8s\n", "agency", "bets", "batches", "seconds", "winners")
	bets, batches, winners := uint64(0), 0, 0
	for _, a := range r.agencies {
		row(a.id, a.stored.Load(), a.batches, a.took, a.winners)
		bets, batches, winners = bets+a.stored.Load(), batches+a.batches, winners+a.winners
	}
	row("total", bets, batches, r.took, winners)
	b.WriteString("seconds: from an agency's start until its last bet was on disk;\n" +
		"in total: from the first start until the last agency knew its winners.\n")
	return b.String()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
