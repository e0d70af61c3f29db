//go:build linux

package cmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"loteria/codec"
	"loteria/lottery"
)

// hostileRawBet returns a good bet of an agency.
func hostileRawBet(agency, number int) lottery.RawBet {
	return lottery.RawBet{Agency: strconv.Itoa(agency), FirstName: "Juana", LastName: "Intrusa", Document: "1" + strconv.Itoa(number),
		Birthdate: "1990-01-02", Number: strconv.Itoa(number % 7000)}
}

// stranger is the number of an agency that no central here expects, and that is
// some bits away from the expected ones.
const stranger = 77

// hostileDrip sends a byte a second of a frame, or of a line, without end.
func hostileDrip(s *hostileScene, n int) {
	const second = time.Second
	s.play(func() {
		peers := s.open(n)
		s.underWay()
		s.all(peers, func(i int, p *hostilePeer) error {
			text := []byte{0, 0, 0x20, 0, byte(codec.TypeBatch), 0, 0, 0, 90}
			if i%2 == 1 {
				text = []byte("validar")
			}
			p.buffer = make([]byte, 1024)
			var line []byte
			for sent := 0; ; sent++ {
				next := byte('a')
				if sent < len(text) {
					next = text[sent]
				}
				line = append(line, next)
				_, err := p.Write([]byte{next})
				if err != nil && !hasLeft(err) { // it has left: the answer is there still
					return fmt.Errorf("after %d bytes: %w", sent, err)
				}
				_ = p.SetReadDeadline(time.Now().Add(second))
				n, err := p.Read(p.buffer)
				if errors.Is(err, os.ErrDeadlineExceeded) && sent < 60 {
					continue
				}
				if err != nil {
					return fmt.Errorf("after %d bytes: %w", sent, err)
				}
				p.rest = p.buffer[:n]
				break
			}
			_ = p.SetReadDeadline(time.Now().Add(hostilePatience))
			if i%2 == 0 {
				return p.expectRetry()
			}
			// After a second in which nothing came, what has come is the line.
			if text := string(p.rest); text != "what was begun is not complete after 1s\n" && (text == "" || !strings.HasPrefix(string(line), text)) {
				return fmt.Errorf("was told %q", text)
			}
			p.rest = nil
			return p.expectEnd()
		})
	})
}

// hostileHalves sends the beginning of a frame, and no more.
func hostileHalves(s *hostileScene, n int) {
	batch := codec.Batch{}
	for i := range 100 {
		batch.RawBets = append(batch.RawBets, hostileRawBet(1, i))
	}
	whole := [][]byte{mustFrames(&batch), mustFrames(&codec.Bet{RawBet: hostileRawBet(2, 1)}), mustFrames(&codec.Finished{Agency: "3"})}
	s.play(func() {
		peers := s.open(affordable(s.tb, n))
		s.underWay()
		s.all(peers, func(i int, p *hostilePeer) error {
			frame := whole[i%len(whole)]
			cut := 1 + rand.New(rand.NewPCG(s.seed, uint64(i))).IntN(len(frame)-1)
			if _, err := p.Write(frame[:cut]); err != nil {
				return err
			}
			return p.expectRetry()
		})
	})
}

// hostileLengths sends frames that claim to be longer than memory, in all ways. A
// connection that begins with 0xFF is no agency's, so its length is the beginning
// of a line.
func hostileLengths(s *hostileScene, n int) {
	much := make([]byte, 256<<10)
	for i := range much {
		much[i] = 'x'
	}
	told := []byte("the line is longer than 1024 bytes\n")
	s.play(func() {
		s.untilPlayed(n, func(i int, rng *rand.Rand) error {
			p, err := s.dial(i)
			if err != nil {
				return err
			}
			defer p.reset()
			var first []byte
			switch i % 4 {
			case 0: // as the first frame
				if _, err := p.Write(append([]byte{0xFF, 0xFF, 0xFF, 0xFF, byte(codec.TypeBatch)}, much[:2048]...)); err != nil {
					return err
				}
				if err := p.expectText(string(told)); err != nil {
					return err
				}
				return p.expectEnd()
			case 1: // as the second
				first = mustFrames(&codec.Resume{Agency: strconv.Itoa(stranger)})
				first = append(first, 0xFF, 0xFF, 0xFF, 0xFF, byte(codec.TypeBatch))
			case 2: // the longest that begins like a frame
				first = []byte{0, 0xFF, 0xFF, 0xFF, byte(codec.TypeBatch)}
			case 3: // one byte too long
				first = []byte{0, 0, 0x20, 0x01, byte(codec.TypeBet)}
			}
			first = append(first, much[:rng.IntN(len(much))]...)
			if _, err := p.Write(first); err != nil {
				return err
			}
			if i%4 == 1 {
				if err := p.expectError(lottery.UnknownAgency); err != nil {
					return err
				}
			}
			if err := p.expectError(codec.TooLong); err != nil {
				return err
			}
			return p.expectEnd()
		})
	})
}

// hostileTinyFrames sends n frames over connections on which no answer is read: on
// half of them in pieces that fit the window, each after the answers to the last
// one have come, and on the others in one go, of which the central takes no more
// than a window.
func hostileTinyFrames(s *hostileScene, n int) {
	const piece, most, window = 500, 50_000, 1024
	// The refusal of a RESUME is the longest answer to a frame as short.
	pieces := bytes.Repeat(mustFrames(&codec.Resume{Agency: strconv.Itoa(stranger)}), piece)
	answers := piece * len(mustFrames(&codec.Error{Code: lottery.UnknownAgency}))
	var taken atomic.Int64
	s.play(func() {
		s.run(func(i int, _ *rand.Rand) error {
			p, err := s.dial(i)
			if err != nil {
				return err
			}
			defer p.reset()
			if i%2 == 0 {
				_, _ = p.Write(bytes.Repeat(pieces, most/piece)) // it may be cut off
				taken.Add(window)
				return p.expectGone()
			}
			for n := range most / piece {
				if _, err := p.Write(pieces); err != nil || !p.awaitUnread((n+1)*answers) {
					break
				}
				taken.Add(piece)
			}
			return nil
		}, atATime, func(int) bool { return taken.Load() < int64(n) || s.beside.Load() }, s.underWay)
	})
	s.did.Store(taken.Load())
	if s.central.count("receive_frame fail") == 0 {
		s.tb.Errorf("nobody was cut off for sending too much: %v", s.central)
	}
}

// awaitUnread waits until that many bytes of answers lie unread in the socket, or
// as many as it has room for. It reports false when the connection is gone.
func (p *hostilePeer) awaitUnread(want int) bool {
	raw, err := p.SyscallConn()
	if err != nil {
		return false
	}
	var before int
	for quiet := 0; quiet < 20; quiet++ {
		var unread int
		var failed error
		if err := raw.Control(func(fd uintptr) {
			if unread, failed = unix.IoctlGetInt(int(fd), unix.TIOCINQ); failed == nil {
				var code int
				if code, failed = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); code != 0 {
					failed = unix.Errno(code)
				}
			}
		}); err != nil || failed != nil {
			return false
		}
		if unread >= want {
			return true
		}
		if unread > before {
			before, quiet = unread, 0
		}
		time.Sleep(100 * time.Microsecond) // there is no call that waits for this
	}
	return true
}

// hostileRefusedFrames sends frames each of which costs a log line, from
// connections that are gone when these are handled.
func hostileRefusedFrames(s *hostileScene, n int) {
	refused := bytes.Repeat(mustFrames(&codec.Batch{}, &codec.Resume{Agency: strconv.Itoa(stranger)}, &codec.Finished{}), 300)
	s.play(func() {
		// A fixed number of them, however long that takes: each costs the central a
		// few log lines, and with an endless crowd the reader of the log would set the
		// pace.
		n /= 25
		s.run(func(i int, _ *rand.Rand) error {
			p, err := s.dial(i)
			if err != nil {
				return err
			}
			_, err = p.Write(refused)
			p.reset()
			return err
		}, n, func(i int) bool { return i < n }, s.underWay)
	})
}

// hostileHoarders park a query and send a window's worth behind it: together more
// than may wait in the whole central.
func hostileHoarders(s *hostileScene, n int) {
	const each = 120 // frames; a window has room for 1 MiB
	batch := codec.Batch{}
	for i := 0; ; i++ {
		raw := hostileRawBet(stranger, i)
		if len(mustFrames(&batch))+codec.BatchedSize(&raw) > codec.MaxFrame {
			break
		}
		batch.RawBets = append(batch.RawBets, raw)
	}
	small := codec.Resume{Agency: strconv.Itoa(stranger)}
	behind := append(mustFrames(&codec.WinnersQuery{Agency: "1"}), bytes.Repeat(mustFrames(&batch), each)...)
	behind = append(behind, bytes.Repeat(mustFrames(&small), 1000-each)...) // into what is left
	s.play(func() {
		s.all(s.openAs(n, 1), func(_ int, p *hostilePeer) error {
			_, _ = p.Write(behind) // it may be cut off for it
			return nil
		})
		for range 1000 { // until the central has taken it in, and has no room for more or has cut them off
			if s.central.count("receive_frame fail") >= n {
				return
			}
			p, err := s.dial(0)
			if err != nil {
				s.fail(0, err)
				return
			}
			_ = p.say(&small)
			answer, err := p.next()
			p.reset()
			if err != nil || answer.Type == codec.TypeRetry {
				return
			}
		}
		s.tb.Log("there is still room")
	})
}

// laggard has the central make answers that the peer does not read, until they fill
// the sockets and that many bytes of the central's memory. The refusal of a bet
// says which one it was.
func (p *hostilePeer) laggard(bytesUnread int) error {
	const document, sockets = 4000, 8 << 20 // the most of tcp_wmem and tcp_rmem, usually
	raw := hostileRawBet(1, 1)
	raw.Document = strings.Repeat("7", document)
	frames := bytes.Repeat(mustFrames(&codec.Bet{RawBet: raw}), 100)
	_ = p.SetReadBuffer(4096)
	for sent := 0; sent < bytesUnread; sent += 100 * document {
		if _, err := p.Write(frames); err != nil || !p.awaitUnread(sockets) {
			return errCut
		}
	}
	return nil
}

var errCut = errors.New("the central has closed the connection")

// hostileLaggards read no answers, until they are cut off.
func hostileLaggards(s *hostileScene, n int) {
	s.play(func() {
		s.untilPlayed(n, func(i int, _ *rand.Rand) error {
			p, err := s.dialAs(i, 1)
			if err != nil {
				return err
			}
			defer p.reset()
			if err := p.laggard(64 << 20); err != errCut {
				return errors.New("the central keeps all answers")
			}
			return nil
		})
	})
	if s.central.count("send_answer fail") == 0 {
		s.tb.Errorf("nobody was cut off for what he left unread: %v", s.central)
	}
}

// hostileDebtors leave as much unread as they may, all at the same time.
func hostileDebtors(s *hostileScene, n int) {
	s.play(func() {
		peers := s.openAs(affordable(s.tb, n), 1)
		s.times(len(peers), func(i int, _ *rand.Rand) error {
			if err := peers[i].laggard(3 << 20); err != nil && err != errCut {
				return err
			}
			return nil
		})
	})
}

// hostileSilence opens connections and is silent to the end.
func hostileSilence(s *hostileScene, n int) {
	n = affordable(s.tb, n)
	s.play(func() {
		s.open(n)
		s.central.awaitConnections(n, n)
	})
	s.central.awaitConnections(n, n)
}

func hostileIdlers(s *hostileScene, n int) {
	s.play(func() {
		peers := s.open(affordable(s.tb, n))
		s.underWay()
		s.all(peers, func(_ int, p *hostilePeer) error { return p.expectRetry() })
	})
}

// hostileNeighbours wants more connections than the central has places, from a few
// addresses, each with its share.
func hostileNeighbours(s *hostileScene, n int) {
	const sources, places = 4, 50
	n = affordable(s.tb, n)
	s.play(func() {
		var told atomic.Int64
		held := make(chan *hostilePeer, sources*places)
		s.times(n, func(i int, _ *rand.Rand) error {
			p, err := dialHostile(s.central.address, hostileSource(i%sources))
			if err != nil {
				return err
			}
			// Refused peers are told at once, all others get the answer about the
			// agency that they ask for.
			if err := p.say(&codec.Resume{Agency: strconv.Itoa(stranger)}); err != nil {
				return err
			}
			answer, err := p.next()
			switch {
			case err != nil, answer.Type == codec.TypeRetry:
				told.Add(1)
				p.reset()
			case answer.Type != codec.TypeError:
				return fmt.Errorf("the answer is %v", answer.Type)
			default:
				held <- p
			}
			return nil
		})
		if len(held) != sources*places || told.Load() != int64(n-len(held)) {
			s.tb.Errorf("%d connections are taken and %d are not, expected are %d of %d", len(held), told.Load(), sources*places, n)
		}
		s.underWay()
		<-s.played // until then they keep their places
		for len(held) > 0 {
			(<-held).reset()
		}
	})
}

// hostileOccupants takes all places, and comes back some times when it is thrown
// out. The agencies have to wait, and get theirs in the end.
func hostileOccupants(s *hostileScene, n int) {
	const places = 100
	s.play(func() {
		peers := s.open(places)
		s.underWay()
		s.all(peers, func(_ int, p *hostilePeer) error { return p.expectRetry() })
		s.times(n-places, func(i int, _ *rand.Rand) error {
			p, err := s.dial(i)
			if err != nil {
				return err
			}
			defer p.reset()
			return p.expectGone() // told at once, or when its time is over
		})
	})
}

// hostileChurn connects, says a little or nothing, and is gone.
func hostileChurn(s *hostileScene, n int) {
	frame := mustFrames(&codec.Resume{Agency: strconv.Itoa(stranger)}, &codec.WinnersQuery{Agency: "2"}, &codec.Bet{RawBet: hostileRawBet(stranger, 1)})
	s.play(func() {
		s.untilPlayed(n, func(i int, rng *rand.Rand) error {
			p, err := s.dial(i)
			if err != nil {
				return err
			}
			_, _ = p.Write(frame[:rng.IntN(len(frame)+1)])
			switch rng.IntN(3) {
			case 0:
				p.reset()
				return nil
			case 1:
				_ = p.CloseWrite()
			}
			_ = p.SetLinger(0) // a thousand of them in TIME_WAIT help nobody
			p.Close()
			return nil
		})
	})
}
