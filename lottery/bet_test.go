package lottery_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"loteria/lottery"
	"pgregory.net/rapid"
)

func validRawBet() lottery.RawBet {
	return lottery.RawBet{Agency: "1", FirstName: "Santiago Lionel", LastName: "Lorca", Document: "30904465", Birthdate: "1999-03-17", Number: "7574"}
}

// checkRule validates a good raw bet with one field changed: code "" is a valid
// bet, anything else must be the refusal's code, with the bet it is about.
func checkRule(t *testing.T, change func(*lottery.RawBet), code lottery.Code) {
	t.Helper()
	raw := validRawBet()
	change(&raw)
	_, err := raw.Bet()
	if code == "" {
		if err != nil {
			t.Errorf("%.60q is refused: %v", raw, err)
		}
		return
	}
	if !errors.Is(err, code) {
		t.Errorf("%.60q: the error is %v, want %s", raw, err, code)
		return
	}
	var refusal *lottery.Refusal
	if !errors.As(err, &refusal) || refusal.Document != raw.Document || refusal.Number != raw.Number {
		t.Errorf("%.60q: the refusal is %+v", raw, refusal)
	}
	if len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n\r\x00") {
		t.Errorf("the error is not fit for a log line: %q", err)
	}
}

func TestRules(t *testing.T) {
	fields := []struct {
		name    string
		set     func(*lottery.RawBet, string)
		code    lottery.Code
		valid   []string
		invalid []string
	}{
		{
			"agency", func(s *lottery.RawBet, v string) { s.Agency = v }, lottery.BadAgency,
			[]string{"1", "5", "01", "0000000001", "9999999999"},
			[]string{"", "0", "00", "-1", "+1", " 1", "1 ", "1.0", "uno", "1\x00", "٣", "１", "0x1", "1_0", "00000000001", "10000000000", "99999999999999999999"},
		},
		{
			"first name", func(s *lottery.RawBet, v string) { s.FirstName = v }, lottery.BadName, validNames(), invalidNames(),
		},
		{
			"last name", func(s *lottery.RawBet, v string) { s.LastName = v }, lottery.BadName, validNames(), invalidNames(),
		},
		{
			"document", func(s *lottery.RawBet, v string) { s.Document = v }, lottery.BadDocument,
			[]string{"0", "1", "00100200", "0000000000", "0123456789", "9999999999"},
			[]string{"", "01234567890", "30.904.465", "-1", "+1", " 1", "1 ", "1a", "x", "٣٠٩٠٤٤٦٥", "１２３", "1\n", "1\x00", "½", strings.Repeat("1", 8000)},
		},
		{
			"birthdate", func(s *lottery.RawBet, v string) { s.Birthdate = v }, lottery.BadBirthdate,
			[]string{"0001-01-01", "1999-03-17", "2000-02-29", "2024-02-29", "1900-02-28", "2023-12-31", "9999-12-31", "2024-04-30"},
			[]string{
				"", "0000-01-01", "1900-02-29", "2023-02-29", "2100-02-29", "2024-02-30", "2024-04-31", "2024-13-01", "2024-00-10", "2024-01-00",
				"2024-01-32", "2024-1-01", "2024-01-1", "24-01-01", "02024-01-01", "2024-01-01 ", " 2024-01-01", "2024/01/01", "20240101", "01-01-2024",
				"2024-01-0a", "+024-01-01", "2024-+1-01", "2024-01--1", "-024-01-01", "٢٠٢٤-٠١-٠١", "2024-01-01T00:00:00Z", "2024-W01-1", "2024-001",
			},
		},
		{
			"number", func(s *lottery.RawBet, v string) { s.Number = v }, lottery.BadNumber,
			[]string{"0", "7574", "9999", "0007574", "0000", "0000009999"},
			[]string{"", "10000", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x10", "1_000", "siete", "٧", "0000010000", "00000000001", "99999999999999999999", "1\n"},
		},
	}
	for _, field := range fields {
		t.Run(field.name, func(t *testing.T) {
			for _, v := range field.valid {
				checkRule(t, func(s *lottery.RawBet) { field.set(s, v) }, "")
			}
			for _, v := range field.invalid {
				checkRule(t, func(s *lottery.RawBet) { field.set(s, v) }, field.code)
			}
		})
	}
}

func validNames() []string {
	return []string{
		"a", "María José", "Núñez", `"El Ñato", de la Ó`, "O'Hara", " ", " a ", "日本", "🎲", "a|b: c", "\u00a0", "\u2028", "\u2029", "\ufeff", "\ufffd", "e\u0301",
		strings.Repeat("a", 255), strings.Repeat("ñ", 127) + "a", strings.Repeat("🎲", 63) + "abc",
	}
}

func invalidNames() []string {
	names := []string{
		"", strings.Repeat("a", 256), strings.Repeat("ñ", 128), strings.Repeat("🎲", 64), strings.Repeat("a", 8000),
		"\x80", "a\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "Nu\xc3", "N\xfa\xf1ez",
	}
	for r := rune(0); r <= 0x9f; r++ { // C0, DEL and C1
		if r < ' ' || r >= 0x7f {
			names = append(names, "a"+string(r)+"b", string(r))
		}
	}
	return names
}

// TestFirstBrokenRule checks that a raw bet with several mistakes is refused for
// the first one.
func TestFirstBrokenRule(t *testing.T) {
	raw := lottery.RawBet{Agency: "0", FirstName: "", LastName: "Lorca", Document: "x", Birthdate: "x", Number: "x"}
	steps := []struct {
		code  lottery.Code
		field *string
		good  string
	}{
		{lottery.BadAgency, &raw.Agency, "1"},
		{lottery.BadName, &raw.FirstName, "Ana"},
		{lottery.BadDocument, &raw.Document, "1"},
		{lottery.BadBirthdate, &raw.Birthdate, "2000-01-01"},
		{lottery.BadNumber, &raw.Number, "1"},
	}
	for _, step := range steps {
		if _, err := raw.Bet(); !errors.Is(err, step.code) {
			t.Errorf("%q: the error is %v, want %s", raw, err, step.code)
		}
		*step.field = step.good
	}
	if _, err := raw.Bet(); err != nil {
		t.Error(err)
	}
}

func TestBetIsAsWritten(t *testing.T) {
	raw := lottery.RawBet{Agency: "0003", FirstName: " Ana ", LastName: "Núñez", Document: "00100200", Birthdate: "2000-02-29", Number: "0007574"}
	bet, err := raw.Bet()
	want := lottery.Bet{Agency: 3, FirstName: " Ana ", LastName: "Núñez", Document: "00100200", Birthdate: "2000-02-29", Number: 7574}
	if err != nil || bet != want {
		t.Errorf("the bet is %+v, %v; want %+v", bet, err, want)
	}
	canonical := lottery.RawBet{Agency: "3", FirstName: " Ana ", LastName: "Núñez", Document: "00100200", Birthdate: "2000-02-29", Number: "7574"}
	if got := bet.RawBet(); got != canonical {
		t.Errorf("the raw is %+v, want %+v", got, canonical)
	}
}

func TestBetAndRawBetAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := anyBet.Draw(rt, "bet")
		raw := want.RawBet()
		if got, err := raw.Bet(); err != nil || got != want {
			t.Fatalf("%+v became %+v, %v", want, got, err)
		}
	})
}

func TestHasWon(t *testing.T) {
	for number := range lottery.MaxNumber + 1 {
		bet := lottery.Bet{Number: number}
		if bet.HasWon() != (number == 7574) {
			t.Errorf("number %d has won: %t", number, bet.HasWon())
		}
	}
}

// TestDateExists compares with time.Parse on every day that can be written for
// the years that matter, and on random ones of all years.
func TestDateExists(t *testing.T) {
	check := func(date string) {
		t.Helper()
		_, err := time.Parse(time.DateOnly, date)
		if want := err == nil && date[:4] != "0000"; lottery.DateExists(date) != want {
			t.Errorf("%s exists: %t, want %t", date, !want, want)
		}
	}
	for _, year := range []int{0, 1, 4, 100, 400, 1582, 1752, 1900, 1999, 2000, 2023, 2024, 2100, 9996, 9999} {
		for month := range 100 {
			for day := range 100 {
				check(fmt.Sprintf("%04d-%02d-%02d", year, month, day))
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		check(rapid.StringMatching("[0-9]{4}-[01][0-9]-[0-3][0-9]").Draw(rt, "date"))
	})
}

func TestRefusal(t *testing.T) {
	err := fmt.Errorf("while doing something: %w", &lottery.Refusal{Code: lottery.Gap, Reason: "a hole"})
	if !errors.Is(err, lottery.Gap) || errors.Is(err, lottery.Storage) {
		t.Errorf("%v is a gap: %t, a storage failure: %t", err, errors.Is(err, lottery.Gap), errors.Is(err, lottery.Storage))
	}
	if want := "while doing something: gap: a hole"; err.Error() != want {
		t.Errorf("the error reads %q, want %q", err, want)
	}
}
