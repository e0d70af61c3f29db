package codec

import (
	"encoding/binary"
	"unicode/utf8"
)

// reader takes a payload apart, field by field. The first field that does not
// fit sets err, and all fields after it are zero. The texts it returns share
// the payload's memory.
type reader struct {
	payload string
	err     error
}

func (r *reader) take(n uint32, what string) string {
	if r.err == nil && uint64(n) > uint64(len(r.payload)) {
		r.err = broken(BadFrame, "%s needs %d bytes, the payload has %d more", what, n, len(r.payload))
	}
	if r.err != nil {
		return ""
	}
	field := r.payload[:n]
	r.payload = r.payload[n:]
	return field
}

func (r *reader) uint16(what string) uint16 {
	b := r.take(2, what)
	if r.err != nil {
		return 0
	}
	return uint16(b[0])<<8 | uint16(b[1])
}

func (r *reader) uint32(what string) uint32 {
	b := r.take(4, what)
	if r.err != nil {
		return 0
	}
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func (r *reader) uint64(what string) uint64 {
	high := r.uint32(what)
	return uint64(high)<<32 | uint64(r.uint32(what))
}

// optionalUint64 reads a number that may be left out at the payload's end.
func (r *reader) optionalUint64(what string) (n uint64, found bool) {
	if r.err != nil || len(r.payload) == 0 {
		return 0, false
	}
	return r.uint64(what), true
}

// bytes reads a text that need not be UTF-8.
func (r *reader) bytes(what string) string { return r.take(uint32(r.uint16(what)), what) }

func (r *reader) text(what string) string {
	s := r.bytes(what)
	if r.err == nil && !utf8.ValidString(s) {
		r.err = broken(BadFrame, "%s is not UTF-8", what)
		return ""
	}
	return s
}

// end returns the first error, or one when bytes are left over.
func (r *reader) end() error {
	if r.err == nil && len(r.payload) > 0 {
		r.err = broken(BadFrame, "%d bytes follow the last field", len(r.payload))
	}
	return r.err
}

// appendText appends a text. One too long for its u16 makes any frame too
// long as well, so AppendFrame refuses it.
func appendText(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}
