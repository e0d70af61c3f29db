// Package report formats measurements.
package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Median returns the middle of the values, of which there must be at least one.
func Median[T int | float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// Quartiles returns the values below which a quarter, a half and three quarters of the
// values are, of which there must be at least one.
func Quartiles(values []float64) (low, middle, high float64) {
	sorted := slices.Sorted(slices.Values(values))
	at := func(quarters int) float64 { return sorted[min(quarters*len(sorted)/4, len(sorted)-1)] }
	return at(1), at(2), at(3)
}

// Grouped writes a number with commas between its thousands.
func Grouped(n float64) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// WriteTable writes a Markdown table.
func WriteTable(w io.Writer, header []string, rows [][]string) error {
	var text strings.Builder
	line := func(cells []string) {
		text.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	line(header)
	text.WriteString("|" + strings.Repeat("---|", len(header)) + "\n")
	for _, row := range rows {
		line(row)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// Verdict says whether a goal is met: reached is 1 when it just is, and more
// when it is exceeded.
func Verdict(reached float64) string {
	if reached < 1 {
		return fmt.Sprintf("missed by %.0f %%", 100*(1-reached))
	}
	return "met"
}
