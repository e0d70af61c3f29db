package main

import (
	"fmt"
	"io"
	"time"

	"loteria/bench/measure"
	"loteria/bench/process"
	"loteria/bench/report"
)

// comparison is a comparison of some peers under some loads.
type comparison struct {
	measure.Lab
	peers  []peer
	loads  []load
	before string // folder of another central's program, or empty
	self   string // this program
}

// result is what a peer reached.
type result struct {
	peer  peer
	start starter
	loads []series // in the order of the comparison's
}

// series is what a peer reached under one load, in each round.
type series struct {
	rates         []float64
	medians, p99s []time.Duration
	costs         []float64 // nanoseconds of the server's processor time for each bet
}

// measure measures every peer in each round, so that whatever else the machine does
// affects all of them. For each load they come one right after the other, each from
// an empty folder, and each round begins with another one.
func (c *comparison) measure() ([]*result, error) {
	var results []*result
	for _, p := range c.peers {
		if p.name == beforeName && c.before == "" {
			continue
		}
		start, err := p.find(c)
		if err != nil {
			fmt.Fprintf(c.News, "%s is skipped: %v\n", p.title, err)
			continue
		}
		results = append(results, &result{p, start, make([]series, len(c.loads))})
	}
	for round := range c.Rounds {
		fmt.Fprintf(c.News, "round %d of %d\n", round+1, c.Rounds)
		for i := range c.loads {
			for j := range results {
				if err := c.once(results[(round+j)%len(results)], i); err != nil {
					return nil, err
				}
			}
		}
	}
	return results, nil
}

// once measures the peer under the i-th load.
func (c *comparison) once(r *result, i int) error {
	load := c.loads[i]
	err := c.InFolder(func(folder string) error {
		server, target, err := r.start(c.Ctx, folder)
		if err != nil {
			return err
		}
		return measure.End(server, func() error {
			before, begun := usage(server)
			measured, err := c.Load(target, load.connections, load.window)
			if err != nil {
				return err
			}
			after, ended := usage(server)
			s := &r.loads[i]
			s.rates = append(s.rates, measured.Rate())
			s.medians = append(s.medians, measured.Quantile(0.5))
			s.p99s = append(s.p99s, measured.Quantile(0.99))
			// The rate of the warm-up is taken to be the same.
			s.costs = append(s.costs, 1e9*(after-before).Seconds()/(measured.Rate()*ended.Sub(begun).Seconds()))
			return nil
		}())
	})
	if err != nil {
		return fmt.Errorf("%s, %s: %w", r.peer.title, load.title, err)
	}
	return nil
}

// usage returns the processor time that the server has used, and now.
func usage(server *process.Server) (time.Duration, time.Time) {
	used, _ := server.CPU() // what has failed here fails with the load
	return used, time.Now()
}

// write writes the tables.
func (c *comparison) write(w io.Writer, results []*result) error {
	header := []string{"bets/s (median and p99 of an answer, processor time for each bet)", "acknowledged means"}
	var rows [][]string
	for _, l := range c.loads {
		header = append(header, l.title)
	}
	for _, r := range results {
		row := []string{r.peer.title, r.peer.durable}
		for _, s := range r.loads {
			cost := ""
			if !r.peer.forks {
				cost = fmt.Sprintf(", %.0f ns", report.Median(s.costs))
			}
			row = append(row, fmt.Sprintf("%s (%s, %s%s)", report.Grouped(report.Median(s.rates)), short(report.Median(s.medians)), short(report.Median(s.p99s)), cost))
		}
		rows = append(rows, row)
	}
	if err := report.WriteTable(w, header, rows); err != nil {
		return err
	}
	return c.writeRatios(w, results)
}

// writeRatios writes the ratios of the rates, with the central's goals: the median
// and the quartiles of those of each round.
func (c *comparison) writeRatios(w io.Writer, results []*result) error {
	header := []string{"the rate of", "to that of", "at least"}
	for _, l := range c.loads {
		header = append(header, l.title)
	}
	var rows [][]string
	for _, aim := range aims {
		of, to := find(results, aim.of), find(results, aim.to)
		if of == nil || to == nil {
			continue // it was not measured
		}
		row := []string{of.peer.title, to.peer.title, "no goal"}
		if aim.least > 0 {
			row[2] = fmt.Sprintf("%.2f ×", aim.least)
		}
		for i, l := range c.loads {
			ratios := make([]float64, c.Rounds)
			for round := range ratios {
				ratios[round] = of.loads[i].rates[round] / to.loads[i].rates[round]
			}
			low, middle, high := report.Quartiles(ratios)
			cell := fmt.Sprintf("%.2f × (%.2f to %.2f)", middle, low, high)
			if middle < aim.least && l.connections > 1 {
				cell += ", missed"
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return report.WriteTable(w, header, rows)
}

// find returns the result of the peer with that name, or nil.
func find(results []*result, name string) *result {
	for _, r := range results {
		if r.peer.name == name {
			return r
		}
	}
	return nil
}

func short(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
}
