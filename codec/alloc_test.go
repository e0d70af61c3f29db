package codec

import (
	"fmt"
	"slices"
	"testing"

	"loteria/lottery"
)

// fullBatch is a batch that fills a frame as an agency's does.
func fullBatch() *Batch {
	batch := &Batch{Position: 1000, HasPosition: true}
	for size := EmptyBatchSize; ; {
		n := len(batch.RawBets)
		raw := lottery.RawBet{
			Agency:    "1",
			FirstName: "Santiago Lionel",
			LastName:  "Núñez",
			Document:  fmt.Sprint(30904465 + n),
			Birthdate: "1999-03-17",
			Number:    fmt.Sprint(n),
		}
		if size += BatchedSize(&raw); size > MaxFrame {
			return batch
		}
		batch.RawBets = append(batch.RawBets, raw)
	}
}

func checkAllocs(t *testing.T, what string, max float64, run func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, run); n > max {
		t.Errorf("%s allocates %v times, at most %v are allowed", what, n, max)
	}
}

func TestAllocations(t *testing.T) {
	batch := fullBatch()
	frame := mustAppend(t, nil, batch)
	if n := len(batch.RawBets); n < 100 {
		t.Fatalf("a full batch has %d bets", n)
	}
	stream := slices.Concat(frame, mustAppend(t, nil, &Finished{Agency: "1"}), frame)

	var d Decoder
	next := func(stream []byte) {
		for len(stream) > 0 {
			var err error
			if _, stream, _, err = d.Next(stream); err != nil {
				t.Fatal(err)
			}
		}
	}
	checkAllocs(t, "Next on whole frames", 0, func() { next(stream) })
	checkAllocs(t, "Next on frames in pieces", 0, func() { next(stream[:9000]); next(stream[9000:]) })

	payload := batch.appendPayload(nil)
	var decoded Batch
	checkAllocs(t, "decoding a batch", 1, func() {
		if err := decoded.Decode(payload); err != nil {
			t.Fatal(err)
		}
	})
	if len(decoded.RawBets) != len(batch.RawBets) {
		t.Fatalf("%d bets were decoded", len(decoded.RawBets))
	}
	checkAllocs(t, "encoding a batch", 0, func() { frame = mustAppend(t, frame[:0], batch) })
}

func BenchmarkDecoderNext(b *testing.B) {
	frame := mustAppend(b, nil, fullBatch())
	var d Decoder
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok, err := d.Next(frame); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkDecoderNextInPieces(b *testing.B) {
	frame := mustAppend(b, nil, fullBatch())
	var d Decoder
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		_, _, _, _ = d.Next(frame[:1448]) // a segment of TCP
		if _, _, ok, err := d.Next(frame[1448:]); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkBatchDecode(b *testing.B) {
	batch := fullBatch()
	payload := batch.appendPayload(nil)
	var decoded Batch
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := decoded.Decode(payload); err != nil {
			b.Fatal(err)
		}
	}
	perBet(b, len(batch.RawBets))
}

func BenchmarkBatchEncode(b *testing.B) {
	batch := fullBatch()
	frame := mustAppend(b, nil, batch)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		frame = mustAppend(b, frame[:0], batch)
	}
	perBet(b, len(batch.RawBets))
}

func perBet(b *testing.B, bets int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*bets), "ns/bet")
}
