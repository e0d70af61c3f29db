package chaos_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/internal/process/gobuild"
)

// keptLines is how many lines of a process a failed test shows.
const keptLines = 40

// programs builds the server and the client, in their own module.
var programs = gobuild.New("../..", "./cmd/server", "./cmd/client")

// program is a process of the server or the client.
type program struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu        sync.Mutex
	tail      []string
	said      map[string]int // lines, by their action
	listening chan struct{}  // closed when it takes connections
	watch     func(line string)
}

// start starts a program, which dies with the tests: to the kernel, the thread
// that started it is its parent (prctl(2), PR_SET_PDEATHSIG). watch is called
// with each line; it may be nil.
func start(t *testing.T, watch func(line string), name string, args ...string) *program {
	t.Helper()
	binFolder := programs.Folder(t)
	p := &program{ended: make(chan struct{}), said: map[string]int{}, listening: make(chan struct{}), watch: watch}
	p.cmd = exec.Command(filepath.Join(binFolder, name), args...)
	p.cmd.Dir = binFolder // it has no configuration file
	p.cmd.Env = []string{"GOTRACEBACK=all"}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	started := make(chan error, 1)
	go func() {
		defer close(p.ended)
		defer out.Close()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		in.Close()
		started <- err
		if err != nil {
			return
		}
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			p.take(scanner.Text())
		}
		_ = p.cmd.Wait()
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

func (p *program) take(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tail) == keptLines {
		p.tail = slices.Delete(p.tail, 0, 1)
	}
	p.tail = append(p.tail, line)
	if _, rest, found := strings.Cut(line, "action: "); found {
		action, rest, _ := strings.Cut(rest, " | ")
		p.said[action]++
		if action == "listen" && p.said[action] == 1 && strings.HasPrefix(rest, "result: success") {
			close(p.listening)
		}
	}
	if p.watch != nil {
		p.watch(line)
	}
}

func (p *program) count(action string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said[action]
}

func (p *program) kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(err)
	}
	<-p.ended
}

func (p *program) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// wait waits until the program ends, and returns its exit code.
func (p *program) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(stuckTime):
		t.Fatalf("it does not end:\n%v", p)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *program) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	how := "running"
	if p.hasEnded() {
		how = p.cmd.ProcessState.String()
	}
	return fmt.Sprintf("%s (%s):\n%s", filepath.Base(p.cmd.Path), how, strings.Join(p.tail, "\n"))
}

// office is the centrals of a contest, as processes.
type office struct {
	t        *testing.T
	cluster  *natstest.Cluster
	contest  string
	agencies int
	centrals []*process
}

// process is a central that may be killed and started again.
type process struct {
	name   string
	port   int
	access *natstest.Access
	*program
}

// newOffice starts the centrals, and returns when they accept connections.
func newOffice(t *testing.T, cluster *natstest.Cluster, contest string, agencies, centrals int) *office {
	t.Helper()
	o := &office{t: t, cluster: cluster, contest: contest, agencies: agencies}
	for i := range centrals {
		p := &process{name: fmt.Sprintf("central-%d", i), port: freePort(t), access: cluster.NewAccess()}
		o.centrals = append(o.centrals, p)
		o.start(p)
	}
	o.awaitListening()
	return o
}

// freePort returns a port that nothing listens on. It is not an ephemeral port
// (net.ipv4.ip_local_port_range begins at 32768), so that a killed central finds
// it free again.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 10_000 + rand.IntN(20_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("there is no free port")
	return 0
}

// stream is the name of the contest's stream.
func (o *office) stream() string { return "loteria-" + o.contest }

// ledger returns the flags for the contest's ledger.
func (o *office) ledger(access *natstest.Access) []string {
	return []string{"--ledger", access.URL(), "--contest", o.contest, "--expected-agencies", strconv.Itoa(o.agencies),
		"--nats-replicas", strconv.Itoa(o.cluster.Size()), "--nats-max-bytes", strconv.Itoa(1 << 30)}
}

func (o *office) start(p *process) {
	o.t.Helper()
	p.program = start(o.t, nil, "server", append(o.ledger(p.access), "--central", p.name,
		"--bind", "127.0.0.1", "--port", strconv.Itoa(p.port), "--admin=")...)
}

// kill kills a central. It fails the test if the central had ended by itself.
func (o *office) kill(p *process) {
	o.t.Helper()
	o.checkRunning(p)
	p.program.kill()
	o.checkDraws(p)
}

func (o *office) checkRunning(p *process) {
	o.t.Helper()
	if p.hasEnded() {
		o.t.Fatalf("%s has ended by itself: %v", p.name, p.program)
	}
}

// checkDraws checks that a process has logged at most one draw.
func (o *office) checkDraws(p *process) {
	o.t.Helper()
	if n := p.count("sorteo"); n > 1 {
		o.t.Errorf("%s has told of %d draws", p.name, n)
	}
}

// awaitListening waits until all centrals accept connections.
func (o *office) awaitListening() {
	o.t.Helper()
	timeout := time.After(stuckTime)
	for _, p := range o.centrals {
		select {
		case <-p.listening:
		case <-p.ended:
			o.t.Fatalf("%s has ended: %v", p.name, p.program)
		case <-timeout:
			o.t.Fatalf("%s does not take connections: %v", p.name, p.program)
		}
	}
}

func (p *process) address() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

// addresses returns those of all centrals, beginning with the i-th.
func (o *office) addresses(i int) string {
	var all []string
	for k := range o.centrals {
		all = append(all, o.centrals[(i+k)%len(o.centrals)].address())
	}
	return strings.Join(all, ",")
}

// close stops the centrals with SIGTERM.
func (o *office) close() {
	o.t.Helper()
	for _, p := range o.centrals {
		o.checkRunning(p)
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range o.centrals {
		if code := p.wait(o.t); code != 0 {
			o.t.Errorf("%s: exit code %d: %v", p.name, code, p.program)
		}
		o.checkDraws(p)
	}
}

// export checks the contest with server --check, and returns each agency's rows
// as server --export writes them, drawn or not.
func (o *office) export() [][]string {
	o.t.Helper()
	access := o.cluster.NewAccess()
	check := start(o.t, nil, "server", append(o.ledger(access), "--check")...)
	if code := check.wait(o.t); code != 0 {
		o.t.Errorf("--check: exit code %d: %v", code, check)
	}
	path := filepath.Join(o.t.TempDir(), o.contest+".csv")
	export := start(o.t, nil, "server", append(o.ledger(access), "--so-far", "--export", path)...)
	if code := export.wait(o.t); code != 0 {
		o.t.Fatalf("--export: exit code %d: %v", code, export)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		o.t.Fatal(err)
	}
	rows := make([][]string, o.agencies)
	for _, row := range lines(string(content)) {
		number, _, _ := strings.Cut(row, ",")
		agency, err := strconv.Atoi(number)
		if err != nil || agency < 1 || agency > o.agencies {
			o.t.Fatalf("%s: a row of nobody: %q", path, row)
		}
		rows[agency-1] = append(rows[agency-1], row)
	}
	return rows
}
