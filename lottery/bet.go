package lottery

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Limits of a valid bet, from the protocol.
const (
	WinningNumber = 7574 // the number that wins
	MaxNumber     = 9999 // the largest number to bet on
	MaxName       = 255  // bytes of a first or last name
	MaxDocument   = 10   // digits of a DNI

	maxAgencyDigits = 10
	maxNumberDigits = 10 // leading zeros are allowed, but not without end
	dateLayout      = "2006-01-02"
)

// RawBet is a bet as an agency wrote it down: six texts that nobody has validated.
type RawBet struct {
	Agency    string
	FirstName string
	LastName  string
	Document  string // DNI
	Birthdate string
	Number    string
}

// Bet is a valid bet.
type Bet struct {
	Agency    int // 1 and up
	FirstName string
	LastName  string
	Document  string // DNI: digits as written, leading zeros matter
	Birthdate string // YYYY-MM-DD
	Number    int    // 0 to MaxNumber
}

// HasWon says whether the bet is on the winning number.
func (b *Bet) HasWon() bool { return b.Number == WinningNumber }

// Bet validates the raw bet. The error is a *Refusal with the raw bet's document and
// number, and the code of the first rule that is broken, in the order of the
// raw bet's fields.
func (s *RawBet) Bet() (Bet, error) {
	b, err := s.validate()
	if r, ok := err.(*Refusal); ok {
		r.Document, r.Number = s.Document, s.Number
	}
	return b, err
}

func (s *RawBet) validate() (b Bet, err error) {
	if b.Agency, err = ParseAgency(s.Agency); err != nil {
		return b, err
	}
	if err = checkName("first name", s.FirstName); err != nil {
		return b, err
	}
	if err = checkName("last name", s.LastName); err != nil {
		return b, err
	}
	if len(s.Document) == 0 || len(s.Document) > MaxDocument || !allDigits(s.Document) {
		return b, refuse(BadDocument, "the document is %.40q, expected 1 to %d digits", s.Document, MaxDocument)
	}
	if !dateExists(s.Birthdate) {
		return b, refuse(BadBirthdate, "the birthdate is %.40q, expected an existing date as YYYY-MM-DD", s.Birthdate)
	}
	n, ok := parseUint(s.Number, maxNumberDigits)
	if !ok || n > MaxNumber {
		return b, refuse(BadNumber, "the number is %.40q, expected 0 to %d", s.Number, MaxNumber)
	}
	b.FirstName, b.LastName, b.Document, b.Birthdate, b.Number = s.FirstName, s.LastName, s.Document, s.Birthdate, n
	return b, nil
}

// RawBet writes the bet down in its canonical form: integers without leading
// zeros.
func (b *Bet) RawBet() RawBet {
	return RawBet{
		Agency:    strconv.Itoa(b.Agency),
		FirstName: b.FirstName,
		LastName:  b.LastName,
		Document:  b.Document,
		Birthdate: b.Birthdate,
		Number:    strconv.Itoa(b.Number),
	}
}

// ParseAgency reads an agency's number, a positive integer of at most ten
// digits. The error is a *Refusal with code BadAgency.
func ParseAgency(s string) (int, error) {
	n, ok := parseUint(s, maxAgencyDigits)
	if !ok || n == 0 {
		return 0, refuse(BadAgency, "the agency is %.40q, expected a positive integer", s)
	}
	return n, nil
}

func checkName(what, name string) error {
	if len(name) == 0 || len(name) > MaxName {
		return refuse(BadName, "the %s has %d bytes, expected 1 to %d", what, len(name), MaxName)
	}
	for i := 0; i < len(name); {
		c := name[i]
		if c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				return refuse(BadName, "the %s has the control character %q at byte %d", what, c, i)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && size == 1 {
			return refuse(BadName, "the %s is not UTF-8 at byte %d", what, i)
		}
		if unicode.IsControl(r) {
			return refuse(BadName, "the %s has the control character %U at byte %d", what, r, i)
		}
		i += size
	}
	return nil
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// parseUint reads an ASCII decimal of 1 to max digits; max is small enough
// that an int cannot overflow.
func parseUint(s string, max int) (int, bool) {
	if len(s) == 0 || len(s) > max {
		return 0, false
	}
	n := 0
	for i := 0; i < len(s); i++ {
		digit := s[i] - '0'
		if digit > 9 {
			return 0, false
		}
		n = n*10 + int(digit)
	}
	return n, true
}

// dateExists says whether s is a date of the calendar, from 0001-01-01 on, as
// Python's date.fromisoformat accepts it.
func dateExists(s string) bool {
	if len(s) != len(dateLayout) || s[4] != '-' || s[7] != '-' {
		return false
	}
	year, ok1 := twoDigits(s[0], s[1])
	years, ok2 := twoDigits(s[2], s[3])
	month, ok3 := twoDigits(s[5], s[6])
	day, ok4 := twoDigits(s[8], s[9])
	year = 100*year + years
	if !ok1 || !ok2 || !ok3 || !ok4 || year < 1 || month < 1 || month > 12 || day < 1 {
		return false
	}
	return day <= 28 || day <= daysIn(year, month)
}

// twoDigits reads two ASCII digits.
func twoDigits(tens, ones byte) (int, bool) {
	tens, ones = tens-'0', ones-'0'
	return 10*int(tens) + int(ones), tens <= 9 && ones <= 9
}

// daysIn returns the days of a month in the proleptic Gregorian calendar,
// which is Python's.
func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
