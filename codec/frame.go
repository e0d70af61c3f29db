package codec

import (
	"encoding/binary"
	"fmt"

	"loteria/lottery"
)

// Sizes, in bytes.
const (
	MaxPayload = 8192 // the longest payload that is accepted
	MaxFrame   = 8192 // the longest whole frame that a sender may make

	headerSize = 4 + 1 // length and type
	overhead   = headerSize + 1
)

// Delimiter is the last byte of each frame.
const Delimiter = 0xFF

// The codes for input that breaks the protocol itself, and for a port that requires
// TLS.
const (
	BadFrame    lottery.Code = "bad_frame"    // no delimiter, lengths that do not add up, not UTF-8
	TooLong     lottery.Code = "too_long"     // a payload over MaxPayload
	UnknownType lottery.Code = "unknown_type" // not a type of the protocol, or not one for this side
	TLSRequired lottery.Code = "tls_required" // this port takes TLS only
)

// Type says what a frame's payload is.
type Type uint8

// The types of the protocol's table.
const (
	TypeBet          Type = 0x01
	TypeBatch        Type = 0x02
	TypeSuccess      Type = 0x03
	TypeError        Type = 0x04
	TypeFinished     Type = 0x05
	TypeWinnersQuery Type = 0x06
	TypeWinners      Type = 0x07
	TypeRetry        Type = 0x08
	TypeResume       Type = 0x09
	TypeResumePoint  Type = 0x0A
	TypeWinnersPart  Type = 0x0B
)

var typeNames = [...]string{
	TypeBet:          "BET",
	TypeBatch:        "BATCH",
	TypeSuccess:      "SUCCESS",
	TypeError:        "ERROR",
	TypeFinished:     "FINISHED",
	TypeWinnersQuery: "WINNERS_QUERY",
	TypeWinners:      "WINNERS",
	TypeRetry:        "RETRY",
	TypeResume:       "RESUME",
	TypeResumePoint:  "RESUME_POINT",
	TypeWinnersPart:  "WINNERS_PART",
}

func (t Type) known() bool { return t >= TypeBet && int(t) < len(typeNames) }

// String returns the type's name in the protocol's table.
func (t Type) String() string {
	if !t.known() {
		return fmt.Sprintf("type 0x%02X", uint8(t))
	}
	return typeNames[t]
}

// Frame is one whole frame of a stream.
type Frame struct {
	Type    Type
	Payload []byte
}

// AppendTo appends the frame as it stands in a stream.
func (f Frame) AppendTo(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(f.Payload)))
	dst = append(append(dst, byte(f.Type)), f.Payload...)
	return append(dst, Delimiter)
}

// Decoder cuts a stream that comes in pieces of any size into frames. Its zero
// value is ready to use. It holds at most one unfinished frame, so little more than
// MaxPayload bytes.
type Decoder struct {
	partial []byte // the beginning of an unfinished frame
}

// Next returns the next frame of the stream whose next piece is src, and the
// rest of src after it. When src ends before a frame does, ok is false, all of
// src has been taken, and the next call continues with the next piece.
//
// The payload is valid until the next call or a change of src, whichever comes
// first. After an error, a *lottery.Refusal, the decoder must not be used again. A
// bad length or type is refused as soon as it is known, before anything is buffered
// for it.
func (d *Decoder) Next(src []byte) (frame Frame, rest []byte, ok bool, err error) {
	if len(d.partial) == 0 {
		size, err := frameSize(src)
		if err != nil {
			return Frame{}, nil, false, err
		}
		if size == 0 || len(src) < size {
			d.partial = append(d.partial, src...) // only what has come is buffered
			return Frame{}, nil, false, nil
		}
		frame, err = cut(src[:size])
		return frame, src[size:], err == nil, err
	}
	if missing := headerSize - len(d.partial); missing > 0 {
		n := min(missing, len(src))
		d.partial, src = append(d.partial, src[:n]...), src[n:]
	}
	size, err := frameSize(d.partial)
	if err != nil {
		return Frame{}, nil, false, err
	}
	if size == 0 {
		return Frame{}, nil, false, nil
	}
	n := min(size-len(d.partial), len(src))
	d.partial, src = append(d.partial, src[:n]...), src[n:]
	if len(d.partial) < size {
		return Frame{}, nil, false, nil
	}
	frame, err = cut(d.partial)
	d.partial = d.partial[:0]
	return frame, src, err == nil, err
}

// Buffered returns how many bytes of an unfinished frame the decoder holds.
func (d *Decoder) Buffered() int { return len(d.partial) }

// frameSize returns the size of the whole frame that begins with b, or 0 when
// b is too short to tell.
func frameSize(b []byte) (int, error) {
	if len(b) < 4 {
		return 0, nil
	}
	length := binary.BigEndian.Uint32(b)
	if length > MaxPayload {
		return 0, broken(TooLong, "the payload has %d bytes, at most %d are taken", length, MaxPayload)
	}
	if len(b) < headerSize {
		return 0, nil
	}
	if t := Type(b[4]); !t.known() {
		return 0, broken(UnknownType, "%v is not in the protocol", t)
	}
	return int(length) + overhead, nil
}

// cut takes a whole frame apart.
func cut(b []byte) (Frame, error) {
	last := len(b) - 1
	if b[last] != Delimiter {
		return Frame{}, broken(BadFrame, "the frame ends in 0x%02X, expected the delimiter 0x%02X", b[last], Delimiter)
	}
	return Frame{Type(b[4]), b[headerSize:last]}, nil
}

// AppendFrame appends the message's frame to dst. When the frame would be
// larger than MaxFrame it returns dst unchanged and a *lottery.Refusal with
// code TooLong.
func AppendFrame(dst []byte, m Message) ([]byte, error) {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, byte(m.Type()))
	dst = m.appendPayload(dst)
	dst = append(dst, Delimiter)
	size := len(dst) - start
	if size > MaxFrame {
		return dst[:start], broken(TooLong, "the %v frame has %d bytes, at most %d are sent", m.Type(), size, MaxFrame)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(size-overhead))
	return dst, nil
}

// Codes returns the codes of the lottery's rules and those of the frame's form, but
// not TLSRequired.
func Codes() []lottery.Code {
	return append(lottery.Codes(), BadFrame, TooLong, UnknownType)
}

func broken(code lottery.Code, format string, args ...any) error {
	return &lottery.Refusal{Code: code, Reason: fmt.Sprintf(format, args...)}
}
