package chaos_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"loteria/cluster/natstest"
	"loteria/internal/process/gobuild"
	"loteria/internal/process/processtest"
)

// programs builds the server and the client, in their own module.
var programs = gobuild.New("../..", "./cmd/server", "./cmd/client")

// start starts a program, without any settings but the arguments.
func start(t *testing.T, watch func(line string), name string, args ...string) *processtest.Process {
	t.Helper()
	command := exec.Command(filepath.Join(programs.Folder(t), name), args...)
	command.Env = []string{"GOTRACEBACK=all"}
	return processtest.Start(t, command, watch)
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
	name    string
	address string
	access  *natstest.Access
	*processtest.Process
}

// newOffice starts the centrals, and returns when they accept connections.
func newOffice(t *testing.T, cluster *natstest.Cluster, contest string, agencies, centrals int) *office {
	t.Helper()
	o := &office{t: t, cluster: cluster, contest: contest, agencies: agencies}
	for i := range centrals {
		p := &process{name: fmt.Sprintf("central-%d", i), address: processtest.FreeAddress(t), access: cluster.NewAccess()}
		o.centrals = append(o.centrals, p)
		o.start(p)
	}
	o.awaitListening()
	return o
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
	host, port, _ := net.SplitHostPort(p.address)
	p.Process = start(o.t, nil, "server", append(o.ledger(p.access), "--central", p.name,
		"--bind", host, "--port", port, "--admin=")...)
}

// kill kills a central. It fails the test if the central had ended by itself.
func (o *office) kill(p *process) {
	o.t.Helper()
	o.checkRunning(p)
	p.Kill()
	o.checkDraws(p)
}

func (o *office) checkRunning(p *process) {
	o.t.Helper()
	if p.HasEnded() {
		o.t.Fatalf("%s has ended by itself: %v", p.name, p.Process)
	}
}

// checkDraws checks that a process has logged at most one draw.
func (o *office) checkDraws(p *process) {
	o.t.Helper()
	if n := p.Count("action: sorteo | "); n > 1 {
		o.t.Errorf("%s has told of %d draws", p.name, n)
	}
}

// awaitListening waits until all centrals accept connections.
func (o *office) awaitListening() {
	o.t.Helper()
	const listens = "action: listen | result: success"
	for _, p := range o.centrals {
		if p.Count(listens) == 0 {
			p.Await(listens)
		}
	}
}

// addresses returns those of all centrals, beginning with the i-th.
func (o *office) addresses(i int) string {
	var all []string
	for k := range o.centrals {
		all = append(all, o.centrals[(i+k)%len(o.centrals)].address)
	}
	return strings.Join(all, ",")
}

// close stops the centrals with SIGTERM.
func (o *office) close() {
	o.t.Helper()
	for _, p := range o.centrals {
		o.checkRunning(p)
		p.Signal(syscall.SIGTERM)
	}
	for _, p := range o.centrals {
		if code := p.End(); code != 0 {
			o.t.Errorf("%s: exit code %d: %v", p.name, code, p.Process)
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
	if code := check.End(); code != 0 {
		o.t.Errorf("--check: exit code %d: %v", code, check)
	}
	path := filepath.Join(o.t.TempDir(), o.contest+".csv")
	export := start(o.t, nil, "server", append(o.ledger(access), "--so-far", "--export", path)...)
	if code := export.End(); code != 0 {
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
