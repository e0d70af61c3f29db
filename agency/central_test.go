package agency

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"loteria/lottery"
)

// testLimit is when a test that waits for something gives up.
const testLimit = 20 * time.Second

// The wire format, written out by hand: these tests stand for centrals that share no
// code with this repository.
const (
	tBet, tBatch, tSuccess, tError, tFinished, tQuery = 1, 2, 3, 4, 5, 6
	tWinners, tRetry, tResume, tPoint, tPart          = 7, 8, 9, 10, 11
)

func text(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

func u32(n int) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

func u64(n uint64) []byte { return append(u32(int(n>>32)), u32(int(n&0xffffffff))...) }

func joined(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func frame(kind byte, payload ...[]byte) []byte {
	body := joined(payload...)
	return joined(u32(len(body)), []byte{kind}, body, []byte{0xFF})
}

func winnersFrame(kind byte, documents ...string) []byte {
	payload := u32(len(documents))
	for _, d := range documents {
		payload = append(payload, text(d)...)
	}
	return frame(kind, payload)
}

var (
	finishedOK = frame(tSuccess, text("OK"))
	nothing    = frame(tPoint, u64(0), u64(xxhash.Sum64(nil))) // is stored
	retry      = frame(tRetry, text("the draw is not done"))
)

// refusal is an ERROR about no bet.
func refusal(code string) []byte { return frame(tError, text(""), text(""), text(code)) }

// peer is the central's end of a connection.
type peer struct {
	net.Conn
	t *testing.T
}

// frame reads a frame, and reports false when the agency has gone.
func (p *peer) frame() (kind byte, payload []byte, ok bool) {
	header := make([]byte, 5)
	if _, err := io.ReadFull(p, header); err != nil {
		if !errors.Is(err, io.EOF) && !isConnectionError(err) {
			p.t.Errorf("the agency left in the middle of a header: %v", err)
		}
		return 0, nil, false
	}
	size := int(binary.BigEndian.Uint32(header))
	if size+6 > 8192 {
		p.t.Errorf("a frame of %d bytes, at most 8192 are allowed", size+6)
	}
	body := make([]byte, size+1)
	if _, err := io.ReadFull(p, body); err != nil {
		return 0, nil, false
	}
	if body[size] != 0xFF {
		p.t.Errorf("the delimiter is 0x%02X", body[size])
	}
	return header[4], body[:size], true
}

// expect reads a frame, which must be of the kind.
func (p *peer) expect(kind byte) (payload []byte, ok bool) {
	got, payload, ok := p.frame()
	if ok && got != kind {
		p.t.Errorf("got a frame of type %d, expected %d", got, kind)
		return nil, false
	}
	return payload, ok
}

func (p *peer) send(frames ...[]byte) { _, _ = p.Write(joined(frames...)) }

// answer answers what the agency sends, and keeps nothing of it. A batch is left to
// onBatch.
func (p *peer) answer(onBatch func(payload []byte)) {
	for {
		kind, payload, ok := p.frame()
		if !ok {
			return
		}
		switch kind {
		case tResume:
			p.send(nothing)
		case tBatch:
			onBatch(payload)
		case tFinished:
			p.send(finishedOK)
		case tQuery:
			p.send(winnersFrame(tWinners))
		}
	}
}

// gone waits until the agency has closed the connection.
func (p *peer) gone() { _, _ = io.Copy(io.Discard, p) }

func isConnectionError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// serve accepts connections until the test ends, and handles each in a
// goroutine of its own. n counts them from 1.
func serve(t *testing.T, handle func(n int, p *peer)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	running.Go(func() {
		for n := 1; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			running.Go(func() {
				defer conn.Close()
				handle(n, &peer{conn, t})
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return listener.Addr().String()
}

// cursor takes a payload apart.
type cursor struct {
	t *testing.T
	b []byte
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.t.Errorf("the payload lacks %d bytes", n-len(c.b))
		c.b = make([]byte, n)
	}
	head := c.b[:n]
	c.b = c.b[n:]
	return head
}

func (c *cursor) u32() int     { return int(binary.BigEndian.Uint32(c.take(4))) }
func (c *cursor) u64() uint64  { return binary.BigEndian.Uint64(c.take(8)) }
func (c *cursor) text() string { return string(c.take(int(binary.BigEndian.Uint16(c.take(2))))) }

func (c *cursor) raw() lottery.RawBet {
	return lottery.RawBet{
		Agency: c.text(), FirstName: c.text(), LastName: c.text(),
		Document: c.text(), Birthdate: c.text(), Number: c.text(),
	}
}

// received is a BATCH, or a BET.
type received struct {
	rawBets     []lottery.RawBet
	hasPosition bool
	position    uint64
	frameSize   int
}

func parseBatch(t *testing.T, payload []byte) received {
	c := &cursor{t, payload}
	r := received{frameSize: len(payload) + 6}
	for range c.u32() {
		size := c.u32()
		bet := &cursor{t, c.take(size)}
		r.rawBets = append(r.rawBets, bet.raw())
		if len(bet.b) > 0 {
			t.Errorf("a bet has %d bytes too many", len(bet.b))
		}
	}
	if r.hasPosition = len(c.b) > 0; r.hasPosition {
		r.position = c.u64()
	}
	if len(c.b) > 0 {
		t.Errorf("%d bytes follow the batch", len(c.b))
	}
	return r
}

// fake is a central that keeps what it is sent. knowsResume tells the two
// kinds apart; the hooks make it misbehave.
type fake struct {
	t           *testing.T
	knowsResume bool
	retries     int      // how many queries are answered RETRY
	winners     [][]byte // the answer to the others; nil is nobody
	// onBatch is called before a batch is stored. What it returns is sent
	// instead of an answer, if it is not nil; hangUp closes the connection.
	onBatch func(n int) (answer []byte, hangUp bool)
	// afterBatch is called before a stored batch is answered, and reports whether the
	// connection must be closed instead.
	afterBatch func(n int) bool
	// onConn is called with each connection, counted from 1, and onFrame with each
	// frame, before it is answered. They report whether the connection must be closed.
	onConn  func(n int, p *peer) (hangUp bool)
	onFrame func(n int, p *peer, kind byte) (hangUp bool)
	// reply, if there is one, sends the answers, and reports the same.
	reply func(p *peer, kind byte, answer []byte) (hangUp bool)

	mu       sync.Mutex
	batches  []received
	rows     []byte // as in bets.csv
	ends     []int
	finishes []received // hasPosition and position stand for the total
	resumes  int
	queries  int
	conns    int
	cut      []int // see once
}

// start serves the central.
func (f *fake) start(t *testing.T) (address string) {
	f.t = t
	return serve(t, func(_ int, p *peer) { f.handle(p) })
}

func (f *fake) handle(p *peer) {
	f.mu.Lock()
	f.conns++
	n := f.conns
	f.mu.Unlock()
	if f.onConn != nil && f.onConn(n, p) {
		return
	}
	for {
		kind, payload, ok := p.frame()
		if !ok || f.onFrame != nil && f.onFrame(n, p, kind) {
			return
		}
		answer, hangUp := f.answer(kind, payload)
		if f.reply != nil {
			hangUp = f.reply(p, kind, answer) || hangUp
		} else {
			p.send(answer)
		}
		if hangUp {
			return
		}
	}
}

func (f *fake) answer(kind byte, payload []byte) (answer []byte, hangUp bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch kind {
	case tBatch:
		return f.store(parseBatch(f.t, payload))
	case tBet:
		c := &cursor{f.t, payload}
		r := received{rawBets: []lottery.RawBet{c.raw()}, frameSize: len(payload) + 6}
		if len(c.b) > 0 {
			f.t.Errorf("%d bytes follow the bet", len(c.b))
		}
		return f.store(r)
	case tFinished:
		c := &cursor{f.t, payload}
		c.text()
		finish := received{hasPosition: len(c.b) > 0}
		if finish.hasPosition {
			finish.position = c.u64()
			if digest := c.u64(); digest != xxhash.Sum64(f.rows) {
				f.t.Errorf("FINISHED says digest %016x, stored is %016x", digest, xxhash.Sum64(f.rows))
			}
		}
		if len(c.b) > 0 {
			f.t.Errorf("%d bytes follow the digest", len(c.b))
		}
		f.finishes = append(f.finishes, finish)
		return finishedOK, false
	case tQuery:
		if f.queries++; f.queries <= f.retries {
			return retry, false
		}
		if f.winners == nil {
			return winnersFrame(tWinners), false
		}
		return joined(f.winners...), false
	case tResume:
		f.resumes++
		if f.knowsResume {
			return frame(tPoint, u64(uint64(len(f.ends))), u64(xxhash.Sum64(f.rows))), false
		}
	}
	return nil, true
}

func (f *fake) store(r received) (answer []byte, hangUp bool) {
	n := len(f.batches) + 1
	if f.onBatch != nil {
		if answer, hangUp := f.onBatch(n); answer != nil || hangUp {
			return answer, hangUp
		}
	}
	f.batches = append(f.batches, r)
	for i := range r.rawBets {
		if r.hasPosition && r.position+uint64(i) < uint64(len(f.ends)) {
			continue // stored already
		}
		if r.hasPosition && r.position+uint64(i) > uint64(len(f.ends)) {
			return refusal("gap"), false
		}
		bet, err := r.rawBets[i].Bet()
		if err != nil {
			f.t.Errorf("got an invalid bet: %v", err)
		}
		f.rows = bet.AppendRow(f.rows)
		f.ends = append(f.ends, len(f.rows))
	}
	if f.afterBatch != nil && f.afterBatch(n) {
		return nil, true
	}
	return frame(tSuccess, text(r.rawBets[0].Document), text(r.rawBets[0].Number)), false
}

// sizes returns how many bets each batch has.
func (f *fake) sizes() (sizes []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.batches {
		sizes = append(sizes, len(b.rawBets))
	}
	return sizes
}

// wantStored fails the test unless the central has exactly these bets.
func (f *fake) wantStored(rows []string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	want := ""
	for _, row := range rows {
		want += "1," + row + "\r\n"
	}
	if string(f.rows) != want {
		f.t.Errorf("the central has %d bets, expected %d\ngot  %.300q\nwant %.300q", len(f.ends), len(rows), f.rows, want)
	}
}

// wantAll fails the test unless the central has exactly these bets, and was told so
// by FINISHED.
func (f *fake) wantAll(rows []string) {
	f.t.Helper()
	f.wantStored(rows)
	f.wantFinished(len(rows))
}

// wantFinished fails the test unless FINISHED was said once, with this total
// and the digest of what is stored, or without one when total is negative.
func (f *fake) wantFinished(total int) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.finishes) != 1 {
		f.t.Fatalf("FINISHED was said %d times", len(f.finishes))
	}
	got := f.finishes[0]
	if got.hasPosition != (total >= 0) || total >= 0 && got.position != uint64(total) {
		f.t.Errorf("FINISHED has a total %v: %d, expected %d", got.hasPosition, got.position, total)
	}
}

// wantUnfinished fails the test when FINISHED was said.
func (f *fake) wantUnfinished() {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.finishes) > 0 {
		f.t.Error("FINISHED was said")
	}
}

// wantUncalled fails the test when the agency has connected.
func (f *fake) wantUncalled() {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conns > 0 {
		f.t.Errorf("the central was called %d times, and has %d bets", f.conns, len(f.ends))
	}
}
