package natstest

import "sync"

// Isolate cuts a server off from the other servers: the connections between
// them are closed, and new ones refused. Its clients stay connected.
func (c *Cluster) Isolate(i int) (heal func()) {
	return c.apart(i, (*proxy).cut)
}

// StallRoutes stops the bytes between a server and the other servers, but
// leaves the connections open: the servers must notice by themselves.
func (c *Cluster) StallRoutes(i int) (resume func()) {
	return c.apart(i, (*proxy).stall)
}

func (c *Cluster) apart(i int, how func(*proxy) func()) func() {
	n := c.servers[i]
	n.count(1)
	end := each(c.routesOf(i), how)
	return sync.OnceFunc(func() {
		end()
		n.count(-1)
	})
}

func (n *node) count(by int) {
	n.seen.Lock()
	defer n.seen.Unlock()
	n.isolated += by
}

// CutClients closes all connections of clients to a server at once, and
// refuses new ones until healed.
func (c *Cluster) CutClients(i int) (heal func()) { return c.clients[i].cut() }

// CutAllClients is CutClients for all servers.
func (c *Cluster) CutAllClients() (heal func()) { return each(c.clients, (*proxy).cut) }

// DropClients closes all connections of clients to a server once. They may
// come back at once.
func (c *Cluster) DropClients(i int) { c.clients[i].drop() }

// DropAllClients is DropClients for all servers.
func (c *Cluster) DropAllClients() {
	for _, p := range c.clients {
		p.drop()
	}
}

// StallClients stops the bytes between a server and its clients in both
// directions, but leaves the connections open.
func (c *Cluster) StallClients(i int) (resume func()) { return c.clients[i].stall() }

// StallAllClients is StallClients for all servers.
func (c *Cluster) StallAllClients() (resume func()) { return each(c.clients, (*proxy).stall) }

// Pause suspends a server, which keeps its connections, until resumed: SIGSTOP
// and SIGCONT for a process. In this process its connections are stalled
// instead, and its clocks run on. A server that is killed meanwhile needs no
// resume.
func (c *Cluster) Pause(i int) (resume func()) {
	c.t.Helper()
	n := c.servers[i]
	n.mu.Lock()
	defer n.mu.Unlock()
	s, at, _ := n.look()
	if s != running {
		c.t.Fatalf("pause %s: it does not run", n.name)
	}
	stopped, err := n.pause()
	if err != nil {
		c.t.Fatalf("pause %s: %v", n.name, err)
	}
	if !stopped {
		n.unstall = each(append(c.routesOf(i), c.clients[i]), (*proxy).stall)
	}
	n.set(paused, at)
	return sync.OnceFunc(func() {
		c.t.Helper()
		n.mu.Lock()
		defer n.mu.Unlock()
		if s, now, _ := n.look(); s != paused || now != at {
			return // killed meanwhile
		}
		if n.unstall != nil {
			n.unstall()
			n.unstall = nil
		}
		if err := n.resume(); err != nil {
			c.t.Fatalf("resume %s: %v", n.name, err)
		}
		n.set(running, at)
	})
}

// silence cuts a server off completely.
func (c *Cluster) silence(i int) (end func()) {
	return each(append(c.routesOf(i), c.clients[i]), (*proxy).cut)
}

// routesOf returns the proxies between a server and the others.
func (c *Cluster) routesOf(i int) []*proxy {
	var proxies []*proxy
	for j := range c.servers {
		if j != i {
			proxies = append(proxies, c.routes[i][j], c.routes[j][i])
		}
	}
	return proxies
}

func each(proxies []*proxy, how func(*proxy) func()) func() {
	var ends []func()
	for _, p := range proxies {
		if p == nil {
			continue
		}
		ends = append(ends, how(p))
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}
