package logline

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// mustEscape tells whether a character could end a line, forge a field, or
// change what a terminal shows of them: the bar, control characters, line
// separators, and the marks that reverse the direction of writing.
func mustEscape(r rune) bool {
	switch {
	case r < 0x20, r == '|', r >= 0x7f && r < 0xa0:
		return true
	case r < 0x61c: // accents and most letters end here, before the table
		return false
	}
	return r == 0x2028 || r == 0x2029 || unicode.Is(unicode.Bidi_Control, r)
}

// appendSafe appends text, with the characters escaped that must be, as in JSON.
// Invalid UTF-8 becomes U+FFFD.
func appendSafe(dst []byte, text string) []byte {
	done := 0
	for i := 0; i < len(text); {
		if c := text[i]; c >= 0x20 && c < 0x7f && c != '|' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if escaped := mustEscape(r); escaped || r == utf8.RuneError {
			dst = append(dst, text[done:i]...)
			if escaped {
				dst = appendEscape(dst, r)
			} else {
				dst = utf8.AppendRune(dst, r)
			}
			done = i + size
		}
		i += size
	}
	return append(dst, text[done:]...)
}

// appendEscape appends JSON's escape of r, which is below U+10000 like every
// character that must be escaped.
func appendEscape(dst []byte, r rune) []byte {
	const short, letters, digits = "\b\f\n\r\t", "bfnrt", "0123456789abcdef"
	if i := strings.IndexRune(short, r); i >= 0 {
		return append(dst, '\\', letters[i])
	}
	return append(dst, '\\', 'u', digits[r>>12&0xf], digits[r>>8&0xf], digits[r>>4&0xf], digits[r&0xf])
}
