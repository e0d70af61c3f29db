package codec

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// appendedWinners reads what AppendWinners wrote: the documents of each frame.
func appendedWinners(t *testing.T, documents []string) (parts [][]string) {
	t.Helper()
	stream, err := AppendWinners([]byte("before"), documents)
	if err != nil {
		t.Fatal(err)
	}
	stream, found := bytes.CutPrefix(stream, []byte("before"))
	if !found {
		t.Fatal("what was in dst has changed")
	}
	var d Decoder
	for len(stream) > 0 {
		frame, rest, ok, err := d.Next(stream)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if size := len(stream) - len(rest); size > MaxFrame {
			t.Fatalf("a frame of %d bytes", size)
		}
		want := TypeWinnersPart
		if len(rest) == 0 {
			want = TypeWinners
		}
		if frame.Type != want {
			t.Fatalf("%d bytes before the end there is a %v", len(rest), frame.Type)
		}
		var m Winners
		if err := m.Decode(frame.Payload); err != nil {
			t.Fatal(err)
		}
		parts, stream = append(parts, m.Documents), rest
	}
	return parts
}

// TestAppendWinners is also pitfall 3: more winners than a frame holds.
func TestAppendWinners(t *testing.T) {
	// 8192 bytes, less 6 of the frame and 4 of the count, hold 818 documents
	// of 8 digits and their lengths, with 2 bytes left.
	eight := func(n int) []string { return slices.Repeat([]string{"30904465"}, n) }
	tests := []struct {
		name      string
		documents []string
		parts     []int // documents in each frame
	}{
		{"none", nil, []int{0}},
		{"one", eight(1), []int{1}},
		{"as many as fit", eight(818), []int{818}},
		{"an empty one fills the frame", append(eight(818), ""), []int{819}},
		{"one more than fit", eight(819), []int{818, 1}},
		{"twice as many as fit", eight(1636), []int{818, 818}},
		{"many", eight(5000), []int{818, 818, 818, 818, 818, 818, 92}},
		{"ten digits", slices.Repeat([]string{"0123456789"}, 1000), []int{681, 319}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			parts := appendedWinners(t, test.documents)
			var sizes []int
			for _, part := range parts {
				sizes = append(sizes, len(part))
			}
			if !slices.Equal(sizes, test.parts) {
				t.Errorf("the frames have %d documents, want %d", sizes, test.parts)
			}
			if !slices.Equal(slices.Concat(parts...), test.documents) {
				t.Error("other documents, or in another order")
			}
		})
	}
}

func TestAppendWinnersKeepsOrder(t *testing.T) {
	document := rapid.StringMatching("[0-9]{1,10}")
	rapid.Check(t, func(rt *rapid.T) {
		// A few drawn documents, repeated, make a list of many frames.
		few := rapid.SliceOfN(document, 1, 30).Draw(rt, "documents")
		documents := slices.Repeat(few, rapid.IntRange(0, 100).Draw(rt, "times"))
		if parts := appendedWinners(t, documents); !slices.Equal(slices.Concat(parts...), documents) {
			t.Fatal("other documents, or in another order")
		}
	})
}

func TestAppendWinnersRefusesTooLong(t *testing.T) {
	_, err := AppendWinners(nil, []string{"1", strings.Repeat("1", MaxFrame), "2"})
	if !errors.Is(err, TooLong) {
		t.Errorf("the error is %v, want %s", err, TooLong)
	}
}

// TestNoWinners is pitfall 2: no winners is one WINNERS with none, and is not
// read as one winner with an empty document.
func TestNoWinners(t *testing.T) {
	parts := appendedWinners(t, nil)
	if len(parts) != 1 || len(parts[0]) != 0 {
		t.Errorf("no winners were written as %q", parts)
	}
	if parts := appendedWinners(t, []string{""}); len(parts) != 1 || len(parts[0]) != 1 {
		t.Errorf("one empty document was written as %q", parts)
	}
}
