package natstest_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"loteria/cluster/natstest"
)

// NATS does not report damage: a server that leads with a damaged block lacks
// messages that the others have, and its counts do not show it.
func TestAFlippedByteIsAHole(t *testing.T) {
	eachKind(t, func(t *testing.T, c *natstest.Cluster) {
		js := connect(t, c.URLs()...)
		create(t, c, js)
		const messages = 100
		body := strings.Repeat("12345678 ", 100)
		for range messages {
			publish(t, js, body)
		}
		c.WaitCurrent(stream)
		damaged := follower(t, c)
		c.Stop(damaged)
		natstest.FlipByte(t, c.Blocks(damaged, stream)[0], 10_000)
		c.Restart(damaged)
		c.WaitCurrent(stream)
		for i := range c.Size() {
			c.MoveLeader(stream, i)
			state := stored(t, js)
			missing := holes(t, js, state.LastSeq)
			if i == damaged && missing == 0 {
				t.Errorf("%s serves all messages, although a byte of its block was flipped", c.Name(i))
			}
			if i != damaged && missing > 0 {
				t.Errorf("%s lacks %d messages, although nothing of it was damaged", c.Name(i), missing)
			}
			t.Logf("%s, damaged %t: %d of %d messages missing; it says %d messages, %d deleted",
				c.Name(i), i == damaged, missing, state.LastSeq, state.Msgs, state.NumDeleted)
		}
	})
}

// A block that is truncated while the server is down is a hole too, but one that
// the server counts.
func TestATruncatedBlock(t *testing.T) {
	eachKind(t, func(t *testing.T, c *natstest.Cluster) {
		js := connect(t, c.URLs()...)
		create(t, c, js)
		for range 100 {
			publish(t, js, strings.Repeat("12345678 ", 100))
		}
		c.WaitCurrent(stream)
		damaged := follower(t, c)
		c.Stop(damaged)
		if err := os.Truncate(c.Blocks(damaged, stream)[0], 10_000); err != nil {
			t.Fatal(err)
		}
		c.Restart(damaged)
		c.WaitCurrent(stream)
		c.MoveLeader(stream, damaged)
		state := stored(t, js)
		missing := holes(t, js, state.LastSeq)
		if missing == 0 || missing != state.NumDeleted {
			t.Errorf("%d messages missing and %d counted as deleted, want the same and some", missing, state.NumDeleted)
		}
		t.Logf("%d of %d messages missing; it says %d messages, %d deleted", missing, state.LastSeq, state.Msgs, state.NumDeleted)
	})
}

// holes returns how many messages up to the last one the leader lacks.
func holes(t *testing.T, js jetstream.JetStream, last uint64) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	missing := 0
	for n := uint64(1); n <= last; n++ {
		_, err := s.GetMsg(ctx, n)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			missing++
		} else if err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
	}
	return missing
}
