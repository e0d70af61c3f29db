package lottery

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"
)

const (
	rowEnd = "\r\n"

	// MaxRow is the longest a row can be, in bytes: every byte of both names
	// a doubled quote, and the widest of everything else.
	MaxRow = maxAgencyDigits + 2*(2*MaxName+2) + MaxDocument + len(dateLayout) + 4 + 5 + len(rowEnd)
)

// AppendRow appends the bet's row of bets.csv to dst, byte for byte what
// Python's csv.writer(file, quoting=csv.QUOTE_MINIMAL) writes: a field is
// quoted when it holds a comma, a quote or a line break, a quote within is
// doubled, the row ends in CR LF (https://docs.python.org/3/library/csv.html).
// The bet must be valid, so only the names can need quotes.
func (b *Bet) AppendRow(dst []byte) []byte {
	dst = strconv.AppendInt(dst, int64(b.Agency), 10)
	dst = append(dst, ',')
	dst = appendField(dst, b.FirstName)
	dst = append(dst, ',')
	dst = appendField(dst, b.LastName)
	dst = append(dst, ',')
	dst = append(dst, b.Document...)
	dst = append(dst, ',')
	dst = append(dst, b.Birthdate...)
	dst = append(dst, ',')
	dst = strconv.AppendInt(dst, int64(b.Number), 10)
	return append(dst, rowEnd...)
}

func appendField(dst []byte, s string) []byte {
	if strings.IndexByte(s, ',') < 0 && strings.IndexByte(s, '"') < 0 {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// ParseRow reads one row, its line ending included. It accepts exactly what
// AppendRow writes, so that a damaged row cannot pass for a bet.
// The bet's texts share the row's memory.
func ParseRow(row string) (Bet, error) {
	text, ok := strings.CutSuffix(row, rowEnd)
	if !ok {
		return Bet{}, errors.New("the row does not end in CR LF")
	}
	if bet, ok := parsePlain(text); ok {
		return bet, nil
	}
	return parseAny(text)
}

// ParseRows reads rows that stand one after the other, and calls visit with each
// bet and the length of its row. The bet's texts share the memory of the rows. It
// stops at the first bad row; the error says what is wrong with it.
func ParseRows(rows []byte, visit func(bet Bet, size int)) error {
	text := unsafe.String(unsafe.SliceData(rows), len(rows))
	for len(text) > 0 {
		size := strings.IndexByte(text, '\n') + 1
		bet, err := ParseRow(text[:size])
		if err != nil {
			return err
		}
		visit(bet, size)
		text = text[size:]
	}
	return nil
}

// parseAny is ParseRow for a row without its line ending.
func parseAny(text string) (Bet, error) {
	rest := text
	var fields [6]string
	for i := range fields {
		field, after, last, err := cutField(rest)
		if err != nil {
			return Bet{}, fmt.Errorf("field %d: %w", i+1, err)
		}
		if last != (i == len(fields)-1) {
			return Bet{}, fmt.Errorf("expected %d fields", len(fields))
		}
		fields[i], rest = field, after
	}
	raw := RawBet{fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]}
	bet, err := raw.Bet()
	if err != nil {
		return Bet{}, err
	}
	var canonical [MaxRow]byte
	written := bet.AppendRow(canonical[:0])
	if string(written[:len(written)-len(rowEnd)]) != text {
		return Bet{}, errors.New("the row is not as it would have been written")
	}
	return bet, nil
}

// parsePlain is the fast path of parseAny, for rows without quotes, as nearly all
// are. When ok is false, call parseAny.
func parsePlain(text string) (bet Bet, ok bool) {
	var fields [6]string
	for i := range 5 {
		end := strings.IndexByte(text, ',')
		if end < 0 {
			return Bet{}, false
		}
		fields[i], text = text[:end], text[end+1:]
	}
	raw := RawBet{fields[0], fields[1], fields[2], fields[3], fields[4], text}
	agency, number, ok := raw.plain()
	return Bet{agency, raw.FirstName, raw.LastName, raw.Document, raw.Birthdate, number}, ok
}

// cutField cuts the first field off text; last says that no comma followed.
func cutField(text string) (field, rest string, last bool, err error) {
	if !strings.HasPrefix(text, `"`) {
		field, rest, found := strings.Cut(text, ",")
		return field, rest, !found, nil
	}
	text = text[1:]
	end, doubled := 0, false
	for {
		i := strings.IndexByte(text[end:], '"')
		if i < 0 {
			return "", "", false, errors.New("a quote is not closed")
		}
		end += i
		if !strings.HasPrefix(text[end+1:], `"`) {
			break
		}
		end, doubled = end+2, true
	}
	field, rest = text[:end], text[end+1:]
	if doubled {
		field = strings.ReplaceAll(field, `""`, `"`)
	}
	if rest == "" {
		return field, "", true, nil
	}
	if rest[0] != ',' {
		return "", "", false, errors.New("text after a closing quote")
	}
	return field, rest[1:], false, nil
}
