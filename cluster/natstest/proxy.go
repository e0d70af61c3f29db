package natstest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	dialTime   = 2 * time.Second
	bufferSize = 64 << 10 // bytes for each direction of a connection
)

// proxy passes TCP connections on to a target that may change. It can refuse
// and close them (cut), or keep them and pass nothing (stall).
type proxy struct {
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	target string // empty: the server is down, connections are refused
	cuts   int
	stalls int
	mutes  int
	flows  chan struct{} // closed while nothing stalls
	links  map[*link]struct{}
	closed bool
}

// link is one connection through a proxy.
type link struct {
	context context.Context // ends with the link
	abort   context.CancelFunc
}

func newProxy() (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, flows: make(chan struct{}), links: make(map[*link]struct{})}
	close(p.flows)
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// point sets where new connections go.
func (p *proxy) point(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// cut closes all connections and refuses new ones until the returned function
// is called.
func (p *proxy) cut() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts++
	p.abortAll()
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.cuts--
	})
}

// drop closes all connections.
func (p *proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.abortAll()
}

func (p *proxy) abortAll() {
	for l := range p.links {
		l.abort()
	}
}

// stall passes no byte until the returned function is called. New connections
// are accepted, and wait too.
func (p *proxy) stall() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalls++; p.stalls == 1 {
		p.flows = make(chan struct{})
	}
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.stalls--; p.stalls == 0 {
			close(p.flows)
		}
	})
}

// mute lets bytes pass to the target, and drops what comes back, until the
// returned function closes all connections, as they have lost bytes.
func (p *proxy) mute() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mutes++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mutes--
		p.abortAll()
	})
}

func (p *proxy) muted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mutes > 0
}

// pass waits until nothing stalls, and returns false if the link ends first.
func (p *proxy) pass(l *link) bool {
	for {
		p.mu.Lock()
		stalled, flows := p.stalls > 0, p.flows
		p.mu.Unlock()
		if l.context.Err() != nil {
			return false
		}
		if !stalled {
			return true
		}
		select {
		case <-flows:
		case <-l.context.Done():
			return false
		}
	}
}

// close ends the proxy and all its connections, and waits for its goroutines.
func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.abortAll()
	p.mu.Unlock()
	p.listener.Close()
	p.running.Wait()
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // it was gone already, or no descriptor is free: the next may work
			time.Sleep(time.Millisecond)
			continue
		}
		p.running.Go(func() { p.serve(conn.(*net.TCPConn)) })
	}
}

// open registers a link, or returns nil if connections are refused.
func (p *proxy) open() *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.cuts > 0 || p.target == "" && p.stalls == 0 {
		return nil
	}
	l := &link{}
	l.context, l.abort = context.WithCancel(context.Background())
	p.links[l] = struct{}{}
	return l
}

func (p *proxy) serve(near *net.TCPConn) {
	l := p.open()
	if l == nil {
		reset(near)
		return
	}
	defer func() {
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
		l.abort()
	}()
	stop := context.AfterFunc(l.context, func() { reset(near) })
	defer stop()
	defer near.Close()
	if !p.pass(l) {
		return
	}
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	dialer := net.Dialer{Timeout: dialTime}
	conn, err := dialer.DialContext(l.context, "tcp", target)
	if err != nil {
		reset(near)
		return
	}
	far := conn.(*net.TCPConn)
	defer far.Close()
	stopFar := context.AfterFunc(l.context, func() { reset(far) })
	defer stopFar()

	var there sync.WaitGroup
	there.Go(func() { p.copy(l, far, near, func() bool { return false }) })
	p.copy(l, near, far, p.muted)
	there.Wait()
}

// copy copies bytes from one side to the other until EOF, except while dropped
// returns true. An error ends the link.
func (p *proxy) copy(l *link, to, from *net.TCPConn, dropped func() bool) {
	buffer := make([]byte, bufferSize)
	for {
		n, err := from.Read(buffer)
		if !p.pass(l) {
			return
		}
		if n > 0 && !dropped() {
			if _, err := to.Write(buffer[:n]); err != nil {
				l.abort()
				return
			}
		}
		if errors.Is(err, io.EOF) {
			to.CloseWrite()
			return
		}
		if err != nil {
			l.abort()
			return
		}
	}
}

// reset closes a connection as a host that is gone would: queued bytes are
// dropped.
func reset(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}
