package main

import (
	"context"
	"io"
	"sync"

	client "loteria/agency"
	"loteria/cmd/internal/progress"
)

// bars show on a terminal how far the agencies are: one for each agency, or
// where the screen is too low for so many, one for all of them. Without a
// terminal they are nil, and show nothing.
type bars struct {
	screen   *screen
	out      io.Writer // the screen's, before it had bars
	agencies int
	shown    *progress.Bars
	each     []*progress.Bar // in the order of the agencies, or the one of all

	stopCounting context.CancelFunc
	counting     sync.WaitGroup
}

// openBars puts the bars of so many agencies below the news, and counts the
// bets of their files beside the run.
func openBars(s *screen, data string, agencies int) *bars {
	if s.terminal == nil {
		return nil
	}
	b := &bars{screen: s, out: s.out, agencies: agencies, shown: progress.New(s.terminal)}
	s.out = b.shown
	// Half of the screen is for the news.
	if _, rows := s.terminal.Size(); agencies <= rows/2 {
		for id := 1; id <= agencies; id++ {
			b.each = append(b.each, b.shown.Add(agencyName(id)))
		}
	} else {
		b.each = append(b.each, b.shown.Add(plural(agencies, "agency", "agencies")))
	}
	var ctx context.Context
	ctx, b.stopCounting = context.WithCancel(context.Background())
	b.counting.Go(func() { b.count(ctx, data) })
	return b
}

// count finds out how many bets the agencies have. It reads one file after the
// other: the run itself needs the processors, too. What is wrong with a file is
// its agency's to tell.
func (b *bars) count(ctx context.Context, data string) {
	all, known := uint64(0), true
	for id := 1; id <= b.agencies; id++ {
		// The environment may tell the agencies to leave out invalid rows, or
		// all. If it does not, the total of such a file is never reached.
		config := client.Config{ID: id, Mode: client.ModeBatch, DataDir: data, SkipInvalid: true, AllowEmpty: true}
		total, err := client.CountBets(ctx, config)
		all, known = all+total, known && err == nil
		if err == nil && !b.together() {
			b.each[id-1].SetTotal(total)
		}
	}
	if known && b.together() {
		b.each[0].SetTotal(all)
	}
}

// together tells whether one bar is for several agencies.
func (b *bars) together() bool { return len(b.each) < b.agencies }

// update shows how far the agencies are that have been started.
func (b *bars) update(agencies []*agency) {
	if b == nil || len(agencies) == 0 {
		return
	}
	all, complete := 0, 0
	for i, a := range agencies {
		all += a.bets
		if a.complete {
			complete++
		}
		if !b.together() {
			show(b.each[i], a.bets, a.complete)
		}
	}
	if b.together() {
		show(b.each[0], all, complete == b.agencies)
	}
}

func show(bar *progress.Bar, bets int, complete bool) {
	bar.Set(uint64(bets))
	if complete {
		bar.Finish()
	}
}

// close leaves them on the screen as they are.
func (b *bars) close() {
	if b == nil {
		return
	}
	b.stopCounting()
	b.counting.Wait()
	_ = b.shown.Close() // there is nobody to tell but the terminal itself
	b.screen.out = b.out
}
