package natstest_test

import (
	"testing"

	"loteria/cluster/natstest"
)

func TestOneServerKeepsItsStreamOverARestart(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	js := connect(t, c.URLs()...)
	create(t, c, js)
	publishMany(t, js, 0, 10)
	urls := c.URLs()
	c.Stop(0)
	refused(t, js)
	c.Restart(0)
	if c.URLs()[0] != urls[0] {
		t.Errorf("the address is %s after the restart, was %s", c.URLs()[0], urls[0])
	}
	publishMany(t, js, 10, 20)
	c.Kill(0)
	c.Restart(0)
	publishMany(t, js, 20, 30)
	resume := c.Pause(0)
	c.Kill(0)
	c.Restart(0)
	publishMany(t, js, 30, 40)
	resume() // too late: no effect on the server that runs now
	publishMany(t, js, 40, 50)
	whole(t, js, 50)
}

// Three servers without a follower, then without two, then with one whose
// folder was emptied.
func TestThreeServers(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 3)
	js := connect(t, c.URLs()...)
	create(t, c, js)
	publishMany(t, js, 0, 10)
	f := follower(t, c)
	c.Kill(f)
	publishMany(t, js, 10, 20)
	other := 3 - f - c.StreamLeader(patient(t), stream)
	resume := c.Pause(other)
	refused(t, js)
	resume()
	c.Wipe(f)
	c.Restart(f)
	c.WaitCurrent(stream)
	c.MoveLeader(stream, f)
	whole(t, js, 20)
	onlyAnOperatorDeletes(t, c)
}

func TestThreeProcesses(t *testing.T) {
	t.Parallel()
	c := natstest.StartProcesses(t)
	js := connect(t, c.URLs()...)
	create(t, c, js)
	publishMany(t, js, 0, 10)
	f := follower(t, c)
	c.Pause(f)
	publishMany(t, js, 10, 20)
	c.Kill(f)
	publishMany(t, js, 20, 30)
	c.Restart(f)
	c.WaitCurrent(stream)
	whole(t, js, 30)
	onlyAnOperatorDeletes(t, c)
}

func onlyAnOperatorDeletes(t *testing.T, c *natstest.Cluster) {
	t.Helper()
	if err := deleteStream(t, connect(t, c.URLs()...)); err == nil {
		t.Error("a central has deleted the stream")
	}
	if err := deleteStream(t, connect(t, c.OperatorURLs()...)); err != nil {
		t.Errorf("an operator cannot delete the stream: %v", err)
	}
}

func TestClientsCutOffFromNATS(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	js := connect(t, c.URLs()...)
	create(t, c, js)
	for _, cut := range []struct {
		name string
		do   func() (heal func())
	}{
		{"cut", func() func() { return c.CutClients(0) }},
		{"all cut", c.CutAllClients},
		{"stalled", func() func() { return c.StallClients(0) }},
		{"all stalled", c.StallAllClients},
		{"paused", func() func() { return c.Pause(0) }},
	} {
		heal := cut.do()
		refused(t, js)
		heal()
		heal()
		publish(t, js, "after "+cut.name)
	}
	before := js.Conn().Stats().Reconnects
	c.DropClients(0)
	publish(t, js, "after dropped")
	c.DropAllClients()
	publish(t, js, "after all dropped")
	if n := js.Conn().Stats().Reconnects - before; n != 2 {
		t.Errorf("%d reconnects after two drops", n)
	}
	if found := js.Conn().DiscoveredServers(); len(found) > 0 {
		t.Errorf("the client was told a way past the proxies: %v", found)
	}
}

// Faults at the end of a test must not keep it from ending, nor outlast it.
func TestTheEndOfABrokenCluster(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds() {
		t.Run(kind.name, func(t *testing.T) {
			c := kind.start(t)
			create(t, c, connect(t, c.URLs()...))
			c.Isolate(0)
			c.Kill(0)
			c.StallRoutes(1)
			c.StallAllClients()
			c.Pause(1)
			c.Pause(2)
			c.Kill(2)
		})
	}
}
