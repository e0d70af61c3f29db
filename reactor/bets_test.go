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

// slipOf returns a valid slip, for agencies and documents that are.
func slipOf(agency int, document, number string) lottery.Slip {
	return lottery.Slip{
		Agency:    strconv.Itoa(agency),
		FirstName: "Santiago Lionel",
		LastName:  "Lorca",
		Document:  document,
		Birthdate: "1999-03-17",
		Number:    number,
	}
}

// losers returns n slips of an agency, each with a document of its own.
func losers(agency, n int) []lottery.Slip {
	slips := make([]lottery.Slip, n)
	for i := range slips {
		slips[i] = slipOf(agency, strconv.Itoa(1000000*agency+i), losing)
	}
	return slips
}

// rowsOf returns the rows of bets.csv for valid slips.
func rowsOf(slips []lottery.Slip) []byte {
	var rows []byte
	for i := range slips {
		bet, err := slips[i].Bet()
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

func betFrame(slip lottery.Slip) []byte { return frame(&codec.Bet{Slip: slip}) }

func batchFrame(slips ...lottery.Slip) []byte { return frame(&codec.Batch{Slips: slips}) }

func batchAt(position int, slips ...lottery.Slip) []byte {
	return frame(&codec.Batch{Slips: slips, Position: uint64(position), HasPosition: true})
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

func successFrame(slip lottery.Slip) []byte {
	return frame(&codec.Success{Document: slip.Document, Number: slip.Number})
}

// errorFrame is the refusal of a slip, or of none.
func errorFrame(code lottery.Code, slip lottery.Slip) []byte {
	return frame(&codec.Error{Document: slip.Document, Number: slip.Number, Code: code})
}

func winnersFrame(documents ...string) []byte { return frame(&codec.Winners{Documents: documents}) }

// pointFrame is the answer to RESUME when the slips are stored.
func pointFrame(slips ...lottery.Slip) []byte { return pointOf(len(slips), rowsOf(slips)) }

func pointOf(count int, rows []byte) []byte {
	return frame(&codec.ResumePoint{Count: uint64(count), Digest: xxhash.Sum64(rows)})
}

var (
	okFrame = frame(&codec.Success{Finished: true})
	noSlip  lottery.Slip
)
