package reactor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

const (
	keepAlive = time.Minute // until a silent peer is probed

	// A failed accept is retried after a pause that doubles. After acceptsToListen
	// failures in a row, unless for want of descriptors or memory, the next is on a new
	// listener: connections pending on the old one are lost.
	minAcceptPause  = 5 * time.Millisecond
	maxAcceptPause  = time.Second
	acceptsToListen = 8
)

var keepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive / 4, Count: 4}

// listen binds the address. The second listen(2) on the same socket sets the
// backlog (https://man7.org/linux/man-pages/man2/listen.2.html).
func listen(address string, backlog int) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: keepAliveConfig}
	config.SetMultipathTCP(false)
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err == nil {
		if e := raw.Control(func(fd uintptr) { err = os.NewSyscallError("listen", unix.Listen(int(fd), backlog)) }); err == nil {
			err = e
		}
	}
	if err != nil {
		listener.Close()
		return nil, fmt.Errorf("set the listen backlog: %w", err)
	}
	return listener, nil
}

// acceptor accepts connections. gnet's own listener is not used: it stops its engine
// on an unknown error of accept(2), has no backlog option, and listens on a port on
// which another process of the same user already does.
type acceptor struct {
	listen func() (net.Listener, error) // again, on the same port
	take   func(net.Conn)
	log    zerolog.Logger
	closed chan struct{}

	mu       sync.Mutex
	listener net.Listener // nil while there is none
}

func newAcceptor(listener net.Listener, listen func() (net.Listener, error), take func(net.Conn), log zerolog.Logger) *acceptor {
	return &acceptor{listen: listen, take: take, log: log, closed: make(chan struct{}), listener: listener}
}

// run accepts until close.
func (a *acceptor) run() {
	for failures := 0; ; {
		conn, err := a.accept()
		if err == nil {
			failures = 0
			a.take(conn)
		} else if failures++; !a.pause(failures, err) {
			return
		}
	}
}

func (a *acceptor) accept() (net.Conn, error) {
	a.mu.Lock()
	listener := a.listener
	a.mu.Unlock()
	if listener == nil {
		return nil, net.ErrClosed
	}
	return listener.Accept()
}

// pause waits before the next try, and reports false once the acceptor is closed. A
// failed accept ends nothing: descriptors and memory come back.
func (a *acceptor) pause(failures int, err error) bool {
	if a.isClosed() {
		return false
	}
	pause := min(minAcceptPause<<min(failures-1, 16), maxAcceptPause)
	a.log.Warn().Str("action", "accept_connection").Str("result", "in_progress").
		Stringer("retry_in", pause).Err(err).Send()
	select {
	case <-a.closed:
		return false
	case <-time.After(pause):
	}
	if isOneOf(err, net.ErrClosed, unix.EINVAL, unix.EBADF) ||
		failures%acceptsToListen == 0 && !isOneOf(err, unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM) {
		a.listenAgain()
	}
	return true
}

func isOneOf(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// listenAgain replaces a listener that no longer accepts. If it cannot, the next
// accept fails, which leads to another try.
func (a *acceptor) listenAgain() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.isClosed() {
		return
	}
	if a.listener != nil {
		a.listener.Close()
		a.listener = nil
	}
	listener, err := a.listen()
	if err != nil {
		a.log.Warn().Str("action", "listen").Str("result", "in_progress").Err(err).Send()
		return
	}
	a.listener = listener
}

func (a *acceptor) isClosed() bool {
	select {
	case <-a.closed:
		return true
	default:
		return false
	}
}

// close stops accepting.
func (a *acceptor) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.closed)
	if a.listener != nil {
		a.listener.Close()
	}
}
