package codec

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"loteria/lottery"
)

func mustAppend(t testing.TB, dst []byte, m Message) []byte {
	t.Helper()
	dst, err := AppendFrame(dst, m)
	if err != nil {
		t.Fatal(err)
	}
	return dst
}

// TestRefusedBeforeItIsBuffered gives the decoder no more than it needs to see
// that it will not take the frame.
func TestRefusedBeforeItIsBuffered(t *testing.T) {
	tests := []struct {
		name   string
		pieces []string
		code   lottery.Code
	}{
		{"length", []string{"\xff\xff\xff\xff"}, TooLong},
		{"one more than taken", []string{"\x00\x00\x20\x01"}, TooLong},
		{"length in two pieces", []string{"\x00\x00", "\x20\x01"}, TooLong},
		{"length byte by byte", []string{"\x00", "\x00", "\x20", "\x01"}, TooLong},
		{"type", []string{"\x00\x00\x20\x00\x0c"}, UnknownType},
		{"type in a piece of its own", []string{"\x00\x00\x20\x00", "\x00"}, UnknownType},
		{"a piece that begins with the type", []string{"\x00\x00\x20\x00", "\xff" + strings.Repeat("a", MaxPayload)}, UnknownType},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var d Decoder
			for i, piece := range test.pieces {
				_, _, ok, err := d.Next([]byte(piece))
				if ok {
					t.Fatalf("piece %d gave a frame", i)
				}
				if last := i == len(test.pieces)-1; !last && err != nil {
					t.Fatalf("piece %d: %v", i, err)
				} else if last && !errors.Is(err, test.code) {
					t.Fatalf("the error is %v, want %s", err, test.code)
				}
			}
			if n := d.Buffered(); n > headerSize {
				t.Errorf("%d bytes are buffered", n)
			}
		})
	}
}

// checkBound checks what Decoder promises to hold at most, and that its memory
// is of that order too.
func checkBound(t testing.TB, d *Decoder) {
	t.Helper()
	if d.Buffered() >= MaxPayload+overhead || cap(d.partial) > 2*(MaxPayload+overhead) {
		t.Fatalf("%d bytes are buffered, in %d bytes of memory", d.Buffered(), cap(d.partial))
	}
}

func TestDecoderIsBounded(t *testing.T) {
	largest := slices.Concat([]byte{0, 0, 0x20, 0, byte(TypeRetry), 0x1f, 0xfe}, bytes.Repeat([]byte("a"), 8190), []byte{Delimiter})
	stream := bytes.Repeat(largest, 5)
	for _, size := range []int{1, 3, 4, 5, 100, len(largest) - 1, len(largest) + 1, 3 * len(largest)} {
		var d Decoder
		frames := 0
		for piece := range slices.Chunk(stream, size) {
			for len(piece) > 0 {
				frame, rest, ok, err := d.Next(piece)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					frames++
					if len(frame.Payload) != MaxPayload {
						t.Fatalf("a payload of %d bytes", len(frame.Payload))
					}
				}
				checkBound(t, &d)
				piece = rest
			}
		}
		if frames != 5 || d.Buffered() != 0 {
			t.Errorf("pieces of %d bytes: %d frames and %d bytes more, want 5 frames", size, frames, d.Buffered())
		}
	}
}

// TestStreamInPieces writes random messages into one stream, cuts it at random
// points and expects the same messages.
func TestStreamInPieces(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		messages := rapid.SliceOfN(anyMessage, 1, 8).Draw(rt, "messages")
		var stream []byte
		for _, m := range messages {
			stream = mustAppend(t, stream, m)
		}
		var pieces [][]byte
		for rest := stream; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "piece")
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		checkOutcome(t, read(t, stream), outcome{messages: messages})
		checkOutcome(t, read(t, pieces...), outcome{messages: messages})
	})
}

// TestFrameInPiecesThenWhole shows that a frame put together from pieces and
// the whole one right behind it do not get into each other's way.
func TestFrameInPiecesThenWhole(t *testing.T) {
	stream := mustAppend(t, mustAppend(t, nil, &Retry{"first"}), &Retry{"second, and longer"})
	var d Decoder
	if _, _, ok, err := d.Next(stream[:7]); ok || err != nil {
		t.Fatal(ok, err)
	}
	rest := stream[7:]
	for _, want := range []string{"\x00\x05first", "\x00\x12second, and longer"} {
		var frame Frame
		var ok bool
		var err error
		frame, rest, ok, err = d.Next(rest)
		if !ok || err != nil || string(frame.Payload) != want {
			t.Fatalf("payload %q, %t, %v; want %q", frame.Payload, ok, err, want)
		}
	}
}

func TestAppendFrameRefusesTooLong(t *testing.T) {
	name := strings.Repeat("ñ", 2040)
	batch := &Batch{RawBets: []lottery.RawBet{{Agency: "1", FirstName: name, LastName: name, Document: "1", Birthdate: "2000-01-01", Number: "1"}}}
	tests := []struct {
		name    string
		message Message
	}{
		{"one byte", &Retry{strings.Repeat("a", 8185)}},
		{"a text longer than its length can say", &Retry{strings.Repeat("a", 1<<16+3)}},
		{"two texts", &Success{Document: strings.Repeat("1", 5000), Number: strings.Repeat("1", 5000)}},
		{"batch", batch},
		{"documents", &Winners{Documents: slices.Repeat([]string{"30904465"}, 819)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := make([]byte, 3, 20000)
			copy(before, "abc")
			after, err := AppendFrame(before, test.message)
			if !errors.Is(err, TooLong) {
				t.Fatalf("the error is %v, want %s", err, TooLong)
			}
			if string(after) != "abc" {
				t.Fatalf("dst has %d bytes", len(after))
			}
		})
	}
}

func TestBatchSizes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		batch := &Batch{RawBets: rapid.SliceOfN(anyRawBet, 0, 10).Draw(rt, "rawBets"), HasPosition: true}
		want := EmptyBatchSize
		for i := range batch.RawBets {
			want += BatchedSize(&batch.RawBets[i])
		}
		if frame := mustAppend(t, nil, batch); len(frame) != want {
			t.Fatalf("the frame has %d bytes, by the sizes of its bets it has %d", len(frame), want)
		}
	})
}

func TestTypeString(t *testing.T) {
	for typ, want := range map[Type]string{0: "type 0x00", TypeBet: "BET", TypeWinnersPart: "WINNERS_PART", 0x0c: "type 0x0C", 0xff: "type 0xFF"} {
		if got := typ.String(); got != want {
			t.Errorf("type %d is %q, want %q", uint8(typ), got, want)
		}
	}
}
