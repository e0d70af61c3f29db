package lottery

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// checkPlain fails when the fast path for validating a raw bet, or for reading its
// row, differs from the full one.
func checkPlain(t interface {
	Helper()
	Errorf(format string, args ...any)
}, raw RawBet) {
	t.Helper()
	bet, err := raw.Bet()
	agency, number, plain := raw.plain()
	if plain {
		if err != nil {
			t.Errorf("%+q is plain, and refused: %v", raw, err)
			return
		}
		if agency != bet.Agency || number != bet.Number {
			t.Errorf("%+q: plain are agency %d and number %d, expected %d and %d", raw, agency, number, bet.Agency, bet.Number)
		}
		if got, want := string(raw.appendPlain(nil)), string(bet.AppendRow(nil)); got != want {
			t.Errorf("%+q: the plain row is %q, expected %q", raw, got, want)
		}
	}
	row, rowErr := raw.AppendRow([]byte("x"))
	want := "x"
	if err == nil {
		want = string(bet.AppendRow([]byte("x")))
	}
	if string(row) != want || fmt.Sprint(rowErr) != fmt.Sprint(err) {
		t.Errorf("%+q: the row is %q (%v), expected %q (%v)", raw, row, rowErr, want, err)
	}
	text := strings.Join([]string{raw.Agency, raw.FirstName, raw.LastName, raw.Document, raw.Birthdate, raw.Number}, ",")
	checkPlainRow(t, text)
}

func checkPlainRow(t interface {
	Helper()
	Errorf(format string, args ...any)
}, text string) {
	t.Helper()
	got, plain := parsePlain(text)
	if !plain {
		return
	}
	if want, err := parseAny(text); err != nil || got != want {
		t.Errorf("the row %q is plain as %+v, expected %+v, %v", text, got, want, err)
	}
}

func TestPlain(t *testing.T) {
	usual := RawBet{"1", "Ana", "Sosa", "12345678", "2000-02-29", "7574"}
	for _, test := range []struct {
		name  string
		plain bool
		raw   RawBet
	}{
		{"usual", true, usual},
		{"accents", true, RawBet{"12", "María José", "Ñandú", "01", "1999-12-31", "0"}},
		{"an agency with a zero in front", false, RawBet{"01", "Ana", "Sosa", "1", "2000-01-01", "1"}},
		{"a number with zeros in front", false, RawBet{"1", "Ana", "Sosa", "1", "2000-01-01", "0001"}},
		{"a comma", false, RawBet{"1", "Ana, la", "Sosa", "1", "2000-01-01", "1"}},
		{"a quote", false, RawBet{"1", "Ana", "So\"sa", "1", "2000-01-01", "1"}},
		{"a control character", false, RawBet{"1", "Ana", "So\tsa", "1", "2000-01-01", "1"}},
		{"a control character of Latin-1", false, RawBet{"1", "Ana", "So\u0085sa", "1", "2000-01-01", "1"}},
		{"not UTF-8", false, RawBet{"1", "An\xe1", "Sosa", "1", "2000-01-01", "1"}},
		{"no date", false, RawBet{"1", "Ana", "Sosa", "1", "1900-02-29", "1"}},
		{"agency 0", false, RawBet{"0", "Ana", "Sosa", "1", "2000-01-01", "1"}},
		{"a number too large", false, RawBet{"1", "Ana", "Sosa", "1", "2000-01-01", "10000"}},
	} {
		if _, _, plain := test.raw.plain(); plain != test.plain {
			t.Errorf("%s: plain is %v, expected %v", test.name, plain, test.plain)
		}
		checkPlain(t, test.raw)
	}
}

// Texts that are nearly right best tell two ways of validating apart.
func TestPlainIsTheSame(t *testing.T) {
	field := func(usual ...string) *rapid.Generator[string] {
		return rapid.OneOf(rapid.SampledFrom(usual), rapid.Custom(func(t *rapid.T) string {
			text := rapid.SampledFrom(usual).Draw(t, "text")
			at := rapid.IntRange(0, len(text)).Draw(t, "at")
			piece := rapid.OneOf(rapid.StringN(0, 2, -1), rapid.SampledFrom([]string{"0", ",", "\"", "\xff", "\x00", "\u0085", "\u00a0", "-"})).Draw(t, "piece")
			return text[:at] + piece + text[min(len(text), at+rapid.IntRange(0, 1).Draw(t, "cut")):]
		}))
	}
	names := field("Ana", "María José", strings.Repeat("ñ", MaxName/2), strings.Repeat("x", MaxName))
	rapid.Check(t, func(t *rapid.T) {
		checkPlain(t, RawBet{
			Agency:    field("1", "42", "1234567890").Draw(t, "agency"),
			FirstName: names.Draw(t, "first name"),
			LastName:  names.Draw(t, "last name"),
			Document:  field("1", "00012345", "1234567890").Draw(t, "document"),
			Birthdate: field("2000-02-29", "1900-02-28", "0001-01-01", "9999-12-31").Draw(t, "birthdate"),
			Number:    field("0", "7574", "9999", "10000").Draw(t, "number"),
		})
	})
}

func FuzzPlainRow(f *testing.F) {
	for _, text := range []string{
		"1,Ana,Sosa,12345678,2000-02-29,7574", "1,Ana,Sosa,1,2000-01-01,1,", `1,"Ana",Sosa,1,2000-01-01,1`, ",,,,,", "",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkPlainRow(t, text) })
}
