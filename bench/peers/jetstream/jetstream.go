// Package jetstream stores the bets in NATS JetStream: a stream on disk, whose
// server syncs each message before it acknowledges it
// (https://docs.nats.io/running-a-nats-service/configuration#jetstream,
// sync_interval: always).
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"loteria/bench/generator"
)

const (
	stream    = "BETS"
	subject   = "bets"
	readyTime = 10 * time.Second
	ackTime   = 30 * time.Second
	maxFlying = 4096 // messages of a connection without an acknowledgement
)

// Server is a NATS server within this process.
type Server struct{ server *server.Server }

// Start runs a server that keeps its stream in the folder.
func Start(folder string) (*Server, error) {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: folder, SyncAlways: true,
		NoSigs: true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(readyTime) {
		s.Shutdown()
		return nil, fmt.Errorf("the NATS server is not ready after %v", readyTime)
	}
	if err := makeStream(s.ClientURL()); err != nil {
		s.Shutdown()
		return nil, err
	}
	return &Server{s}, nil
}

func makeStream(url string) error {
	conn, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: stream, Subjects: []string{subject}, Storage: jetstream.FileStorage})
	return err
}

// URL returns the URL for clients.
func (s *Server) URL() string { return s.server.ClientURL() }

// Stop ends the server.
func (s *Server) Stop() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// Target publishes each batch's rows as one message.
type Target struct{ URL string }

// Dial implements generator.Target.
func (t *Target) Dial(context.Context, int) (generator.Conn, error) {
	c, err := nats.Connect(t.URL)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(c, jetstream.WithPublishAsyncMaxPending(maxFlying))
	if err != nil {
		c.Close()
		return nil, err
	}
	return &conn{conn: c, js: js, flying: make(chan jetstream.PubAckFuture, maxFlying), closed: make(chan struct{})}, nil
}

type conn struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	flying chan jetstream.PubAckFuture
	closed chan struct{}
}

// Send implements generator.Conn.
func (c *conn) Send(batches []*generator.Batch) error {
	for _, b := range batches {
		future, err := c.js.PublishAsync(subject, b.Rows)
		if err != nil {
			return err
		}
		c.flying <- future // has room: the generator's window is smaller
	}
	return nil
}

// Receive implements generator.Conn.
func (c *conn) Receive() (int, error) {
	var future jetstream.PubAckFuture
	select {
	case future = <-c.flying:
	case <-c.closed:
		return 0, errors.New("the connection is closed")
	}
	select {
	case <-future.Ok():
		return 1, nil
	case err := <-future.Err():
		return 0, err
	case <-c.closed:
		return 0, errors.New("the connection is closed")
	case <-time.After(ackTime):
		return 0, fmt.Errorf("no acknowledgement within %v", ackTime)
	}
}

// Close implements generator.Conn.
func (c *conn) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	c.conn.Close()
	return nil
}
