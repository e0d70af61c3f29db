package reactor

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"time"
)

// transport is what a tls.Conn of the server reads from and writes to. During the
// handshake that is the connection, and a read may wait. From then on it belongs to
// the connection's event loop, or to the goroutine that takes the shortcut, and
// never waits: it reads what the loop has read, and they send what is written.
//
// After a temporary error, a tls.Conn goes on where it was (Conn.Read and
// readRecordOrCCS in crypto/tls), so such an error tells it that there is no more.
type transport struct {
	conn    net.Conn   // nil after the handshake
	pause   *handshake // notes when it waits for the peer, likewise
	read    int        // bytes during the handshake
	records records    // how far it has read

	in  []byte  // what the loop has read, and TLS has not
	out *[]byte // where what TLS writes goes, to be sent
}

// noInput is the error of a read when the loop has nothing more.
type noInput struct{ error }

func (noInput) Timeout() bool   { return true }
func (noInput) Temporary() bool { return true }

var errNoInput net.Error = noInput{os.ErrDeadlineExceeded}

// Read reads at most the rest of a record, so that TLS buffers no more than one, and
// what the peer sends after its last handshake record stays in the socket for the
// loop.
func (t *transport) Read(p []byte) (n int, err error) {
	p = p[:min(len(p), t.records.missing())]
	switch {
	case t.conn != nil:
		n, err = t.await(p)
	case len(t.in) == 0:
		return 0, errNoInput
	default:
		n = copy(p, t.in)
		t.in = t.in[n:]
	}
	t.records.pass(p[:n])
	return n, err
}

// maxHandshakeBytes is how many bytes of a peer's handshake are read. Most of them
// are certificates, of which crypto/tls would take 256 kB: a hundred forged ones
// cost a stranger nothing and the server a hundred signatures to verify, and an
// agency's own are kept as long as its connection. Four certificates with the
// longest keys in use, RSA with 4,096 bits, take half of it.
const maxHandshakeBytes = 16 << 10

var errLongHandshake = fmt.Errorf("the peer's handshake has more than %d bytes: it sends too many certificates", maxHandshakeBytes)

// await is Read during the handshake.
func (t *transport) await(p []byte) (int, error) {
	if t.read == maxHandshakeBytes {
		return 0, errLongHandshake
	}
	t.pause.rest()
	n, err := t.conn.Read(p[:min(len(p), maxHandshakeBytes-t.read)])
	t.pause.work()
	t.read += n
	if err == nil && t.pause.isLate() { // while it waited for a processor
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

func (t *transport) Write(p []byte) (int, error) {
	if t.conn != nil {
		return t.conn.Write(p)
	}
	*t.out = append(*t.out, p...)
	return len(p), nil
}

// enter ends the handshake phase.
func (t *transport) enter() { t.conn, t.pause = nil, nil }

// The rest of a net.Conn does nothing: only TLS's close_notify sets a deadline, and
// the owner closes the connection.

func (t *transport) Close() error                     { return nil }
func (t *transport) LocalAddr() net.Addr              { return nil }
func (t *transport) RemoteAddr() net.Addr             { return nil }
func (t *transport) SetDeadline(time.Time) error      { return nil }
func (t *transport) SetReadDeadline(time.Time) error  { return nil }
func (t *transport) SetWriteDeadline(time.Time) error { return nil }

// recordHeader is the length of a record's header: its type, a version, and the
// length of what follows in two bytes (RFC 8446, 5.1).
const recordHeader = 5

// records follows where TLS records begin and end in a stream.
type records struct {
	header [recordHeader]byte
	got    int // bytes of the header
	left   int // bytes of the record that are still to come, after the header
}

// missing returns how many bytes there are to the end of the header, or of the
// record.
func (r *records) missing() int {
	if r.left > 0 {
		return r.left
	}
	return recordHeader - r.got
}

// pass advances by bytes of the stream, no more than the missing ones.
func (r *records) pass(p []byte) {
	if r.left > 0 {
		r.left -= len(p)
	} else if r.got += copy(r.header[r.got:], p); r.got == recordHeader {
		r.left = int(binary.BigEndian.Uint16(r.header[recordHeader-2:]))
	}
	if r.got == recordHeader && r.left == 0 {
		r.got = 0
	}
}

// within reports whether a record has begun, and not ended.
func (r *records) within() bool { return r.got > 0 }
