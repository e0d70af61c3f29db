package agency

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"loteria/codec"
)

const (
	// writeTimeout bounds one write. A central takes frames while it answers
	// others, so one that takes none for so long is gone or stuck.
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

// link is a connection to the central. When the context that it was made with
// ends, it is closed under whoever reads or writes.
type link struct {
	agency *agency
	ctx    context.Context
	conn   net.Conn
	unhook func() bool

	decoder codec.Decoder
	buffer  []byte
	rest    []byte // of buffer, not yet decoded
}

// connect calls the central until it answers, with growing pauses.
func (a *agency) connect(ctx context.Context) (*link, error) {
	dialer := net.Dialer{Timeout: a.config.ConnectTimeout, KeepAliveConfig: keepAlive}
	for attempt := 1; ; attempt++ {
		conn, err := dialer.DialContext(ctx, "tcp", a.config.Address)
		if err == nil {
			a.step(a.log.Debug(), "connect", "success").Str("server_address", a.config.Address).Send()
			return a.newLink(ctx, conn), nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if attempt >= a.config.ConnectLimit {
			return nil, failed("connect", fmt.Errorf("the central %s cannot be reached, given up after %d attempts: %w",
				a.config.Address, attempt, err))
		}
		pause := a.backoff.pause(attempt)
		a.step(a.log.Info(), "connect", "in_progress").Str("server_address", a.config.Address).
			Int("attempt", attempt).Int("limit", a.config.ConnectLimit).
			Stringer("pause", pause.Round(time.Millisecond)).Str("reason", err.Error()).Send()
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

func (a *agency) newLink(ctx context.Context, conn net.Conn) *link {
	return &link{
		agency: a,
		ctx:    ctx,
		conn:   conn,
		unhook: context.AfterFunc(ctx, func() { _ = conn.Close() }),
		buffer: make([]byte, receiveSize),
	}
}

// abort ends the connection under whoever writes to it.
func (l *link) abort() { _ = l.conn.Close() }

// close closes the connection, which nobody else uses any more.
func (l *link) close() {
	l.unhook()
	_ = l.conn.Close() // what was to be sent was acknowledged, or is given up
	l.agency.logClosing(l.ctx, "close_connection").Str("server_address", l.agency.config.Address).Send()
}

// send writes whole frames. The error is a *lostError.
func (l *link) send(frames []byte) error {
	err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = l.conn.Write(frames)
	}
	if err != nil {
		return &lostError{err}
	}
	return nil
}

// receive returns the next frame. Its payload is valid until the next call.
// The error is a *lostError, or says how the central broke the protocol.
func (l *link) receive() (codec.Frame, error) {
	for {
		if len(l.rest) > 0 {
			frame, rest, ok, err := l.decoder.Next(l.rest)
			if err != nil {
				return codec.Frame{}, fmt.Errorf("the central broke the protocol: %w", err)
			}
			l.rest = rest
			if ok {
				return frame, nil
			}
		}
		n, err := l.conn.Read(l.buffer)
		l.rest = l.buffer[:n]
		if n == 0 && err != nil {
			return codec.Frame{}, &lostError{err}
		}
	}
}

// ask sends one request and receives the first frame of its answer.
func (l *link) ask(request codec.Message) (codec.Frame, error) {
	frame, err := codec.AppendFrame(nil, request)
	if err != nil {
		return codec.Frame{}, err
	}
	if err := l.send(frame); err != nil {
		// The central may have said something before it closed.
		l.stopReading()
		if answer, readErr := l.receive(); readErr == nil {
			return answer, nil
		}
		return codec.Frame{}, err
	}
	return l.receive()
}

// stopReading lets receive return what has come, and not wait for more.
func (l *link) stopReading() { _ = l.conn.SetReadDeadline(time.Now().Add(lastWords)) }

// listen waits for the central to speak or to close the connection, and
// reports false when it did close it.
func (l *link) listen(d time.Duration) bool {
	_ = l.conn.SetReadDeadline(time.Now().Add(d))
	n, err := l.conn.Read(l.buffer)
	l.rest = l.buffer[:n]
	_ = l.conn.SetReadDeadline(time.Time{})
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}

// decline returns the error for an answer that does not say yes to a request:
// a *refusedError, a *retryError, or that it is no answer to it at all.
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
