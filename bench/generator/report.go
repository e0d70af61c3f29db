package generator

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is the result of a run.
type Report struct {
	Connections int
	Batches     int64 // acknowledged in the measured time
	Bets        int64
	RowBytes    int64 // of those bets in bets.csv
	Elapsed     time.Duration
	// Latencies are the times, in nanoseconds, from when a batch was due, in
	// the measured time, until its answer came.
	Latencies *hdrhistogram.Histogram
}

// Rate returns the bets per second that were acknowledged.
func (r *Report) Rate() float64 { return float64(r.Bets) / r.Elapsed.Seconds() }

// Throughput returns the bytes of rows per second that were acknowledged.
func (r *Report) Throughput() float64 { return float64(r.RowBytes) / r.Elapsed.Seconds() }

// Quantile returns the time within which that part of the answers came; 0.5
// is the median.
func (r *Report) Quantile(q float64) time.Duration {
	return time.Duration(r.Latencies.ValueAtQuantile(q * 100))
}

// String returns the report for people to read.
func (r *Report) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d bets in %d batches over %d connections in %v\n",
		r.Bets, r.Batches, r.Connections, r.Elapsed.Round(time.Millisecond))
	fmt.Fprintf(&text, "%.0f bets/s, %.1f MB/s of rows\n", r.Rate(), r.Throughput()/1e6)
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999, 1} {
		fmt.Fprintf(&text, "p%-5v %v\n", q*100, r.Quantile(q).Round(time.Microsecond))
	}
	return text.String()
}

// The range of the latencies, in nanoseconds, and their significant digits.
const (
	shortest = int64(time.Microsecond)
	longest  = int64(2 * time.Minute)
	digits   = 3
)

// counts is what connections add to as their batches are acknowledged. Several
// connections share one, because a histogram takes some hundred kilobytes.
type counts struct {
	mu        sync.Mutex
	batches   int64
	bets      int64
	rowBytes  int64
	last      time.Time // of the acknowledgements
	latencies *hdrhistogram.Histogram
}

func newCounts() *counts {
	return &counts{latencies: hdrhistogram.New(shortest, longest, digits)}
}

// stored counts one acknowledged batch.
func (c *counts) stored(b *Batch, now time.Time) {
	c.batches++
	c.bets += int64(len(b.Bets))
	c.rowBytes += int64(len(b.Rows))
	c.last = now
}

// answered counts one answer.
func (c *counts) answered(took time.Duration) {
	_ = c.latencies.RecordValue(min(max(int64(took), shortest), longest)) // in range: no error
}
