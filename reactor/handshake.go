package reactor

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"loteria/codec"
)

// A handshake waits for its peer, so it has a goroutine of its own, which ends with
// it. Their number is bounded, and only some of them may compute, in turns: a storm
// of them leaves processors to the event loops, and turns to other addresses.

const (
	// handshakeGrace is how long in all the server waits for a peer before it may be
	// closed to make room for another: an honest peer needs a round trip. The server's
	// own time does not count.
	handshakeGrace = 250 * time.Millisecond
	// handshakePause is the time between two checks for room.
	handshakePause = 10 * time.Millisecond
)

// Why the server ends a handshake.
var (
	errCrowded  = errors.New("there are too many handshakes, and this one takes longest")
	errStopping = errors.New("the server stops")
)

// handshakes are those in progress.
type handshakes struct {
	most    int
	timeout time.Duration // of each
	grace   time.Duration // handshakeGrace, except in tests
	turns   *turns        // to compute
	room    chan struct{} // one has ended
	running sync.WaitGroup

	mu     sync.Mutex
	all    []*handshake // in the order in which they began
	closed bool
}

func newHandshakes(config *TLS) *handshakes {
	if config == nil {
		config = &TLS{}
	}
	return &handshakes{
		most:    max(config.MaxHandshakes, 1),
		timeout: config.HandshakeTimeout,
		grace:   handshakeGrace,
		turns:   newTurns(max(runtime.GOMAXPROCS(0)/2, 1)),
		room:    make(chan struct{}, 1),
	}
}

// handshake is one connection until its peer has proved who it is.
type handshake struct {
	set    *handshakes
	conn   net.Conn
	from   string // of its peer, for its turns: see origin
	begun  time.Time
	since  atomic.Int64 // when it began to wait for its peer, in nanoseconds after begun; 0 while it does not
	waited atomic.Int64 // nanoseconds, before that

	// Under the lock of its set.
	done  bool  // with success: the connection stays open
	cause error // why the server has closed it
}

// begin adds a handshake. When there are too many, it closes the oldest that waits
// for its peer and has had its grace. Until there is one, the acceptor waits, and so
// do peers in the backlog. It returns nil at a stop.
func (h *handshakes) begin(conn net.Conn) *handshake {
	one := &handshake{set: h, conn: conn, from: origin(peerOf(conn)), begun: time.Now()}
	for !h.add(one) {
		if h.isClosed() {
			return nil
		}
		select {
		case <-h.room:
		case <-time.After(handshakePause):
		}
	}
	return one
}

// add adds a handshake if there is room for it, or can be made.
func (h *handshakes) add(one *handshake) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	if len(h.all) >= h.most {
		longest := slices.IndexFunc(h.all, (*handshake).mayBeCut)
		if longest < 0 {
			return false
		}
		h.all[longest].cut(errCrowded)
		h.all = slices.Delete(h.all, longest, longest+1)
	}
	h.all = append(h.all, one)
	return true
}

func (h *handshakes) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

func (h *handshakes) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all)
}

// close ends all handshakes, and lets none begin. Connections whose handshake is
// done stay open. The goroutines end soon; see running.
func (h *handshakes) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, one := range h.all {
		one.cut(errStopping)
	}
}

// cut closes the connection, unless the handshake is done. The caller holds the
// lock.
func (one *handshake) cut(cause error) {
	if !one.done && one.cause == nil {
		one.cause = cause
		one.conn.Close()
	}
}

// finish notes how the handshake has ended, and returns err, or why the server had
// closed the connection. A failed one still counts as in progress while its peer
// reads why.
func (one *handshake) finish(err error) error {
	one.set.mu.Lock()
	defer one.set.mu.Unlock()
	if one.cause != nil {
		return one.cause
	}
	one.done = err == nil
	return err
}

// whyCut returns why the server has closed the connection, or nil.
func (one *handshake) whyCut() error {
	one.set.mu.Lock()
	defer one.set.mu.Unlock()
	return one.cause
}

// leave makes room for another one.
func (one *handshake) leave() {
	h := one.set
	h.mu.Lock()
	if i := slices.Index(h.all, one); i >= 0 {
		h.all = slices.Delete(h.all, i, i+1)
	}
	h.mu.Unlock()
	select {
	case h.room <- struct{}{}:
	default:
	}
}

// work waits for a processor on which the handshake may compute; rest gives it back,
// to wait for the peer.
func (one *handshake) work() {
	if since := one.since.Swap(0); since != 0 {
		one.waited.Add(int64(time.Since(one.begun)) - since)
	}
	one.set.turns.take(one.from)
}

func (one *handshake) rest() {
	one.set.turns.give()
	one.since.Store(int64(time.Since(one.begun)))
}

// isLate reports whether its time has passed.
func (one *handshake) isLate() bool { return time.Since(one.begun) > one.set.timeout }

// mayBeCut reports whether the handshake waits for its peer, and has had its
// grace.
func (one *handshake) mayBeCut() bool {
	since := one.since.Load()
	return since != 0 && one.waited.Load()+int64(time.Since(one.begun))-since >= int64(one.set.grace)
}

// takeSecured admits a connection whose peer must prove who it is. It counts from
// here on.
func (s *Server) takeSecured(conn net.Conn) {
	peer, ok := s.admit(conn, func(net.Conn, error) { conn.Close() })
	if !ok {
		return
	}
	one := s.handshakes.begin(conn)
	if one == nil {
		conn.Close()
		s.limits.leave(peer)
		return
	}
	s.handshakes.running.Go(func() {
		defer one.leave()
		secure, err := s.shakeHands(one)
		if err == nil {
			shard := s.leastLoaded() // it cannot be moved
			session := newSession(s, shard, peer)
			session.secure = secure
			shard.enroll(session, conn)
			return
		}
		s.reportHandshake(peer, secure.transport, err)
		if one.whyCut() == nil {
			one.linger(err)
		}
		conn.Close()
		s.limits.leave(peer)
		s.wakeStop()
	})
}

// shakeHands does the handshake, within its time.
func (s *Server) shakeHands(one *handshake) (*secure, error) {
	_ = one.conn.SetDeadline(one.begun.Add(one.set.timeout))
	t := &transport{conn: one.conn, pause: one}
	secure := &secure{Conn: tls.Server(t, s.tlsConfig()), transport: t}
	one.work()
	err := secure.Handshake()
	if err != nil {
		one.rest() // to read why
	} else {
		one.set.turns.give()
	}
	return secure, one.finish(err)
}

// derived is a configuration and the one it was made from.
type derived struct{ source, config *tls.Config }

// tlsConfig returns the configuration of a new connection. A peer that is no agency
// fails the handshake, so that an alert tells it that it was the certificate.
func (s *Server) tlsConfig() *tls.Config {
	source := s.config.TLS.Config()
	if last := s.derived.Load(); last != nil && last.source == source {
		return last.config
	}
	config := source.Clone()
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if source.VerifyConnection != nil {
			if err := source.VerifyConnection(state); err != nil {
				return err
			}
		}
		_, err := s.config.TLS.Identify(state)
		return err
	}
	s.derived.Store(&derived{source, config})
	return config
}

// reportHandshake counts and logs a handshake that has failed. A peer that closes
// before it has sent anything is no failure: load balancers check so whether the
// port is open.
func (s *Server) reportHandshake(peer string, t *transport, err error) {
	if err == errStopping || t.read == 0 && isOneOf(err, io.EOF, unix.ECONNRESET) {
		s.config.Log.Debug().Str("action", "close_connection").Str("result", "success").Str("ip", peer).
			Str("reason", err.Error()).Send()
		return
	}
	s.failed.add(1)
	s.logFailure("tls_handshake", peer, s.explain(err))
}

// explain says what has gone wrong in a handshake.
func (s *Server) explain(err error) error {
	var invalid *tls.CertificateVerificationError
	var remote *net.OpError
	switch start, isPlain := startOfPlain(err); {
	case isPlain && isFrame(start):
		return errors.New("the peer speaks no TLS: it has sent a frame as it is, and is told so")
	case isPlain:
		return fmt.Errorf("the peer speaks no TLS: it begins with %q", start)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the handshake is not done after %v", s.config.TLS.HandshakeTimeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the peer has closed the connection in the middle of the handshake")
	case errors.As(err, &invalid) && len(invalid.UnverifiedCertificates) > 0:
		leaf := invalid.UnverifiedCertificates[0]
		whose := leaf.Subject.String()
		if len(leaf.URIs) > 0 {
			whose = leaf.URIs[0].String()
		}
		return fmt.Errorf("the certificate that says %.100q, serial number %x: %w", whose, leaf.SerialNumber, invalid.Err)
	case errors.As(err, &remote) && remote.Op == "remote error":
		return fmt.Errorf("the peer does not go on: %w", remote.Err)
	}
	return err
}

// startOfPlain returns the first bytes of a peer that speaks no TLS.
func startOfPlain(err error) (start []byte, isPlain bool) {
	var header tls.RecordHeaderError
	if !errors.As(err, &header) || header.Conn == nil {
		return nil, false
	}
	return header.RecordHeader[:], true
}

// isFrame reports whether a peer's first bytes may be a frame's: a frame begins with
// 0, or its length would be refused.
func isFrame(start []byte) bool { return start[0] == 0 }

// linger gives the peer a moment to read why the handshake has failed: closing with
// unread bytes in the socket would reset the connection, see replies.go. A peer that
// has sent a frame without TLS gets an ERROR.
func (one *handshake) linger(err error) {
	conn, ok := one.conn.(*net.TCPConn)
	if !ok || isOneOf(err, os.ErrDeadlineExceeded, io.EOF, io.ErrUnexpectedEOF) {
		return
	}
	_ = conn.SetDeadline(time.Now().Add(lingerTime))
	if start, isPlain := startOfPlain(err); isPlain && isFrame(start) {
		_, _ = conn.Write(appendReply(nil, &codec.Error{Code: codec.TLSRequired}))
	}
	_ = conn.CloseWrite()
	_, _ = io.CopyN(io.Discard, conn, maxIgnored)
}
