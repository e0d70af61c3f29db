package natstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	stopTime   = 30 * time.Second // from SIGTERM to the end of a server
	routesPass = "routes-of-tests"
	logLines   = 20 // of a server that does not start
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
		n := c.servers[i]
		return &process{
			program: files.program, config: files.config, ports: c.t.TempDir(), log: filepath.Join(c.t.TempDir(), n.name+".log"),
			environment: c.environment(i),
		}
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

// environment returns the variables that nats.conf uses.
func (c *Cluster) environment(i int) []string {
	var routes []string
	for _, p := range c.routes[i] {
		if p != nil {
			u := url.URL{Scheme: "nats", User: url.UserPassword("routes", routesPass), Host: p.address()}
			routes = append(routes, u.String())
		}
	}
	list, _ := json.Marshal(routes) // strings only: no error
	n := c.servers[i]
	return []string{
		"NATS_NAME=" + n.name,
		`NATS_LISTEN="127.0.0.1:-1"`,
		`NATS_MONITOR="127.0.0.1:-1"`,
		fmt.Sprintf("NATS_STORE_DIR=%q", n.dir),
		"NATS_MAX_FILE_STORE=64GB",
		`NATS_CLUSTER_LISTEN="127.0.0.1:-1"`,
		"NATS_ROUTES=" + string(list),
		fmt.Sprintf("NATS_ROUTES_PASSWORD=%q", routesPass),
		fmt.Sprintf("NATS_OPERATOR_PASSWORD=%q", operatorPass),
	}
}

// process is a server in a process of its own.
type process struct {
	program, config string
	ports           string // folder of the file with its ports
	log             string
	environment     []string

	command *exec.Cmd
	ended   chan struct{} // closed when command has ended
}

func (b *process) start() (addresses, error) {
	if err := b.run(); err != nil {
		return addresses{}, err
	}
	at, err := b.listening()
	if err != nil {
		b.kill()
		return addresses{}, fmt.Errorf("%w; its log ends with\n%s", err, b.lastLines())
	}
	return at, nil
}

// run starts the process from a thread that lives until the process has ended:
// the parent-death signal is sent when that thread ends (prctl(2),
// PR_SET_PDEATHSIG). A process group of its own keeps Ctrl-C from it.
func (b *process) run() error {
	log, err := os.OpenFile(b.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	b.command = exec.Command(b.program, "-c", b.config, "--ports_file_dir", b.ports, "--cluster_advertise", deadAddress)
	b.command.Env = append(os.Environ(), b.environment...)
	b.command.Stdout, b.command.Stderr = log, log
	b.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	b.ended = make(chan struct{})
	started := make(chan error, 1)
	go func() {
		defer close(b.ended)
		defer log.Close()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := b.command.Start()
		started <- err
		if err == nil {
			b.command.Wait()
		}
	}()
	return <-started
}

// listening waits for the file that the server writes when it takes
// connections (nats-server, --ports_file_dir).
func (b *process) listening() (addresses, error) {
	path := filepath.Join(b.ports, fmt.Sprintf("%s_%d.ports", filepath.Base(b.program), b.command.Process.Pid))
	timeout := time.NewTimer(startTime)
	defer timeout.Stop()
	ticker := time.NewTicker(askAgain)
	defer ticker.Stop()
	for {
		var ports server.Ports
		content, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(content, &ports)
		}
		if err == nil {
			if len(ports.Nats) == 0 || len(ports.Cluster) == 0 || len(ports.Monitoring) == 0 {
				return addresses{}, fmt.Errorf("%s lacks a port: %s", path, content)
			}
			return addresses{client: host(ports.Nats[0]), cluster: host(ports.Cluster[0]), monitor: host(ports.Monitoring[0])}, nil
		}
		select {
		case <-b.ended:
			return addresses{}, fmt.Errorf("it has ended: %v", b.command.ProcessState)
		case <-timeout.C:
			return addresses{}, fmt.Errorf("no connections are taken after %v", startTime)
		case <-ticker.C:
		}
	}
}

// host returns host:port of nats://host:port.
func host(address string) string {
	if _, rest, found := strings.Cut(address, "://"); found {
		return rest
	}
	return address
}

func (b *process) lastLines() []byte {
	content, err := os.ReadFile(b.log)
	if err != nil {
		return []byte(err.Error())
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-logLines):], []byte("\n"))
}

func (b *process) stop() error {
	if err := b.signal(syscall.SIGTERM); err != nil {
		return err
	}
	timeout := time.NewTimer(stopTime)
	defer timeout.Stop()
	select {
	case <-b.ended:
		return nil
	case <-timeout.C:
		b.kill()
		return fmt.Errorf("it runs %v after SIGTERM, and was killed", stopTime)
	}
}

func (b *process) kill() error {
	if err := b.signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-b.ended
	return nil
}

func (b *process) pause() (bool, error) { return true, b.signal(syscall.SIGSTOP) }
func (b *process) resume() error        { return b.signal(syscall.SIGCONT) }

// signal sends a signal to the process if it has not ended.
func (b *process) signal(s syscall.Signal) error {
	select {
	case <-b.ended:
		return os.ErrProcessDone
	default:
		return b.command.Process.Signal(s)
	}
}
