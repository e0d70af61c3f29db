package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"loteria/bench/generator"
	"loteria/bench/process"
	"loteria/bench/report"
	"loteria/lottery/csvledger"
)

const manyBets = 10_000_000

// withStored calls do with the folder of a contest that has manyBets and no
// draw, and restores it afterwards.
func (l *lab) withStored(do func(folder string) error) error {
	bets := int64(manyBets / l.scale)
	if l.stored == "" {
		folder, err := os.MkdirTemp(l.Folder, "bench-")
		if err != nil {
			return err
		}
		l.stored = folder
		fmt.Fprintf(l.News, "storing %d bets\n", bets)
		err = l.withCentralIn(folder, agencies, func(c *process.Server) error {
			_, err := l.send(c.Address, bets)
			return err
		})
		if err != nil {
			return err
		}
	}
	ledger, state := filepath.Join(l.stored, csvledger.LedgerFile), filepath.Join(l.stored, csvledger.StateFile)
	before, err := os.Stat(ledger)
	if err != nil {
		return err
	}
	undrawn, err := os.ReadFile(state)
	if err != nil {
		return err
	}
	if err := do(l.stored); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(l.stored, csvledger.ActaFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Truncate(ledger, before.Size()); err != nil {
		return err
	}
	return os.WriteFile(state, undrawn, 0o644)
}

// restart measures how long a central with many bets takes to be ready.
func restart(l *lab) ([]row, error) {
	const goalTime, goalMemory = 2 * time.Second, 300 << 20
	var times []time.Duration
	var most int
	err := l.withStored(func(folder string) error {
		return l.Repeat("restart", func() error {
			return l.withCentralIn(folder, agencies, func(c *process.Server) error {
				memory, err := c.Memory()
				times, most = append(times, c.Started), max(most, memory)
				return err
			})
		})
	})
	if err != nil {
		return nil, err
	}
	return []row{
		verdict("restart on 10,000,000 stored bets, until ready", "≤ 2 s", seconds(report.Median(times)), ratio(goalTime, report.Median(times))),
		verdict("restart on 10,000,000 stored bets, memory resident", "≤ 300 MB", megabytes(most), goalMemory/float64(most)),
	}, nil
}

// drawing measures the time from the last FINISHED to an agency's winners.
func drawing(l *lab) ([]row, error) {
	const goal = 10 * time.Millisecond
	var times []time.Duration
	err := l.Repeat("draw", func() error {
		return l.withStored(func(folder string) error {
			return l.withCentralIn(folder, agencies, func(c *process.Server) error {
				parked, err := generator.Park(l.Ctx, &generator.Central{Address: c.Address},
					generator.ParkConfig{Queries: 1, Connections: 1, Agencies: agencies})
				if err != nil {
					return err
				}
				defer parked.Close()
				measured, err := parked.Draw(l.Ctx)
				if err == nil {
					times = append(times, measured.FirstAnswer)
				}
				return err
			})
		})
	})
	if err != nil {
		return nil, err
	}
	return []row{verdict("draw with 10,000,000 stored bets: last FINISHED to the winners' answer", "≤ 10 ms",
		fmt.Sprintf("%.1f ms", 1e3*report.Median(times).Seconds()), ratio(goal, report.Median(times)))}, nil
}

// parking measures the answers to queries that have waited for the draw.
func parking(l *lab) ([]row, error) {
	const goalTime, goalMemory = time.Second, 250 << 20
	queries := 100_000 / l.scale
	connections, err := affordable(queries)
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	var most int
	err = l.Repeat("parked queries", func() error {
		return l.withCentral(agencies, func(c *process.Server) error {
			parked, err := generator.Park(l.Ctx, &generator.Central{Address: c.Address, Sources: 16},
				generator.ParkConfig{Queries: queries, Connections: connections, Agencies: agencies})
			if err != nil {
				return err
			}
			defer parked.Close()
			measured, err := parked.Draw(l.Ctx)
			if err != nil {
				return err
			}
			memory, err := c.Memory()
			times, most = append(times, measured.LastAnswer), max(most, memory)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	what := "100,000 parked queries: last FINISHED to the last answer"
	if connections < queries {
		what += fmt.Sprintf(" (on %s connections, as many as the limit of open files allows)", report.Grouped(float64(connections)))
	}
	return []row{
		verdict(what, "≤ 1 s", seconds(report.Median(times)), ratio(goalTime, report.Median(times))),
		verdict("100,000 parked queries, memory resident", "≤ 250 MB", fmt.Sprintf("%s (%d kB for each connection)", megabytes(most), most/connections/1000),
			goalMemory/float64(most)),
	}, nil
}

// wholeLottery measures the real programs, from the start of the first until the
// end of the last, when all winners are known.
func wholeLottery(l *lab) ([]row, error) {
	const goal = 250 * time.Millisecond
	var times []time.Duration
	err := l.Repeat("a whole lottery", func() error {
		begun := time.Now()
		err := l.withCentral(agencies, func(c *process.Server) error {
			var playing errgroup.Group
			for id := range agencies {
				playing.Go(func() error {
					client := exec.CommandContext(l.Ctx, filepath.Join(l.Bin, "client"), "--id", strconv.Itoa(id+1),
						"--server-address", c.Address, "--data-dir", l.data, "--mode", "batch")
					output, err := client.CombinedOutput()
					if err != nil {
						return fmt.Errorf("%w\n%s", err, output)
					}
					return nil
				})
			}
			return playing.Wait()
		})
		times = append(times, time.Since(begun))
		return err
	})
	if err != nil {
		return nil, err
	}
	return []row{verdict("real agencies, CSV file to winners known, six processes started", "≤ 0.25 s",
		seconds(report.Median(times)), ratio(goal, report.Median(times)))}, nil
}
