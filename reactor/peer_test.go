package reactor

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// peer is one connection to a central.
type peer struct {
	t testing.TB
	*net.TCPConn
	secure *tls.Conn // over it, or nil
}

func (c *central) dial() *peer {
	c.t.Helper()
	return c.dialWith(net.Dialer{})
}

func (c *central) dialWith(dialer net.Dialer) *peer {
	c.t.Helper()
	if overTLS {
		return c.dialTLS(dialer, clientConfig(c.t, agencyPair(c.t, 1)))
	}
	return c.dialTo(c.Address().String(), dialer)
}

func (p *peer) Read(b []byte) (int, error) {
	if p.secure != nil {
		return p.secure.Read(b)
	}
	return p.TCPConn.Read(b)
}

func (p *peer) Write(b []byte) (int, error) {
	if p.secure != nil {
		return p.secure.Write(b)
	}
	return p.TCPConn.Write(b)
}

// CloseWrite sends an end of file, or over TLS only a close_notify.
func (p *peer) CloseWrite() error {
	if p.secure != nil {
		return p.secure.CloseWrite()
	}
	return p.TCPConn.CloseWrite()
}

func (p *peer) Close() error {
	if p.secure != nil {
		return p.secure.Close()
	}
	return p.TCPConn.Close()
}

// WriteTo implements io.WriterTo, in place of the connection's own, which knows no TLS.
func (p *peer) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{p}) }

func (c *central) dialTo(address string, dialer net.Dialer) *peer {
	c.t.Helper()
	dialer.Timeout = patience
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	c.t.Cleanup(func() { conn.Close() })
	return &peer{t: c.t, TCPConn: conn.(*net.TCPConn)}
}

func (p *peer) send(pieces ...[]byte) {
	p.t.Helper()
	if _, err := p.Write(bytes.Join(pieces, nil)); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// receive reads one whole frame.
func (p *peer) receive() []byte {
	p.t.Helper()
	frame := make([]byte, 5, 64)
	if _, err := io.ReadFull(p, frame); err != nil {
		p.t.Fatalf("receive: %v", err)
	}
	rest := make([]byte, int(binary.BigEndian.Uint32(frame))+1)
	if _, err := io.ReadFull(p, rest); err != nil {
		p.t.Fatalf("receive: %v", err)
	}
	return append(frame, rest...)
}

// expect reads frames and compares them, byte for byte.
func (p *peer) expect(want ...[]byte) {
	p.t.Helper()
	for _, w := range want {
		if got := p.receive(); !bytes.Equal(got, w) {
			p.t.Fatalf("received % x (%q)\nexpected % x (%q)", got, got, w, w)
		}
	}
}

// expectEnd reads the end of file.
func (p *peer) expectEnd() {
	p.t.Helper()
	if rest, err := io.ReadAll(p); err != nil || len(rest) > 0 {
		p.t.Fatalf("received %q and %v, expected the end of file", rest, err)
	}
}

// ask sends the frames on a new connection and compares the answers.
func (c *central) ask(request []byte, want ...[]byte) {
	c.t.Helper()
	p := c.dial()
	p.send(request)
	p.expect(want...)
	p.Close()
}

// finish ends the betting of an agency, as its writer.
func (c *central) finish(agency int) {
	c.t.Helper()
	p := c.dial()
	p.send(resumeFrame(agency), finishedFrame(agency))
	p.receive()
	p.expect(okFrame)
	p.Close()
}

// expectNothing expects that nothing unread was received so far. The caller orders
// this after what might have been sent.
func (p *peer) expectNothing() {
	p.t.Helper()
	raw, err := p.SyscallConn()
	if err != nil {
		p.t.Fatal(err)
	}
	var n int
	var received [256]byte
	_ = raw.Control(func(fd uintptr) {
		n, _, err = unix.Recvfrom(int(fd), received[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	if !errors.Is(err, unix.EAGAIN) {
		p.t.Fatalf("received %q and %v, expected nothing yet", received[:max(n, 0)], err)
	}
}

// expectGone reads until the connection has ended, in whatever way.
func (p *peer) expectGone() {
	p.t.Helper()
	if _, err := io.Copy(io.Discard, p); errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatal("the connection is still open")
	}
}

// expectEcho sends a line and expects it back, and then the end.
func (c *central) expectEcho(line string) {
	c.t.Helper()
	c.dialTo(c.Address().String(), net.Dialer{}).expectEcho(line)
}

func (p *peer) expectEcho(line string) {
	p.t.Helper()
	p.send([]byte(line))
	p.expectBytes([]byte(line))
	p.expectEnd()
	p.Close()
}

// expectBytes reads as many bytes as wanted and compares them.
func (p *peer) expectBytes(want []byte) {
	p.t.Helper()
	if err := p.match(want); err != nil {
		p.t.Fatal(err)
	}
}

// match is expectBytes for goroutines other than the test's.
func (p *peer) match(want []byte) error {
	got := make([]byte, len(want))
	n, err := io.ReadFull(p, got)
	if err != nil {
		return fmt.Errorf("%w, and %v", err, same(got[:n], want))
	}
	return same(got, want)
}

// same returns an error unless got equals want.
func same(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	alike := 0
	for alike < min(len(got), len(want)) && got[alike] == want[alike] {
		alike++
	}
	return fmt.Errorf("received %d bytes, expected %d; from byte %d on there are %.200q, expected %.200q",
		len(got), len(want), alike, got[alike:], want[alike:])
}

// reset ends the connection with a reset.
func (p *peer) reset() {
	_ = p.SetLinger(0)
	p.TCPConn.Close()
}
