package lottery

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// newBatch returns a batch of valid bets, without a position.
func newBatch(t testing.TB, bets ...Bet) *Batch {
	t.Helper()
	b := new(Batch)
	fillBatch(t, b, slipsOf(bets))
	return b
}

func fillBatch(t testing.TB, b *Batch, slips []Slip) {
	t.Helper()
	b.Reset()
	for i := range slips {
		if err := b.Add(&slips[i]); err != nil {
			t.Error(err)
		}
	}
}

func slipsOf(bets []Bet) (slips []Slip) {
	for i := range bets {
		slips = append(slips, bets[i].Slip())
	}
	return slips
}

func winnersOf(bets ...Bet) (documents []string) {
	for i := range bets {
		if bets[i].HasWon() {
			documents = append(documents, bets[i].Document)
		}
	}
	return documents
}

func TestBatch(t *testing.T) {
	var b Batch // used again and again
	rapid.Check(t, func(rt *rapid.T) {
		bets := rapid.SliceOfN(anyBet, 1, 8).Draw(rt, "bets")
		for i := range bets {
			bets[i].Agency = bets[0].Agency
			if rapid.Bool().Draw(rt, "has won") {
				bets[i].Number = WinningNumber
			}
		}
		b.Reset()
		if b.Len() != 0 || b.Agency() != 0 || b.positionKnown || len(b.rowsFrom(0)) != 0 {
			t.Fatalf("after Reset the batch is %+v", b)
		}
		b.SetPosition(7)
		for i, slip := range slipsOf(bets) {
			if err := b.Add(&slip); err != nil {
				t.Fatal(err)
			}
			if b.Len() != i+1 || b.Agency() != bets[0].Agency {
				t.Fatalf("after %d bets of agency %d the batch has %d of agency %d", i+1, bets[0].Agency, b.Len(), b.Agency())
			}
		}
		for i := range bets {
			if got, want := string(b.rowsFrom(i)), rowsOf(bets[i:]...); got != want {
				t.Fatalf("the rows from bet %d on are %q, want %q", i, got, want)
			}
		}
		var documents []string
		for _, w := range b.winners {
			if bets[w.index].Document != w.document {
				t.Fatalf("bet %d is of %s, not of %s", w.index, bets[w.index].Document, w.document)
			}
			documents = append(documents, w.document)
		}
		if !slices.Equal(documents, winnersOf(bets...)) {
			t.Fatalf("winners are %q, want %q", documents, winnersOf(bets...))
		}
	})
}

func TestBatchRefuses(t *testing.T) {
	other := sample(2, 0)
	tests := []struct {
		name string
		slip Slip
		code Code
	}{
		{"a bet of another agency", other.Slip(), WrongAgency},
		{"no valid bet", Slip{Agency: "1", FirstName: "Ana", LastName: "Paz", Document: "x", Birthdate: "2000-01-01", Number: "12"}, BadDocument},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBatch(t, samples(1, 0, 3)...)
			err := b.Add(&test.slip)
			if !errors.Is(err, test.code) {
				t.Fatalf("the error is %v, want %s", err, test.code)
			}
			var refusal *Refusal
			if !errors.As(err, &refusal) || refusal.Document != test.slip.Document || refusal.Number != test.slip.Number {
				t.Errorf("the refusal is %+v", refusal)
			}
			fillBatch(t, b, []Slip{other.Slip()}) // after Reset any agency will do
			if b.Agency() != 2 || string(b.rowsFrom(0)) != rowsOf(other) {
				t.Errorf("after Reset the batch has the rows %q", b.rowsFrom(0))
			}
		})
	}
}

// TestBatchAllocations shows that a batch in steady state allocates nothing
// for a bet but the winner's document.
func TestBatchAllocations(t *testing.T) {
	bets := samples(1, 0, 100)
	slips := slipsOf(bets)
	b := newBatch(t, bets...)
	allocs := testing.AllocsPerRun(100, func() { fillBatch(t, b, slips) })
	if want := float64(len(winnersOf(bets...))); allocs != want {
		t.Errorf("a batch of %d bets allocates %v times, want %v, its winners", len(bets), allocs, want)
	}
}

func perBet(b *testing.B, bets int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*bets), "ns/bet")
}

// fewWinners are the bets of a batch as it comes over the wire.
func fewWinners() []Bet {
	bets := samples(1, 0, 100)
	for i := range bets {
		bets[i].LastName, bets[i].Number = "Núñez", i
	}
	return bets
}

// BenchmarkBatch judges and renders a batch of 100 bets.
func BenchmarkBatch(b *testing.B) {
	slips := slipsOf(fewWinners())
	var batch Batch
	b.ReportAllocs()
	for b.Loop() {
		fillBatch(b, &batch, slips)
	}
	perBet(b, len(slips))
}

// BenchmarkStore stores batches of 100 bets one after the other, each with its
// own sync.
func BenchmarkStore(b *testing.B) {
	c := openContest(b, b.TempDir(), 1)
	batch := newBatch(b, fewWinners()...)
	b.SetBytes(int64(len(batch.rowsFrom(0))))
	b.ReportAllocs()
	for b.Loop() {
		mustStore(b, c, batch)
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
		batch := newBatch(b, fewWinners()...)
		for pb.Next() {
			mustStore(b, c, batch)
		}
	})
	perBet(b, 100)
}

// BenchmarkAppend appends batches of 100 bets to a ledger whose file takes no
// time.
func BenchmarkAppend(b *testing.B) {
	l := newLedger("nowhere", nowhere{}, 0, nil)
	defer l.Close()
	rows := []byte(rowsOf(fewWinners()...))
	b.SetBytes(int64(len(rows)))
	b.ReportAllocs()
	for b.Loop() {
		receipt, err := l.Append(rows)
		if err == nil {
			err = l.Wait(receipt)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	perBet(b, 100)
}

// nowhere is a ledger's file that forgets everything.
type nowhere struct{}

func (nowhere) Write(rows []byte) (int, error) { return len(rows), nil }
func (nowhere) Sync() error                    { return nil }
func (nowhere) Truncate(int64) error           { return nil }
func (nowhere) Close() error                   { return nil }

// BenchmarkLoadBets loads 100,000 bets.
func BenchmarkLoadBets(b *testing.B) {
	const bets = 100_000
	path := filepath.Join(b.TempDir(), LedgerFile)
	l := openLedger(b, path)
	if err := l.StoreBets(slices.Repeat(fewWinners(), bets/100)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range l.LoadBets() {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	perBet(b, bets)
}
