// Package bench measures the central as a whole, over loopback TCP and with a
// real disk, beside what the disk alone takes in the same run:
//
//	go test -bench . ./bench
//
// The parts have their benchmarks beside them, in their packages.
package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
	"loteria/bench/generator"
	"loteria/bench/inprocess"
)

const (
	agencies  = 5
	batchSize = 100 // bets
)

// The command has two processors more than there are cores, and so have the
// benchmarks.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	os.Exit(m.Run())
}

// BenchmarkDisk appends the rows of batches to a file and syncs each block:
// what the central is measured against.
func BenchmarkDisk(b *testing.B) {
	for _, batches := range []int{1, 32, 160, 1024} {
		b.Run(fmt.Sprintf("batches=%d", batches), func(b *testing.B) {
			var block []byte
			for _, bet := range generator.Bets(1, batches*batchSize) {
				block = bet.AppendRow(block)
			}
			file, err := os.OpenFile(filepath.Join(b.TempDir(), "rows"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			if err != nil {
				b.Fatal(err)
			}
			defer file.Close()
			b.SetBytes(int64(len(block)))
			for b.Loop() {
				if _, err := file.Write(block); err != nil {
					b.Fatal(err)
				}
				if err := unix.Fdatasync(int(file.Fd())); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*batches*batchSize)/b.Elapsed().Seconds(), "bets/s")
		})
	}
}

// BenchmarkCentral sends batches from five agencies, each with a window of so
// many batches that wait for their answer. One operation is one batch.
func BenchmarkCentral(b *testing.B) {
	for _, window := range []int{1, 8, 32, 128} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			central := generator.Central{Address: serve(b, b.TempDir())}
			load := generator.Config{Connections: agencies, Agencies: agencies, Window: window, BatchSize: batchSize}
			load.Bets = int64(b.N) * batchSize
			b.ReportAllocs()
			b.ResetTimer()
			report, err := generator.Run(b.Context(), &central, load)
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			b.ReportMetric(report.Rate(), "bets/s")
			b.ReportMetric(1e9/report.Rate(), "ns/bet")
			b.ReportMetric(report.Throughput()/1e6, "ledger-MB/s")
			for name, q := range map[string]float64{"p50-us": 0.5, "p99-us": 0.99, "p999-us": 0.999} {
				b.ReportMetric(float64(report.Quantile(q).Microseconds()), name)
			}
		})
	}
}

// serve runs a central for the time of the benchmark.
func serve(b *testing.B, folder string) (address string) {
	central, err := inprocess.Start(folder, agencies)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := central.Stop(); err != nil {
			b.Error(err)
		}
	})
	return central.Address
}
