package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"loteria/bench/process"
	"loteria/bench/report"
	"loteria/lottery"
)

// The size of a large contest: 10⁷ bets of 5,000 agencies.
const (
	manyAgencies = 5000
	manyBatches  = 20 // of each agency

	seenTime = 60 * time.Second // until all agencies are known
)

// stored measures what depends on how much is stored: a central's start, its
// first view of the agencies, and the export.
func stored(l *lab) (rows []row, err error) {
	agencies := max(1, manyAgencies/l.scale)
	bets := agencies * manyBatches * batchSize
	err = l.onContest(agencies, func(full *contest) error {
		fmt.Fprintf(l.News, "storing %d bets of %d agencies\n", bets, agencies)
		if err := full.fill(filling{agencies: agencies, batches: manyBatches, size: batchSize}); err != nil {
			return err
		}
		for _, measure := range []func(*contest, int) (row, error){survey, starting, exporting} {
			measured, err := measure(full, bets)
			if err != nil {
				return err
			}
			rows = append(rows, measured)
		}
		return nil
	})
	return rows, err
}

// survey measures how long after opening a ledger knows all agencies' bets.
func survey(full *contest, _ int) (row, error) {
	const goal = time.Second
	var times []time.Duration
	err := full.lab.Repeat("agencies known", func() error {
		took, err := full.seeAll()
		times = append(times, took)
		return err
	})
	if err != nil {
		return nil, err
	}
	took := report.Median(times)
	return verdict(fmt.Sprintf("%s agencies' bets known at a central that has just opened the contest", report.Grouped(float64(full.agencies))),
		"≤ 1 s", seconds(took), "", within(goal, took)), nil
}

func (c *contest) seeAll() (time.Duration, error) {
	begun := time.Now()
	ledger, err := c.open()
	if err != nil {
		return 0, err
	}
	defer ledger.Close()
	seen, all := make(map[int]bool), make(chan struct{}) // callbacks come one after the other
	_, err = ledger.Begin(lottery.Events{
		Ended: func(int, lottery.Ending, *lottery.Account) {},
		Seen: func(agency int, bets uint64, _ string) {
			if bets == 0 || seen[agency] {
				return
			}
			seen[agency] = true
			if len(seen) == c.agencies {
				close(all)
			}
		},
	})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(c.lab.Ctx, seenTime)
	defer cancel()
	select {
	case <-all:
		return time.Since(begun), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("not all of %d agencies are known after %v: %w", c.agencies, seenTime, ctx.Err())
	}
}

// starting compares a central's start on the full contest with that on an empty
// one.
func starting(full *contest, bets int) (row, error) {
	const goal = 1.1 // rounds of the same start differ by as much
	var times, empties []time.Duration
	var ratios []float64
	start := func(c *contest) (took time.Duration, err error) {
		err = c.withCentral(c.servers.URLs(), func(s *process.Server, _ string) error {
			took = s.Started
			return nil
		})
		return took, err
	}
	err := full.lab.onContest(full.agencies, func(empty *contest) error {
		return full.lab.Repeat("start", func() error {
			short, err := start(empty)
			if err != nil {
				return err
			}
			long, err := start(full)
			if err != nil {
				return err
			}
			times, empties, ratios = append(times, long), append(empties, short), append(ratios, float64(long)/float64(short))
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	ratio := report.Median(ratios)
	return verdict(fmt.Sprintf("start of a central on %s bets of %s agencies, until it takes connections", report.Grouped(float64(bets)), report.Grouped(float64(full.agencies))),
		"no longer than on an empty contest (≤ 1.1 ×)", fmt.Sprintf("%.2f ×: %s", ratio, seconds(report.Median(times))),
		"empty "+seconds(report.Median(empties)), goal/ratio), nil
}

// exporting measures server --export, into a file.
func exporting(full *contest, bets int) (row, error) {
	const goal = 4 * time.Second
	l := full.lab
	var times []time.Duration
	err := l.Repeat("export", func() error {
		return l.InFolder(func(folder string) error {
			path := filepath.Join(folder, "bets.csv")
			command := exec.CommandContext(l.Ctx, filepath.Join(l.Bin, "server"), "--ledger", strings.Join(full.servers.URLs(), ","), "--contest", full.name,
				"--expected-agencies", strconv.Itoa(full.agencies), "--so-far", "--export", path)
			command.Dir = folder
			begun := time.Now()
			output, err := command.CombinedOutput()
			times = append(times, time.Since(begun))
			if err != nil {
				return fmt.Errorf("%w\n%s", err, output)
			}
			return countRows(path, bets)
		})
	})
	if err != nil {
		return nil, err
	}
	took := report.Median(times)
	return verdict("export of "+report.Grouped(float64(bets))+" bets, checked, into a file", "≤ 4 s", seconds(took), "", within(goal, took)), nil
}

// countRows checks how many rows the file has.
func countRows(path string, want int) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	rows, buffer := 0, make([]byte, 1<<20)
	for {
		n, err := file.Read(buffer)
		for _, c := range buffer[:n] {
			if c == '\n' {
				rows++
			}
		}
		if n == 0 {
			if rows != want {
				return fmt.Errorf("%d rows were exported, expected %d (%v)", rows, want, err)
			}
			return nil
		}
	}
}
