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

// Words of several bytes are judged at once: each byte counts wherever it stands, in a
// text of any length.
func TestPlainAtEveryByte(t *testing.T) {
	every := func(texts []string, is func(text string) (got, want bool)) {
		for _, text := range texts {
			for at := range len(text) {
				for b := range 256 {
					changed := text[:at] + string([]byte{byte(b)}) + text[at+1:]
					if got, want := is(changed); got != want {
						t.Fatalf("%+q is plain: %t, expected %t", changed, got, want)
					}
				}
			}
		}
	}
	lengths := func(text string) (cut []string) {
		for n := range len(text) + 1 {
			cut = append(cut, text[:n])
		}
		return cut
	}
	every(append(lengths("Ana Lucia Victoria del C"), "Í", "é.", "José", "Íñigo", "Ñandú Pé", "María José", "Ana\u20ac Lucia"), func(name string) (bool, bool) {
		return plainName(name), checkName("name", name) == nil && !strings.ContainsAny(name, `,"`)
	})
	every(lengths("123456789012"), func(document string) (bool, bool) {
		return plainDocument(document), len(document) > 0 && len(document) <= MaxDocument && allDigits(document)
	})
	every([]string{"2000-02-29", "2001-02-28", "0001-12-31", "0000-01-01", "1999-11-30", "2000-1-100", "2000-01-011", "2000-01-0"}, func(date string) (bool, bool) {
		return plainDate(date), dateExists(date)
	})
	every(append(lengths("99999"), "0", "00", "1000", "0123", "10000"), func(number string) (bool, bool) {
		n, ok := canonicalUint(number, maxNumberDigits)
		got, plain := plainNumber(number)
		return plain && got == n, ok && n <= MaxNumber
	})
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
