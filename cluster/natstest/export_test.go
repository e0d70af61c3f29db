package natstest

import (
	"context"

	"github.com/nats-io/nats-server/v2/server"
)

// Routes returns the number of a server's routes to others.
func Routes(c *Cluster, i int) int {
	c.t.Helper()
	var z server.Routez
	if err := c.monitor(context.Background(), i, "/routez", &z); err != nil {
		c.t.Fatal(err)
	}
	return z.NumRoutes
}

// ProcessIDs returns those of the servers' processes.
func ProcessIDs(c *Cluster) []int {
	var ids []int
	for _, n := range c.servers {
		ids = append(ids, n.backend.(*process).PID())
	}
	return ids
}
