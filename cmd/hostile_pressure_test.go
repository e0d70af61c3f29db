//go:build linux

package cmd_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"loteria/codec"
	"loteria/lottery"
)

// hostileWindows has each connection send refused batches, always some of them
// ahead of the answers.
func hostileWindows(s *hostileScene, n int) {
	const window, each = 8, 40
	batch := codec.Batch{}
	for i := range 100 {
		batch.RawBets = append(batch.RawBets, hostileRawBet(stranger, i))
	}
	frame := mustFrames(&batch)
	s.play(func() {
		peers := s.open(affordable(s.tb, n))
		s.underWay()
		s.all(peers, func(_ int, p *hostilePeer) error {
			if _, err := p.Write(bytes.Repeat(frame, window)); err != nil {
				return err
			}
			for sent := window; ; sent++ {
				// Batches without room are answered RETRY, and nobody is cut off for
				// them.
				answer, err := p.next()
				if err != nil || answer.Type != codec.TypeError && answer.Type != codec.TypeRetry {
					return fmt.Errorf("after %d batches the answer is %v: %w", sent, answer.Type, err)
				}
				if sent >= each {
					return nil
				}
				if _, err := p.Write(frame); err != nil {
					return err
				}
			}
		})
	})
}

// hostileHalfClosers close their side behind a query, and behind frames after it.
// Each is answered when the draw comes soon, and released in the end.
func hostileHalfClosers(s *hostileScene, n int) {
	query := codec.WinnersQuery{Agency: strconv.Itoa(agencies)}
	frames := mustFrames(&query, &codec.Batch{}, &query)
	s.play(func() {
		s.all(s.openAs(affordable(s.tb, n), agencies), func(i int, p *hostilePeer) error {
			defer s.underWay()
			if i%2 == 0 {
				if _, err := p.Write(frames[:len(frames)-i%5]); err != nil {
					return err
				}
			} else if _, err := p.Write([]byte("\x00\x00")[:i%3]); err != nil {
				return err
			}
			if err := p.CloseWrite(); err != nil {
				return err
			}
			return p.expectGone()
		})
	})
}

// hostileReturns send a line of only carriage returns, in pieces of all sizes.
func hostileReturns(s *hostileScene, n int) {
	much := bytes.Repeat([]byte("\r"), 1<<20)
	s.play(func() {
		s.untilPlayed(n, func(i int, rng *rand.Rand) error {
			p, err := s.dial(i)
			if err != nil {
				return err
			}
			defer p.reset()
			first := 1 + rng.IntN(2000)
			for _, b := range [][]byte{much[:first/2], much[:first-first/2], much} {
				if _, err := p.Write(b); err != nil {
					break // it is refused already
				}
			}
			// A peer that keeps sending may be reset before it has read.
			answer := make([]byte, 64)
			got, _ := p.Read(answer)
			if text := string(answer[:got]); got > 0 && text != "the line is longer than 1024 bytes\n" {
				return fmt.Errorf("was told %q", text)
			}
			return p.expectGone()
		})
	})
	if s.central.count("receive_message fail") == 0 || s.central.count("receive_message success") > 0 {
		s.tb.Errorf("lines are not refused: %v", s.central)
	}
}

// hostileReaders ask for more winners than a peer may leave unread, and read them
// slowly, in part or never. Peers that read get them all.
func hostileReaders(s *hostileScene, n int) {
	const own, winning, perBatch = agencies + 1, 150_000, 100
	mayFail := func(err error) {
		if err != nil {
			s.fail(own, err)
		}
	}
	bettor, err := s.dialAs(own, own)
	if err != nil {
		s.fail(own, err)
		return
	}
	defer bettor.reset()
	for i := 0; i < winning && err == nil; i += perBatch {
		batch := codec.Batch{}
		for j := range perBatch {
			raw := hostileRawBet(own, i+j)
			raw.Number = strconv.Itoa(lottery.WinningNumber)
			batch.RawBets = append(batch.RawBets, raw)
			s.extra = append(s.extra, []string{raw.Agency, raw.FirstName, raw.LastName, raw.Document, raw.Birthdate, raw.Number})
		}
		if err = bettor.say(&batch); err == nil {
			_, err = bettor.expect(codec.TypeSuccess)
		}
	}
	mayFail(err)
	s.play(func() {
		peers := s.openAs(n, own)
		for _, p := range peers {
			_ = p.SetReadBuffer(256 << 10) // with less, each piece would wait for a timer of the system's
			mayFail(p.say(&codec.WinnersQuery{Agency: strconv.Itoa(own)}))
		}
		mayFail(bettor.say(&codec.Finished{Agency: strconv.Itoa(own)}))
		s.underWay()
		_, err := bettor.expect(codec.TypeSuccess)
		mayFail(err)
		s.all(peers, func(i int, p *hostilePeer) error {
			if i%4 == 3 {
				return nil // never reads
			}
			p.buffer = make([]byte, 64<<10)
			for told := 0; ; {
				answer, err := p.next()
				if err != nil {
					return fmt.Errorf("after %d winners: %w", told, err)
				}
				var part codec.Winners
				if err := part.Decode(answer.Payload); err != nil {
					return err
				}
				told += len(part.Documents)
				switch {
				case answer.Type == codec.TypeWinners && told != winning:
					return fmt.Errorf("was told of %d winners, expected %d", told, winning)
				case answer.Type == codec.TypeWinners, i%4 == 2 && told > winning/3: // stops reading
					return nil
				case i%4 == 1:
					time.Sleep(time.Millisecond) // between two parts of some 800
				}
			}
		})
	})
}
