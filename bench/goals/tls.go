package main

import (
	"crypto/tls"
	"fmt"
	"time"

	"loteria/bench/generator"
	"loteria/bench/measure"
	"loteria/bench/process"
	"loteria/bench/report"
	"loteria/internal/certs/certstest"
)

// mostOverTLS is how many agencies a load has at most.
const mostOverTLS = 64

// tlsLoads are measured over TLS and without it.
var tlsLoads = []struct {
	what        string
	connections int
	window      int
	goal        float64 // the rate over TLS divided by that without
}{
	{"1 agency in lock-step", 1, 1, 0.8},
	{"5 agencies in lock-step", 5, 1, 0.8},
	{"64 agencies in lock-step", mostOverTLS, 1, 0.8},
	{fmt.Sprintf("5 agencies with a window of %d batches", window), 5, window, 0.5},
}

// overTLS compares centrals that agencies reach over TLS with those that they
// reach without it: all are started alike, with both ports. The agencies encrypt
// on the same processors.
func overTLS(l *lab) (rows []row, err error) {
	crowd, err := affordable(l.connected)
	if err != nil {
		return nil, err
	}
	err = l.InFolder(func(path string) error {
		certificates, err := certstest.New(path, max(crowd, mostOverTLS))
		if err != nil {
			return err
		}
		credentials, err := generator.Credentials(path)
		if err != nil {
			return err
		}
		s := &secured{l, certificates, credentials, crowd}
		if rows, err = s.rates(); err != nil {
			return err
		}
		connected, err := s.connected()
		rows = append(rows, connected)
		return err
	})
	return rows, err
}

// secured is a lab with certificates.
type secured struct {
	*lab
	certificates *certstest.Folder
	credentials  func(agency int) (*tls.Config, error)
	crowd        int // agencies that connect to measure their memory
}

// tlsSample is the result of one load.
type tlsSample struct {
	rate   float64
	answer time.Duration // the median
	cost   float64       // ns of the central's processor time per bet
}

// rates measures each load over TLS and without, one after the other in each
// round; which is first alternates.
func (s *secured) rates() ([]row, error) {
	samples := make([][2][]tlsSample, len(tlsLoads)) // without, over TLS
	turn := 0
	err := s.Repeat("over TLS and without", func() error {
		for i, load := range tlsLoads {
			for j := range 2 {
				over := (turn + j) % 2
				sample, err := s.sample(over == 1, load.connections, load.window)
				if err != nil {
					return fmt.Errorf("%s: %w", load.what, err)
				}
				samples[i][over] = append(samples[i][over], sample)
			}
		}
		turn++
		return nil
	})
	if err != nil {
		return nil, err
	}
	var rows []row
	for i, load := range tlsLoads {
		plain, over := samples[i][0], samples[i][1]
		ratios := make([]float64, len(over))
		for round := range ratios {
			ratios[round] = over[round].rate / plain[round].rate
		}
		rows = append(rows, verdict("bets/s over TLS, to those without: "+load.what, fmt.Sprintf("≥ %.0f %%", 100*load.goal),
			fmt.Sprintf("%.0f %% (%s)", 100*report.Median(ratios), medians(over).beside(medians(plain))), report.Median(ratios)/load.goal))
	}
	return rows, nil
}

// medians returns the sample of the medians.
func medians(samples []tlsSample) tlsSample {
	rates, answers, costs := make([]float64, len(samples)), make([]time.Duration, len(samples)), make([]float64, len(samples))
	for i, s := range samples {
		rates[i], answers[i], costs[i] = s.rate, s.answer, s.cost
	}
	return tlsSample{report.Median(rates), report.Median(answers), report.Median(costs)}
}

func (s tlsSample) beside(plain tlsSample) string {
	return fmt.Sprintf("%s to %s; answers after %.2f to %.2f ms; %.0f to %.0f ns of processor per bet on the central",
		report.Grouped(s.rate), report.Grouped(plain.rate), 1e3*s.answer.Seconds(), 1e3*plain.answer.Seconds(), s.cost, plain.cost)
}

func (s *secured) sample(over bool, connections, window int) (sample tlsSample, err error) {
	err = s.InFolder(func(folder string) error {
		return s.withPorts(folder, connections, func(c *process.Server, plain, secure *generator.Central) error {
			target := plain
			if over {
				target = secure
			}
			measured, err := s.Load(target, connections, window)
			if err != nil {
				return err
			}
			cost, err := costPerBet(c, folder, measured)
			sample = tlsSample{measured.Rate(), measured.Quantile(0.5), cost}
			return err
		})
	})
	return sample, err
}

// withPorts calls do with a central in the folder, and with its ports.
func (s *secured) withPorts(folder string, agencies int, do func(c *process.Server, plain, secure *generator.Central) error) error {
	c, address, err := process.StartTLSCentral(s.Ctx, s.Bin, folder, agencies, s.certificates.ServerBeside("0")...)
	if err != nil {
		return err
	}
	return measure.End(c, do(c, &generator.Central{Address: c.Address}, &generator.Central{Address: address, TLS: s.credentials}))
}

// connected measures the memory of connected agencies that have sent one request.
func (s *secured) connected() (row, error) {
	const goal = 60e3
	grown := [2][]int{} // bytes for each, without and over TLS
	err := s.Repeat(fmt.Sprintf("%d agencies connected over TLS and without it", s.crowd), func() error {
		for over := range grown {
			each, err := s.memoryOfEach(over == 1)
			if err != nil {
				return err
			}
			grown[over] = append(grown[over], each)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	plain, over := report.Median(grown[0]), report.Median(grown[1])
	return verdict(fmt.Sprintf("%s agencies connected over TLS, each of which has said RESUME: memory resident for each", report.Grouped(float64(s.crowd))), "≤ 60 kB",
		fmt.Sprintf("%.1f kB (without TLS %.1f kB)", float64(over)/1e3, float64(plain)/1e3), goal/float64(over)), nil
}

func (s *secured) memoryOfEach(over bool) (bytes int, err error) {
	err = s.InFolder(func(folder string) error {
		return s.withPorts(folder, s.crowd, func(c *process.Server, plain, secure *generator.Central) error {
			before, err := c.Resident()
			if err != nil {
				return err
			}
			target := plain
			if over {
				target = secure
			}
			held, err := generator.Hold(s.Ctx, target, s.crowd)
			if err != nil {
				return err
			}
			defer held.Close()
			after, err := c.Resident()
			bytes = (after - before) / s.crowd
			return err
		})
	})
	return bytes, err
}
