package admin

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// MaxConnections bounds the open connections. One more replaces another one, see
	// visits.
	MaxConnections = 128

	_ = uint(MaxConnections - maxViewers - 1) // there are always some that feed no page
)

// visits are the open connections. At the bound, a new one does not wait, or
// whoever holds all could keep a health probe from its answer: the one that is
// missed the least is closed for it. That is the one that is idle the longest, then
// the one that has sent no request the longest, and then the one whose answer takes
// the longest. Those that feed a page stay. So no answer is cut off before as many
// others have come as there is room for.
type visits struct {
	mu   sync.Mutex
	open map[*visit]struct{}
}

// visit is a connection.
type visit struct {
	net.Conn
	of *visits

	stage stage     // guarded by of.mu, as all that follows
	since time.Time // of the stage
}

// stage is how far a visit is: the lower, the less it is missed.
type stage int

const (
	idle      stage = iota // between two requests
	fresh                  // no request yet
	answering              // a request is being answered
	feeding                // a page, for as long as it likes
)

// visitors is a listener whose connections are visits.
type visitors struct {
	net.Listener
	visits *visits
}

// Accept implements net.Listener.
func (l visitors) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.visits.admit(conn), nil
}

func (v *visits) admit(conn net.Conn) *visit {
	admitted := &visit{Conn: conn, of: v, stage: fresh, since: time.Now()}
	v.mu.Lock()
	var leaves *visit
	if len(v.open) >= MaxConnections {
		leaves = v.leastMissed()
		delete(v.open, leaves)
	}
	if v.open == nil {
		v.open = make(map[*visit]struct{})
	}
	v.open[admitted] = struct{}{}
	v.mu.Unlock()
	if leaves != nil {
		_ = leaves.Conn.Close() // its server notices
	}
	return admitted
}

// leastMissed returns the visit to close for another one.
func (v *visits) leastMissed() (least *visit) {
	for visit := range v.open {
		if visit.stage != feeding && (least == nil || cmp.Or(cmp.Compare(visit.stage, least.stage), visit.since.Compare(least.since)) < 0) {
			least = visit
		}
	}
	return least
}

// Close implements net.Conn.
func (v *visit) Close() error {
	v.of.mu.Lock()
	delete(v.of.open, v)
	v.of.mu.Unlock()
	return v.Conn.Close()
}

func (v *visit) enter(s stage) {
	v.of.mu.Lock()
	defer v.of.mu.Unlock()
	v.stage, v.since = s, time.Now()
}

// visitOf returns the visit behind a connection of the HTTP server.
func visitOf(conn net.Conn) *visit {
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	return conn.(*visit)
}

// visitKey is the context key of a request's visit.
type visitKey struct{}

// withVisit puts it there (http.Server.ConnContext).
func withVisit(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, visitKey{}, visitOf(conn))
}

// noteStage notes how far a connection is (http.Server.ConnState).
func noteStage(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateActive:
		visitOf(conn).enter(answering)
	case http.StateIdle:
		visitOf(conn).enter(idle)
	}
}
