package lottery

import (
	"encoding/binary"
	"unicode/utf8"
)

// plain is the fast path of Bet: it validates in one pass and allocates nothing. It
// takes raw bets whose row is just their six texts and the commas between them, as
// nearly all are. When ok is false, call Bet.
func (s *RawBet) plain() (agency, number int, ok bool) {
	agency, ok = canonicalUint(s.Agency, maxAgencyDigits)
	if !ok || agency == 0 || !plainName(s.FirstName) || !plainName(s.LastName) {
		return 0, 0, false
	}
	if !plainDocument(s.Document) || !plainDate(s.Birthdate) {
		return 0, 0, false
	}
	number, ok = plainNumber(s.Number)
	return agency, number, ok
}

// AppendRow validates the raw bet and appends its row, like Bet followed by
// Bet.AppendRow. On an error, a *Refusal, dst is returned unchanged.
func (s *RawBet) AppendRow(dst []byte) ([]byte, error) {
	if _, _, plain := s.plain(); plain {
		return s.appendPlain(dst), nil
	}
	bet, err := s.Bet()
	if err != nil {
		return dst, err
	}
	return bet.AppendRow(dst), nil
}

// appendPlain appends the row of a raw bet that is plain. Texts of the usual length are
// copied without a call, which takes longer than the copy.
func (s *RawBet) appendPlain(dst []byte) []byte {
	if len(s.Agency) == 1 {
		dst = append(dst, s.Agency[0], ',')
	} else {
		dst = append(append(dst, s.Agency...), ',')
	}
	dst = append(append(dst, s.FirstName...), ',')
	dst = append(append(dst, s.LastName...), ',')
	if len(s.Document) == 8 {
		dst = append(binary.LittleEndian.AppendUint64(dst, word(s.Document, 0)), ',')
	} else {
		dst = append(append(dst, s.Document...), ',')
	}
	dst = append(binary.LittleEndian.AppendUint64(dst, word(s.Birthdate, 0)), s.Birthdate[8], s.Birthdate[9], ',')
	if len(s.Number) == 4 {
		return append(dst, s.Number[0], s.Number[1], s.Number[2], s.Number[3], '\r', '\n')
	}
	return append(append(dst, s.Number...), rowEnd...)
}

// canonicalUint is parseUint of a number that is written as it is stored.
func canonicalUint(s string, max int) (int, bool) {
	if len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	return parseUint(s, max)
}

// plainNumber returns a number to bet on that is written as it is stored. Most have as
// many digits as there can be.
func plainNumber(s string) (int, bool) {
	const most = 4 // digits of MaxNumber
	if len(s) != most || s[0] == '0' {
		return canonicalUint(s, most)
	}
	a, b, c, d := s[0]-'0', s[1]-'0', s[2]-'0', s[3]-'0'
	return 1000*int(a) + 100*int(b) + 10*int(c) + int(d), a <= 9 && b <= 9 && c <= 9 && d <= 9
}

// plainName tells whether a name is valid and needs no quotes in its row.
func plainName(name string) bool {
	n := len(name)
	if n == 0 || n > MaxName {
		return false
	}
	var all uint64
	switch {
	case n < 4:
		return plainRunes(name)
	case n < 8:
		if all = wordOfEnds(name); !isPlain(all) {
			return false
		}
	default:
		if all = word(name, n-8); !isPlain(all) {
			return false
		}
		for i := 0; i < n-8; i += 8 {
			w := word(name, i)
			if all |= w; !isPlain(w) {
				return false
			}
		}
	}
	return all&highs == 0 || plainRunes(name)
}

// plainRunes is plainName, one character after the other.
func plainRunes(name string) bool {
	for i := 0; i < len(name); {
		c := name[i]
		switch {
		case c < utf8.RuneSelf:
			if c < ' ' || c == ',' || c == '"' || c == 0x7f {
				return false
			}
			i++
		case c == 0xc3 && i+1 < len(name) && name[i+1]&0xc0 == 0x80: // U+00C0 to U+00FF, the letters of Spanish
			i += 2
		default:
			r, size := utf8.DecodeRuneInString(name[i:])
			if size == 1 || r < 0xa0 { // not UTF-8, or a control of Latin-1
				return false
			}
			i += size
		}
	}
	return true
}

// plainDocument tells whether a document is valid. Most have seven or eight digits.
func plainDocument(s string) bool {
	switch len(s) {
	case 8:
		return isDigits(word(s, 0))
	case 7:
		return isDigits(wordOfEnds(s))
	}
	return len(s) > 0 && len(s) <= MaxDocument && allDigits(s)
}

// plainDate tells whether a date exists.
func plainDate(s string) bool {
	if len(s) != len(dateLayout) {
		return false
	}
	const dashes = ('0'^'-')<<32 | ('0'^'-')<<56
	w := word(s, 0) ^ '0'*ones ^ dashes // the digits' values, and zeros for the dashes
	const digit, dash = 0x80 - 10, 0x7f // to be added: the high bit is then that of a wrong byte
	const all = digit*ones - (digit-dash)<<32 - (digit-dash)<<56
	if ((w+all)|w)&highs != 0 {
		return false
	}
	month := 10*int(byte(w>>40)) + int(byte(w>>48))
	day, ok := twoDigits(s[8], s[9])
	if !ok || uint32(w) == 0 || month < 1 || month > 12 || day < 1 { // there is no year 0
		return false
	}
	return day <= 28 || dateExists(s)
}
