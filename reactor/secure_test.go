package reactor

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"loteria/codec"
	"loteria/lottery"
)

// What does not depend on the transport holds over TLS, too.
func TestAllOverTLS(t *testing.T) {
	overTLS = true
	defer func() { overTLS = false }()
	for name, test := range map[string]func(*testing.T){
		"the order of answers":           TestAnswersComeInTheOrderOfTheRequests,
		"the last answer":                TestLastAnswerComesLast,
		"many frames":                    TestManyConnectionsWithManyFrames,
		"connections do not mix":         TestConnectionsDoNotMix,
		"cut before a query":             TestCutInFrontOfAParkedQuery,
		"frames cut at each byte":        TestFramesCutAtEachByte,
		"frames byte by byte":            TestFramesByteByByte,
		"frames in one write":            TestFramesInOneWrite,
		"long frames in one write":       TestLongFramesInOneWrite,
		"end of file":                    TestAnswersAfterTheEndOfFile,
		"end while bets go to disk":      TestEndOfFileWhileBetsGoToDisk,
		"end behind a query":             TestEndOfFileBehindAParkedQuery,
		"end of who is gone":             TestEndOfFileOfAPeerThatIsGone,
		"long answer after the end":      TestLongAnswerAfterTheEndOfFile,
		"unread after the end":           TestMaxUnreadAfterTheEndOfFile,
		"stop after the end":             TestStopAfterTheEndOfFile,
		"end at any time":                TestEndOfFileAtAnyTime,
		"window":                         TestWindow,
		"window moves":                   TestWindowMoves,
		"unread":                         TestMaxUnread,
		"lingering":                      TestLingeringTakesNoMoreThanSoMuch,
		"slow frames":                    TestFrameTimeoutIsNotExtended,
		"slow readers":                   TestManyWinnersForSlowReaders,
		"who takes nothing":              TestStallTime,
		"too much behind winners":        TestTooMuchBehindWinners,
		"stop while winners go":          TestStopWhileWinnersAreTold,
		"too much behind a query":        TestTooMuchBehindAParkedQuery,
		"stop with a lottery that hangs": TestStopWithALotteryThatHangs,
		"stop while peers come in":       TestStopWhileConnectionsComeIn,
		"random bytes":                   TestRandomBytesBesideHonestAgencies,
		"the draw":                       TestDrawIsToldOnAllLoops,
		"peers leave":                    TestPeerLeavesWhileItsBatchIsStored,
		"chaos":                          TestChaos,
		"reply behind a bet":             TestReplyBehindABetOnItsWayToTheDisk,
		"reply while another is":         TestReplyWhileAnotherIsWritten,
		"end after a reply":              TestEndOfFileAfterAWrittenReply,
		"unread memory":                  TestLargeRepliesAreNotKept,
	} {
		t.Run(name, test)
	}
}

// pipe is a connection whose writes a test may hold back or cut.
type pipe struct {
	net.Conn
	write func(conn net.Conn, p []byte) (int, error)
}

func (p *pipe) Write(b []byte) (int, error) {
	if p.write != nil {
		return p.write(p.Conn, b)
	}
	return p.Conn.Write(b)
}

// dialPipe is dialAgency with a client that writes through a pipe.
func (c *central) dialPipe(agency int) (*peer, *pipe) {
	c.t.Helper()
	return c.dialPipeWith(clientConfig(c.t, agencyPair(c.t, agency)))
}

func (c *central) dialPipeWith(config *tls.Config) (*peer, *pipe) {
	c.t.Helper()
	p := c.dialTo(c.TLSAddress().String(), net.Dialer{})
	between := &pipe{Conn: p.TCPConn}
	p.secure = tls.Client(between, config)
	return p, between
}

// sealed returns what a write of the peer would send.
func (p *peer) sealed(between *pipe, frames ...[]byte) (records []byte) {
	p.t.Helper()
	between.write = func(_ net.Conn, b []byte) (int, error) {
		records = append(records, b...)
		return len(b), nil
	}
	for _, f := range frames { // each is a record
		p.send(f)
	}
	between.write = nil
	return records
}

// Data in one segment with the end of the handshake is not lost, though nothing more
// comes to wake the loop.
func TestDataBehindTheHandshake(t *testing.T) {
	for _, frames := range []int{1, 50} {
		t.Run(strconv.Itoa(frames), func(t *testing.T) {
			c, _ := startTLS(t, 1, nil)
			p, between := c.dialPipe(1)
			var held []byte
			writes := 0
			between.write = func(conn net.Conn, b []byte) (int, error) {
				if writes++; writes == 1 { // the client's hello
					return conn.Write(b)
				}
				held = append(held, b...)
				return len(b), nil
			}
			if err := p.secure.Handshake(); err != nil {
				t.Fatal(err)
			}
			for range frames {
				p.send(resumeFrame(1))
			}
			if _, err := p.TCPConn.Write(held); err != nil {
				t.Fatal(err)
			}
			p.expectBytes(bytes.Repeat(pointFrame(), frames))
		})
	}
}

// Records that come in two pieces, cut at each byte.
func TestRecordsCutAtEachByte(t *testing.T) {
	c, _ := startTLS(t, 1, nil)
	p, between := c.dialPipe(1)
	p.send(resumeFrame(1))
	p.expect(pointFrame())
	s := c.session(p)
	size := len(p.sealed(between, nil, resumeFrame(1), resumeFrame(1)))
	p, between = c.dialPipe(1)
	p.send(resumeFrame(1))
	p.expect(pointFrame())
	s = c.session(p)
	for cut := 1; cut < size; cut++ {
		records := p.sealed(between, resumeFrame(1), resumeFrame(1))
		_, _ = p.TCPConn.Write(records[:cut])
		c.awaitThat(s, "the piece was read", func() bool { return s.secure.transport.records.within() == (cut != size/2) })
		_, _ = p.TCPConn.Write(records[cut:])
		p.expect(pointFrame(), pointFrame())
	}
}

// Many records in one read are one job, with one write of answers.
func TestManyRecordsInOneRead(t *testing.T) {
	c, _ := startTLS(t, 1, func(config *Config) { config.WindowFrames = 1 << 12 })
	p, between := c.dialPipe(1)
	p.send(resumeFrame(1))
	p.expect(pointFrame())
	rawBets := losers(1, 200)
	var frames [][]byte
	var want []byte
	for _, raw := range rawBets {
		frames, want = append(frames, betFrame(raw)), append(want, successFrame(raw)...)
	}
	records, s := p.sealed(between, frames...), c.session(p)
	var jobs uint64
	c.onLoop(s.shard(), func() {
		jobs = s.count
		s.receiveSealed(records)
		jobs = s.count - jobs
	})
	p.expectBytes(want)
	if jobs != 1 {
		t.Errorf("they are %d jobs, expected 1", jobs)
	}
	c.expectRows(rawBets...)
}

// An end of file without close_notify is an end, too: the answers come, and then a
// close_notify.
func TestEndOfFileWithoutCloseNotify(t *testing.T) {
	credentials := newCredentials(t)
	c, g := startSlow(t, 1, func(config *Config) { config.TLS = credentials.tls() })
	p := c.dialAgency(1)
	s, raw := c.session(p), rawBetOf(1, "1", losing)
	p.send(betFrame(raw))
	if err := p.TCPConn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.awaitTail(s)
	g.open()
	p.expect(successFrame(raw))
	p.expectEnd()
	p.Close()
	c.awaitSessions(0)
	c.expectIdle()
	c.log.only(t, "close_connection", "success")
}

// However a conversation ends, the last record is a close_notify: 5 bytes of header,
// the alert's 2, its type, and the tag of 16.
func TestCloseNotifyIsSent(t *testing.T) {
	const endSize = 24
	for what, end := range map[string]func(*testing.T, *central, *peer){
		"it says its end": func(t *testing.T, _ *central, p *peer) { _ = p.CloseWrite() },
		"it closes":       func(t *testing.T, _ *central, p *peer) { _ = p.TCPConn.CloseWrite() },
		"it breaks the protocol": func(t *testing.T, _ *central, p *peer) {
			p.send([]byte("\x00\x00\x00\x00\x0c"))
			p.expect(errorFrame(codec.UnknownType, noRawBet))
		},
		"a stop": func(t *testing.T, c *central, _ *peer) { go func() { _ = c.stop() }() },
	} {
		t.Run(what, func(t *testing.T) {
			c, _ := startTLS(t, 1, nil)
			p := c.dialTo(c.TLSAddress().String(), net.Dialer{})
			tap := &tapped{Conn: p.TCPConn}
			p.secure = tls.Client(tap, clientConfig(t, agencyPair(t, 1)))
			p.send(resumeFrame(1))
			p.expect(pointFrame())
			end(t, c, p)
			p.expectEnd()
			last := 0
			for rest := tap.got.Bytes(); len(rest) > 0; rest = rest[last:] {
				last = recordHeader + int(binary.BigEndian.Uint16(rest[3:]))
			}
			if last != endSize {
				t.Errorf("the last record has %d bytes, expected %d", last, endSize)
			}
		})
	}
}

// tapped keeps what a client reads.
type tapped struct {
	net.Conn
	got bytes.Buffer
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.got.Write(p[:n])
	return n, err
}

// Half a record counts as begun, however much of it there is, and a byte now and
// then does not extend its time.
func TestHalfARecord(t *testing.T) {
	for what, sent := range map[string][]byte{
		"of the header": {23, 3},
		"a little":      {23, 3, 3, 0x40, 0, 1, 2, 3},
		"16 kB":         append([]byte{23, 3, 3, 0x40, 0x11}, make([]byte, 16<<10)...),
	} {
		t.Run(what, func(t *testing.T) {
			c, _ := startTLS(t, 1, func(config *Config) { config.FrameTimeout = time.Millisecond })
			p := c.dialAgency(1)
			_, _ = p.TCPConn.Write(sent)
			p.expectRetry()
			p.expectEnd()
		})
	}
	t.Run("silence", func(t *testing.T) {
		c, _ := startTLS(t, 1, func(config *Config) { config.IdleTimeout = time.Millisecond })
		p := c.dialAgency(1)
		p.expectRetry()
		p.expectEnd()
	})
}

// A peer whose records are not what they should be gets an alert, and others go on.
func TestBrokenRecords(t *testing.T) {
	for what, test := range map[string]struct{ sent, alert string }{
		"forged":        {"\x17\x03\x03\x00\x20" + strings.Repeat("x", 32), "bad record MAC"},
		"not encrypted": {"\x15\x03\x03\x00\x02\x01\x00", "bad record MAC"},
		"too long":      {"\x17\x03\x03\xff\xff", "record overflow"},
		"a version":     {"\x17\x03\x01\x00\x20" + strings.Repeat("x", 32), "protocol version"},
		"a frame":       {string(resumeFrame(1)), "protocol version"},
	} {
		t.Run(what, func(t *testing.T) {
			c, _ := startTLS(t, 2, nil)
			p, other := c.dialAgency(1), c.dialAgency(2)
			p.send(resumeFrame(1))
			p.expect(pointFrame())
			_, _ = p.TCPConn.Write([]byte(test.sent))
			var alerted *net.OpError
			if _, err := p.Read(make([]byte, 1)); !errors.As(err, &alerted) || !strings.Contains(err.Error(), test.alert) {
				t.Errorf("the error is %v, expected the alert %q", err, test.alert)
			}
			c.awaitFailure("receive_frame")
			other.send(resumeFrame(2))
			other.expect(pointFrame())
			p.TCPConn.Close()
			other.Close()
			c.awaitSessions(0)
			c.expectIdle()
		})
	}
}

// gnet closes a connection at its end of file. When a write fails meanwhile, as the peer
// is gone, the end is said, and answers may still come: they are for nobody.
func TestAnswersAfterTheEnd(t *testing.T) {
	overTLS = true
	defer func() { overTLS = false }()
	g := newGate()
	c := start(t, 1, nil, g.slowDisk().wrap)
	t.Cleanup(g.open)
	p, raw := c.dial(), rawBetOf(1, "1", losing)
	s := c.session(p)
	p.send(betFrame(raw))
	g.wait(t, 1)
	c.onLoop(s.shard(), s.sayEnd)
	g.open()
	c.awaitThat(s, "the bet is answered", func() bool { return len(s.jobs) == 0 })
	p.expectEnd()
	p.Close()
	c.awaitSessions(0)
	c.expectIdle()
	c.expectRows(raw)
	if failed := c.log.find(t, "send_answer", "fail"); len(failed) > 0 {
		t.Errorf("the log has %v", failed)
	}
}

// A peer that does not read costs what is sealed at once, and not its winners.
func TestWinnersAreNotKeptSealed(t *testing.T) {
	overTLS = true
	defer func() { overTLS = false }()
	c := start(t, 1, func(config *Config) { config.MaxUnread = 1 }, won(t, manyWinners))
	c.await("the draw is announced", c.announced)
	p := c.dial()
	s := c.takesPart(p)
	p.send(queryFrame(1))
	c.awaitThat(s, "its socket is full", func() bool { return s.telling && s.waiting })
	c.onLoop(s.shard(), func() {
		if n := len(s.unread); n > maxSealed+100 || n != c.Stats().UnreadBytes || cap(s.unread) > 2*maxSealed {
			t.Errorf("%d bytes are kept, in %d, and %d are counted", n, cap(s.unread), c.Stats().UnreadBytes)
		}
	})
	p.expectBytes(c.winners(1))
	p.send(resumeFrame(1))
	p.receive()
}

// What the shortcut cannot write, the loop writes, in the order in which it was
// sealed.
func TestSocketFillsUpWhileOthersWrite(t *testing.T) {
	overTLS = true
	defer func() { overTLS = false }()
	c := start(t, 1, func(config *Config) { config.WindowFrames = 1 << 16 }, nil)
	p := c.dial()
	s := c.fillsUp(p)
	var want []byte
	for i, kept := 0, 0; i < 2000 && kept < 20; i++ {
		rawBets := losers(1, 50)
		var f []byte
		for _, raw := range rawBets {
			f, want = append(f, betFrame(raw)...), append(want, successFrame(raw)...)
		}
		p.send(f)
		c.awaitThat(s, "they are answered", func() bool { return s.frames.get() == 0 })
		c.onLoop(s.shard(), func() {
			if s.flush(); len(s.unread) > 0 {
				kept++
			}
		})
	}
	if c.Stats().UnreadBytes == 0 {
		t.Fatal("the socket takes everything")
	}
	p.expectBytes(want)
	p.Close()
	c.awaitSessions(0)
	c.expectIdle()
}

// sealer makes the records of a TLS 1.3 client with AES-128-GCM, as RFC 8446, 5.2
// and 7.2 have it: crypto/tls has no means to change keys.
type sealer struct {
	t      testing.TB
	secret []byte
	number uint64
}

// newSealer takes the secret from what a client has logged.
func newSealer(t testing.TB, log string) *sealer {
	t.Helper()
	_, rest, found := strings.Cut(log, "CLIENT_TRAFFIC_SECRET_0 ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 2 {
		t.Fatalf("no secret was logged: %q", log)
	}
	secret, err := hex.DecodeString(fields[1])
	if err != nil || len(secret) != sha256.Size {
		t.Skipf("the secret has %d bytes: it is of another suite", len(secret))
	}
	return &sealer{t: t, secret: secret}
}

func (s *sealer) expand(label string, size int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(info, byte(len("tls13 "+label)))
	info = append(append(info, "tls13 "+label...), 0)
	out, err := hkdf.Expand(sha256.New, s.secret, string(info), size)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *sealer) seal(kind byte, content []byte) []byte {
	block, err := aes.NewCipher(s.expand("key", 16))
	if err != nil {
		s.t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		s.t.Fatal(err)
	}
	nonce := s.expand("iv", 12)
	for i, b := range binary.BigEndian.AppendUint64(nil, s.number) {
		nonce[4+i] ^= b
	}
	s.number++
	header := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(content)+1+aead.Overhead()))
	return aead.Seal(header, nonce, append(bytes.Clone(content), kind), header)
}

const (
	applicationData = 23
	handshakeType   = 22
)

// newKeys is a KeyUpdate, and changes the key after it.
func (s *sealer) newKeys(requested byte) []byte {
	record := s.seal(handshakeType, []byte{24, 0, 0, 1, requested})
	s.secret, s.number = s.expand("traffic upd", sha256.Size), 0
	return record
}

// A peer may change its keys, and ask the server to, at any time, but not endlessly
// for nothing.
func TestNewKeys(t *testing.T) {
	c, _ := startTLS(t, 1, nil)
	connect := func() (*peer, *sealer) {
		var log bytes.Buffer
		config := clientConfig(t, agencyPair(t, 1))
		config.KeyLogWriter = &log
		p := c.dialTLS(net.Dialer{}, config)
		if p.secure.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
			t.Skip("the suite is another one here")
		}
		return p, newSealer(t, log.String())
	}
	p, s := connect()
	var stream, want []byte
	var stored []lottery.RawBet
	for i := range 40 {
		raw := rawBetOf(1, strconv.Itoa(i), losing)
		stream = append(stream, s.newKeys(byte(i%4/3))...) // crypto/tls takes few of the answers in a row
		stream = append(stream, s.seal(applicationData, betFrame(raw))...)
		stored, want = append(stored, raw), append(want, successFrame(raw)...)
	}
	_, _ = p.TCPConn.Write(stream)
	p.expectBytes(want)
	c.expectRows(stored...)

	flood, s := connect()
	for range 40 {
		_, _ = flood.TCPConn.Write(s.newKeys(1))
	}
	if _, err := flood.Read(make([]byte, 1)); err == nil {
		t.Error("it gets something")
	}
	flood.Close()
	if text := c.awaitFailure("receive_frame"); !strings.Contains(text, "too many") {
		t.Errorf("the log says %q", text)
	}
}
