package ledgertest

import (
	"fmt"

	"loteria/lottery"
	"pgregory.net/rapid"
)

// Bet returns a valid bet, the i-th of its agency. Every fifth has won. Its row needs
// quotes.
func Bet(agency, i int) lottery.Bet {
	bet := lottery.Bet{
		Agency:    agency,
		FirstName: "María José",
		LastName:  `O'Hara, "Ñata"`,
		Document:  fmt.Sprintf("%03d%07d", agency, i),
		Birthdate: "1999-03-17",
		Number:    i % 5000,
	}
	if i%5 == 0 {
		bet.Number = lottery.WinningNumber
	}
	return bet
}

// Bets returns n such bets of an agency, from its i-th on.
func Bets(agency, i, n int) []lottery.Bet {
	bets := make([]lottery.Bet, n)
	for k := range bets {
		bets[k] = Bet(agency, i+k)
	}
	return bets
}

// Rows returns the bets as a ledger keeps them.
func Rows(bets ...lottery.Bet) string {
	var rows []byte
	for i := range bets {
		rows = bets[i].AppendRow(rows)
	}
	return string(rows)
}

// Winners returns the documents of those bets that have won, in their order.
func Winners(bets ...lottery.Bet) (documents []string) {
	for i := range bets {
		if bets[i].HasWon() {
			documents = append(documents, bets[i].Document)
		}
	}
	return documents
}

// Stretch returns the bets, which are of one agency, as a ledger is given them.
func Stretch(bets ...lottery.Bet) lottery.Stretch {
	return lottery.Stretch{Agency: bets[0].Agency, Bets: len(bets), Rows: []byte(Rows(bets...)), Winners: Winners(bets...)}
}

// Account returns the account of an agency of which these bets are stored.
func Account(bets ...lottery.Bet) lottery.Account {
	account := lottery.NewAccount()
	if len(bets) > 0 {
		stretch := Stretch(bets...)
		account.Add(&stretch)
	}
	return account
}

// AnyBet generates valid bets with all that a name may hold.
var AnyBet = rapid.Custom(func(t *rapid.T) lottery.Bet {
	return lottery.Bet{
		Agency:    rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(1, 9_999_999_999)).Draw(t, "agency"),
		FirstName: anyName.Draw(t, "first name"),
		LastName:  anyName.Draw(t, "last name"),
		Document:  rapid.StringMatching("[0-9]{1,10}").Draw(t, "document"),
		Birthdate: fmt.Sprintf("%04d-%02d-%02d", rapid.IntRange(1, 9999).Draw(t, "year"),
			rapid.IntRange(1, 12).Draw(t, "month"), rapid.IntRange(1, 28).Draw(t, "day")),
		Number: rapid.IntRange(0, lottery.MaxNumber).Draw(t, "number"),
	}
})

// AnyBets returns n of those that AnyBet generates, the same in every run.
func AnyBets(n int) []lottery.Bet {
	bets := make([]lottery.Bet, n)
	for i := range bets {
		bets[i] = AnyBet.Example(i)
	}
	return bets
}

var anyName = rapid.StringOfN(rapid.OneOf(
	rapid.SampledFrom([]rune(`",' ;|\aZ`+"ñÑáéíóúÜ\u00a0\u2028\u2029\ufeff\ufffd\u0301日🎲")),
	rapid.Rune().Filter(func(r rune) bool {
		raw := lottery.RawBet{Agency: "1", FirstName: string(r), LastName: "x", Document: "1", Birthdate: "2000-01-01", Number: "1"}
		_, err := raw.Bet()
		return err == nil
	}),
), 1, 80, lottery.MaxName)
