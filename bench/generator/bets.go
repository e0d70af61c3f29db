package generator

import (
	"fmt"

	"loteria/codec"
	"loteria/lottery"
)

// Names as long, and as often accented, as those in real agencies' files: a
// row then has 49 bytes, and a bet in a BATCH 57.
var (
	firstNames = []string{"Santiago Lionel", "Agustin Emanuel", "Tiago Nicolás", "Valentina", "Juan Cruz", "Ana Paula", "Maria Delfina", "Tomas Ignacio"}
	lastNames  = []string{"Lorca", "Zambrano", "Rivera", "Fernández", "Sosa", "Benítez", "Acosta", "Villalba"}
)

// Bets returns n valid bets of an agency, always the same ones. One in 10,000
// wins.
func Bets(agency, n int) []lottery.Bet {
	bets := make([]lottery.Bet, n)
	for i := range bets {
		bets[i] = lottery.Bet{
			Agency:    agency,
			FirstName: firstNames[i%len(firstNames)],
			LastName:  lastNames[i/len(firstNames)%len(lastNames)],
			Document:  fmt.Sprint(20_000_000 + (agency*7919+i*31)%25_000_000),
			Birthdate: fmt.Sprintf("%d-%02d-%02d", 1940+i%65, 1+i%12, 1+i%28),
			Number:    (i*7 + agency) % 10_000,
		}
	}
	return bets
}

// Batch is a batch that is sent over and over, in every form that a target
// may need. It is made once, so that making it is not measured, and never
// changed.
type Batch struct {
	Bets  []lottery.Bet // of one agency
	Rows  []byte        // of bets.csv
	Frame []byte        // BATCH, without a position
}

// NewBatch returns the batch of these bets. It fails when they do not fit one
// frame of codec.MaxFrame bytes.
func NewBatch(bets []lottery.Bet) (*Batch, error) {
	b := &Batch{Bets: bets}
	var message codec.Batch
	for i := range bets {
		b.Rows = bets[i].AppendRow(b.Rows)
		message.RawBets = append(message.RawBets, bets[i].RawBet())
	}
	var err error
	b.Frame, err = codec.AppendFrame(nil, &message)
	return b, err
}

// NewBatches returns n batches of size bets each.
func NewBatches(agency, n, size int) ([]*Batch, error) {
	bets := Bets(agency, n*size)
	batches := make([]*Batch, n)
	for i := range batches {
		var err error
		if batches[i], err = NewBatch(bets[i*size : (i+1)*size]); err != nil {
			return nil, err
		}
	}
	return batches, nil
}
