package main

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

// row is a line of the table.
type row struct {
	what, goal, measured, result string
}

// verdict returns the row of something measured. reached is 1 when the goal is
// just met, and more when it is more than met.
func verdict(what, goal, measured string, reached float64) row {
	result := "met"
	if reached < 1 {
		result = fmt.Sprintf("missed by %.0f %%", 100*(1-reached))
	}
	return row{what, goal, measured, result}
}

// writeTable writes the rows as a table of Markdown.
func writeTable(w io.Writer, rows []row) error {
	text := "| what | goal | measured | |\n|---|---|---|---|\n"
	for _, r := range rows {
		text += fmt.Sprintf("| %s | %s | %s | %s |\n", r.what, r.goal, r.measured, r.result)
	}
	_, err := io.WriteString(w, text)
	return err
}

// grouped writes a number with commas between its thousands.
func grouped(n float64) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func megabytes(bytes int) string { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }

func ratio(goal, measured time.Duration) float64 { return float64(goal) / float64(measured) }
