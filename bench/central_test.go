// Package bench measures the central: its parts and the whole, over loopback TCP
// and with a real disk, and what the disk alone takes in the same run.
//
//	go test -bench . ./bench
//
// See README.md for results, and for the other programs.
package bench

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"loteria/bench/disk"
	"loteria/bench/generator"
	"loteria/bench/inprocess"
	"loteria/bench/report"
	"loteria/internal/certs/certstest"
)

const (
	agencies  = 5
	batchSize = 100 // bets
)

// As in the command, GOMAXPROCS is two more than there are cores. The benchmarks'
// output begins with the machine, as benchstat wants it
// (https://go.dev/design/14313-benchmark-format).
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() != "" {
		fmt.Printf("machine: %s\n", report.Machine(os.TempDir()))
	}
	os.Exit(m.Run())
}

const diskTime = 200 * time.Millisecond // for the figure of the bare disk

// bareDisk returns what the disk alone takes, in blocks of size bytes, in
// megabytes per second.
func bareDisk(b *testing.B, folder string, size int) float64 {
	b.Helper()
	a, err := disk.Append(folder, size, diskTime)
	if err != nil {
		b.Fatal(err)
	}
	return a.Throughput / 1e6
}

// BenchmarkCentral sends batches from five agencies, each with a window of
// batches in flight. One operation is one batch.
func BenchmarkCentral(b *testing.B) {
	for _, window := range []int{1, 8, 32, 128} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			folder := b.TempDir()
			bare := bareDisk(b, folder, max(agencies*window/2, 1)*batchSize*rowSize) // half is in flight
			central, err := inprocess.Start(folder, agencies)
			if err != nil {
				b.Fatal(err)
			}
			measured := benchmark(b, central, &generator.Central{Address: central.Address}, window)
			b.ReportMetric(measured.Throughput()/1e6, "ledger-MB/s")
			b.ReportMetric(float64(measured.Quantile(0.999).Microseconds()), "p999-µs")
			b.ReportMetric(bare, "disk-MB/s")
		})
	}
}

// BenchmarkCentralTLS is BenchmarkCentral over TLS.
func BenchmarkCentralTLS(b *testing.B) {
	certificates, err := certstest.New(b.TempDir(), agencies)
	if err != nil {
		b.Fatal(err)
	}
	credentials, err := generator.Credentials(certificates.Path)
	if err != nil {
		b.Fatal(err)
	}
	for _, window := range []int{1, 32, 128} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			central, err := inprocess.StartTLS(b.TempDir(), agencies, certificates.Files())
			if err != nil {
				b.Fatal(err)
			}
			benchmark(b, central, &generator.Central{Address: central.TLSAddress, TLS: credentials}, window)
		})
	}
}

// benchmark sends batches to the central, which it stops, and reports how fast they
// were acknowledged. One operation is one batch.
func benchmark(b *testing.B, central *inprocess.Central, target generator.Target, window int) *generator.Report {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	measured, err := generator.Run(b.Context(), target, generator.Config{
		Connections: agencies, Agencies: agencies, Window: window, BatchSize: batchSize, Bets: int64(b.N) * batchSize,
	})
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	if err := central.Stop(); err != nil {
		b.Fatal(err)
	}
	reportBets(b)
	b.ReportMetric(float64(measured.Quantile(0.5).Microseconds()), "p50-µs")
	b.ReportMetric(float64(measured.Quantile(0.99).Microseconds()), "p99-µs")
	return measured
}

// reportBets reports the bets of a benchmark whose operation is one batch.
func reportBets(b *testing.B) {
	bets := float64(b.N * batchSize)
	b.ReportMetric(bets/b.Elapsed().Seconds(), "bets/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/bets, "ns/bet")
}

// TestCentralAllocatesNothingPerBet brings a central to steady state, and then
// counts what it and the generator allocate.
func TestCentralAllocatesNothingPerBet(t *testing.T) {
	central, err := inprocess.Start(t.TempDir(), agencies)
	if err != nil {
		t.Fatal(err)
	}
	send := func(bets int64) {
		t.Helper()
		_, err := generator.Run(t.Context(), &generator.Central{Address: central.Address}, generator.Config{
			Connections: agencies, Agencies: agencies, Window: 64, BatchSize: batchSize, Bets: bets,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const bets = 200_000
	send(bets)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	send(bets)
	runtime.ReadMemStats(&after)
	if err := central.Stop(); err != nil {
		t.Error(err)
	}
	perBet := float64(after.Mallocs-before.Mallocs) / bets
	if perBet > 0.5 { // each run makes new batches: some 0.1
		t.Errorf("%.2f allocations per bet, expected less than one for each batch and a few for each connection", perBet)
	}
}
