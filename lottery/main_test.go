package lottery

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sample returns a valid bet, the i-th of its agency. Every fifth has won.
func sample(agency, i int) Bet {
	bet := Bet{
		Agency:    agency,
		FirstName: "María José",
		LastName:  `O'Hara, "Ñata"`,
		Document:  fmt.Sprintf("%03d%07d", agency, i),
		Birthdate: "1999-03-17",
		Number:    i % 5000,
	}
	if i%5 == 0 {
		bet.Number = WinningNumber
	}
	return bet
}

// samples returns the bets of an agency from the i-th on, n of them.
func samples(agency, i, n int) []Bet {
	bets := make([]Bet, n)
	for k := range bets {
		bets[k] = sample(agency, i+k)
	}
	return bets
}

// rowsOf returns the bets as the ledger has them.
func rowsOf(bets ...Bet) string {
	var rows []byte
	for i := range bets {
		rows = bets[i].AppendRow(rows)
	}
	return string(rows)
}

// Generators of valid bets, with all that a name may hold.
var (
	anyName = rapid.StringOfN(rapid.OneOf(
		rapid.SampledFrom([]rune(`",' ;|\aZ`+"ñÑáéíóúÜ\u00a0\u2028\u2029\ufeff\ufffd\u0301日🎲")),
		rapid.Rune().Filter(func(r rune) bool { return checkName("name", string(r)) == nil }),
	), 1, 80, MaxName)

	anyDate = rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("%04d-%02d-%02d", rapid.IntRange(1, 9999).Draw(t, "year"),
			rapid.IntRange(1, 12).Draw(t, "month"), rapid.IntRange(1, 28).Draw(t, "day"))
	})

	anyBet = rapid.Custom(func(t *rapid.T) Bet {
		return Bet{
			Agency:    rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(1, 9_999_999_999)).Draw(t, "agency"),
			FirstName: anyName.Draw(t, "first name"),
			LastName:  anyName.Draw(t, "last name"),
			Document:  rapid.StringMatching("[0-9]{1,10}").Draw(t, "document"),
			Birthdate: anyDate.Draw(t, "birthdate"),
			Number:    rapid.IntRange(0, MaxNumber).Draw(t, "number"),
		}
	})
)

// anyBets returns n bets that are the same in every run.
func anyBets(n int) []Bet {
	bets := make([]Bet, n)
	for i := range bets {
		bets[i] = anyBet.Example(i)
	}
	return bets
}
