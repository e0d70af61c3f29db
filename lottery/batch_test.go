package lottery_test

import (
	"errors"
	"slices"
	"testing"

	"loteria/lottery"
	"pgregory.net/rapid"
)

func fillBatch(t testing.TB, b *lottery.Batch, rawBets []lottery.RawBet) {
	t.Helper()
	b.Reset()
	for i := range rawBets {
		if err := b.Add(&rawBets[i]); err != nil {
			t.Error(err)
		}
	}
}

func rawBetsOf(bets []lottery.Bet) (rawBets []lottery.RawBet) {
	for i := range bets {
		rawBets = append(rawBets, bets[i].RawBet())
	}
	return rawBets
}

func TestBatch(t *testing.T) {
	var b lottery.Batch // used again and again
	rapid.Check(t, func(rt *rapid.T) {
		bets := rapid.SliceOfN(anyBet, 1, 8).Draw(rt, "bets")
		for i := range bets {
			bets[i].Agency = bets[0].Agency
			if rapid.Bool().Draw(rt, "has won") {
				bets[i].Number = lottery.WinningNumber
			}
		}
		b.Reset()
		if b.Len() != 0 || b.Agency() != 0 || b.HasPosition() || len(b.From(0).Rows) != 0 {
			t.Fatalf("after Reset the batch is %+v", b)
		}
		b.SetPosition(7)
		for i, raw := range rawBetsOf(bets) {
			if err := b.Add(&raw); err != nil {
				t.Fatal(err)
			}
			if b.Len() != i+1 || b.Agency() != bets[0].Agency {
				t.Fatalf("after %d bets of agency %d the batch has %d of agency %d", i+1, bets[0].Agency, b.Len(), b.Agency())
			}
		}
		for i := range bets {
			got := b.From(i)
			if want := rowsOf(bets[i:]...); string(got.Rows) != want {
				t.Fatalf("the rows from bet %d on are %q, want %q", i, got.Rows, want)
			}
			if want := winnersOf(bets[i:]...); !slices.Equal(got.Winners, want) {
				t.Fatalf("the winners from bet %d on are %q, want %q", i, got.Winners, want)
			}
			if got.Agency != bets[0].Agency || got.Bets != len(bets)-i {
				t.Fatalf("from bet %d on there are %d bets of agency %d", i, got.Bets, got.Agency)
			}
		}
		if rest := b.From(len(bets)); rest.Bets != 0 || len(rest.Rows) != 0 || len(rest.Winners) != 0 {
			t.Fatalf("behind the last bet there are %d, rows %q, winners %q", rest.Bets, rest.Rows, rest.Winners)
		}
	})
}

func TestBatchRefuses(t *testing.T) {
	other := sample(2, 0)
	tests := []struct {
		name string
		raw  lottery.RawBet
		code lottery.Code
	}{
		{"a bet of another agency", other.RawBet(), lottery.WrongAgency},
		{"no valid bet", lottery.RawBet{Agency: "1", FirstName: "Ana", LastName: "Paz", Document: "x", Birthdate: "2000-01-01", Number: "12"}, lottery.BadDocument},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBatch(t, samples(1, 0, 3)...)
			err := b.Add(&test.raw)
			if !errors.Is(err, test.code) {
				t.Fatalf("the error is %v, want %s", err, test.code)
			}
			var refusal *lottery.Refusal
			if !errors.As(err, &refusal) || refusal.Document != test.raw.Document || refusal.Number != test.raw.Number {
				t.Errorf("the refusal is %+v", refusal)
			}
			fillBatch(t, b, []lottery.RawBet{other.RawBet()}) // after Reset any agency will do
			if b.Agency() != 2 || string(b.From(0).Rows) != rowsOf(other) {
				t.Errorf("after Reset the batch has the rows %q", b.From(0).Rows)
			}
		})
	}
}

// TestBatchAllocations shows that a batch in steady state allocates nothing
// for a bet except the winner's document.
func TestBatchAllocations(t *testing.T) {
	bets := samples(1, 0, 100)
	rawBets := rawBetsOf(bets)
	b := newBatch(t, bets...)
	allocs := testing.AllocsPerRun(100, func() { fillBatch(t, b, rawBets) })
	if want := float64(len(winnersOf(bets...))); allocs != want {
		t.Errorf("a batch of %d bets allocates %v times, want %v, its winners", len(bets), allocs, want)
	}
}

func perBet(b *testing.B, bets int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*bets), "ns/bet")
}

// fewWinners are the bets of a batch as it comes over the wire.
func fewWinners() []lottery.Bet {
	bets := samples(1, 0, 100)
	for i := range bets {
		bets[i].LastName, bets[i].Number = "Núñez", i
	}
	return bets
}

// BenchmarkBatch validates and renders a batch of 100 bets.
func BenchmarkBatch(b *testing.B) {
	rawBets := rawBetsOf(fewWinners())
	var batch lottery.Batch
	b.ReportAllocs()
	for b.Loop() {
		fillBatch(b, &batch, rawBets)
	}
	perBet(b, len(rawBets))
}
