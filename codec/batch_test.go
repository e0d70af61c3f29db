package codec

import (
	"strings"
	"testing"

	"loteria/lottery"
)

// Whether its texts are UTF-8 is a question about a bet, not about its frame.
func TestBetsNeedNotBeUTF8(t *testing.T) {
	bad := lottery.RawBet{Agency: "\xff", FirstName: "An\xc3", LastName: "\xa1sa", Document: "1\xb9", Birthdate: "\xc0\x80", Number: strings.Repeat("\xc2", 200)}
	good := lottery.RawBet{Agency: "1", FirstName: "María José", LastName: "Ñandú", Document: "12345678", Birthdate: "2000-02-29", Number: "7574"}
	payload := (&Batch{RawBets: []lottery.RawBet{bad, good}}).appendPayload(nil)
	var bets BatchReader
	if err := bets.Reset(payload); err != nil {
		t.Fatal(err)
	}
	for _, want := range []lottery.RawBet{bad, good} {
		var got lottery.RawBet
		if more, err := bets.Next(&got); !more || err != nil || got != want {
			t.Errorf("got %q, %v, %v; want %q", got, more, err, want)
		}
	}
	var bet Bet
	if err := bet.Decode((&Bet{RawBet: bad}).appendPayload(nil)); err != nil || bet.RawBet != bad {
		t.Errorf("got %q, %v; want %q", bet.RawBet, err, bad)
	}
}
