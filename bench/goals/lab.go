package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"loteria/bench/generator"
	"loteria/bench/process"
)

// The load of the goals.
const (
	agencies  = 5
	batchSize = 100 // bets
	window    = 128 // batches of an agency that wait for their answer
)

// maxScale leaves each of the many one at least.
const maxScale = 1000

// lab is where the goals are measured.
type lab struct {
	ctx      context.Context
	bin      string // folder of the programs
	data     string // of the agencies
	folder   string // on the disk that is measured
	news     io.Writer
	rounds   int           // of each measurement
	duration time.Duration // of each load
	// connected is how many agencies connect over TLS to measure their memory.
	connected int
	scale     int // divides what there is many of

	stored string // folder of a contest with manyBets; empty until needed
}

// inFolder calls do with a folder that it may fill.
func (l *lab) inFolder(do func(folder string) error) error {
	folder, err := os.MkdirTemp(l.folder, "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	return do(folder)
}

// withCentral calls do with a fresh central.
func (l *lab) withCentral(agencies int, do func(*process.Server) error) error {
	return l.inFolder(func(folder string) error { return l.withCentralIn(folder, agencies, do) })
}

func (l *lab) withCentralIn(folder string, agencies int, do func(*process.Server) error) error {
	c, err := process.StartCentral(l.ctx, l.bin, folder, agencies)
	if err != nil {
		return err
	}
	if err := do(c); err != nil {
		_ = c.Kill()
		return err
	}
	return c.Stop()
}

// affordable returns how many of the wanted connections the limit of open files
// allows, here and in a central, which has the same limit.
func affordable(wanted int) (int, error) {
	const spare = 500 // other descriptors of each of the two processes
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return min(wanted, max(int(limit.Cur)-spare, 1)), nil
}

// load sends bets to the central for a time.
func (l *lab) load(c *process.Server, connections, window int) (*generator.Report, error) {
	return l.loadAt(&generator.Central{Address: c.Address}, connections, window)
}

func (l *lab) loadAt(c *generator.Central, connections, window int) (*generator.Report, error) {
	return generator.Run(l.ctx, c, generator.Config{
		Connections: connections, Agencies: connections, Window: window, BatchSize: batchSize,
		Warmup: l.duration / 4, Duration: l.duration,
	})
}

// send sends that many bets to the central at the address, in windows.
func (l *lab) send(address string, bets int64) (*generator.Report, error) {
	return generator.Run(l.ctx, &generator.Central{Address: address}, generator.Config{
		Connections: agencies, Agencies: agencies, Window: window, BatchSize: batchSize, Bets: bets,
	})
}

// repeat calls measure in rounds, and reports each one.
func (l *lab) repeat(what string, measure func() error) error {
	for i := range l.rounds {
		fmt.Fprintf(l.news, "%s, round %d of %d\n", what, i+1, l.rounds)
		if err := l.ctx.Err(); err != nil {
			return err
		}
		if err := measure(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}
