package codec

import (
	"bytes"
	"reflect"
	"testing"

	"loteria/lottery"
)

// scan is what a Decoder makes of a stream.
type scan struct {
	frames   []Frame
	err      lottery.Code
	buffered int
}

// scanStream feeds the stream in pieces of the given sizes, over and over.
func scanStream(t *testing.T, stream []byte, sizes []byte) (s scan) {
	var d Decoder
	for i := 0; len(stream) > 0; i++ {
		n := len(stream)
		if len(sizes) > 0 {
			n = min(n, int(sizes[i%len(sizes)])+1)
		}
		piece := stream[:n]
		for len(piece) > 0 {
			frame, rest, ok, err := d.Next(piece)
			checkBound(t, &d)
			if err != nil {
				s.err = refusalCode(t, err)
				return s
			}
			if ok {
				s.frames = append(s.frames, Frame{frame.Type, bytes.Clone(frame.Payload)})
			}
			checkProgress(t, piece, rest, ok)
			piece = rest
		}
		stream = stream[n:]
	}
	s.buffered = d.Buffered()
	return s
}

func FuzzDecoder(f *testing.F) {
	for _, v := range loadVectors(f) {
		f.Add(v.stream, []byte{0})
		f.Add(v.stream, []byte{3, 0, 200})
	}
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		whole := scanStream(t, stream, nil)
		if pieces := scanStream(t, stream, sizes); !reflect.DeepEqual(pieces, whole) {
			t.Fatalf("in pieces %+v\nwhole     %+v", pieces, whole)
		}
		size := whole.buffered
		for _, frame := range whole.frames {
			size += len(frame.Payload) + overhead
		}
		if whole.err == "" && size != len(stream) {
			t.Fatalf("the frames have %d bytes, the stream has %d", size, len(stream))
		}
	})
}

// fuzzPayload feeds anything to one type's Decode. What it takes must encode to the
// same bytes, except for the two messages with other encodings; what it does not
// take, it must refuse as a bad frame.
func fuzzPayload(f *testing.F, typ Type) {
	for _, v := range loadVectors(f) {
		if len(v.stream) > overhead && Type(v.stream[4]) == typ {
			f.Add(v.stream[headerSize : len(v.stream)-1])
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		m := newMessage(typ)
		if err := m.Decode(payload); err != nil {
			if code := refusalCode(t, err); code != BadFrame {
				t.Fatalf("the code is %s", code)
			}
			return
		}
		written := m.appendPayload(nil)
		otherwise := false
		switch m := m.(type) {
		case *Success:
			otherwise = m.Finished
		case *Error:
			otherwise = m.Code == ""
		}
		if !otherwise && !bytes.Equal(written, payload) {
			t.Fatalf("read    %X\nwritten %X", payload, written)
		}
		again := newMessage(typ)
		if err := again.Decode(written); err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		if !reflect.DeepEqual(again, m) {
			t.Fatalf("first  %+v\nsecond %+v", m, again)
		}
	})
}

func FuzzBet(f *testing.F)          { fuzzPayload(f, TypeBet) }
func FuzzBatch(f *testing.F)        { fuzzPayload(f, TypeBatch) }
func FuzzSuccess(f *testing.F)      { fuzzPayload(f, TypeSuccess) }
func FuzzError(f *testing.F)        { fuzzPayload(f, TypeError) }
func FuzzFinished(f *testing.F)     { fuzzPayload(f, TypeFinished) }
func FuzzWinnersQuery(f *testing.F) { fuzzPayload(f, TypeWinnersQuery) }
func FuzzWinners(f *testing.F)      { fuzzPayload(f, TypeWinners) }
func FuzzRetry(f *testing.F)        { fuzzPayload(f, TypeRetry) }
func FuzzResume(f *testing.F)       { fuzzPayload(f, TypeResume) }
func FuzzResumePoint(f *testing.F)  { fuzzPayload(f, TypeResumePoint) }
func FuzzWinnersPart(f *testing.F)  { fuzzPayload(f, TypeWinnersPart) }
