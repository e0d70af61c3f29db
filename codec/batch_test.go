package codec

import (
	"strings"
	"testing"

	"loteria/lottery"
)

// A batch is UTF-8 text by text. The bytes between the texts, which say how long
// they are, must not make up a character with one of them.
func TestEachTextOfABatchIsUTF8(t *testing.T) {
	usual := lottery.Slip{Agency: "1", FirstName: "Ana", LastName: "Sosa", Document: "12345678", Birthdate: "2000-02-29", Number: "7574"}
	for _, test := range []struct {
		name   string
		change func(*lottery.Slip)
		valid  bool
	}{
		{"ASCII", func(*lottery.Slip) {}, true},
		{"accents", func(s *lottery.Slip) { s.FirstName, s.LastName = "María José", "Ñandú" }, true},
		{"a long name", func(s *lottery.Slip) { s.FirstName = strings.Repeat("ñ", 100) }, true},
		{"a long name of ASCII", func(s *lottery.Slip) { s.FirstName = strings.Repeat("n", 0xc3) }, true},
		{"a character across two texts", func(s *lottery.Slip) { s.FirstName, s.LastName = "An\xc3", "\xa1sa" }, false},
		{"a character whose first byte is the length", func(s *lottery.Slip) { s.FirstName = "\x81" + strings.Repeat("n", 0xc2) }, false},
		{"half a character at the end", func(s *lottery.Slip) { s.Number = "1\xc3" }, false},
		{"a character that is too long for its code", func(s *lottery.Slip) { s.LastName = "\xc0\x80" }, false},
	} {
		slip := usual
		test.change(&slip)
		// The sender's side does not look at the texts.
		payload := (&Batch{Slips: []lottery.Slip{usual, slip}}).appendPayload(nil)
		var bets BatchReader
		err := bets.Reset(payload)
		for err == nil && bets.Len() > 0 {
			var got lottery.Slip
			var more bool
			if more, err = bets.Next(&got); !more {
				break
			}
		}
		if (err == nil) != test.valid {
			t.Errorf("%s: the error is %v, expected one: %v", test.name, err, !test.valid)
		}
	}
}
