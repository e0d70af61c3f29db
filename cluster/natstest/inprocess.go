package natstest

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	startTime = 20 * time.Second
	maxMemory = 256 << 20 // bytes of a server's streams in memory
	maxStore  = 64 << 30  // bytes of a server's streams on disk; a limit, nothing is reserved
)

// Start runs n servers (1 or 3) in this process, and returns when they have a
// meta leader. They sync every message before they acknowledge it.
func Start(t testing.TB, n int) *Cluster {
	t.Helper()
	if n != 1 && n != 3 {
		t.Fatalf("a cluster of %d servers: want 1 or 3", n)
	}
	return build(t, n, func(c *Cluster, i int) backend {
		return &inProcess{options: c.options(i)}
	})
}

// options are those of deploy/nats/nats.conf, as far as a test sees them.
func (c *Cluster) options(i int) server.Options {
	n := c.servers[i]
	o := server.Options{
		ServerName: n.name, Host: "127.0.0.1", Port: server.RANDOM_PORT, HTTPHost: "127.0.0.1", HTTPPort: server.RANDOM_PORT,
		JetStream: true, StoreDir: n.dir, SyncAlways: true, JetStreamMaxMemory: maxMemory, JetStreamMaxStore: maxStore,
		NoSigs: true, NoLog: true,
		Users: []*server.User{
			{Username: central, Permissions: &server.Permissions{Publish: &server.SubjectPermission{
				Deny: []string{"$JS.API.STREAM.DELETE.>", "$JS.API.STREAM.UPDATE.>"},
			}}},
			{Username: operator, Password: operatorPass},
		},
		NoAuthUser: central,
	}
	if len(c.servers) == 1 {
		return o
	}
	o.Cluster = server.ClusterOpts{
		Name: "loteria", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true, Advertise: deadAddress, PoolSize: -1,
	}
	for _, p := range c.routes[i] {
		if p != nil {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: p.address()})
		}
	}
	return o
}

// inProcess is a server in this process.
type inProcess struct {
	options server.Options
	server  *server.Server
}

func (b *inProcess) start() (addresses, error) {
	options := b.options // a server changes its options
	options.Routes = nil
	for _, r := range b.options.Routes {
		u := *r
		options.Routes = append(options.Routes, &u)
	}
	s, err := server.NewServer(&options)
	if err != nil {
		return addresses{}, err
	}
	s.Start()
	if !s.ReadyForConnections(startTime) {
		s.Shutdown()
		s.WaitForShutdown()
		return addresses{}, fmt.Errorf("no connections are taken after %v", startTime)
	}
	b.server = s
	at := addresses{client: s.Addr().String(), monitor: s.MonitorAddr().String()}
	if a := s.ClusterAddr(); a != nil {
		at.cluster = a.String()
	}
	return at, nil
}

func (b *inProcess) stop() error {
	b.server.Shutdown()
	b.server.WaitForShutdown()
	return nil
}

// kill is called while the server is cut off. A shutdown writes the index of each
// stream, which a killed server does not: the files are restored.
func (b *inProcess) kill() error {
	before, err := indexes(b.options.StoreDir)
	if err != nil {
		return err
	}
	b.stop()
	after, err := indexes(b.options.StoreDir)
	if err != nil {
		return err
	}
	for path := range after {
		old, had := before[path]
		if !had {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, old, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *inProcess) pause() (bool, error) { return false, nil }
func (b *inProcess) resume() error        { return nil }

// purged is a folder that a server removes in the background
// (nats-server, filestore.go: purgeDir).
const purged = "__msgs__"

// indexes reads the files in which the server keeps what it would otherwise
// find in the blocks of a stream (nats-server, filestore.go: index.db).
func indexes(dir string) (map[string][]byte, error) {
	found := make(map[string][]byte)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == purged {
			return fs.SkipDir
		}
		if err == nil && !entry.IsDir() && entry.Name() == "index.db" {
			found[path], err = os.ReadFile(path)
		}
		if errors.Is(err, fs.ErrNotExist) { // replaced meanwhile
			return nil
		}
		return err
	})
	return found, err
}
