package main

import (
	"context"
	"fmt"
	"time"

	"loteria/bench/report"
	"loteria/lottery"
)

// The contest of which the winners are drawn: 10⁵ messages.
const (
	drawAgencies = 500
	drawMessages = 200 // of each agency
	drawBets     = 10  // of each message

	drawTime = 60 * time.Second // for a draw
)

// winners measures how long a ledger takes to return the winners when all
// agencies have finished.
func winners(l *lab) (rows []row, err error) {
	const goal = 2 * time.Second
	f := filling{agencies: max(1, drawAgencies/l.scale), batches: drawMessages, size: drawBets, oneByOne: true, ended: true}
	var times []time.Duration
	err = l.onContest(f.agencies, func(c *contest) error {
		fmt.Fprintf(l.News, "storing %d messages\n", f.agencies*f.batches)
		if err := c.fill(f); err != nil {
			return err
		}
		return l.Repeat("winners", func() error {
			took, err := c.draw()
			times = append(times, took)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	took := report.Median(times)
	return []row{verdict(fmt.Sprintf("winners known from %s messages of %d agencies, all of which have finished", report.Grouped(float64(f.agencies*f.batches)), f.agencies),
		"≤ 2 s", seconds(took), "", within(goal, took))}, nil
}

// draw opens the contest as a central does and returns how long the draw takes.
func (c *contest) draw() (time.Duration, error) {
	ledger, err := c.open()
	if err != nil {
		return 0, err
	}
	defer ledger.Close()
	if _, err := ledger.Begin(lottery.Events{Ended: func(int, lottery.Ending, *lottery.Account) {}, Seen: func(int, uint64, string) {}}); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(c.lab.Ctx, drawTime)
	defer cancel()
	begun := time.Now()
	done := make(chan error, 1)
	ledger.Draw(func(winners [][]string, err error) {
		if err == nil && len(winners) != c.agencies {
			err = fmt.Errorf("the winners of %d agencies were told, expected %d", len(winners), c.agencies)
		}
		done <- err
	})
	err = await(ctx, done)
	return time.Since(begun), err
}
