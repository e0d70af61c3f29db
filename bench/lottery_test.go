// Package bench measures the central as a whole, over loopback TCP and with a
// real disk, beside what the disk alone takes in the same run:
//
//	go test -bench . ./bench
//
// The parts have their benchmarks beside them, in their packages.
package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
	"loteria/bench/generator"
	"loteria/lottery"
	"loteria/reactor"
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
	contest, _, err := lottery.OpenContest(folder, agencies)
	if err != nil {
		b.Fatal(err)
	}
	central := reactor.New(reactor.Config{
		Address:        "127.0.0.1:0",
		Backlog:        16,
		Workers:        64,
		MaxConnections: 64,
		MaxPerAddress:  64,
		WindowFrames:   1024,
		WindowBytes:    1 << 20,
		MaxWaiting:     256 << 20,
		MaxUnread:      1 << 20,
		FrameTimeout:   time.Minute,
		IdleTimeout:    time.Minute,
		StopTimeout:    time.Minute,
		Log:            zerolog.New(io.Discard).Level(zerolog.InfoLevel), // as in use
	}, contest)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- central.Run(ctx) }()
	<-central.Ready()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if err := contest.Close(); err != nil {
			b.Error(err)
		}
	})
	return central.Address().String()
}
