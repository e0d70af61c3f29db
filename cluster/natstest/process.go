package natstest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"loteria/cluster/natsserver"
	programs "loteria/internal/process"
)

const (
	stopTime   = 30 * time.Second // from SIGTERM to the end of a server
	routesPass = "routes-of-tests"
)

// StartProcesses runs three processes of the real nats-server, as go.mod pins
// it, with the configuration of deploy/nats/nats.conf, and returns when they
// have a meta leader. They end with the test, also when the test is killed.
// If a server does not start, the error has the end of its log.
func StartProcesses(t testing.TB) *Cluster {
	t.Helper()
	files := program()
	if files.err != nil {
		t.Fatal(files.err)
	}
	return build(t, 3, func(c *Cluster, i int) backend {
		return &process{folder: c.t.TempDir(), command: func() *exec.Cmd { return c.command(files, i) }}
	})
}

// program returns the paths of nats-server and of its configuration. The first
// call builds the program into the build cache.
var program = sync.OnceValue(func() (p paths) {
	module, err := goCommand("env", "GOMOD")
	if err != nil {
		return paths{err: err}
	}
	p.config = filepath.Join(filepath.Dir(module), "..", "deploy", "nats", "nats.conf")
	if _, err := os.Stat(p.config); err != nil {
		return paths{err: fmt.Errorf("the configuration of the servers: %w", err)}
	}
	p.program, p.err = goCommand("tool", "-n", "nats-server")
	return p
})

// paths are what a server is started with, or why it cannot be.
type paths struct {
	program, config string
	err             error
}

func goCommand(arguments ...string) (string, error) {
	var said bytes.Buffer
	command := exec.Command("go", arguments...)
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", command, err, said.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// command returns the command of a server, which chooses its ports itself.
func (c *Cluster) command(files paths, i int) *exec.Cmd {
	const anyPort = "127.0.0.1:-1"
	n := c.servers[i]
	settings := natsserver.Settings{
		Name: n.name, Client: anyPort, Monitor: anyPort, Cluster: anyPort, Store: n.dir,
		RoutesPassword: routesPass, OperatorPassword: operatorPass,
	}
	for _, p := range c.routes[i] {
		if p != nil {
			settings.Routes = append(settings.Routes, p.address())
		}
	}
	return natsserver.Command(context.Background(), files.program, files.config, settings)
}

// process is a server in a process of its own.
type process struct {
	command func() *exec.Cmd
	folder  string // with one for each start, which has its log and its ports
	starts  int
	*programs.Process
}

func (b *process) start() (at addresses, err error) {
	b.starts++
	cmd := b.command()
	cmd.Dir = filepath.Join(b.folder, fmt.Sprint(b.starts))
	if err := os.Mkdir(cmd.Dir, 0o700); err != nil {
		return addresses{}, err
	}
	cmd.Args = append(cmd.Args, "--ports_file_dir", cmd.Dir, "--cluster_advertise", deadAddress)
	if b.Process, err = programs.Start(cmd, "nats-server"); err != nil {
		return addresses{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	// The server writes the file when it takes connections.
	path := filepath.Join(cmd.Dir, fmt.Sprintf("%s_%d.ports", filepath.Base(cmd.Path), b.PID()))
	var ports server.Ports
	err = b.Await(ctx, func([]byte) bool {
		content, err := os.ReadFile(path)
		return err == nil && json.Unmarshal(content, &ports) == nil
	})
	if err == nil && (len(ports.Nats) == 0 || len(ports.Cluster) == 0 || len(ports.Monitoring) == 0) {
		err = fmt.Errorf("it lacks a port: %+v", ports)
	}
	if err != nil {
		b.Kill()
		return addresses{}, fmt.Errorf("%w; its log ends with\n%s", err, b.Tail())
	}
	return addresses{client: host(ports.Nats[0]), cluster: host(ports.Cluster[0]), monitor: host(ports.Monitoring[0])}, nil
}

// host returns host:port of nats://host:port.
func host(address string) string {
	if _, rest, found := strings.Cut(address, "://"); found {
		return rest
	}
	return address
}

func (b *process) stop() error { return programs.Stop(stopTime, b.Process) }

func (b *process) kill() error {
	b.Kill()
	return nil
}

func (b *process) pause() (bool, error) {
	b.Signal(syscall.SIGSTOP)
	return true, nil
}

func (b *process) resume() error {
	b.Signal(syscall.SIGCONT)
	return nil
}
