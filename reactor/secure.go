package reactor

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// secure is the TLS of a connection whose peer has proved which agency it is. It
// belongs to the session's event loop.
//
// TLS tells an orderly end from a truncated stream (RFC 8446, 6.1). Here that makes
// no difference: each request and each answer is a frame, which holds its length,
// and half a frame counts for nothing.
type secure struct {
	*tls.Conn
	transport *transport
	ended     bool // its close_notify was sent: nothing may follow
}

const (
	// maxRecord is more than the longest TLS record, in bytes.
	maxRecord = 17 << 10
	// maxSealed is how many bytes of winners are sealed at once. What the socket does
	// not take of them is buffered, unlike the winners themselves.
	maxSealed = 8 << 10
)

// openSecured notes which agency the connection speaks for. It asks once
// IdentifyAgain would ask, too, so that no revocation is missed in between.
func (s *session) openSecured() error {
	s.secure.transport.enter()
	s.server.secured.add(1)
	return s.identify()
}

func (s *session) identify() error {
	agency, err := s.server.config.TLS.Identify(s.secure.ConnectionState())
	if err == nil {
		s.agency = agency
	}
	return err
}

// IdentifyAgain identifies the agency of every open connection again: certificates
// may have been revoked. Connections of peers that are no longer an agency are
// closed. It does not wait for that.
func (s *Server) IdentifyAgain() {
	for _, shard := range s.shards {
		below := math.MaxInt
		var piece func()
		piece = func() {
			if below = shard.piece(below, (*session).identifyAgain); below > 0 {
				shard.mail.put(task{do: piece})
			}
		}
		shard.mail.put(task{do: piece})
	}
}

func (s *session) identifyAgain() {
	if s.secure == nil || s.state == closed {
		return
	}
	if err := s.identify(); err != nil {
		s.server.logFailure("identify_agency", s.peer, err)
		s.close() // its next handshake tells it why
	}
}

// receiveSealed takes what has come in over TLS.
func (s *session) receiveSealed(data []byte) {
	if s.state == draining { // it is not decrypted
		s.ignore(len(data))
		return
	}
	if !s.isWithin() {
		s.since = time.Now()
	}
	sh, t := s.shard(), s.secure.transport
	if sh.opened == nil {
		sh.opened = make([]byte, readBuffer+maxRecord) // of one read, and of a record before it
	}
	s.claim()
	t.in = data
	size := 0
	var err error
	for err == nil {
		var n int
		n, err = s.secure.Read(sh.opened[size:])
		size += n
	}
	s.output(sh.takeSealed()) // alerts, and answers to new keys
	s.pass()
	if s.state != closed && size > 0 {
		s.receive(sh.opened[:size])
	}
	switch {
	case s.state == closed || err == errNoInput:
	case errors.Is(err, io.EOF):
		s.endOfInput()
	default:
		s.server.logFailure(actions[0], s.peer, err)
		s.close()
	}
}

// endOfInput follows the peer's close_notify. The peer gets the replies to come.
func (s *session) endOfInput() {
	s.takeWritten()
	if len(s.jobs) == 0 && !s.owes() {
		s.close()
		return
	}
	s.endInput()
}

// claim lets only the loop write to the connection, until pass. Only TLS needs it.
func (s *session) claim() {
	if s.secure == nil {
		return
	}
	rest := s.short.claim()
	s.secure.transport.out = &s.shard().sealed
	s.output(rest)
}

// pass lets the shortcut write what is next, if the loop keeps nothing.
func (s *session) pass() { s.short.pass(s.count-uint64(len(s.jobs)), s.owes()) }

// seal returns replies as they go over the wire, valid until the loop's next call.
func (s *session) seal(replies []byte) []byte {
	if s.secure == nil {
		return replies
	}
	if s.secure.ended { // a write has failed while gnet was closing the connection
		return nil
	}
	if _, err := s.secure.Write(replies); err != nil {
		s.cut(fmt.Errorf("seal: %w", err)) // the session has ended
		return nil
	}
	return s.shard().takeSealed()
}

// takeSealed returns what TLS has written since the last call.
func (sh *shard) takeSealed() []byte {
	sealed := sh.sealed
	if sh.sealed = sealed[:0]; cap(sealed) > maxSpareJob {
		sh.sealed = nil
	}
	return sealed
}

// putPart writes a part of a long reply, and returns how much of it is written,
// or sealed and kept.
func (s *session) putPart(reply []byte) (n int) {
	reply = reply[:min(len(reply), maxPart)]
	if s.secure == nil {
		return s.put(reply)
	}
	for n < len(reply) && len(s.unread) == 0 && s.state != closed {
		piece := reply[n:min(n+maxSealed, len(reply))]
		sealed := s.seal(piece)
		if rest := sealed[s.put(sealed):]; len(rest) > 0 && s.state != closed {
			s.unread = append([]byte(nil), rest...)
			s.server.debts.set(s, len(s.unread))
		}
		n += len(piece)
	}
	return n
}

// sayEnd sends TLS's close_notify, if the socket takes it.
func (s *session) sayEnd() {
	if s.secure == nil || s.owes() || len(s.short.claim()) > 0 { // a record is half written
		return
	}
	s.secure.transport.out = &s.shard().sealed
	_ = s.secure.CloseWrite() // says so once
	s.secure.ended = true
	if sealed := s.shard().takeSealed(); len(sealed) > 0 {
		_, _ = unix.Write(s.conn.Fd(), sealed)
	}
}
