package agency

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"loteria/codec"
)

const (
	// writeTimeout bounds one write. A central takes frames while it answers others, so
	// one that takes none for that long is gone or stuck.
	writeTimeout = time.Minute
	// lastWords is how long answers are still read after a write has failed:
	// the central may have said why it closed the connection.
	lastWords = time.Second
	// receiveSize is the size in bytes of the buffer for answers.
	receiveSize = 32 << 10
)

// A peer that vanishes without a word is noticed after about a minute. Nothing
// else bounds the wait for an answer.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// link is a connection to the central. When its context ends, it is closed, even
// during a read or write.
type link struct {
	agency  *agency
	ctx     context.Context
	address string
	conn    net.Conn
	unhook  func() bool
	ending  atomic.Bool // see stopReading

	decoder codec.Decoder
	buffer  []byte
	rest    []byte // of buffer, not yet decoded
	heard   bool   // something was decoded
}

// unanswered is a call that made no connection.
type unanswered struct {
	address string
	err     error
}

// connect calls the central until it answers, with growing pauses after each
// round over its addresses.
func (a *agency) connect(ctx context.Context) (*link, error) {
	for round := 1; ; round++ {
		l, failures, err := a.callAll(ctx, round)
		if l != nil || err != nil {
			return l, err
		}
		if round >= a.config.ConnectLimit {
			return nil, failed("connect", unreachable(failures, round))
		}
		pause := a.backoff.pause(round)
		a.logUnanswered(failures[len(failures)-1], round, func(e *zerolog.Event) {
			e.Stringer("pause", pause.Round(time.Millisecond))
		})
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// callAll calls each address once, beginning with the one that answered last, and
// returns the first connection, or the calls that were all unanswered. The error is
// that of ctx, or final. An unfit address is left while there are others.
func (a *agency) callAll(ctx context.Context, round int) (l *link, failures []unanswered, err error) {
	for left := len(a.rotation.addresses) - 1; left >= 0; left-- {
		address := a.rotation.address()
		conn, err := a.call(ctx, address)
		if err == nil {
			a.step(a.log.Debug(), "connect", "success").Str("server_address", address).Send()
			return a.newLink(ctx, address, conn), nil, nil
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if a.leave(err) {
			continue
		}
		if final := (*failure)(nil); errors.As(err, &final) {
			return nil, nil, err
		}
		failures = append(failures, unanswered{address, err})
		// A central that cannot be reached now is not an existing one that closes
		// connections on RESUME, but one that starts or stops.
		delete(a.closings, address)
		a.rotation.advance()
		if left > 0 {
			a.logUnanswered(failures[len(failures)-1], round, func(e *zerolog.Event) { e.Str("next", a.rotation.address()) })
		}
	}
	return nil, failures, nil
}

// call connects to an address, over TLS if configured. The error is a *failure when
// no other call can do better.
func (a *agency) call(ctx context.Context, address string) (net.Conn, error) {
	var config *tls.Config
	if a.config.TLS != nil {
		var err error
		if config, err = a.config.TLS(); err != nil {
			return nil, failed("connect", err)
		}
	}
	dialer := net.Dialer{Timeout: a.config.ConnectTimeout, KeepAliveConfig: keepAlive}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil || config == nil {
		return conn, err
	}
	secured, err := a.secure(ctx, address, conn, config)
	if err != nil { // not a nil *tls.Conn in a net.Conn
		return nil, err
	}
	return secured, nil
}

// logUnanswered logs a call after which another one follows; how says when or
// where.
func (a *agency) logUnanswered(call unanswered, round int, how func(*zerolog.Event)) {
	a.step(a.log.Info(), "connect", "in_progress").Str("server_address", call.address).
		Int("attempt", round).Int("limit", a.config.ConnectLimit).
		Func(how).Str("reason", call.err.Error()).Send()
}

// unreachable says why no address has answered in the last of the rounds.
func unreachable(last []unanswered, rounds int) error {
	if len(last) == 1 {
		return fmt.Errorf("the central %s cannot be reached, given up after %d attempts: %w", last[0].address, rounds, last[0].err)
	}
	reasons := make([]string, len(last))
	for i, call := range last {
		reasons[i] = call.address + ": " + call.err.Error()
	}
	return fmt.Errorf("the central cannot be reached at any of its %d addresses, given up after %d attempts at each: %s",
		len(last), rounds, strings.Join(reasons, "; "))
}

func (a *agency) newLink(ctx context.Context, address string, conn net.Conn) *link {
	return &link{
		agency:  a,
		ctx:     ctx,
		address: address,
		conn:    conn,
		unhook:  context.AfterFunc(ctx, func() { _ = conn.Close() }),
		buffer:  make([]byte, receiveSize),
	}
}

// abort closes the connection, even during a write, without a close_notify.
func (l *link) abort() {
	conn := l.conn
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	_ = conn.Close()
}

// close closes the connection, which no other goroutine uses any more. Over TLS it
// may take five seconds with a central that reads nothing.
func (l *link) close() {
	l.unhook()
	_ = l.conn.Close() // what was to be sent was acknowledged, or is given up
	l.agency.logClosing(l.ctx, "close_connection").Str("server_address", l.address).Send()
}

// send writes whole frames. The error is that of lost. After an error nothing more
// can be written: over TLS an interrupted write spoils later ones.
func (l *link) send(frames []byte) error {
	err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = l.conn.Write(frames)
	}
	if err != nil {
		return l.lost(err)
	}
	return nil
}

// lost returns the error for a connection that err has ended: a *lostError, or a
// *failure when the central has refused it for good. Once it has answered, it has
// accepted the agency: a later error is an accident.
func (l *link) lost(err error) error {
	if unfit := l.agency.unfit(l.address, err); unfit != nil && !l.heard {
		return unfit
	}
	return &lostError{l.address, err}
}

// receive returns the next frame. Its payload is valid until the next call. Until it
// comes, the log now and then says what the agency waits for. The error is that of
// lost, or says how the central broke the protocol.
func (l *link) receive(forWhat wait) (codec.Frame, error) {
	reminder := l.agency.remind.start(forWhat)
	for {
		if len(l.rest) > 0 {
			if !l.heard && l.agency.config.TLS == nil && isTLS(l.rest) {
				return codec.Frame{}, errSpeaksTLS(l.address)
			}
			l.heard = true
			frame, rest, ok, err := l.decoder.Next(l.rest)
			if err != nil {
				return codec.Frame{}, fmt.Errorf("the central broke the protocol: %w", err)
			}
			l.rest = rest
			if ok && l.agency.config.TLS == nil && demandsTLS(frame) {
				return codec.Frame{}, errSpeaksTLS(l.address)
			}
			if ok {
				return frame, nil
			}
		}
		l.setReadDeadline(reminder.due)
		n, err := l.conn.Read(l.buffer)
		l.rest = l.buffer[:n]
		switch {
		case n > 0 || err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && !l.ending.Load():
			reminder.log(l)
		default:
			return codec.Frame{}, l.lost(err)
		}
	}
}

// ask sends one request and receives the first frame of its answer.
func (l *link) ask(request codec.Message, forWhat wait) (codec.Frame, error) {
	frame, err := codec.AppendFrame(nil, request)
	if err != nil {
		return codec.Frame{}, err
	}
	if err := l.send(frame); err != nil {
		// The central may have said something before it closed.
		l.stopReading()
		if answer, readErr := l.receive(forWhat); readErr == nil || isUnfit(readErr) {
			return answer, readErr
		}
		return codec.Frame{}, err
	}
	return l.receive(forWhat)
}

// stopReading lets receive return what has come, and not wait for more. It may
// be called while another goroutine receives.
func (l *link) stopReading() {
	l.ending.Store(true)
	_ = l.conn.SetReadDeadline(time.Now().Add(lastWords))
}

// setReadDeadline sets when a read gives up, unless stopReading has done so.
func (l *link) setReadDeadline(at time.Time) {
	if l.ending.Load() {
		return
	}
	_ = l.conn.SetReadDeadline(at)
	if l.ending.Load() { // since the line above
		_ = l.conn.SetReadDeadline(time.Now().Add(lastWords))
	}
}

// listen waits for the central to speak or to close the connection, and
// reports false when it did close it.
func (l *link) listen(d time.Duration) bool {
	l.setReadDeadline(time.Now().Add(d))
	n, err := l.conn.Read(l.buffer)
	l.rest = l.buffer[:n]
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}

// decline returns the error for an answer that does not grant a request: a
// *refusedError, a *retryError, or that it does not fit the request.
func decline(request string, answer codec.Frame) error {
	switch answer.Type {
	case codec.TypeError:
		refused := &refusedError{request: request}
		if err := decode(answer, &refused.answer); err != nil {
			return err
		}
		return refused
	case codec.TypeRetry:
		var retry codec.Retry
		if err := decode(answer, &retry); err != nil {
			return err
		}
		return &retryError{retry.Reason}
	}
	return unexpected(request, answer.Type)
}

func decode(frame codec.Frame, m codec.Message) error {
	if err := m.Decode(frame.Payload); err != nil {
		return fmt.Errorf("the central broke the protocol: %v: %w", frame.Type, err)
	}
	return nil
}
