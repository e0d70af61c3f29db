package lottery

// The texts of a bet are short, and there are many of them, so that it pays to look at
// eight bytes at once: they are a word, whose lowest byte is the first.

const (
	ones  = 0x0101_0101_0101_0101 // times a byte, it is a word of eight such bytes
	highs = 0x80 * ones           // the high bit of each byte
)

// word returns the eight bytes of s from i on.
func word(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// wordOfEnds returns the first four bytes of s and the last four, of which some may
// be the same.
func wordOfEnds(s string) uint64 {
	end := s[len(s)-4:]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(end[0])<<32 | uint64(end[1])<<40 | uint64(end[2])<<48 | uint64(end[3])<<56
}

// isPlain reports whether each byte of w is ASCII that may be in a name and needs no
// quotes in a row, or is no ASCII.
func isPlain(w uint64) bool {
	low := w &^ highs
	// Of each sum a byte has its high bit if that byte of low is …
	fine := (low + (0x80-' ')*ones) & // no control character
		((low ^ ','*ones) + 0x7f*ones) & // no comma
		((low ^ '"'*ones) + 0x7f*ones) &^ // no quote
		(low + ones) // DEL
	return (fine|w)&highs == highs
}

// isDigits reports whether each byte of w is an ASCII digit.
func isDigits(w uint64) bool {
	w ^= '0' * ones
	return ((w+(0x80-10)*ones)|w)&highs == 0
}
