// Package postgres stores the bets in a PostgreSQL table: one COPY per batch,
// each a transaction of its own, with the server's defaults (fsync and
// synchronous_commit on). Debian's package is postgresql.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
	"loteria/bench/generator"
	"loteria/bench/process"
)

const (
	maxConnections = 100
	maxFlying      = 4096 // batches of a connection that are stored but not yet received
	table          = `CREATE TABLE bets (agency int, first_name text, last_name text, document text, birthdate date, number int)`
)

// Path returns the folder of the newest server's programs. It fails when there
// is none, or when it cannot run in the folder.
func Path(folder string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // where Debian has them
	if err == nil && len(found) == 0 {
		err = errors.New("there is no /usr/lib/postgresql/*/bin/postgres")
	}
	if err != nil {
		return "", err
	}
	attributes, err := ordinaryUser()
	if err != nil {
		return "", err
	}
	path := filepath.Dir(found[len(found)-1])
	version := exec.Command(filepath.Join(path, "postgres"), "--version")
	version.Dir, version.SysProcAttr = folder, attributes
	if err := version.Run(); err != nil {
		return "", fmt.Errorf("its user cannot run it in %s: %w", folder, err)
	}
	return path, nil
}

// Start makes a database in the folder, runs its server, and returns the
// connection string.
func Start(ctx context.Context, path, folder string) (s *process.Server, url string, err error) {
	attributes, err := ordinaryUser()
	if err != nil {
		return nil, "", err
	}
	if attributes != nil {
		if err := os.Chown(folder, int(attributes.Credential.Uid), int(attributes.Credential.Gid)); err != nil {
			return nil, "", err
		}
	}
	data := filepath.Join(folder, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(path, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C")
	initdb.Dir, initdb.SysProcAttr = folder, attributes
	if output, err := initdb.CombinedOutput(); err != nil {
		return nil, "", fmt.Errorf("initdb: %w\n%s", err, output)
	}
	server := exec.CommandContext(ctx, filepath.Join(path, "postgres"), "-D", data, "-k", folder,
		"-c", "listen_addresses=", "-c", "max_connections="+strconv.Itoa(maxConnections))
	server.Dir, server.SysProcAttr = folder, attributes
	if s, err = process.Start(server, process.Logs(`database system is ready to accept connections`)); err != nil {
		return nil, "", err
	}
	url = "user=postgres dbname=postgres host=" + folder
	if err := makeTable(ctx, url); err != nil {
		return nil, "", errors.Join(err, s.Stop())
	}
	return s, url, nil
}

// ordinaryUser returns the user to run the server as if this one is root, which
// PostgreSQL refuses; nil otherwise.
func ordinaryUser() (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres") // Debian's package makes it
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func makeTable(ctx context.Context, url string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, table)
	return errors.Join(err, c.Close(ctx))
}

// Target copies each batch's rows into the table.
type Target struct{ URL string }

// Dial implements generator.Target.
func (t *Target) Dial(ctx context.Context, _ int) (generator.Conn, error) {
	c, err := pgx.Connect(ctx, t.URL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	return &conn{conn: c, ctx: ctx, cancel: cancel, stored: make(chan struct{}, maxFlying)}, nil
}

// conn copies one batch after the other: the protocol has no window for COPY.
type conn struct {
	conn   *pgx.Conn
	ctx    context.Context // until Close
	cancel context.CancelFunc
	stored chan struct{}
}

// Send implements generator.Conn.
func (c *conn) Send(batches []*generator.Batch) error {
	for _, b := range batches {
		if _, err := c.conn.PgConn().CopyFrom(c.ctx, bytes.NewReader(b.Rows), "COPY bets FROM STDIN (FORMAT csv)"); err != nil {
			return err
		}
		c.stored <- struct{}{} // has room: the generator's window is smaller
	}
	return nil
}

// Receive implements generator.Conn.
func (c *conn) Receive() (int, error) {
	select {
	case <-c.stored:
		return 1, nil
	case <-c.ctx.Done():
		return 0, errors.New("the connection is closed")
	}
}

// Close implements generator.Conn.
func (c *conn) Close() error {
	c.cancel()
	return c.conn.PgConn().Conn().Close() // at once, even while in use
}
