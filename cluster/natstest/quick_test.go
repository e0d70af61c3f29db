package natstest_test

import (
	"testing"

	"loteria/cluster/natstest"
)

func TestOneServerKeepsItsStreamOverARestart(t *testing.T) {
	c := natstest.Start(t, 1)
	js := connect(t, c.URLs()...)
	create(t, c, js)
	publishMany(t, js, 0, 10)
	urls := c.URLs()
	c.Stop(0)
	if err := publishOnce(t.Context(), js, "while down"); err == nil {
		t.Error("a message was acknowledged by a server that is down")
	}
	c.Restart(0)
	if c.URLs()[0] != urls[0] {
		t.Errorf("the address is %s after the restart, was %s", c.URLs()[0], urls[0])
	}
	publishMany(t, js, 10, 20)
	c.Kill(0)
	c.Restart(0)
	publishMany(t, js, 20, 30)
	if s := stored(t, js); s.Msgs < 30 || s.NumDeleted != 0 {
		t.Errorf("%d messages and %d holes, want 30 messages", s.Msgs, s.NumDeleted)
	}
}

func TestThreeServersGoOnWithoutAFollower(t *testing.T) {
	c := natstest.Start(t, 3)
	js := connect(t, c.URLs()...)
	create(t, c, js)
	publishMany(t, js, 0, 10)
	f := follower(t, c)
	c.Kill(f)
	publishMany(t, js, 10, 20)
	c.Restart(f)
	c.WaitCurrent(stream)
	c.MoveLeader(stream, f)
	if s := stored(t, js); s.Msgs < 20 || s.NumDeleted != 0 || s.Msgs != s.LastSeq {
		t.Errorf("%+v at the server that was away, want 20 messages or more without holes", s)
	}
}
