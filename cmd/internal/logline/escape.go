package logline

import (
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// plain marks the ASCII bytes that stand in a JSON string and in a line alike.
var plain = func() (table [utf8.RuneSelf]bool) {
	for c := byte(' '); c < 0x7f; c++ {
		table[c] = c != '"' && c != '\\' && c != '|'
	}
	return table
}()

const hexDigits = "0123456789abcdef"

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

// appendRune appends r as itself, or escaped when it must be.
func appendRune(dst []byte, r rune) []byte {
	if !mustEscape(r) {
		return utf8.AppendRune(dst, r)
	}
	switch r {
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u',
		hexDigits[r>>12&0xf], hexDigits[r>>8&0xf], hexDigits[r>>4&0xf], hexDigits[r&0xf])
}

// appendSafe appends text with every character escaped that must be. What is
// not UTF-8 becomes U+FFFD.
func appendSafe(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		dst = appendRune(dst, r)
		i += size
	}
	return dst
}

// appendString appends what the JSON string at in[at] says, without its quotes
// and with every character escaped that must be. next is the index behind the
// closing quote; ok is false when there is no whole string.
func appendString(dst, in []byte, at int) (out []byte, next int, ok bool) {
	if at >= len(in) || in[at] != '"' {
		return dst, at, false
	}
	for i := at + 1; i < len(in); {
		run := i
		for i < len(in) && in[i] < utf8.RuneSelf && plain[in[i]] {
			i++
		}
		dst = append(dst, in[run:i]...)
		if i == len(in) {
			break
		}
		switch c := in[i]; {
		case c == '"':
			return dst, i + 1, true
		case c == '\\':
			var size int
			if dst, size = appendEscape(dst, in[i:]); size == 0 {
				return dst, i, false
			}
			i += size
		default:
			r, size := utf8.DecodeRune(in[i:])
			dst = appendRune(dst, r)
			i += size
		}
	}
	return dst, len(in), false
}

// appendEscape appends the character that the JSON escape at the start of in
// stands for. size is the length of the escape, 0 when it is none.
func appendEscape(dst, in []byte) (out []byte, size int) {
	if len(in) < 2 {
		return dst, 0
	}
	switch in[1] {
	case '"', '\\', '/':
		return append(dst, in[1]), 2
	case 'n', 'r', 't', 'b', 'f':
		return append(dst, '\\', in[1]), 2
	case 'u':
		r, ok := hexRune(in)
		if !ok {
			return dst, 0
		}
		size = 6
		if utf16.IsSurrogate(r) {
			low, _ := hexRune(in[6:])
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				size = 12
			}
		}
		return appendRune(dst, r), size
	}
	return dst, 0
}

// hexRune reads an escape \uXXXX.
func hexRune(in []byte) (r rune, ok bool) {
	if len(in) < 6 || in[0] != '\\' || in[1] != 'u' {
		return 0, false
	}
	for _, c := range in[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
