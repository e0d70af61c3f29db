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
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"loteria/codec"
	"loteria/lottery"
	"loteria/reactor"
)

const (
	agencies  = 5
	batchSize = 100 // bets
)

// BenchmarkDisk appends the rows of batches to a file and syncs each block:
// what the central is measured against.
func BenchmarkDisk(b *testing.B) {
	for _, batches := range []int{1, 32, 160, 1024} {
		b.Run(fmt.Sprintf("batches=%d", batches), func(b *testing.B) {
			var block []byte
			for i := range batches * batchSize {
				bet := betOf(1, i)
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
			folder := b.TempDir()
			address := serve(b, folder)
			senders := make([]*sender, agencies)
			for i := range senders {
				senders[i] = newSender(b, address, i+1, window)
			}
			var sending sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for i, s := range senders {
				share := b.N / agencies
				if i < b.N%agencies {
					share++
				}
				sending.Go(func() {
					if err := s.send(share); err != nil {
						b.Error(err)
					}
				})
			}
			sending.Wait()
			b.StopTimer()
			size, err := os.Stat(filepath.Join(folder, lottery.LedgerFile))
			if err != nil {
				b.Fatal(err)
			}
			seconds := b.Elapsed().Seconds()
			b.ReportMetric(float64(b.N*batchSize)/seconds, "bets/s")
			b.ReportMetric(float64(size.Size())/1e6/seconds, "ledger-MB/s")
		})
	}
}

func betOf(agency, i int) lottery.Bet {
	return lottery.Bet{
		Agency: agency, FirstName: "María José", LastName: "Fernández",
		Document: fmt.Sprint(20_000_000 + i), Birthdate: "1984-05-17", Number: i % lottery.WinningNumber,
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

// sender is an agency that sends one batch over and over.
type sender struct {
	conn   net.Conn
	window int
	batch  []byte // its frame
	answer []byte // the frame that acknowledges it
}

func newSender(b *testing.B, address string, agency, window int) *sender {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	var batch codec.Batch
	for i := range batchSize {
		bet := betOf(agency, i)
		batch.Slips = append(batch.Slips, bet.Slip())
	}
	s := &sender{conn: conn, window: window}
	if s.batch, err = codec.AppendFrame(nil, &batch); err == nil {
		s.answer, err = codec.AppendFrame(nil, &codec.Success{Document: batch.Slips[0].Document, Number: batch.Slips[0].Number})
	}
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// send sends n batches, with half a window at a time, and reads their answers.
func (s *sender) send(n int) error {
	places := make(chan struct{}, s.window)
	written := make(chan error, 1)
	go func() {
		var frames []byte
		for i := range n {
			places <- struct{}{}
			frames = append(frames, s.batch...)
			if (i+1)%max(1, s.window/2) == 0 || i == n-1 {
				if _, err := s.conn.Write(frames); err != nil {
					written <- err
					return
				}
				frames = frames[:0]
			}
		}
		written <- nil
	}()
	answer := make([]byte, len(s.answer))
	for range n {
		if _, err := io.ReadFull(s.conn, answer); err != nil {
			return err
		}
		if string(answer) != string(s.answer) {
			return fmt.Errorf("received % x, expected % x", answer, s.answer)
		}
		<-places
	}
	return <-written
}
