package natstest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

const (
	central      = "central"
	operator     = "operator"
	system       = "system"
	operatorPass = "operator-of-tests"

	// deadAddress is what servers advertise to other servers. Nothing listens
	// there, so that no server finds a way past the proxies.
	deadAddress = "127.0.0.1:1"
)

// Cluster is one NATS server or three, with proxies between them and in front
// of them.
type Cluster struct {
	t       testing.TB
	make1   func(i int) backend
	servers []*node
	clients []*proxy   // one in front of each server
	routes  [][]*proxy // from the first to the second; nil from one to itself
}

// backend runs a server, in this process or in its own. It is called by one
// goroutine at a time.
type backend interface {
	// start returns the server's addresses when it accepts connections.
	start() (addresses, error)
	stop() error
	kill() error
	// pause returns false if the server itself cannot be stopped, so that its
	// connections must be stalled.
	pause() (bool, error)
	resume() error
}

// addresses are a running server's, as host:port.
type addresses struct{ client, cluster, monitor string }

type state int

const (
	down state = iota
	running
	paused
)

// node is one server of a cluster.
type node struct {
	name string
	dir  string // StoreDir
	backend

	mu       sync.Mutex // held while the server starts and stops
	unstall  func()     // ends the stalls of a pause; nil without them
	seen     sync.Mutex // guards the fields below
	state    state
	at       addresses
	isolated int
}

func (n *node) set(s state, at addresses) {
	n.seen.Lock()
	defer n.seen.Unlock()
	n.state, n.at = s, at
}

func (n *node) look() (state, addresses, int) {
	n.seen.Lock()
	defer n.seen.Unlock()
	return n.state, n.at, n.isolated
}

// build makes n servers with their proxies, and starts them.
func build(t testing.TB, n int, make1 func(c *Cluster, i int) backend) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	c.make1 = func(i int) backend { return make1(c, i) }
	t.TempDir() // its removal must come after close
	t.Cleanup(c.close)
	for i := range n {
		c.servers = append(c.servers, &node{name: fmt.Sprintf("nats-%d", i), dir: t.TempDir()})
		c.clients = append(c.clients, c.newProxy())
		c.routes = append(c.routes, make([]*proxy, n))
		for j := range n {
			if i != j {
				c.routes[i][j] = c.newProxy()
			}
		}
	}
	// The first election is at once. If it finds no route, the next is some
	// 5 s later: so the routes are stalled until all servers run.
	var flow []func()
	for i := range n {
		flow = append(flow, each(c.routes[i], (*proxy).stall))
	}
	errs := make(chan error, n)
	for i, s := range c.servers {
		s.backend = c.make1(i)
		go func() { errs <- c.start(i) }()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	for _, f := range flow {
		f()
	}
	if t.Failed() {
		t.FailNow()
	}
	c.WaitReady()
	return c
}

// Add starts one more server, which knows the others' addresses while they do not
// know its own, and returns its number when the meta leader knows it.
func (c *Cluster) Add() int {
	c.t.Helper()
	i := len(c.servers)
	n := &node{name: fmt.Sprintf("nats-%d", i), dir: c.t.TempDir()}
	var routes []*proxy
	for j, other := range c.servers {
		p := c.newProxy()
		_, at, _ := other.look()
		p.point(at.cluster)
		routes = append(routes, p)
		c.routes[j] = append(c.routes[j], nil)
	}
	c.servers = append(c.servers, n)
	c.clients = append(c.clients, c.newProxy())
	c.routes = append(c.routes, append(routes, nil))
	n.backend = c.make1(i)
	c.Restart(i)
	c.WaitReady()
	return i
}

func (c *Cluster) newProxy() *proxy {
	c.t.Helper()
	p, err := newProxy()
	if err != nil {
		c.t.Fatalf("a proxy: %v", err)
	}
	return p
}

// Size returns the number of servers.
func (c *Cluster) Size() int { return len(c.servers) }

// Name returns the server's name, as in stream infos.
func (c *Cluster) Name(i int) string { return c.servers[i].name }

// URLs returns the clients' URLs, one for each server. They stay the same over
// restarts.
func (c *Cluster) URLs() []string { return c.urls("") }

// OperatorURLs are URLs for a user that may delete and change streams.
func (c *Cluster) OperatorURLs() []string { return c.urls(operator + ":" + operatorPass + "@") }

// SystemURLs are URLs for the user that looks after the servers themselves, of
// servers that are processes.
func (c *Cluster) SystemURLs() []string { return c.urls(system + ":" + operatorPass + "@") }

// Monitor returns the address, host:port, of a running server's health and metrics.
func (c *Cluster) Monitor(i int) string {
	_, at, _ := c.servers[i].look()
	return at.monitor
}

func (c *Cluster) urls(user string) []string {
	urls := make([]string, 0, len(c.clients))
	for _, p := range c.clients {
		urls = append(urls, "nats://"+user+p.address())
	}
	return urls
}

// Running returns true if the server is neither down nor paused.
func (c *Cluster) Running(i int) bool {
	s, _, _ := c.servers[i].look()
	return s == running
}

// Stop ends a server in an orderly way.
func (c *Cluster) Stop(i int) {
	c.t.Helper()
	c.end(i, "stop", func(n *node) error { return n.stop() })
}

// Kill ends a server abruptly. A paused one can be killed too.
func (c *Cluster) Kill(i int) {
	c.t.Helper()
	c.end(i, "kill", func(n *node) error {
		defer c.silence(i)()
		return n.kill()
	})
}

func (c *Cluster) end(i int, how string, end func(*node) error) {
	c.t.Helper()
	n := c.servers[i]
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, _, _ := n.look(); s == down || s == paused && how == "stop" {
		c.t.Fatalf("%s %s: it does not run", how, n.name)
	}
	if err := end(n); err != nil {
		c.t.Fatalf("%s %s: %v", how, n.name, err)
	}
	n.set(down, addresses{})
	c.point(i, addresses{})
	if n.unstall != nil {
		n.unstall()
		n.unstall = nil
	}
}

// Restart starts a server that is down, and returns when it accepts connections.
// It may not know a leader by then: WaitReady and WaitCurrent wait for that.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	if err := c.start(i); err != nil {
		c.t.Fatal(err)
	}
}

func (c *Cluster) start(i int) error {
	n := c.servers[i]
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, _, _ := n.look(); s != down {
		return fmt.Errorf("start %s: it runs already", n.name)
	}
	at, err := n.start()
	if err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	n.set(running, at)
	c.point(i, at)
	return nil
}

// point directs the proxies to the server.
func (c *Cluster) point(i int, at addresses) {
	c.clients[i].point(at.client)
	for from := range c.servers {
		if p := c.routes[from][i]; p != nil {
			p.point(at.cluster)
		}
	}
}

// Wipe empties the folder of a server that is down.
func (c *Cluster) Wipe(i int) {
	c.t.Helper()
	n := c.servers[i]
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, _, _ := n.look(); s != down {
		c.t.Fatalf("wipe %s: it runs", n.name)
	}
	entries, err := os.ReadDir(n.dir)
	if err != nil {
		c.t.Fatalf("wipe %s: %v", n.name, err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(n.dir, e.Name())); err != nil {
			c.t.Fatalf("wipe %s: %v", n.name, err)
		}
	}
}

// close ends everything. Servers are killed: their folders are not needed.
func (c *Cluster) close() {
	var ends sync.WaitGroup
	for i, n := range c.servers {
		ends.Go(func() {
			defer c.silence(i)()
			n.mu.Lock()
			defer n.mu.Unlock()
			if s, _, _ := n.look(); s == down {
				return
			}
			if err := n.kill(); err != nil {
				c.t.Errorf("the end of %s: %v", n.name, err)
			}
		})
	}
	ends.Wait()
	for i := range c.clients {
		c.clients[i].close()
		for _, p := range c.routes[i] {
			if p != nil {
				p.close()
			}
		}
	}
}
