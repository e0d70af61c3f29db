package main

import (
	"fmt"

	"loteria/bench/generator"
	"loteria/bench/process"
	"loteria/bench/report"
	"loteria/cluster/bench/bare"
)

// The windows, in batches, of agencies whose batches are coalesced. A connection
// to a central may have 1 MiB waiting. The bare publisher, which shows what
// JetStream can do, gets enough to have a whole message ready whenever the last
// one is acknowledged: the generator waits until half of a window is free.
const (
	window     = 128
	bareWindow = 512
)

// loads are the loads of each target.
var loads = []struct {
	name, file                      string
	connections, window, bareWindow int
	goal                            float64 // bets/s
}{
	{"5 agencies in lock-step (one batch of 100 at a time)", "lockstep-5", 5, 1, 1, 50_000},
	{"50 agencies in lock-step", "lockstep-50", 50, 1, 1, 200_000},
	{fmt.Sprintf("5 agencies with a window of %d batches, messages of up to 256 KiB", window), "coalesced", 5, window, bareWindow, 500_000},
}

// throughput measures a central on NATS, a publisher without one, and a central
// on a folder, in turn.
func throughput(l *lab) ([]row, error) {
	type results struct{ nats, bare, folder series }
	all := make([]results, len(loads))
	err := l.Repeat("durable bets/s", func() error {
		for i, load := range loads {
			run := func(target generator.Target, window int, into *series) error {
				measured, err := l.Load(target, load.connections, window)
				if err == nil {
					into.add(measured)
				}
				return err
			}
			err := l.onContest(load.connections, func(c *contest) error {
				return c.withCentral(c.servers.URLs()[entrance:entrance+1], func(s *process.Server, admin string) error {
					return l.profiled(admin, load.file, func() error { return run(&generator.Central{Address: s.Address}, load.window, &all[i].nats) })
				})
			})
			if err != nil {
				return fmt.Errorf("the central on NATS, %s: %w", load.name, err)
			}
			err = l.onContest(load.connections, func(c *contest) error {
				publisher, err := bare.New(c.servers.URLs()[entrance:entrance+1], c.stream)
				if err != nil {
					return err
				}
				defer publisher.Close()
				return run(publisher, load.bareWindow, &all[i].bare)
			})
			if err != nil {
				return fmt.Errorf("the bare publisher, %s: %w", load.name, err)
			}
			err = l.withFolder(l.Bin, load.connections, func(s *process.Server) error {
				return run(&generator.Central{Address: s.Address}, load.window, &all[i].folder)
			})
			if err != nil {
				return fmt.Errorf("the central on a folder, %s: %w", load.name, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var rows []row
	for i, load := range loads {
		r := &all[i]
		publisher := "bare publisher"
		if load.bareWindow != load.window {
			publisher += fmt.Sprintf(" with a window of %d", load.bareWindow)
		}
		beside := fmt.Sprintf("%s %v: %.2f × of it; central on a folder %v: %.2f × of it", publisher, &r.bare, r.nats.to(&r.bare), &r.folder, r.nats.to(&r.folder))
		rows = append(rows, verdict("durable bets/s (median and p99 of an answer), "+load.name, "≥ "+report.Grouped(load.goal), r.nats.String(), beside, r.nats.rate()/load.goal))
	}
	return rows, nil
}
