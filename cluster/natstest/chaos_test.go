package natstest_test

import (
	"os"
	"testing"

	"loteria/cluster/natstest"
)

// chaos skips long tests: elections alone take some 5 s each.
func chaos(t *testing.T) {
	t.Helper()
	if os.Getenv("CHAOS") == "" {
		t.Skip("long: CHAOS=1 runs it")
	}
}

// eachKind runs a test on servers in this process and on processes.
func eachKind(t *testing.T, test func(*testing.T, *natstest.Cluster)) {
	chaos(t)
	for _, kind := range kinds() {
		t.Run(kind.name, func(t *testing.T) { test(t, kind.start(t)) })
	}
}

func TestTheLeaderIsKilled(t *testing.T) {
	eachKind(t, func(t *testing.T, c *natstest.Cluster) {
		js := connect(t, c.URLs()...)
		create(t, c, js)
		publishMany(t, js, 0, 10)
		old := c.StreamLeader(patient(t), stream)
		c.Kill(old)
		publishMany(t, js, 10, 20)
		if now := c.StreamLeader(patient(t), stream); now == old {
			t.Errorf("%s still leads", c.Name(now))
		}
		c.Restart(old)
		c.MoveLeader(stream, old) // waits until it has caught up
		c.WaitCurrent(stream)
		whole(t, js, 20)
	})
}

func TestTwoServersAreDown(t *testing.T) {
	eachKind(t, func(t *testing.T, c *natstest.Cluster) {
		js := connect(t, c.URLs()...)
		create(t, c, js)
		publishMany(t, js, 0, 10)
		c.Kill(0)
		c.Kill(1)
		refused(t, js)
		c.Restart(0)
		publishMany(t, js, 10, 20)
		c.Restart(1)
		c.WaitReady()
		c.WaitCurrent(stream)
		whole(t, js, 20)
	})
}

func TestEverythingIsKilledAtOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, c *natstest.Cluster) {
		js := connect(t, c.URLs()...)
		create(t, c, js)
		publishMany(t, js, 0, 100)
		for i := range c.Size() {
			c.Kill(i)
		}
		for i := range c.Size() {
			c.Restart(i)
		}
		c.WaitReady()
		c.WaitCurrent(stream)
		for i := range c.Size() {
			c.MoveLeader(stream, i)
			whole(t, js, 100)
		}
	})
}

// A leader that is cut off accepts nothing, the others continue, and no server
// finds a way around the cut, not even through one that has restarted.
func TestTheLeaderIsIsolated(t *testing.T) {
	for name, cut := range map[string]func(*natstest.Cluster, int) func(){
		"cut": (*natstest.Cluster).Isolate, "stalled": (*natstest.Cluster).StallRoutes,
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, c *natstest.Cluster) {
				js := connect(t, c.URLs()...)
				create(t, c, js)
				publishMany(t, js, 0, 10)
				old := c.StreamLeader(patient(t), stream)
				alone := connect(t, c.URLs()[old])
				heal := cut(c, old)
				refused(t, alone)
				now := c.StreamLeader(patient(t), stream)
				for now == old { // it may not have been missed yet
					now = c.StreamLeader(patient(t), stream)
				}
				others := connect(t, c.URLs()[now])
				publishMany(t, others, 10, 20)
				c.Stop(now)
				c.Restart(now)
				publishMany(t, others, 20, 30)
				refused(t, alone)
				heal()
				c.WaitReady()
				c.WaitCurrent(stream)
				c.MoveLeader(stream, old)
				whole(t, alone, 30)
				for i := range c.Size() {
					if n := natstest.Routes(c, i); n == 0 {
						t.Errorf("%s has no route after the cut was healed", c.Name(i))
					}
				}
			})
		})
	}
}

// Servers know of each other by hearsay, but have no way past the proxies.
func TestNoRouteLeadsPastTheProxies(t *testing.T) {
	eachKind(t, func(t *testing.T, c *natstest.Cluster) {
		c.Isolate(0)()
		c.WaitReady()
		heal := c.Isolate(0)
		defer heal()
		c.Kill(1)
		c.Restart(1)
		c.WaitReady()
		if n := natstest.Routes(c, 0); n != 0 {
			t.Errorf("%d routes of a server that is isolated", n)
		}
	})
}
