package agency

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// garbled flips a bit of the version in the next record's header, once, when told
// to. Records come one at a time.
type garbled struct {
	net.Conn
	next atomic.Bool
}

func (g *garbled) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if n > 1 && g.next.CompareAndSwap(true, false) {
		b[1] ^= 1
	}
	return n, err
}

// Read reports damage as an error that a fake takes for an agency that has left.
func (d *damaged) Read(b []byte) (int, error) {
	n, err := d.Conn.Read(b)
	if errors.As(err, new(tls.RecordHeaderError)) {
		err = io.EOF
	}
	return n, err
}

type damaged struct{ *tls.Conn }

// A central that finds another TLS version in a record in the middle of a connection
// has not refused the agency: the data was damaged on its way, and is sent again.
func TestAlertInTheMiddle(t *testing.T) {
	i := newIssuer(t)
	config := i.central()
	central := &fake{knowsResume: true, t: t}
	var conn atomic.Pointer[garbled]
	central.onBatch = func(n int) ([]byte, bool) {
		if n == 2 && central.once(n) {
			conn.Load().next.Store(true)
		}
		return nil, false
	}
	var calls atomic.Int32
	address := serve(t, func(_ int, p *peer) {
		calls.Add(1)
		mine := &garbled{Conn: p.Conn}
		conn.Store(mine)
		secured := tls.Server(mine, config)
		if secured.Handshake() != nil {
			return
		}
		defer secured.Close()
		central.handle(&peer{&damaged{secured}, t})
	})
	rows := sampleRows(60)
	run := i.agency(batchConfig(t, address, rows))
	run.Window = 1
	completed(t, run)
	central.wantStored(rows)
	if n := calls.Load(); n != 2 {
		t.Errorf("the central was called %d times, expected twice", n)
	}
}
