//go:build linux

package cmd_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"loteria/codec"
	"loteria/lottery"
)

// hostilePeer is one connection of a hostile peer.
type hostilePeer struct {
	*net.TCPConn
	secured *tls.Conn // over the connection, or nil
	decoder codec.Decoder
	buffer  []byte
	rest    []byte // of buffer, not yet decoded
}

// hostileSources is how many loopback addresses the peers come from. The
// honest agencies have 127.0.0.1 for themselves.
const hostileSources = 8

func hostileSource(i int) string { return fmt.Sprintf("127.0.0.%d", 2+i%hostileSources) }

func dialHostile(address, source string) (*hostilePeer, error) {
	dialer := net.Dialer{Timeout: hostilePatience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(hostilePatience))
	return &hostilePeer{TCPConn: conn.(*net.TCPConn)}, nil
}

// secure makes the handshake, as far as the peer sees it.
func (p *hostilePeer) secure(config *tls.Config) error {
	p.secured = tls.Client(p.TCPConn, config)
	return p.secured.Handshake()
}

func (p *hostilePeer) Read(b []byte) (int, error) {
	if p.secured != nil {
		return p.secured.Read(b)
	}
	return p.TCPConn.Read(b)
}

func (p *hostilePeer) Write(b []byte) (int, error) {
	if p.secured != nil {
		return p.secured.Write(b)
	}
	return p.TCPConn.Write(b)
}

// WriteTo hides the connection's from io.Copy.
func (p *hostilePeer) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{p}) }

// CloseWrite sends the end of the stream.
func (p *hostilePeer) CloseWrite() error {
	if p.secured != nil {
		_ = p.secured.CloseWrite() // then the end of file says it
	}
	return p.TCPConn.CloseWrite()
}

// Close closes the connection without a word.
func (p *hostilePeer) Close() error { return p.TCPConn.Close() }

// reset closes the connection with a RST.
func (p *hostilePeer) reset() {
	_ = p.SetLinger(0)
	p.Close()
}

// next returns the next frame of the central.
func (p *hostilePeer) next() (codec.Frame, error) {
	if p.buffer == nil {
		p.buffer = make([]byte, 1024)
	}
	for {
		if len(p.rest) > 0 {
			frame, rest, ok, err := p.decoder.Next(p.rest)
			if err != nil {
				return frame, err
			}
			if p.rest = rest; ok {
				return frame, nil
			}
		}
		n, err := p.Read(p.buffer)
		if p.rest = p.buffer[:n]; n == 0 && err != nil {
			return codec.Frame{}, err
		}
	}
}

// expect expects an answer of a type, and returns its payload.
func (p *hostilePeer) expect(want codec.Type) ([]byte, error) {
	frame, err := p.next()
	if err == nil && frame.Type != want {
		err = fmt.Errorf("the answer is %v %q, expected %v", frame.Type, frame.Payload, want)
	}
	return frame.Payload, err
}

// expectError expects an ERROR with one of the codes.
func (p *hostilePeer) expectError(want ...lottery.Code) error {
	payload, err := p.expect(codec.TypeError)
	if err != nil {
		return fmt.Errorf("%w, expected %v", err, want)
	}
	var answer codec.Error
	if err := answer.Decode(payload); err != nil {
		return err
	}
	if !slices.Contains(want, answer.Code) {
		return fmt.Errorf("the answer is the error %s, expected %v", answer.Code, want)
	}
	return nil
}

// expectText expects an answer that is no frame.
func (p *hostilePeer) expectText(want string) error {
	got := make([]byte, len(want))
	n, err := io.ReadFull(p, got)
	if string(got[:n]) != want {
		return fmt.Errorf("received %q and %v, expected %q", got[:n], err, want)
	}
	return nil
}

// expectEnd expects that the central closes the connection without another answer.
func (p *hostilePeer) expectEnd() error {
	if n, err := io.Copy(io.Discard, p); n+int64(len(p.rest)) > 0 {
		return fmt.Errorf("%d more bytes come before the end", n+int64(len(p.rest)))
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the central does not close the connection")
	}
	return nil
}

// expectRetry expects a RETRY, and then the end.
func (p *hostilePeer) expectRetry() error {
	if _, err := p.expect(codec.TypeRetry); err != nil {
		return err
	}
	return p.expectEnd()
}

// expectGone reads anything until the connection is closed.
func (p *hostilePeer) expectGone() error {
	if _, err := io.Copy(io.Discard, p); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the central does not close the connection")
	}
	return nil
}

// say sends messages. Reading finds that a peer is gone.
func (p *hostilePeer) say(messages ...codec.Message) error {
	frames, err := hostileFrames(messages...)
	if err == nil {
		_, err = p.Write(frames)
	}
	if hasLeft(err) {
		err = nil
	}
	return err
}

// hasLeft reports whether a write failed because the central has closed the connection.
func hasLeft(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

func hostileFrames(messages ...codec.Message) (b []byte, err error) {
	for _, m := range messages {
		if b, err = codec.AppendFrame(b, m); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// mustFrames is hostileFrames of messages that are known to fit.
func mustFrames(messages ...codec.Message) []byte {
	b, err := hostileFrames(messages...)
	if err != nil {
		panic(err)
	}
	return b
}
