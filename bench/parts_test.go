package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"loteria/bench/generator"
	"loteria/codec"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

// rowSize is the average length of the generator's rows, in bytes.
const rowSize = 49

// sample returns distinct batches of agency 1.
func sample(b *testing.B, n int) []*generator.Batch {
	b.Helper()
	batches, err := generator.NewBatches(1, n, batchSize)
	if err != nil {
		b.Fatal(err)
	}
	return batches
}

// BenchmarkFrames cuts a stream that comes 64 KiB at a time into frames. One
// operation is one frame of a batch.
func BenchmarkFrames(b *testing.B) {
	const read = 64 << 10
	var stream []byte
	batches := sample(b, 64)
	for _, batch := range batches {
		stream = append(stream, batch.Frame...)
	}
	var decoder codec.Decoder
	b.SetBytes(int64(len(stream) / len(batches)))
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; {
		for rest := stream; len(rest) > 0 && n < b.N; {
			piece := rest[:min(read, len(rest))]
			rest = rest[len(piece):]
			for {
				_, after, ok, err := decoder.Next(piece)
				if err != nil {
					b.Fatal(err)
				}
				if !ok {
					break
				}
				n++
				piece = after
			}
		}
	}
	reportBets(b)
}

// BenchmarkBatch reads the bets of a batch from its payload, and may judge them
// and render their rows. One operation is one batch.
func BenchmarkBatch(b *testing.B) {
	for _, judge := range []bool{false, true} {
		b.Run(fmt.Sprintf("judge=%t", judge), func(b *testing.B) {
			batches := sample(b, 16)
			var bets codec.BatchReader
			var raw lottery.RawBet
			var batch lottery.Batch
			b.SetBytes(int64(len(batches[0].Frame)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				frame := batches[i%len(batches)].Frame
				if err := bets.Reset(frame[5 : len(frame)-1]); err != nil {
					b.Fatal(err)
				}
				batch.Reset()
				for range bets.Len() {
					_, err := bets.Next(&raw)
					if err == nil && judge {
						err = batch.Add(&raw)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			reportBets(b)
		})
	}
}

// BenchmarkRows renders the rows of valid bets. One operation is a batch.
func BenchmarkRows(b *testing.B) {
	batches := sample(b, 16)
	var rows []byte
	b.SetBytes(int64(len(batches[0].Rows)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		rows = rows[:0]
		bets := batches[i%len(batches)].Bets
		for j := range bets {
			rows = bets[j].AppendRow(rows)
		}
	}
	reportBets(b)
}

// BenchmarkLedger appends batches to a ledger, several before it waits for
// them. One operation is one batch.
func BenchmarkLedger(b *testing.B) {
	for _, ledgers := range []struct {
		name    string
		options []csvledger.Option
	}{
		{"sync=true", nil},
		{"sync=false", []csvledger.Option{csvledger.WithoutSync()}},
	} {
		for _, batches := range []int{1, 32, 1024} {
			b.Run(fmt.Sprintf("%s/batches=%d", ledgers.name, batches), func(b *testing.B) {
				folder := b.TempDir()
				ledger := openLedger(b, folder, ledgers.options...)
				rows := lottery.Stretch{Agency: 1, Bets: batchSize, Rows: sample(b, 1)[0].Rows}
				bare := bareDisk(b, folder, batches*len(rows.Rows))
				var mark lottery.Mark
				durable := make(chan error, batches)
				done := func(err error) { durable <- err }
				b.SetBytes(int64(len(rows.Rows)))
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; {
					appended := min(batches, b.N-i)
					for range appended {
						var err error
						if mark, err = ledger.Append(rows, mark, done); err != nil {
							b.Fatal(err)
						}
					}
					for range appended {
						if err := <-durable; err != nil {
							b.Fatal(err)
						}
					}
					i += appended
				}
				b.StopTimer()
				if err := ledger.Close(); err != nil {
					b.Fatal(err)
				}
				reportBets(b)
				b.ReportMetric(bare, "disk-MB/s")
			})
		}
	}
}

// openLedger opens a ledger of one agency, with no other observer.
func openLedger(b *testing.B, folder string, options ...csvledger.Option) *csvledger.Ledger {
	b.Helper()
	ledger, err := csvledger.Open(folder, 1, options...)
	if err == nil {
		_, err = ledger.Begin(lottery.Events{Ended: func(int, lottery.Ending, *lottery.Account) {}})
	}
	if err != nil {
		b.Fatal(err)
	}
	return ledger
}

// BenchmarkDisk appends blocks of several batches' rows to a file and syncs each
// one: the yardstick for the central.
func BenchmarkDisk(b *testing.B) {
	for _, batches := range []int{1, 32, 160, 1024} {
		b.Run(fmt.Sprintf("batches=%d", batches), func(b *testing.B) {
			block := bytes.Repeat(sample(b, 1)[0].Rows, batches)
			file, err := os.Create(filepath.Join(b.TempDir(), "rows"))
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

// BenchmarkRecovery opens a ledger of a million bets, which is in the page cache.
// One operation is the whole.
func BenchmarkRecovery(b *testing.B) {
	const bets = 1_000_000
	folder := b.TempDir()
	path := filepath.Join(folder, csvledger.LedgerFile)
	batches := sample(b, 100)
	var rows []byte
	for _, batch := range batches {
		rows = append(rows, batch.Rows...)
	}
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	for range bets / (len(batches) * batchSize) {
		if _, err := file.Write(rows); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(rows) * bets / (len(batches) * batchSize)))
	b.ReportAllocs()
	for b.Loop() {
		ledger, err := csvledger.Open(folder, 1, csvledger.WithReopen())
		if err != nil {
			b.Fatal(err)
		}
		stored, err := ledger.Begin(lottery.Events{Ended: func(int, lottery.Ending, *lottery.Account) {}})
		if err == nil {
			err = ledger.Close()
		}
		if err != nil || stored.Accounts[0].Bets != bets {
			b.Fatalf("%d bets were found, expected %d (%v)", stored.Accounts[0].Bets, bets, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*bets), "ns/bet")
}
