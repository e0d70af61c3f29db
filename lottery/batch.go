package lottery

import (
	"slices"
	"strings"
)

// Batch is a batch of one agency's bets, validated and rendered as rows, ready
// to be admitted by a Contest. It is scratch space for its owner: Reset keeps
// the memory, so that a batch in steady state allocates nothing.
type Batch struct {
	rows    []byte   // of all bets, one after the other
	ends    []int    // ends[i] is where row i ends in rows
	winners []string // documents
	won     []int    // won[i] is the index of the bet of winners[i]

	agency        int
	position      uint64
	positionKnown bool
	known         int // see Known
}

// Reset empties the batch.
func (b *Batch) Reset() {
	clear(b.winners) // release the documents
	*b = Batch{rows: b.rows[:0], ends: b.ends[:0], winners: b.winners[:0], won: b.won[:0]}
}

// SetPosition says how many bets of the agency come before this batch. A batch
// without a position is appended to whatever is stored.
func (b *Batch) SetPosition(position uint64) { b.position, b.positionKnown = position, true }

// Position returns the position, if SetPosition has set one.
func (b *Batch) Position() (position uint64, known bool) { return b.position, b.positionKnown }

// Known returns how many of the batch's bets were stored already, and so were left
// out. Contest.Store sets it.
func (b *Batch) Known() int { return b.known }

// Add validates the raw bet and adds it. All bets of a batch must be of one agency.
// The error is a *Refusal; the batch must then be Reset.
func (b *Batch) Add(raw *RawBet) error {
	agency, number, plain := raw.plain()
	var bet Bet
	if !plain {
		var err error
		if bet, err = raw.Bet(); err != nil {
			return err
		}
		agency = bet.Agency
	}
	if b.agency != 0 && agency != b.agency {
		return &Refusal{
			Code:     WrongAgency,
			Reason:   "the bets of a batch are of one agency",
			Document: raw.Document,
			Number:   raw.Number,
		}
	}
	if !plain {
		b.add(&bet)
		return nil
	}
	b.rows = raw.appendPlain(b.rows)
	b.added(agency, raw.Document, number)
	return nil
}

func (b *Batch) add(bet *Bet) {
	b.rows = bet.AppendRow(b.rows)
	b.added(bet.Agency, bet.Document, bet.Number)
}

// added notes the bet whose row has been appended.
func (b *Batch) added(agency int, document string, number int) {
	b.agency = agency
	if number == WinningNumber {
		// Its own copy of the document: it outlives the raw bet.
		b.winners = append(b.winners, strings.Clone(document))
		b.won = append(b.won, len(b.ends))
	}
	b.ends = append(b.ends, len(b.rows))
}

// Len returns the number of bets.
func (b *Batch) Len() int { return len(b.ends) }

// Agency returns the agency of the bets, or 0 while there is none.
func (b *Batch) Agency() int { return b.agency }

// from returns the bets from index i on. It shares the batch's memory.
func (b *Batch) from(i int) Stretch {
	s := Stretch{Agency: b.agency, Bets: len(b.ends) - i, Rows: b.rows, Winners: b.winners}
	if i > 0 {
		s.Rows = b.rows[b.ends[i-1]:]
		first, _ := slices.BinarySearch(b.won, i)
		s.Winners = b.winners[first:]
	}
	return s
}
