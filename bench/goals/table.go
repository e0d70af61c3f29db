package main

import (
	"fmt"
	"time"

	"loteria/bench/measure"
	"loteria/bench/report"
)

// row is a line of the table: what is measured, the goal, the result, and
// whether the goal is met.
type row = measure.Row

// verdict returns the row of a measurement; reached is as in report.Verdict.
func verdict(what, goal, measured string, reached float64) row {
	return row{what, goal, measured, report.Verdict(reached)}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func megabytes(bytes int) string { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }

func ratio(goal, measured time.Duration) float64 { return float64(goal) / float64(measured) }
