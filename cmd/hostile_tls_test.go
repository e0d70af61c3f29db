//go:build linux

package cmd_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"loteria/codec"
	"loteria/internal/certs"
	"loteria/internal/certs/certstest"
	"loteria/lottery"
)

// hostileTLSRows are for a port that demands certificates.
var hostileTLSRows = []hostileRow{
	{name: "handshakes that stall", short: 5000, long: 15_000, stay: true, memory: 16 << 10, do: hostileStalls},
	{name: "what is no TLS", short: 500, long: 20_000, do: hostileNoTLS},
	{name: "certificates that do not count", short: 400, long: 20_000, do: hostileCertificates},
	{name: "garbage after the handshake", short: 300, long: 10_000, do: hostileRecords},
	{name: "records that do not end", short: 100, long: 2000, args: []string{"--frame-timeout", "1s", "--idle-timeout", "1s"}, memory: 16 << 10, do: hostileHalfRecords},
	{name: "one agency's certificate on all connections", short: 1000, long: 10_000, memory: 8 << 10, do: hostileOneCertificate},
}

// dialBare makes one connection, without a handshake.
func (s *hostileScene) dialBare(i int) (*hostilePeer, error) {
	return dialHostile(s.central.address, hostileSource(i))
}

// clientHello returns what a client says first.
func clientHello(config *tls.Config) ([]byte, error) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		_ = tls.Client(theirs, config).Handshake() // nobody answers it
		theirs.Close()
	}()
	header := make([]byte, recordHeader)
	if _, err := io.ReadFull(ours, header); err != nil {
		return nil, err
	}
	hello := append(header, make([]byte, binary.BigEndian.Uint16(header[3:]))...)
	_, err := io.ReadFull(ours, hello[recordHeader:])
	return hello, err
}

// recordHeader is the size of what each record of TLS begins with: its type, a
// version and its length (RFC 8446, 5.1).
const recordHeader = 5

// hostileStalls begin handshakes, or do not, and go silent. The maximum number have
// begun before the honest agencies come, and others go on meanwhile.
func hostileStalls(s *hostileScene, n int) {
	n = affordable(s.tb, n)
	config, err := s.central.over.credentials(stranger)
	if err != nil {
		s.tb.Fatal(err)
	}
	hello, err := clientHello(config)
	if err != nil {
		s.tb.Fatal(err)
	}
	stall := func(i int, rng *rand.Rand) (*hostilePeer, error) {
		p, err := s.dialBare(i)
		if err != nil {
			return nil, err
		}
		said := []int{0, 1, rng.IntN(len(hello)), len(hello)}[i%4]
		_, _ = p.Write(hello[:said]) // others may have taken its place by now
		return p, nil
	}
	s.play(func() {
		peers := make([]*hostilePeer, n)
		s.times(n, func(i int, rng *rand.Rand) (err error) {
			peers[i], err = stall(i, rng)
			return err
		})
		s.peers = peers
		s.underWay()
		s.run(func(i int, rng *rand.Rand) error {
			p, err := stall(n+i, rng)
			if err != nil {
				return err
			}
			defer p.reset()
			_ = p.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			_, _ = io.Copy(io.Discard, p)
			return nil
		}, atATime, func(int) bool { return s.beside.Load() }, func() {})
	})
}

// hostileNoTLS send what is no handshake: among it frames that would end the
// betting of the honest agencies if they were read.
func hostileNoTLS(s *hostileScene, n int) {
	old, err := clientHello(&tls.Config{ServerName: "localhost", MaxVersion: tls.VersionTLS12})
	if err != nil {
		s.tb.Fatal(err)
	}
	s.play(func() {
		s.untilPlayed(n, func(i int, rng *rand.Rand) error {
			p, err := s.dialBare(i)
			if err != nil {
				return err
			}
			defer p.reset()
			noise := make([]byte, 1+rng.IntN(20_000))
			for i := range noise {
				noise[i] = byte(rng.Uint32())
			}
			id := 1 + rng.IntN(agencies)
			name := strconv.Itoa(id)
			switch i % 7 {
			case 0:
				noise = mustFrames(&codec.Resume{Agency: name}, &codec.Batch{RawBets: []lottery.RawBet{hostileRawBet(id, i)}})
			case 1:
				noise = mustFrames(&codec.Finished{Agency: name}, &codec.WinnersQuery{Agency: name})
			case 2:
				noise = []byte("GET / HTTP/1.1\r\nHost: central\r\n\r\n")
			case 3:
				noise = []byte("validar\n")
			case 4: // a record of a handshake, by its header
				copy(noise, []byte{22, 3, 1, byte(rng.IntN(65)), byte(rng.Uint32())})
			case 5:
				noise = old
			}
			_, _ = p.Write(noise) // it may be refused before its end
			_ = p.CloseWrite()
			return p.expectGone()
		})
	})
	if s.central.count("tls_handshake fail") == 0 {
		s.tb.Errorf("no handshake has failed: %v", s.central)
	}
}

// hostileCertificates have invalid certificates, and send bets behind them before
// they can know it.
func hostileCertificates(s *hostileScene, n int) {
	usual, err := s.central.over.credentials(stranger)
	if err != nil {
		s.tb.Fatal(err)
	}
	others := certstest.Authority(s.tb)
	ours, now := s.central.over.certificates.Authority, time.Now()
	var configs []*tls.Config // of agency i % agencies + 1, all kinds in turn
	add := func(pair certs.Pair, err error) {
		certificate := certstest.Certificate(s.tb, pair, err)
		config := usual.Clone()
		config.Certificates = nil
		// It is shown whoever the central trusts.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
		configs = append(configs, config)
	}
	none := usual.Clone()
	none.Certificates = nil
	for id := 1; id <= agencies; id++ {
		add(others.Agency(id, time.Time{}, time.Time{}))
		add(ours.Agency(id, now.Add(-48*time.Hour), now.Add(-24*time.Hour)))
		add(ours.Agency(id, now.Add(24*time.Hour), now.Add(48*time.Hour)))
		add(ours.Central([]string{"localhost"}, time.Time{}, time.Time{}))
		add(ours.Agency(0, time.Time{}, time.Time{}))
		configs = append(configs, none)
	}
	kinds := len(configs) / agencies
	s.play(func() {
		s.untilPlayed(n, func(i int, _ *rand.Rand) error {
			p, err := s.dialBare(i)
			if err != nil {
				return err
			}
			defer p.reset()
			id := 1 + i/kinds%agencies
			if err := p.secure(configs[i%len(configs)]); err != nil {
				return nil // it has been told already
			}
			_ = p.say(&codec.Resume{Agency: strconv.Itoa(id)}, &codec.Batch{RawBets: []lottery.RawBet{hostileRawBet(id, i)}}, &codec.Finished{Agency: strconv.Itoa(id)})
			if answer, err := p.next(); err == nil {
				s.fail(i, &unexpectedAnswer{answer})
			}
			return nil
		})
	})
	if s.central.count("tls_handshake fail") == 0 {
		s.tb.Errorf("no handshake has failed: %v", s.central)
	}
}

// unexpectedAnswer is an answer that a peer must not get.
type unexpectedAnswer struct{ codec.Frame }

func (a *unexpectedAnswer) Error() string { return "the answer is " + a.Type.String() }

// hostileRecords forge, after the handshake of an agency, records that need its
// keys.
func hostileRecords(s *hostileScene, n int) {
	s.play(func() {
		s.untilPlayed(n, func(i int, rng *rand.Rand) error {
			p, err := s.dialAs(i, 1+i%agencies)
			if err != nil {
				return err
			}
			defer p.reset()
			noise := make([]byte, recordHeader+1+rng.IntN(20_000))
			for i := range noise {
				noise[i] = byte(rng.Uint32())
			}
			size := len(noise) - recordHeader
			switch i % 5 {
			case 0: // a record of data
				size = min(size, 16<<10+256)
				copy(noise, []byte{23, 3, 3, byte(size >> 8), byte(size)})
			case 1: // one that is too long
				copy(noise, []byte{23, 3, 3, 0xFF, 0xFF})
			case 2: // an empty one
				copy(noise, []byte{23, 3, 3, 0, 0})
			case 3: // an alert that is not encrypted
				noise = []byte{21, 3, 3, 0, 2, 2, 40}
			}
			_, _ = p.TCPConn.Write(noise) // it may be refused before its end
			_ = p.TCPConn.CloseWrite()
			return p.expectGone()
		})
	})
}

// hostileHalfRecords begin a record, and go on with it byte by byte, without end.
func hostileHalfRecords(s *hostileScene, n int) {
	s.play(func() {
		peers := s.openAs(affordable(s.tb, n), stranger)
		s.underWay()
		s.all(peers, func(i int, p *hostilePeer) error {
			_, _ = p.TCPConn.Write([]byte{23, 3, 3, 0x40, 0})
			gone := make(chan error, 1)
			go func() { gone <- p.expectGone() }()
			ticker := time.NewTicker(100 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case err := <-gone:
					return err
				case <-ticker.C:
					_, _ = p.TCPConn.Write([]byte{0}) // that it is gone is found in reading
				}
			}
		})
	})
}

// hostileOneCertificate has all connections be of agency 1, whose process is
// honest: somebody has its key.
func hostileOneCertificate(s *hostileScene, n int) {
	n = affordable(s.tb, n)
	s.play(func() {
		peers := s.openAs(n, 1)
		s.underWay()
		s.times(len(peers), func(i int, _ *rand.Rand) error {
			if err := peers[i].say(&codec.WinnersQuery{Agency: "2"}, &codec.Resume{Agency: "2"}, &codec.Bet{RawBet: hostileRawBet(2, i)}); err != nil {
				return err
			}
			for range 3 {
				if err := peers[i].expectError(lottery.WrongAgency); err != nil {
					return err
				}
			}
			return nil
		})
	})
	s.central.awaitConnections(n, n)
}
