package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"time"

	"loteria/bench/generator"
	"loteria/bench/measure"
	"loteria/bench/peers/jetstream"
	"loteria/bench/peers/postgres"
	"loteria/bench/peers/redis"
	"loteria/bench/process"
	"loteria/bench/report"
)

// The names of those that are compared.
const (
	central        = "the central"
	quiet          = "the central, with only errors in its log"
	goroutinesName = "goroutines: the same ledger and log, package net"
	redisName      = "Redis stream, appendfsync always"
)

// loads are the loads of each peer.
var loads = []struct {
	name                string
	connections, window int
}{
	{"5 in lock-step", 5, 1},
	{"5 with 64 in flight", 5, 64},
	{"64 in lock-step", 64, 1},
}

// starter starts a peer that keeps its bets in the folder.
type starter func(ctx context.Context, folder string) (*process.Server, generator.Target, error)

// peer is the central, or what it is compared with.
type peer struct {
	name    string
	durable string // what an acknowledgement means
	start   starter
}

// result is what a peer reached under each load, in each round.
type result struct {
	peer    peer
	rates   [][]float64
	medians [][]time.Duration
	tails   [][]time.Duration // p99
}

// comparison is a comparison of all peers.
type comparison struct {
	measure.Lab
	self string // this program
}

// peers returns those that can be measured on this machine.
func (c *comparison) peers() []peer {
	own := func(name string, target func(address string) generator.Target) starter {
		return func(ctx context.Context, folder string) (*process.Server, generator.Target, error) {
			cmd := exec.CommandContext(ctx, c.self, "--serve", name)
			cmd.Dir = folder
			s, err := process.Start(cmd, process.Logs(`serving on (\S+)`))
			if err != nil {
				return nil, nil, err
			}
			return s, target(s.Address), nil
		}
	}
	dial := func(address string) generator.Target { return &generator.Central{Address: address} }
	start := func(start func(context.Context, string, string, int) (*process.Server, error)) starter {
		return func(ctx context.Context, folder string) (*process.Server, generator.Target, error) {
			s, err := start(ctx, c.Bin, folder, agencies)
			if err != nil {
				return nil, nil, err
			}
			return s, dial(s.Address), nil
		}
	}
	all := []peer{
		{central, "synced, and logged", start(process.StartCentral)},
		{quiet, "synced", start(process.StartQuietCentral)},
		{goroutinesName, "synced, and logged", own("goroutines", dial)},
		{"simple: one lock, encoding/csv", "not synced", own("simple", dial)},
		{"NATS JetStream, sync always", "synced", own("jetstream", func(url string) generator.Target { return &jetstream.Target{URL: url} })},
	}
	if path, err := redis.Path(); err != nil {
		fmt.Fprintf(c.News, "Redis is skipped: %v\n", err)
	} else {
		all = append(all, peer{redisName, "synced", func(ctx context.Context, folder string) (*process.Server, generator.Target, error) {
			s, socket, err := redis.Start(ctx, path, folder)
			return s, &redis.Target{Socket: socket}, err
		}})
	}
	if path, err := postgres.Path(c.Folder); err != nil {
		fmt.Fprintf(c.News, "PostgreSQL is skipped: %v\n", err)
	} else {
		all = append(all, peer{"PostgreSQL, COPY per batch", "synced", func(ctx context.Context, folder string) (*process.Server, generator.Target, error) {
			s, url, err := postgres.Start(ctx, path, folder)
			return s, &postgres.Target{URL: url}, err
		}})
	}
	return all
}

// measure measures every peer in each round, so that whatever else the machine
// does affects all of them.
func (c *comparison) measure() ([]result, error) {
	var results []result
	for _, p := range c.peers() {
		n := len(loads)
		results = append(results, result{p, make([][]float64, n), make([][]time.Duration, n), make([][]time.Duration, n)})
	}
	for round := range c.Rounds {
		for i := range results {
			fmt.Fprintf(c.News, "%s, round %d of %d\n", results[i].peer.name, round+1, c.Rounds)
			if err := c.once(&results[i]); err != nil {
				return nil, fmt.Errorf("%s: %w", results[i].peer.name, err)
			}
		}
	}
	return results, nil
}

func (c *comparison) once(r *result) error {
	return c.InFolder(func(folder string) error {
		server, target, err := r.peer.start(c.Ctx, folder)
		if err != nil {
			return err
		}
		return measure.End(server, c.loads(r, target))
	})
}

// loads measures the peer under each load.
func (c *comparison) loads(r *result, target generator.Target) error {
	for i, load := range loads {
		measured, err := c.Load(target, load.connections, load.window)
		if err != nil {
			return fmt.Errorf("%s: %w", load.name, err)
		}
		r.rates[i] = append(r.rates[i], measured.Rate())
		r.medians[i] = append(r.medians[i], measured.Quantile(0.5))
		r.tails[i] = append(r.tails[i], measured.Quantile(0.99))
	}
	return nil
}

// write writes the table. The first result is the central's.
func (c *comparison) write(w io.Writer, results []result) error {
	header := []string{"bets/s (median and p99 of an answer)", "acknowledged means"}
	for _, load := range loads {
		header = append(header, load.name)
	}
	var rows [][]string
	for i := range results {
		r := &results[i]
		row := []string{r.peer.name, r.peer.durable}
		for j := range loads {
			rate, central := report.Median(r.rates[j]), report.Median(results[0].rates[j])
			cell := fmt.Sprintf("%s (%s, %s)", report.Grouped(rate), short(report.Median(r.medians[j])), short(report.Median(r.tails[j])))
			if i > 0 {
				cell += fmt.Sprintf(": %.2f ×", rate/central)
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	if err := report.WriteTable(w, header, rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return writeGoals(w, results)
}

// aims are the central's goals beside another: at least that many times its
// rate.
var aims = []struct {
	of, to string
	least  float64
}{
	{central, goroutinesName, 1.05},
	{central, redisName, 1},
	{central, quiet, 0.97},
}

// writeGoals writes what the central has reached beside the others: the median
// of the ratios of each round.
func writeGoals(w io.Writer, results []result) error {
	header := []string{"the rate of", "to that of", "at least"}
	for _, load := range loads {
		header = append(header, load.name)
	}
	find := func(name string) *result {
		for i := range results {
			if results[i].peer.name == name {
				return &results[i]
			}
		}
		return nil
	}
	var rows [][]string
	for _, aim := range aims {
		of, to := find(aim.of), find(aim.to)
		if to == nil {
			continue // it is not on this machine
		}
		row := []string{of.peer.name, to.peer.name, fmt.Sprintf("%.2f ×", aim.least)}
		for i := range loads {
			var ratios []float64
			for round := range of.rates[i] {
				ratios = append(ratios, of.rates[i][round]/to.rates[i][round])
			}
			cell := fmt.Sprintf("%.2f ×", report.Median(ratios))
			if report.Median(ratios) < aim.least {
				cell += " (missed)"
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return report.WriteTable(w, header, rows)
}

func short(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
}
