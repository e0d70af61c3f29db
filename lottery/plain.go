package lottery

import "unicode/utf8"

// plain is the fast path of Bet: it validates in one pass and allocates nothing. It
// takes raw bets whose row is just their six texts and the commas between them, as
// nearly all are. When ok is false, call Bet.
func (s *RawBet) plain() (agency, number int, ok bool) {
	agency, ok = canonicalUint(s.Agency, maxAgencyDigits)
	if !ok || agency == 0 || !plainName(s.FirstName) || !plainName(s.LastName) {
		return 0, 0, false
	}
	if len(s.Document) == 0 || len(s.Document) > MaxDocument || !allDigits(s.Document) || !dateExists(s.Birthdate) {
		return 0, 0, false
	}
	number, ok = canonicalUint(s.Number, maxNumberDigits)
	return agency, number, ok && number <= MaxNumber
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

// appendPlain appends the row of a raw bet that is plain.
func (s *RawBet) appendPlain(dst []byte) []byte {
	dst = append(append(dst, s.Agency...), ',')
	dst = append(append(dst, s.FirstName...), ',')
	dst = append(append(dst, s.LastName...), ',')
	dst = append(append(dst, s.Document...), ',')
	dst = append(append(dst, s.Birthdate...), ',')
	return append(append(dst, s.Number...), rowEnd...)
}

// canonicalUint is parseUint of a number that is written as it is stored.
func canonicalUint(s string, max int) (int, bool) {
	if len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	return parseUint(s, max)
}

// plainBytes are the ASCII bytes allowed in a name that need no quotes in a row.
var plainBytes = func() (table [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		table[c] = c != ',' && c != '"'
	}
	return table
}()

// plainName tells whether a name is valid and needs no quotes in its row.
func plainName(name string) bool {
	if len(name) == 0 || len(name) > MaxName {
		return false
	}
	for i := 0; i < len(name); {
		if plainBytes[name[i]] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(name[i:])
		if size == 1 || r < 0xa0 { // not UTF-8, or a control of Latin-1
			return false
		}
		i += size
	}
	return true
}
