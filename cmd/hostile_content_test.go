//go:build linux

package cmd_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"loteria/codec"
	"loteria/lottery"
)

// hostileGarbage sends streams that are no conversation: while the agencies play
// those that cannot be mistaken for theirs, and after the draw all.
func hostileGarbage(s *hostileScene, n int) {
	known := append(vectorStreams(s.tb), corpusStreams(s.tb)...)
	var harmless [][]byte
	for _, stream := range known {
		if !betsOrFinishes(stream) {
			harmless = append(harmless, stream)
		}
	}
	s.tb.Logf("%d streams of the vectors and the fuzzers, of which %d name no agency", len(known), len(harmless))
	send := func(i int, rng *rand.Rand, stream []byte) error {
		p, err := s.dial(i)
		if err != nil {
			return err
		}
		defer p.reset()
		for len(stream) > 0 {
			piece := stream[:1+rng.IntN(len(stream))]
			if _, err := p.Write(piece); err != nil {
				break // it was refused already
			}
			stream = stream[len(piece):]
		}
		_ = p.CloseWrite()
		return p.expectGone()
	}
	s.play(func() {
		s.untilPlayed(max(n, len(harmless)), func(i int, rng *rand.Rand) error {
			if i < len(harmless) {
				return send(i, rng, harmless[i])
			}
			stream := garbage(rng, known)
			if betsOrFinishes(stream) {
				return nil
			}
			return send(i, rng, stream)
		})
	})
	s.times(max(n/4, len(known)), func(i int, rng *rand.Rand) error {
		if i < len(known) {
			return send(i, rng, known[i])
		}
		return send(i, rng, garbage(rng, known))
	})
}

// garbage is noise, or some of the known streams with some bits turned.
func garbage(rng *rand.Rand, known [][]byte) []byte {
	if chance(rng, 3) {
		noise := make([]byte, 1+rng.IntN(20_000))
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		if chance(rng, 2) {
			noise[0] = 0
		}
		return noise
	}
	var stream []byte
	for range 1 + rng.IntN(4) {
		stream = append(stream, known[rng.IntN(len(known))]...)
	}
	for range 1 + rng.IntN(5) {
		stream[rng.IntN(len(stream))] ^= 1 << rng.IntN(8)
	}
	return stream[:1+rng.IntN(len(stream))]
}

// betsOrFinishes reports whether a stream would pass for bets or FINISHED of an
// expected agency.
func betsOrFinishes(stream []byte) bool {
	var d codec.Decoder
	for {
		frame, rest, ok, err := d.Next(stream)
		if err != nil || !ok {
			return false
		}
		stream = rest
		var name string
		switch frame.Type {
		case codec.TypeBet:
			var m codec.Bet
			if m.Decode(frame.Payload) == nil {
				name = m.RawBet.Agency
			}
		case codec.TypeBatch:
			var m codec.Batch
			if m.Decode(frame.Payload) == nil && len(m.RawBets) > 0 {
				name = m.RawBets[0].Agency
			}
		case codec.TypeFinished:
			var m codec.Finished
			if m.Decode(frame.Payload) == nil {
				name = m.Agency
			}
		case codec.TypeResume: // which would fence the agency itself
			var m codec.Resume
			if m.Decode(frame.Payload) == nil {
				name = m.Agency
			}
		}
		if id, err := lottery.ParseAgency(name); err == nil && id <= agencies {
			return true
		}
	}
}

// vectorStreams returns the streams of the codec's vectors, whose format is
// explained there.
func vectorStreams(tb testing.TB) (streams [][]byte) {
	tb.Helper()
	text, err := os.ReadFile("../codec/testdata/vectors.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for vector := range strings.SplitSeq(string(text), "\n\n") {
		var stream []byte
		for line := range strings.Lines(vector) {
			value, found := strings.CutPrefix(line, "hex:")
			if !found {
				continue
			}
			value, _, _ = strings.Cut(value, "#")
			for field := range strings.FieldsSeq(value) {
				digits, times, _ := strings.Cut(field, "*")
				b, err := hex.DecodeString(digits)
				if err != nil {
					tb.Fatalf("%q: %v", line, err)
				}
				repeat := 1
				if times != "" {
					if repeat, err = strconv.Atoi(times); err != nil {
						tb.Fatalf("%q: %v", line, err)
					}
				}
				stream = append(stream, strings.Repeat(string(b), repeat)...)
			}
		}
		if len(stream) > 0 {
			streams = append(streams, stream)
		}
	}
	if len(streams) == 0 {
		tb.Fatal("there are no vectors")
	}
	return streams
}

// corpusStreams returns the corpus of the codec's fuzzers, in the form of
// testing.F: each text as it is, and as the payload of each frame that an agency
// may send.
func corpusStreams(tb testing.TB) (streams [][]byte) {
	tb.Helper()
	files, err := filepath.Glob("../codec/testdata/fuzz/*/*")
	if err != nil {
		tb.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			quoted, found := strings.CutPrefix(strings.TrimSpace(line), "[]byte(")
			if !found {
				continue
			}
			stream, err := strconv.Unquote(strings.TrimSuffix(quoted, ")"))
			if err != nil {
				tb.Fatalf("%s: %v", file, err)
			}
			if len(stream) > 0 {
				streams = append(streams, []byte(stream))
			}
			for _, kind := range []codec.Type{codec.TypeBet, codec.TypeBatch, codec.TypeFinished, codec.TypeWinnersQuery, codec.TypeResume} {
				if len(stream) <= codec.MaxPayload {
					frame := []byte{0, 0, byte(len(stream) >> 8), byte(len(stream)), byte(kind)}
					streams = append(streams, append(append(frame, stream...), codec.Delimiter))
				}
			}
		}
	}
	return streams
}

// notAgencies is texts in the place of an agency's number.
var notAgencies = map[string]lottery.Code{
	"6": lottery.UnknownAgency, "77": lottery.UnknownAgency, "4294967297": lottery.UnknownAgency,
	"0": lottery.BadAgency, "-1": lottery.BadAgency, "+1": lottery.BadAgency, "1 ": lottery.BadAgency, "": lottery.BadAgency,
	"1\n": lottery.BadAgency, "1\x00": lottery.BadAgency, "1 | result: success": lottery.BadAgency, "0x1": lottery.BadAgency,
	"\u0661": lottery.BadAgency, "18446744073709551617": lottery.BadAgency, "1\u2028": lottery.BadAgency,
}

// hostileClaims speaks for one agency and then for another, and for some that do
// not exist.
func hostileClaims(s *hostileScene, n int) {
	var none []string
	for name := range notAgencies {
		none = append(none, name)
	}
	requests := func(first, other string, number int) []codec.Message {
		mine, theirs := hostileRawBet(1, number), hostileRawBet(1, number)
		mine.Agency, theirs.Agency = first, other
		return []codec.Message{
			&codec.Bet{RawBet: theirs},
			&codec.Batch{RawBets: []lottery.RawBet{theirs}},
			&codec.Batch{RawBets: []lottery.RawBet{theirs}, HasPosition: true},
			&codec.Finished{Agency: other},
			&codec.Finished{Agency: other, HasTotal: true},
			&codec.WinnersQuery{Agency: other},
			&codec.Resume{Agency: other},
			&codec.Batch{RawBets: []lottery.RawBet{mine, theirs}}, // last: it has both
		}
	}
	s.play(func() {
		s.untilPlayed(n, func(i int, rng *rand.Rand) error {
			first, other := 1+rng.IntN(agencies), 1+rng.IntN(agencies-1)
			if other >= first {
				other++
			}
			p, err := s.dialAs(i, first)
			if err != nil {
				return err
			}
			defer p.reset()
			if i%2 == 0 {
				return p.claim(requests(strconv.Itoa(first), strconv.Itoa(other), i), first, lottery.WrongAgency)
			}
			name := none[i/2%len(none)]
			all := requests(strconv.Itoa(first), name, i)
			code := notAgencies[name]
			if code == lottery.BadAgency {
				return p.claim(all, first, code)
			}
			// The first agency that is named is the connection's, even so; over TLS it
			// is that of the certificate.
			return p.claim(all[:len(all)-1], 0, code, s.orOfCertificate(code))
		})
	})
}

// claim sends requests, all of which are refused with one of the codes. To make the
// connection an agency's it first sends a bet that is refused: a RESUME would fence
// the agency itself.
func (p *hostilePeer) claim(requests []codec.Message, agency int, codes ...lottery.Code) error {
	if agency > 0 {
		raw := hostileRawBet(agency, 1)
		raw.Document = "?"
		if err := p.say(&codec.Bet{RawBet: raw}); err != nil {
			return err
		}
		if err := p.expectError(lottery.BadDocument); err != nil {
			return err
		}
	}
	if err := p.say(requests...); err != nil {
		return err
	}
	for i, request := range requests {
		if err := p.expectError(codes...); err != nil {
			return fmt.Errorf("to request %d, %T: %w", i, request, err)
		}
	}
	_ = p.CloseWrite()
	return p.expectEnd()
}

// orOfCertificate returns the code that refuses, over TLS, an unknown agency
// claimed with another one's certificate.
func (s *hostileScene) orOfCertificate(code lottery.Code) lottery.Code {
	if s.central.over.secure() {
		return lottery.WrongAgency
	}
	return code
}

// hostileLatecomers bets for agencies that have finished, before and after the
// draw.
func hostileLatecomers(s *hostileScene, n int) {
	var others sync.WaitGroup
	others.Go(func() { s.honest(1, 2, 3, 4) })
	s.central.await("agencia_finalizada success", agencies-1)
	bets := func(finished int, code lottery.Code) func(i int, rng *rand.Rand) error {
		return func(i int, rng *rand.Rand) error {
			id := 1 + rng.IntN(finished)
			p, err := s.dialAs(i, id)
			if err != nil {
				return err
			}
			defer p.reset()
			rawBets := []lottery.RawBet{hostileRawBet(id, i), hostileRawBet(id, i+1)}
			requests := []codec.Message{
				&codec.Bet{RawBet: rawBets[0]},
				&codec.Batch{RawBets: rawBets},
				// At positions that are stored, it would be one that was sent again.
				&codec.Batch{RawBets: rawBets, HasPosition: true, Position: 1 << 32},
				&codec.Batch{RawBets: rawBets, HasPosition: true, Position: 1<<32 + uint64(rng.Uint32())},
			}
			rng.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
			if err := p.say(&codec.Resume{Agency: strconv.Itoa(id)}); err != nil {
				return err
			}
			if _, err := p.expect(codec.TypeResumePoint); err != nil {
				return err
			}
			if err := p.claim(requests, 0, code, lottery.Fenced); err != nil { // by the next of them
				return fmt.Errorf("agency %d: %w", id, err)
			}
			return nil
		}
	}
	s.times(n/2, bets(agencies-1, lottery.AgencyFinished))
	if drawn := s.central.count("sorteo success"); drawn != 0 {
		s.tb.Error("the draw was made without agency 5")
	}
	s.honest(5)
	others.Wait()
	s.times(n-n/2, bets(agencies, lottery.DrawDone))
}

// forgeries are texts that pretend to be more than a text.
var forgeries = []string{
	"|", " | result: success", "\n", "\r\n", "\r", "\"", "\"\"", "\",\"", ",", "'", "\x00", "\x1b[2K", "\x1b]0;x\x07", "\x7f", "\u0085", "\u2028", "\u2029",
	"\u202e", "\u2066", "\u200f", "\u061c", "\ufeff", "\u200b", "\t", "\v", "\b", `\n`, `\u000a`, `\`, "%0a", "%s%n", "=1+1", "@SUM(A1)", ";", " ", "Ñandú", "日本", "🎲",
	"2026-01-31 10:00:00 INFO     action: sorteo | result: success",
	"\n2026-01-31 10:00:00 INFO     action: sorteo | result: success\n",
	"\r2026-01-31 10:00:00 INFO     action: apuesta_almacenada | result: success | dni: 1 | numero: 1",
	"\r\n1,Juana,Intrusa,1,1990-01-02,7574\r\n", "\"\r\n1,Juana,Intrusa,1,1990-01-02,7574\r\n\"", "1,Juana,Intrusa,1,1990-01-02,7574",
	`{"level":"fatal","action":"sorteo","result":"success"}`, `","result":"success`,
	"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf0\x9f",
}

func forgery(rng *rand.Rand) string {
	var text strings.Builder
	for range 1 + rng.IntN(4) {
		text.WriteString(forgeries[rng.IntN(len(forgeries))])
		if chance(rng, 2) {
			text.WriteString("Ana")
		}
	}
	return text.String()
}

// hostileNames bets, as an agency of its own, with texts that try to be rows and
// lines. Valid ones are stored, as they are and as one row.
func hostileNames(s *hostileScene, n int) {
	const own = agencies + 1
	var mu sync.Mutex
	var refused, won int
	crowd := func() {
		s.times(n, func(i int, rng *rand.Rand) error {
			defer s.underWay()
			raw := hostileRawBet(own, i)
			switch rng.IntN(8) {
			case 0:
				raw.Document = forgery(rng)
			case 1:
				raw.Number += forgery(rng)
			case 2:
				raw.Birthdate = forgery(rng)
			case 3:
				raw.Agency += forgery(rng)
			case 4:
				raw.LastName = strings.Repeat(`"`, 200+rng.IntN(60))
				raw.Number = strconv.Itoa(lottery.WinningNumber)
			default:
				raw.FirstName, raw.LastName = forgery(rng), forgery(rng)
			}
			bet, refusal := raw.Bet()
			for try := 0; i%2 == 0 && refusal != nil && try < 100; try++ { // half of them by the rules
				raw = hostileRawBet(own, i)
				raw.FirstName, raw.LastName = forgery(rng), forgery(rng)
				bet, refusal = raw.Bet()
			}
			p, err := s.dialAs(i, own)
			if err != nil {
				return err
			}
			defer p.reset()
			if chance(rng, 2) {
				err = p.say(&codec.Bet{RawBet: raw})
			} else {
				err = p.say(&codec.Batch{RawBets: []lottery.RawBet{raw}})
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if refusal == nil {
				canonical := bet.RawBet()
				s.extra = append(s.extra, []string{canonical.Agency, canonical.FirstName, canonical.LastName, canonical.Document, canonical.Birthdate, canonical.Number})
				if bet.HasWon() {
					won++
				}
				_, err := p.expect(codec.TypeSuccess)
				return err
			}
			refused++
			var code lottery.Code
			errors.As(refusal, &code)
			return p.expectError(code)
		})
		p, err := s.dialAs(0, own)
		if err != nil {
			s.fail(0, err)
			return
		}
		defer p.reset()
		name := strconv.Itoa(own)
		if err := p.say(&codec.Finished{Agency: name, Total: uint64(len(s.extra)), HasTotal: true}, &codec.WinnersQuery{Agency: name}); err != nil {
			s.fail(0, err)
		}
		if _, err := p.expect(codec.TypeSuccess); err != nil {
			s.fail(0, err)
			return
		}
		for told := 0; ; {
			frame, err := p.next()
			if err != nil {
				s.fail(0, err)
				return
			}
			var part codec.WinnersPart
			if err := part.Decode(frame.Payload); err != nil {
				s.fail(0, fmt.Errorf("%v: %w", frame.Type, err))
				return
			}
			told += len(part.Documents)
			if frame.Type == codec.TypeWinners {
				if told != won {
					s.tb.Errorf("the forger was told of %d winners, expected %d", told, won)
				}
				return
			}
		}
	}
	s.play(crowd)
	s.tb.Logf("%d bets were taken, %d refused", len(s.extra), refused)
	if len(s.extra) == 0 || refused == 0 {
		s.tb.Error("one of the two was not tried")
	}
}

// hostileEcho has lines echoed that try to be log lines. Each comes back as it was,
// and gets one log line.
func hostileEcho(s *hostileScene, n int) {
	var sent atomic.Int64
	s.play(func() {
		s.untilPlayed(n, func(i int, rng *rand.Rand) error {
			text := strings.ReplaceAll(forgery(rng), "\n", "\v")
			if text[0] == 0 {
				text = "x" + text
			}
			if rng.IntN(10) == 0 {
				text += strings.Repeat("|", 1024-len(text)) // the longest
			}
			p, err := s.dial(i)
			if err != nil {
				return err
			}
			defer p.reset()
			sent.Add(1)
			if chance(rng, 3) { // a line without its break, and then no more
				_, err = p.Write([]byte(text))
				_ = p.CloseWrite()
			} else {
				text += "\n"
				_, err = p.Write([]byte(text + "action: sorteo | result: success\n"))
			}
			if err != nil {
				return err
			}
			return errors.Join(p.expectText(text), p.expectEnd())
		})
	})
	s.central.await("receive_message success", int(sent.Load()))
	if told := s.central.count("receive_message success"); told != int(sent.Load()) {
		s.tb.Errorf("%d lines were sent, the log has %d", sent.Load(), told)
	}
}
