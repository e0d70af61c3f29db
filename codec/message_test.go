package codec

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"loteria/lottery"
)

// Generators of messages that fit one frame: any UTF-8 in each text, also if it is
// not a valid bet.
var (
	anyText = rapid.StringN(0, -1, 60)

	anyRawBet = rapid.Custom(func(t *rapid.T) lottery.RawBet {
		return lottery.RawBet{
			Agency:    anyText.Draw(t, "agency"),
			FirstName: anyText.Draw(t, "first name"),
			LastName:  anyText.Draw(t, "last name"),
			Document:  anyText.Draw(t, "document"),
			Birthdate: anyText.Draw(t, "birthdate"),
			Number:    anyText.Draw(t, "number"),
		}
	})

	anyMessage = rapid.Custom(func(t *rapid.T) Message {
		return drawMessage(t, rapid.SampledFrom(allTypes()).Draw(t, "type"))
	})
)

func drawMessage(t *rapid.T, typ Type) Message {
	m := newMessage(typ)
	switch m := m.(type) {
	case *Bet:
		m.RawBet = anyRawBet.Draw(t, "raw")
	case *Batch:
		m.RawBets = drawSlice(t, anyRawBet, 15)
		m.Position, m.HasPosition = drawOptional(t)
	case *Success:
		if m.Finished = rapid.Bool().Draw(t, "finished"); !m.Finished {
			m.Document, m.Number = anyText.Draw(t, "document"), anyText.Draw(t, "number")
		}
	case *Error:
		m.Document, m.Number = anyText.Draw(t, "document"), anyText.Draw(t, "number")
		m.Code = lottery.Code(anyText.Draw(t, "code"))
	case *Finished:
		m.Agency = anyText.Draw(t, "agency")
		if m.Total, m.HasTotal = drawOptional(t); m.HasTotal {
			m.Digest, m.HasDigest = drawOptional(t)
		}
	case *WinnersQuery:
		m.Agency = anyText.Draw(t, "agency")
	case *Winners:
		m.Documents = drawSlice(t, anyText, 100)
	case *Retry:
		m.Reason = anyText.Draw(t, "reason")
	case *Resume:
		m.Agency = anyText.Draw(t, "agency")
	case *ResumePoint:
		m.Count, m.Digest = rapid.Uint64().Draw(t, "count"), rapid.Uint64().Draw(t, "digest")
	case *WinnersPart:
		m.Documents = drawSlice(t, anyText, 100)
	default:
		panic(fmt.Sprintf("no generator for %v", typ))
	}
	return m
}

// drawSlice draws up to max elements, and nil for none, as a fresh message has
// it.
func drawSlice[E any](t *rapid.T, elem *rapid.Generator[E], max int) []E {
	s := rapid.SliceOfN(elem, 0, max).Draw(t, "elements")
	if len(s) == 0 {
		return nil
	}
	return s
}

func drawOptional(t *rapid.T) (n uint64, there bool) {
	if there = rapid.Bool().Draw(t, "there"); there {
		n = rapid.Uint64().Draw(t, "n")
	}
	return n, there
}

// TestRoundTrip encodes random messages of every type and decodes them, into a
// fresh message and into one that was used before.
func TestRoundTrip(t *testing.T) {
	for _, typ := range allTypes() {
		t.Run(typ.String(), func(t *testing.T) {
			used := newMessage(typ)
			rapid.Check(t, func(rt *rapid.T) {
				m := drawMessage(rt, typ)
				frame := mustAppend(t, []byte("before"), m)
				if !bytes.HasPrefix(frame, []byte("before")) {
					t.Fatalf("what was in dst is now %q", frame[:6])
				}
				frame = frame[len("before"):]
				if len(frame) > MaxFrame {
					t.Fatalf("a frame of %d bytes", len(frame))
				}
				checkOutcome(t, read(t, frame), outcome{messages: []Message{m}})

				if err := used.Decode(frame[headerSize : len(frame)-1]); err != nil {
					t.Fatal(err)
				}
				if again := mustAppend(t, nil, used); !bytes.Equal(again, frame) {
					t.Fatalf("a message that was used before became\n%+v, want\n%+v", used, m)
				}
			})
		})
	}
}

// TestDecodeKeepsNothing overwrites the payload after decoding: a message that
// shares its memory would change.
func TestDecodeKeepsNothing(t *testing.T) {
	for _, v := range loadVectors(t) {
		for i, rest := 0, v.stream; i < len(v.messages); i++ {
			var d Decoder
			frame, after, ok, err := d.Next(bytes.Clone(rest))
			if !ok || err != nil {
				t.Fatal(v.name, ok, err)
			}
			m := newMessage(frame.Type)
			if err := m.Decode(frame.Payload); err != nil {
				t.Fatal(v.name, err)
			}
			clear(frame.Payload)
			if !reflect.DeepEqual(m, v.messages[i]) {
				t.Errorf("%s: the message changed with its payload", v.name)
			}
			rest = after
		}
	}
}
