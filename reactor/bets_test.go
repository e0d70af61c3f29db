package reactor

import (
	"strconv"

	"github.com/cespare/xxhash/v2"
	"loteria/codec"
	"loteria/lottery"
)

const (
	winning = "7574"
	losing  = "1234"
)

// rawBetOf returns a raw bet, valid if agency and document are.
func rawBetOf(agency int, document, number string) lottery.RawBet {
	return lottery.RawBet{
		Agency:    strconv.Itoa(agency),
		FirstName: "Santiago Lionel",
		LastName:  "Lorca",
		Document:  document,
		Birthdate: "1999-03-17",
		Number:    number,
	}
}

// losers returns n raw bets of an agency, each with a document of its own.
func losers(agency, n int) []lottery.RawBet {
	rawBets := make([]lottery.RawBet, n)
	for i := range rawBets {
		rawBets[i] = rawBetOf(agency, strconv.Itoa(1000000*agency+i), losing)
	}
	return rawBets
}

// rowsOf returns the rows of bets.csv for valid raw bets.
func rowsOf(rawBets []lottery.RawBet) []byte {
	var rows []byte
	for i := range rawBets {
		bet, err := rawBets[i].Bet()
		if err != nil {
			panic(err)
		}
		rows = bet.AppendRow(rows)
	}
	return rows
}

func frame(m codec.Message) []byte {
	b, err := codec.AppendFrame(nil, m)
	if err != nil {
		panic(err)
	}
	return b
}

func betFrame(raw lottery.RawBet) []byte { return frame(&codec.Bet{RawBet: raw}) }

func batchFrame(rawBets ...lottery.RawBet) []byte { return frame(&codec.Batch{RawBets: rawBets}) }

func batchAt(position int, rawBets ...lottery.RawBet) []byte {
	return frame(&codec.Batch{RawBets: rawBets, Position: uint64(position), HasPosition: true})
}

func finishedFrame(agency int) []byte {
	return frame(&codec.Finished{Agency: strconv.Itoa(agency)})
}

func totalFrame(agency, total int) []byte {
	return frame(&codec.Finished{Agency: strconv.Itoa(agency), Total: uint64(total), HasTotal: true})
}

func queryFrame(agency int) []byte {
	return frame(&codec.WinnersQuery{Agency: strconv.Itoa(agency)})
}

func resumeFrame(agency int) []byte { return frame(&codec.Resume{Agency: strconv.Itoa(agency)}) }

func successFrame(raw lottery.RawBet) []byte {
	return frame(&codec.Success{Document: raw.Document, Number: raw.Number})
}

// errorFrame is the refusal of a raw bet, or of none.
func errorFrame(code lottery.Code, raw lottery.RawBet) []byte {
	return frame(&codec.Error{Document: raw.Document, Number: raw.Number, Code: code})
}

func winnersFrame(documents ...string) []byte { return frame(&codec.Winners{Documents: documents}) }

// pointFrame is the answer to RESUME when the raw bets are stored.
func pointFrame(rawBets ...lottery.RawBet) []byte { return pointOf(len(rawBets), rowsOf(rawBets)) }

func pointOf(count int, rows []byte) []byte {
	return frame(&codec.ResumePoint{Count: uint64(count), Digest: xxhash.Sum64(rows)})
}

var (
	okFrame  = frame(&codec.Success{Finished: true})
	noRawBet lottery.RawBet
)
