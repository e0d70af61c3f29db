package reactor

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"loteria/codec"
)

// maxEnrolling bounds the connections, accepted or moved, that wait for their loop to
// take them.
const maxEnrolling = 64

// connectionLimits counts the open connections.
type connectionLimits struct {
	mu        sync.Mutex
	open      int
	addresses map[string]int // open connections from each IPv4 address or IPv6 network
}

// enter lets a connection of the peer in, or returns why there is no room.
func (d *connectionLimits) enter(peer string, config *Config) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	from := origin(peer)
	switch {
	case d.open >= config.MaxConnections:
		return fmt.Errorf("there are %d connections, more are not taken", config.MaxConnections)
	case d.addresses[from] >= config.MaxPerAddress:
		return fmt.Errorf("there are %d connections from %s, more are not taken", config.MaxPerAddress, from)
	}
	d.open++
	d.addresses[from]++
	return nil
}

// leave forgets a connection of the peer.
func (d *connectionLimits) leave(peer string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	from := origin(peer)
	d.open--
	if d.addresses[from]--; d.addresses[from] == 0 {
		delete(d.addresses, from)
	}
}

// origin returns what counts as one address: in IPv6 the network of 64 bits, since a
// host may use all of it (RFC 4291, 2.5.4).
func origin(peer string) string {
	address, err := netip.ParseAddr(peer)
	if err != nil {
		return peer
	}
	if address = address.Unmap(); address.Is4() {
		return address.String()
	}
	network, _ := address.Prefix(64)
	return network.String()
}

func (d *connectionLimits) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// admit counts a connection, if there is room for it; if not, it has it refused.
func (s *Server) admit(conn net.Conn, refuse func(net.Conn, error)) (peer string, ok bool) {
	peer = peerOf(conn)
	reason := s.limits.enter(peer, &s.config)
	if reason != nil {
		s.refused.add(1)
		s.logFailure("accept_connection", peer, reason)
		refuse(conn, reason)
	}
	return peer, reason == nil
}

// take admits a connection and hands it to a loop.
func (s *Server) take(conn net.Conn) {
	peer, ok := s.admit(conn, refuse)
	if !ok {
		return
	}
	shard := s.shardForNew()
	s.enrolling <- struct{}{}
	go func() { // the loop may be busy
		shard.enroll(newSession(s, shard, peer), conn)
		<-s.enrolling
	}()
}

// leastLoaded returns the loop for one more connection, and counts it there.
func (s *Server) leastLoaded() *shard {
	shard := s.fewestConnections()
	shard.connections.add(1)
	return shard
}

// fewestConnections returns the loop that has the fewest connections, of those that do
// not wait long for the disk, if there are any.
func (s *Server) fewestConnections() *shard {
	load := func(sh *shard) int {
		if sh.isStuck() {
			return math.MaxInt
		}
		return sh.connections.get()
	}
	return slices.MinFunc(s.shards, func(a, b *shard) int { return cmp.Compare(load(a), load(b)) })
}

// enroll hands a connection to the loop. One that it does not open is closed.
func (sh *shard) enroll(s *session, conn net.Conn) {
	if err := sh.give(s, conn); err != nil {
		sh.left(s)
		sh.server.logFailure("accept_connection", s.peer, err)
	}
}

// give hands a connection to the loop, for the session, and waits until it is there.
func (sh *shard) give(s *session, conn net.Conn) error {
	before := s.opened.Load()
	_, err := sh.client.EnrollContext(conn, s)
	if err == nil && s.opened.Load() == before {
		err = errors.New("the event loop does not take it")
	}
	return err
}

// refuse closes a connection. The peer is told why, which a new socket takes without
// waiting; the deadline is there so that this has a bound.
func refuse(conn net.Conn, reason error) {
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write(appendReply(nil, &codec.Retry{Reason: reason.Error()}))
	conn.Close()
}

// peerOf returns the IP address at the other end.
func peerOf(conn net.Conn) string {
	if address, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return address.IP.String()
	}
	return "unknown"
}
