// Package accept gives each connection of a listener a goroutine. The servers
// that are compared with the central share it.
package accept

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// closeTime is how long Close waits for the connections' goroutines.
const closeTime = 10 * time.Second

// Loop accepts connections.
type Loop struct {
	handle  func(net.Conn)
	closing chan struct{}

	mu       sync.Mutex
	closed   bool
	listener net.Listener
	conns    map[net.Conn]struct{}
	handling sync.WaitGroup
}

// New returns a Loop that gives each connection to handle, on a goroutine of
// its own. The connection is closed when handle returns.
func New(handle func(net.Conn)) *Loop {
	return &Loop{handle: handle, closing: make(chan struct{}), conns: make(map[net.Conn]struct{})}
}

// Serve accepts connections until Close, and then returns nil. It is called
// once.
func (l *Loop) Serve(listener net.Listener) error {
	l.mu.Lock()
	l.listener = listener
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return listener.Close()
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		if !l.begin(conn) {
			conn.Close()
		}
	}
}

func (l *Loop) begin(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.conns[conn] = struct{}{}
	l.handling.Go(func() {
		defer l.end(conn)
		l.handle(conn)
	})
	return true
}

func (l *Loop) end(conn net.Conn) {
	conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
}

// Closing is closed when Close is called.
func (l *Loop) Closing() <-chan struct{} { return l.closing }

// Close closes the listener and all connections, and waits until their
// goroutines have ended. It is called once.
func (l *Loop) Close() error {
	l.mu.Lock()
	l.closed = true
	close(l.closing)
	var err error
	if l.listener != nil {
		err = l.listener.Close()
	}
	for conn := range l.conns {
		conn.Close()
	}
	l.mu.Unlock()

	ended := make(chan struct{})
	go func() {
		l.handling.Wait()
		close(ended)
	}()
	timeout := time.NewTimer(closeTime)
	defer timeout.Stop()
	select {
	case <-ended:
		return err
	case <-timeout.C:
		return errors.Join(err, fmt.Errorf("some connections have not ended within %v", closeTime))
	}
}
