// Package redis stores the bets in a Redis stream: one XADD per batch, and a
// server that syncs its append-only file before it answers
// (https://redis.io/docs/latest/operate/oss_and_stack/management/persistence,
// appendfsync always). Debian's package is redis-server.
package redis

import (
	"context"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/gomodule/redigo/redis"
	"loteria/bench/generator"
	"loteria/bench/process"
)

const key = "bets"

// Path returns the server's program, or an error when it is not installed.
func Path() (string, error) { return exec.LookPath("redis-server") }

// Start runs a server that keeps its file in the folder, and returns the
// socket that it listens on.
func Start(ctx context.Context, path, folder string) (s *process.Server, socket string, err error) {
	socket = filepath.Join(folder, "redis.sock")
	// Only a socket in the folder: no port of the machine.
	cmd := exec.CommandContext(ctx, path, "--port", "0", "--unixsocket", socket, "--dir", folder,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no")
	cmd.Dir = folder
	s, err = process.Start(cmd, process.Logs(`ready to accept connections`))
	return s, socket, err
}

// Target adds each batch's rows as one entry of the stream.
type Target struct{ Socket string }

// Dial implements generator.Target.
func (t *Target) Dial(ctx context.Context, _ int) (generator.Conn, error) {
	c, err := redis.DialContext(ctx, "unix", t.Socket)
	if err != nil {
		return nil, err
	}
	return &conn{conn: c}, nil
}

type conn struct {
	conn   redis.Conn // one goroutine may send while another one receives
	closed sync.Once
}

// Send implements generator.Conn.
func (c *conn) Send(batches []*generator.Batch) error {
	for _, b := range batches {
		if err := c.conn.Send("XADD", key, "*", "rows", b.Rows); err != nil {
			return err
		}
	}
	return c.conn.Flush()
}

// Receive implements generator.Conn.
func (c *conn) Receive() (int, error) {
	if _, err := c.conn.Receive(); err != nil {
		return 0, err
	}
	return 1, nil
}

// Close implements generator.Conn.
func (c *conn) Close() (err error) {
	c.closed.Do(func() { err = c.conn.Close() })
	return err
}
