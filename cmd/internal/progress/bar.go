package progress

import (
	"fmt"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
)

// rateSpan is how far back a bar looks for its bets/s: long enough to be read,
// short enough to follow a central that has become slow.
const rateSpan = 5 * time.Second

// Widths, in columns, from which on a frame shows more.
const (
	withBets  = 30 // and the time
	withRate  = 54
	withTotal = 72 // and units
)

// Bar shows how many bets are stored, of how many, how many in a second, and the
// time that takes. No call waits for the terminal. Its methods are safe for
// concurrent use.
type Bar struct {
	name string
	now  func() time.Time
	bar  *mpb.Bar

	mu    sync.Mutex
	state state

	// What the frame being drawn shows; only mpb's drawing uses it.
	drawn   state
	width   int
	samples []sample // of the last rateSpan, one for each frame
}

// state is what a bar was told.
type state struct {
	stored, total uint64
	totalKnown    bool
	first         sample // the bets that were there before, and when that was told
	last          sample // when it ended
	end           ending
}

type sample struct {
	at     time.Time
	stored uint64
}

// ending is how a bar has ended.
type ending int

const (
	running ending = iota
	finished
	stopped
)

func newBar(name string, now func() time.Time) *Bar { return &Bar{name: name, now: now} }

// Set says how many bets are stored. The first call starts the clock, and says how
// many there were before, which are not part of the bets/s.
func (b *Bar) Set(stored uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.end != running {
		return
	}
	if b.state.first.at.IsZero() {
		b.state.first = sample{b.now(), stored}
	}
	b.state.stored = stored
}

// SetTotal says how many bets there are in all. Before, there is no percentage
// and no time left.
func (b *Bar) SetTotal(total uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.end == running {
		b.state.total, b.state.totalKnown = total, true
	}
}

// Finish says that all bets are stored, and stops the clock.
func (b *Bar) Finish() { b.finish(finished) }

// Stop leaves the bar where it is, for good.
func (b *Bar) Stop() { b.finish(stopped) }

func (b *Bar) finish(end ending) {
	b.mu.Lock()
	first := b.state.end == running
	if first {
		b.state.end = end
		b.state.last = sample{b.now(), b.state.stored}
		if end == finished {
			b.state.total, b.state.totalKnown = b.state.stored, true
		}
	}
	b.mu.Unlock()
	switch {
	case !first || b.bar == nil:
	case end == finished:
		b.bar.SetTotal(0, true) // mpb's own count is not used
	default:
		b.bar.Abort(false)
	}
}

// begin begins a frame.
func (b *Bar) begin(width int) {
	b.mu.Lock()
	b.drawn = b.state
	b.mu.Unlock()
	b.width = width
	if b.drawn.first.at.IsZero() || b.drawn.end != running {
		return
	}
	now := b.now()
	if len(b.samples) == 0 {
		b.samples = append(b.samples, b.drawn.first)
	}
	old := 0
	for old < len(b.samples)-1 && now.Sub(b.samples[old].at) > rateSpan {
		old++
	}
	b.samples = append(b.samples[:0], b.samples[old:]...)
	b.samples = append(b.samples, sample{now, b.drawn.stored})
}

// share returns what mpb's bar shows.
func (s *state) share() (current, total int64, completed bool) {
	switch {
	case s.end == finished:
		return 1, 1, true // also without bets
	case !s.totalKnown:
		return 0, 0, false
	}
	return int64(min(s.stored, s.total)), int64(s.total), false
}

// A column that is not empty begins with its space.

func (b *Bar) percent() string {
	s := &b.drawn
	switch {
	case s.end == finished:
		return " 100%"
	case !s.totalKnown || s.total == 0:
		return ""
	}
	return fmt.Sprintf(" %3d%%", int(100*float64(min(s.stored, s.total))/float64(s.total))) // 100 is all
}

func (b *Bar) bets() string {
	s := &b.drawn
	switch {
	case b.width < withBets:
		return ""
	case b.width < withTotal:
		return " " + Number(s.stored)
	case !s.totalKnown:
		return "  " + Number(s.stored) + " bets"
	}
	return "  " + Number(s.stored) + " / " + Number(s.total)
}

func (b *Bar) rate() string {
	rate := b.perSecond()
	switch {
	case rate == 0 || b.width < withRate:
		return ""
	case b.width < withTotal:
		return " " + Number(uint64(rate+0.5)) + "/s"
	}
	return "  " + Number(uint64(rate+0.5)) + " bets/s"
}

func (b *Bar) time() string {
	text := b.timeText()
	switch {
	case text == "" || b.width < withBets:
		return ""
	case b.width < withTotal:
		return " " + text
	}
	return "  " + text
}

func (b *Bar) timeText() string {
	s := &b.drawn
	switch {
	case s.end == stopped:
		return "stopped"
	case s.end == finished && !s.first.at.IsZero():
		return "in " + duration(s.last.at.Sub(s.first.at))
	case s.end == running && s.totalKnown && s.stored <= s.total:
		if rate := b.perSecond(); rate > 0 {
			seconds := min(float64(s.total-s.stored)/rate, maxLeft.Seconds())
			return clock(time.Duration(seconds*float64(time.Second))) + " left"
		}
	}
	return ""
}

// perSecond returns the bets stored in a second: lately, or after the end over the
// whole time. It is 0 when that is not known.
func (b *Bar) perSecond() float64 {
	from, to := b.drawn.first, b.drawn.last
	if b.drawn.end == running {
		if len(b.samples) < 2 {
			return 0
		}
		from, to = b.samples[0], b.samples[len(b.samples)-1]
	}
	if took := to.at.Sub(from.at); took > 0 && to.stored > from.stored {
		return float64(to.stored-from.stored) / took.Seconds()
	}
	return 0
}
