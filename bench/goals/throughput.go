package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"loteria/bench/disk"
	"loteria/bench/generator"
	"loteria/bench/inprocess"
	"loteria/bench/process"
	"loteria/bench/report"
	"loteria/lottery/csvledger"
)

// windowed compares agencies with a window with what the disk alone takes of
// the same rows.
func windowed(l *lab) ([]row, error) {
	const goalRate, goalShare = 12_000_000, 0.8
	var rates, shares, disks, perBet []float64
	var size int
	err := l.Repeat("agencies with a window", func() error {
		return l.InFolder(func(folder string) error {
			bare, err := disk.Best(folder, l.Duration/4)
			if err != nil {
				return err
			}
			return l.withCentralIn(folder, agencies, func(c *process.Server) error {
				measured, err := l.load(c, agencies, window)
				if err != nil {
					return err
				}
				cost, err := costPerBet(c, folder, measured)
				if err != nil {
					return err
				}
				perBet = append(perBet, cost)
				rates = append(rates, measured.Rate())
				shares = append(shares, measured.Throughput()/bare.Throughput)
				disks, size = append(disks, bare.Throughput), bare.BlockSize
				return nil
			})
		})
	})
	if err != nil {
		return nil, err
	}
	rate, share := report.Median(rates), report.Median(shares)
	what := fmt.Sprintf("durable bets/s, %d agencies with a window of %d batches", agencies, window)
	return []row{
		verdict(what, "≥ 12,000,000", fmt.Sprintf("%s (%.0f ns of processor per bet on the central)", report.Grouped(rate), report.Median(perBet)),
			rate/goalRate),
		verdict("the same in bytes, to a bare loop that appends such rows and syncs, at its best block size", "≥ 80 %",
			fmt.Sprintf("%.0f %% of %.0f MB/s (blocks of %d MiB)", 100*share, report.Median(disks)/1e6, size>>20), share/goalShare),
	}, nil
}

// costPerBet returns the nanoseconds of processor time that the central has used
// for each bet in its folder, warm-up included. It takes all bets to be as long
// as the measured ones.
func costPerBet(c *process.Server, folder string, measured *generator.Report) (float64, error) {
	used, err := c.CPU()
	if err != nil {
		return 0, err
	}
	ledger, err := os.Stat(filepath.Join(folder, csvledger.LedgerFile))
	if err != nil {
		return 0, err
	}
	bets := float64(ledger.Size()) * float64(measured.Bets) / float64(measured.RowBytes)
	return float64(used.Nanoseconds()) / bets, nil
}

// lockStep measures agencies that send one batch at a time.
func lockStep(l *lab) ([]row, error) {
	const goal = 600_000
	var rates []float64
	err := l.Repeat("agencies in lock-step", func() error {
		return l.withCentral(agencies, func(c *process.Server) error {
			measured, err := l.load(c, agencies, 1)
			if err != nil {
				return err
			}
			rates = append(rates, measured.Rate())
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return []row{verdict(fmt.Sprintf("durable bets/s, %d agencies in lock-step (one batch at a time)", agencies), "≥ 600,000", report.Grouped(report.Median(rates)), report.Median(rates)/goal)}, nil
}

// alone compares the answers to one agency with a bare sync, and with the
// answers of a server that does nothing but sync.
func alone(l *lab) ([]row, error) {
	const blockSize, goalMedian, goalTail, goalFloor = 8 << 10, 1.5, 2, 1.1
	var answers, syncs, medians, tails, floors, floorTails []float64
	err := l.Repeat("one agency in lock-step", func() error {
		return l.InFolder(func(folder string) error {
			bare, err := disk.Append(folder, blockSize, l.Duration)
			if err != nil {
				return err
			}
			floor, err := l.floor(folder)
			if err != nil {
				return err
			}
			return l.withCentralIn(folder, agencies, func(c *process.Server) error {
				measured, err := l.load(c, 1, 1)
				if err != nil {
					return err
				}
				of := func(q float64) float64 { return float64(bare.Syncs.ValueAtQuantile(100 * q)) }
				answers = append(answers, float64(measured.Quantile(0.5)))
				syncs = append(syncs, of(0.5))
				floors = append(floors, float64(measured.Quantile(0.5))/float64(floor.Quantile(0.5)))
				medians = append(medians, float64(measured.Quantile(0.5))/of(0.5))
				tails = append(tails, float64(measured.Quantile(0.99))/of(0.99))
				floorTails = append(floorTails, float64(floor.Quantile(0.99))/of(0.99))
				return nil
			})
		})
	})
	if err != nil {
		return nil, err
	}
	return []row{
		verdict("one lock-step agency: median answer, to a bare fdatasync of 8 kB", "≤ 1.5 ×",
			fmt.Sprintf("%.2f × (%.0f µs to %.0f µs)", report.Median(medians), report.Median(answers)/1e3, report.Median(syncs)/1e3),
			goalMedian/report.Median(medians)),
		verdict("one lock-step agency: median answer, to that of a server of one thread that does nothing but sync", "≤ 1.1 ×",
			fmt.Sprintf("%.2f ×", report.Median(floors)), goalFloor/report.Median(floors)),
		verdict("one lock-step agency: p99 of an answer, to that of a bare fdatasync", "≤ 2 ×",
			fmt.Sprintf("%.2f ×; the server of one thread %.2f ×", report.Median(tails), report.Median(floorTails)), goalTail/report.Median(tails)),
	}, nil
}

// crowd measures the memory of a central that 5,000 agencies send to, each with
// a window.
func crowd(l *lab) ([]row, error) {
	const many, window, goal = 5000, 8, 150e6
	connections := many / l.scale
	var memory []int
	err := l.Repeat("memory of a crowd", func() error {
		return l.withCentral(connections, func(c *process.Server) error {
			if _, err := l.load(c, connections, window); err != nil {
				return err
			}
			resident, err := c.Memory()
			memory = append(memory, resident)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	most := slices.Max(memory)
	return []row{verdict(fmt.Sprintf("%d agencies with windows of %d, memory resident", many, window), "≤ 150 MB", megabytes(most), goal/float64(most))}, nil
}

// allocations counts what a central allocates in steady state, together with
// the generator, which is in the same process.
func allocations(l *lab) ([]row, error) {
	const goal = 0.1 // the rest is for batches, jobs and commits, not for bets
	var perBet, bytesPerBet []float64
	err := l.InFolder(func(folder string) error {
		c, err := inprocess.Start(folder, agencies)
		if err != nil {
			return err
		}
		if _, err := l.send(c.Address, 1_000_000/int64(l.scale)); err != nil {
			return err
		}
		err = l.Repeat("allocations", func() error {
			bets := 2_000_000 / int64(l.scale)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := l.send(c.Address, bets); err != nil {
				return err
			}
			runtime.ReadMemStats(&after)
			perBet = append(perBet, float64(after.Mallocs-before.Mallocs)/float64(bets))
			bytesPerBet = append(bytesPerBet, float64(after.TotalAlloc-before.TotalAlloc)/float64(bets))
			return nil
		})
		if err != nil {
			return err
		}
		return c.Stop()
	})
	if err != nil {
		return nil, err
	}
	return []row{verdict("heap allocations per bet, the generator's with them", "none in steady state",
		fmt.Sprintf("%.3f (%.0f bytes)", report.Median(perBet), report.Median(bytesPerBet)), goal/report.Median(perBet))}, nil
}

// growth measures how the rate depends on the number of stored bets and of
// agencies.
func growth(l *lab) ([]row, error) {
	const goal = 0.85
	byStored := make([][]float64, 2)
	// Both centrals have just started, and take a few bets before those that count.
	rate := func(c *process.Server, of int) error {
		if _, err := l.send(c.Address, 100_000/int64(l.scale)); err != nil {
			return err
		}
		measured, err := l.send(c.Address, 1_000_000/int64(l.scale))
		if err == nil {
			byStored[of] = append(byStored[of], measured.Rate())
		}
		return err
	}
	err := l.Repeat("rate by bets stored", func() error {
		err := l.withCentral(agencies, func(c *process.Server) error { return rate(c, 0) })
		if err != nil {
			return err
		}
		return l.withStored(func(folder string) error {
			return l.withCentralIn(folder, agencies, func(c *process.Server) error { return rate(c, 1) })
		})
	})
	if err != nil {
		return nil, err
	}

	crowds := []struct{ connections, window int }{{5, 128}, {50, 32}, {max(500/l.scale, 1), 8}, {max(5000/l.scale, 1), 8}}
	byCrowd := make([][]float64, len(crowds))
	err = l.Repeat("rate by agencies", func() error {
		for i, crowd := range crowds {
			err := l.withCentral(crowd.connections, func(c *process.Server) error {
				measured, err := l.load(c, crowd.connections, crowd.window)
				if err == nil {
					byCrowd[i] = append(byCrowd[i], measured.Rate())
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	byStoredText, storedFlat := flat(byStored)
	byCrowdText, crowdFlat := flat(byCrowd)
	return []row{
		verdict("bets/s with 10⁵ and 10⁷ bets stored before", "within 15 %", byStoredText, storedFlat/goal),
		verdict("bets/s of 5, 50, 500 and 5,000 agencies (windows of 128, 32, 8, 8)", "within 15 %", byCrowdText, crowdFlat/goal),
	}, nil
}

// flat returns the medians as text, and the least divided by the greatest.
func flat(rates [][]float64) (text string, share float64) {
	medians := make([]float64, len(rates))
	millions := make([]string, len(rates))
	for i, r := range rates {
		medians[i] = report.Median(r)
		millions[i] = fmt.Sprintf("%.1f", medians[i]/1e6)
	}
	share = slices.Min(medians) / slices.Max(medians)
	return fmt.Sprintf("%s million: the least is %.0f %% below the most", strings.Join(millions, ", "), 100*(1-share)), share
}
