package natstest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"loteria/cluster/natstest"
)

const (
	stream   = "BETS"
	patience = 60 * time.Second       // for what must come
	attempt  = time.Second            // for one publish
	moment   = 300 * time.Millisecond // for what must not be acknowledged
)

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func connect(t *testing.T, urls ...string) jetstream.JetStream {
	t.Helper()
	// When a test pauses the server that it is connected to, it switches to
	// another one.
	conn, err := nats.Connect(strings.Join(urls, ","), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true), nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // errors are expected
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// create makes the stream with a replica on each server.
func create(t *testing.T, c *natstest.Cluster, js jetstream.JetStream) {
	t.Helper()
	ctx := patient(t)
	for {
		try, cancel := context.WithTimeout(ctx, attempt)
		_, err := js.CreateStream(try, jetstream.StreamConfig{
			Name: stream, Subjects: []string{"bets.>"}, Storage: jetstream.FileStorage, Replicas: c.Size(),
			Discard: jetstream.DiscardNew, DenyDelete: true, DenyPurge: true,
		})
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("create the stream: %v", err)
		}
	}
}

func publishOnce(ctx context.Context, js jetstream.JetStream, body string) error {
	try, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	_, err := js.Publish(try, "bets.1", []byte(body), jetstream.WithRetryAttempts(0))
	return err
}

// publish sends a message until it is acknowledged: it may be stored twice.
func publish(t *testing.T, js jetstream.JetStream, body string) {
	t.Helper()
	ctx := patient(t)
	for {
		err := publishOnce(ctx, js, body)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("publish %q: %v", body, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func publishMany(t *testing.T, js jetstream.JetStream, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		publish(t, js, fmt.Sprintf("bet %d", i))
	}
}

// stored returns the stream's state from its leader.
func stored(t *testing.T, js jetstream.JetStream) jetstream.StreamState {
	t.Helper()
	ctx := patient(t)
	for {
		try, cancel := context.WithTimeout(ctx, attempt)
		s, err := js.Stream(try, stream)
		cancel()
		if err == nil {
			return s.CachedInfo().State
		}
		if ctx.Err() != nil {
			t.Fatalf("the stream's state: %v", err)
		}
	}
}

// follower returns a server that does not lead the stream.
func follower(t *testing.T, c *natstest.Cluster) int {
	t.Helper()
	leader := c.StreamLeader(patient(t), stream)
	if leader < 0 {
		t.Fatal("no leader")
	}
	return (leader + 1) % c.Size()
}

// refused checks that no message is acknowledged.
func refused(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	if err := publishOnce(ctx, js, "for nobody"); err == nil {
		t.Error("a message was acknowledged that nobody could take")
	}
}

// whole checks that the leader has at least that many messages, without a hole:
// an unacknowledged one may be stored nevertheless.
func whole(t *testing.T, js jetstream.JetStream, least uint64) {
	t.Helper()
	s := stored(t, js)
	if s.Msgs < least || s.NumDeleted != 0 || s.FirstSeq != 1 || s.Msgs != s.LastSeq {
		t.Errorf("%d messages from %d to %d, %d deleted; want %d or more without holes", s.Msgs, s.FirstSeq, s.LastSeq, s.NumDeleted, least)
	}
}

func deleteStream(t *testing.T, js jetstream.JetStream) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), attempt)
	defer cancel()
	return js.DeleteStream(ctx, stream)
}

type kind struct {
	name  string
	start func(testing.TB) *natstest.Cluster
}

func kinds() []kind {
	return []kind{
		{"in process", func(t testing.TB) *natstest.Cluster { return natstest.Start(t, 3) }},
		{"processes", natstest.StartProcesses},
	}
}
