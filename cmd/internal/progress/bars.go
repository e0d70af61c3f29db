// Package progress shows on a terminal the progress of storing bets: bars at the
// bottom, and above them whatever lines are written.
//
//	terminal, ok := progress.FindTerminal(os.Stdout)
//	bars := progress.New(terminal)
//	bar := bars.Add("agency 1")
//	bar.Set(0)                            // bets that are there already
//	go func() { bar.SetTotal(count()) }() // once that is known
//	fmt.Fprintln(bars, "a line above the bar")
//	bar.Set(100)
//	bar.Finish()
//	err := bars.Close()
//
// The bars are drawn by mpb, but put on the terminal here, with the lines: mpb
// holds lines back until its next frame, and loses those that come after its
// last one.
package progress

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const (
	// refresh is the pause between two frames.
	refresh = 100 * time.Millisecond
	// closeLimit bounds how long Close waits for a terminal that takes nothing, as
	// after a Ctrl-S.
	closeLimit = 3 * time.Second
)

// ErrStuck is returned by Close when the terminal did not take the last frame
// in time.
var ErrStuck = errors.New("progress: the terminal did not take what was to be shown in time")

// Bars are the bars at the bottom of a terminal. Nobody else may write to the
// terminal until Close has returned. They are safe for concurrent use.
type Bars struct {
	console *console
	mpb     *mpb.Progress
	limit   time.Duration // closeLimit

	mu   sync.Mutex
	bars []*Bar
}

// New returns an empty set of bars at the bottom of the terminal.
func New(terminal *Terminal) *Bars {
	c := &console{out: terminal.file, size: terminal.Size}
	return &Bars{
		console: c,
		limit:   closeLimit,
		mpb:     mpb.New(mpb.WithConsoleWriter(c), mpb.WithAutoRefresh(), mpb.WithRefreshRate(refresh)),
	}
}

// Add puts a bar with this name below the others. After Close it is not shown
// any more.
func (b *Bars) Add(name string) *Bar {
	bar := newBar(name, time.Now)
	// A column that no bar has takes no room.
	column := func(text func() string) decor.Decorator {
		return decor.Any(func(decor.Statistics) string { return text() }, decor.WCSyncWidth)
	}
	// The name is drawn first, while the whole width is available.
	first := decor.Any(func(s decor.Statistics) string {
		bar.begin(s.AvailableWidth)
		return bar.name + " "
	}, decor.WCSyncWidthR)
	style := mpb.BarStyle().Build()
	filler := mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
		s.Current, s.Total, s.Completed = bar.drawn.share()
		return style.Fill(w, s)
	})
	bar.bar, _ = b.mpb.Add(0, filler, mpb.BarFillerTrim(),
		mpb.PrependDecorators(first),
		mpb.AppendDecorators(
			column(bar.percent),
			column(bar.bets),
			column(bar.rate),
			column(bar.time),
		))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bars = append(b.bars, bar)
	return bar
}

// Write puts whole lines above the bars, at once.
func (b *Bars) Write(lines []byte) (int, error) { return b.console.above(lines) }

// Close stops the bars that have not ended, and leaves all as they are then
// on the terminal. Lines written afterwards follow below. The error is
// ErrStuck, or the terminal's.
func (b *Bars) Close() error {
	b.mu.Lock()
	bars := b.bars
	b.mu.Unlock()
	for _, bar := range bars {
		bar.Stop()
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.mpb.Wait() // until each bar's end has been drawn
		b.console.release()
	}()
	limit := time.NewTimer(b.limit)
	defer limit.Stop()
	select {
	case <-ended:
		return b.mpb.Error
	case <-limit.C:
		return ErrStuck
	}
}
