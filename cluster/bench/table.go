package main

import (
	"fmt"
	"time"

	"loteria/bench/measure"
	"loteria/bench/report"
)

// row is a line of the table: what is measured, the goal, the result, what it is
// compared with, and whether the goal is met.
type row = measure.Row

// verdict returns the row of a measurement; reached is as in report.Verdict.
func verdict(what, goal, measured, beside string, reached float64) row {
	return row{what, goal, measured, beside, report.Verdict(reached)}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func milliseconds(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", 1e3*d.Seconds())
	}
	return fmt.Sprintf("%.0f ms", 1e3*d.Seconds())
}

// within returns goal / measured, as report.Verdict takes it.
func within(goal, measured time.Duration) float64 { return float64(goal) / float64(measured) }
