package generator

import (
	"testing"

	"loteria/codec"
)

func TestBatches(t *testing.T) {
	batches, err := NewBatches(5, 16, 100)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, b := range batches {
		var message codec.Batch
		if err := message.Decode(b.Frame[5 : len(b.Frame)-1]); err != nil {
			t.Fatal(err)
		}
		if len(message.RawBets) != 100 || len(b.Bets) != 100 || len(b.Frame) > codec.MaxFrame {
			t.Fatalf("%d rawBets and %d bets in %d bytes", len(message.RawBets), len(b.Bets), len(b.Frame))
		}
		var rows []byte
		for i := range message.RawBets {
			bet, err := message.RawBets[i].Bet()
			if err != nil || bet != b.Bets[i] {
				t.Fatalf("the raw %+v is the bet %+v (%v), expected %+v", message.RawBets[i], bet, err, b.Bets[i])
			}
			if bet.Agency != 5 || seen[bet.Document] {
				t.Fatalf("the bet of %s is of agency %d, expected 5, or not its first", bet.Document, bet.Agency)
			}
			seen[bet.Document] = true
			rows = bet.AppendRow(rows)
		}
		if string(rows) != string(b.Rows) {
			t.Fatal("the rows are not those of the bets")
		}
		if average := len(rows) / 100; average < 45 || average > 52 {
			t.Errorf("rows have %d bytes on average, expected about 49", average)
		}
	}
}
