package csvledger

import (
	"testing"

	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// fewWinners are the bets of a batch as it comes over the wire.
func fewWinners(agency int) []lottery.Bet {
	bets := samples(agency, 0, 100)
	for i := range bets {
		bets[i].LastName, bets[i].Number = "Núñez", i
	}
	return bets
}

func perBet(b *testing.B, bets int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*bets), "ns/bet")
}

// BenchmarkStore stores batches of 100 bets one after the other, each with its
// own sync.
func BenchmarkStore(b *testing.B) {
	c := openContest(b, b.TempDir(), 1)
	batch := newBatch(b, fewWinners(1)...)
	b.ReportAllocs()
	for b.Loop() {
		c.MustStore(batch)
	}
	perBet(b, batch.Len())
}

// BenchmarkStoreTogether stores batches of 100 bets from several goroutines,
// which share their syncs.
func BenchmarkStoreTogether(b *testing.B) {
	c := openContest(b, b.TempDir(), 1)
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		batch := newBatch(b, fewWinners(1)...)
		for pb.Next() {
			c.MustStore(batch)
		}
	})
	perBet(b, 100)
}

// BenchmarkAppend appends batches of 100 bets to a ledger whose file takes no
// time.
func BenchmarkAppend(b *testing.B) {
	l := newLedger("nowhere", nowhere{}, 0, make([]place, 1))
	rows := ledgertest.Stretch(fewWinners(1)...)
	done := make(chan error, 1)
	told := func(err error) { done <- err }
	b.SetBytes(int64(len(rows.Rows)))
	b.ReportAllocs()
	for b.Loop() {
		_, err := l.Append(rows, l.mark(1), told)
		if err == nil {
			err = <-done
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	perBet(b, rows.Bets)
}

// nowhere is a ledger's file that forgets everything.
type nowhere struct{}

func (nowhere) Write(rows []byte) (int, error) { return len(rows), nil }
func (nowhere) Sync() error                    { return nil }
func (nowhere) Truncate(int64) error           { return nil }
func (nowhere) Verify(int64) error             { return nil }
func (nowhere) Close() error                   { return nil }

// BenchmarkVerify measures what each commit waits for besides its write and sync.
func BenchmarkVerify(b *testing.B) {
	l := openLedger(b, b.TempDir())
	b.ReportAllocs()
	for b.Loop() {
		if err := l.file.Verify(0); err != nil {
			b.Fatal(err)
		}
	}
}
