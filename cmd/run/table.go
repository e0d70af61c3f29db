package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// table is the result of all agencies, with a total.
func table(agencies []*agency, took time.Duration) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) { fmt.Fprintf(w, strings.Repeat("%v\t", len(cells))+"\n", cells...) }
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

	row("agency", "bets", "batches", "seconds", "winners")
	bets, batches, winners := 0, 0, 0
	for _, a := range agencies {
		row(a.id, a.bets, a.batches, seconds(a.took), a.winners)
		bets += a.bets
		batches += a.batches
		winners += a.winners
	}
	row("total", bets, batches, seconds(took), winners)
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
