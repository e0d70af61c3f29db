package main

import (
	"fmt"
	"time"

	"loteria/bench/generator"
	"loteria/bench/report"
)

// series is what one target has reached, in each round.
type series struct {
	rates   []float64 // bets/s
	medians []time.Duration
	tails   []time.Duration // p99
}

func (s *series) add(r *generator.Report) {
	s.rates = append(s.rates, r.Rate())
	s.medians = append(s.medians, r.Quantile(0.5))
	s.tails = append(s.tails, r.Quantile(0.99))
}

func (s *series) rate() float64 { return report.Median(s.rates) }

// String returns bets/s, and the median and p99 of an answer.
func (s *series) String() string {
	return fmt.Sprintf("%s (%s, %s)", report.Grouped(s.rate()), milliseconds(report.Median(s.medians)), milliseconds(report.Median(s.tails)))
}

// to returns the median, over the rounds, of the ratio of s's rate to other's.
func (s *series) to(other *series) float64 {
	ratios := make([]float64, len(s.rates))
	for i := range ratios {
		ratios[i] = s.rates[i] / other.rates[i]
	}
	return report.Median(ratios)
}
