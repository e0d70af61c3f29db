package generator

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"

	"loteria/codec"
)

// Central is a Target that speaks the lottery's protocol.
type Central struct {
	Address string
	// Sources is how many loopback addresses, from 127.0.0.1 on, the
	// connections come from in turn, at most 64,000: each address allows only
	// as many connections as there are local ports. 0 leaves the choice to
	// the operating system.
	Sources int
	// TLS returns the credentials of an agency. The central's name is the host
	// of Address. Nil means connections without TLS.
	TLS func(agency int) (*tls.Config, error)

	dialed atomic.Int64
}

// Dial implements Target.
func (c *Central) Dial(ctx context.Context, agency int) (Conn, error) {
	conn, err := c.connect(ctx, agency)
	if err != nil {
		return nil, err
	}
	return &centralConn{Conn: conn, buffer: make([]byte, 0, receiveSize)}, nil
}

// connect opens a connection of an agency. Over TLS the handshake is complete on
// the agency's side: a central that refuses its certificate says so in place of
// the first answer.
func (c *Central) connect(ctx context.Context, agency int) (net.Conn, error) {
	var dialer net.Dialer
	if c.Sources > 0 {
		i := int(c.dialed.Add(1)) % c.Sources
		dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, byte(i/250), byte(1+i%250))}
	}
	conn, err := dialer.DialContext(ctx, "tcp", c.Address)
	if err != nil || c.TLS == nil {
		return conn, err
	}
	secured, err := c.secure(ctx, conn, agency)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("agency %d: %w", agency, err)
	}
	return secured, nil
}

const receiveSize = 16 << 10 // bytes that are read at a time

type centralConn struct {
	net.Conn
	frames  net.Buffers
	decoder codec.Decoder
	buffer  []byte
}

// Send implements Conn.
func (c *centralConn) Send(batches []*Batch) error {
	if len(batches) == 1 {
		_, err := c.Write(batches[0].Frame)
		return err
	}
	c.frames = c.frames[:0]
	for _, b := range batches {
		c.frames = append(c.frames, b.Frame)
	}
	rest := c.frames // WriteTo takes from the front
	if secured, ok := c.Conn.(*securedConn); ok {
		return secured.send(rest)
	}
	_, err := rest.WriteTo(c.Conn)
	return err
}

// Receive implements Conn.
func (c *centralConn) Receive() (acknowledged int, err error) {
	for acknowledged == 0 {
		n, err := c.Read(c.buffer[:cap(c.buffer)])
		if err != nil {
			return 0, err
		}
		for data := c.buffer[:n]; ; acknowledged++ {
			frame, rest, ok, err := c.decoder.Next(data)
			if err != nil {
				return 0, err
			}
			if !ok {
				break
			}
			if frame.Type != codec.TypeSuccess {
				return 0, unexpected(frame)
			}
			data = rest
		}
	}
	return acknowledged, nil
}

// unexpected describes an answer that is no acknowledgement.
func unexpected(frame codec.Frame) error {
	switch frame.Type {
	case codec.TypeError:
		var refusal codec.Error
		if err := refusal.Decode(frame.Payload); err == nil {
			return fmt.Errorf("the central has refused a request: %s (document %q, number %q)", refusal.Code, refusal.Document, refusal.Number)
		}
	case codec.TypeRetry:
		var retry codec.Retry
		if err := retry.Decode(frame.Payload); err == nil {
			return fmt.Errorf("the central is overloaded: %s", retry.Reason)
		}
	}
	return fmt.Errorf("received %v", frame.Type)
}
