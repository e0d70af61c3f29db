package natstest

import (
	"os"
	"path/filepath"
	"strings"
)

// Access is one client's own path to the servers, through proxies in front of
// those that all clients share: its faults affect this client alone.
type Access struct{ proxies []*proxy }

// NewAccess returns a path to all servers, which ends with the test.
func (c *Cluster) NewAccess() *Access {
	c.t.Helper()
	a := new(Access)
	for _, shared := range c.clients {
		p := c.newProxy()
		c.t.Cleanup(p.close)
		p.point(shared.address())
		a.proxies = append(a.proxies, p)
	}
	return a
}

// Addresses returns where the client connects, as host:port, one for each
// server.
func (a *Access) Addresses() []string {
	var addresses []string
	for _, p := range a.proxies {
		addresses = append(addresses, p.address())
	}
	return addresses
}

// URL returns the addresses as one URL, as commands take it.
func (a *Access) URL() string { return "nats://" + strings.Join(a.Addresses(), ",") }

// Cut closes the client's connections, and refuses new ones until healed.
func (a *Access) Cut() (heal func()) { return each(a.proxies, (*proxy).cut) }

// Drop closes the client's connections once. They may come back at once.
func (a *Access) Drop() {
	for _, p := range a.proxies {
		p.drop()
	}
}

// Stall stops the bytes in both directions, but leaves the connections open.
func (a *Access) Stall() (resume func()) { return each(a.proxies, (*proxy).stall) }

// Mute passes on what the client sends, and drops what the servers answer, until
// drop closes its connections.
func (a *Access) Mute() (drop func()) { return each(a.proxies, (*proxy).mute) }

// CopyLogs copies the logs of servers that are processes to a folder that
// outlives the test, one for each start, and returns its path.
func (c *Cluster) CopyLogs() string {
	folder, err := os.MkdirTemp("", "nats-logs-")
	if err != nil {
		return err.Error()
	}
	for _, n := range c.servers {
		if p, ok := n.backend.(*process); ok {
			_ = os.CopyFS(filepath.Join(folder, n.name), os.DirFS(p.folder))
		}
	}
	return folder
}
