//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"loteria/docs/markdown"
)

const (
	composeName = "docker-compose-dev.yaml"
	// patience bounds every wait; it only ends what hangs.
	patience = 8 * time.Minute
)

// lab is a copy of the project's tree, and the containers that a test starts
// from it.
type lab struct {
	*testing.T
	dir string
}

// newLab returns a lab with the committed files. When the test ends, the shape
// of every line that its containers have logged is checked, a failed test's
// logs are printed, and all that it started is destroyed.
func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{T: t, dir: t.TempDir()}
	if err := copyTree(l.dir, pristine); err != nil {
		t.Fatal(err)
	}
	// They run in reverse order.
	t.Cleanup(l.destroy)
	t.Cleanup(func() {
		if t.Failed() {
			l.printLogs()
		}
	})
	t.Cleanup(l.checkShape)
	return l
}

// command returns a command in the lab's folder, bounded by patience, with more
// environment than the test's.
func (l *lab) command(environment []string, name string, args ...string) *exec.Cmd {
	// Not the test's own context, which has ended during its cleanup.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	l.Cleanup(cancel)
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = l.dir
	c.Env = append(slices.DeleteFunc(os.Environ(), isSetting), environment...)
	return c
}

// isSetting reports whether a variable would override the project's files.
func isSetting(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	switch name {
	case "CONTEST", "CLI_MODE", "NOMBRE", "APELLIDO", "DOCUMENTO", "NACIMIENTO", "NUMERO":
		return true
	}
	return strings.HasPrefix(name, "COMPOSE_")
}

// run runs a program, which must succeed, and returns its standard output.
func (l *lab) run(name string, args ...string) string {
	l.Helper()
	return l.runWith(nil, name, args...)
}

func (l *lab) runWith(environment []string, name string, args ...string) string {
	l.Helper()
	var stdout, stderr bytes.Buffer
	c := l.command(environment, name, args...)
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		l.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}

// shell runs a command as written, which must succeed, and returns its standard
// output.
func (l *lab) shell(command string) string {
	l.Helper()
	return l.run("sh", "-ec", command)
}

func (l *lab) docker(args ...string) string {
	l.Helper()
	return l.run("docker", args...)
}

// compose runs docker compose on the lab's file.
func (l *lab) compose(args ...string) string {
	l.Helper()
	return l.docker(append([]string{"compose", "-f", composeName}, args...)...)
}

// generate rewrites the lab's Compose file.
func (l *lab) generate(agencies int, environment ...string) {
	l.Helper()
	l.runWith(environment, "bash", "generar-compose.sh", composeName, strconv.Itoa(agencies))
}

// write replaces a file of the lab.
func (l *lab) write(name, content string) {
	l.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		l.Fatal(err)
	}
}

// serverConfig and clientConfig are the files as others write them: only the
// keys of the contract.
type serverConfig struct {
	port, backlog int
	level         string
}

func (l *lab) configureServer(c serverConfig) {
	l.Helper()
	l.write("server/config.ini", fmt.Sprintf(
		"[DEFAULT]\nSERVER_PORT = %d\nSERVER_IP = server\nSERVER_LISTEN_BACKLOG = %d\nLOGGING_LEVEL = %s\n",
		c.port, c.backlog, c.level))
}

type clientConfig struct {
	address        string
	amount         int
	period         string
	level          string
	batchMaxAmount int
}

func (l *lab) configureClient(c clientConfig) {
	l.Helper()
	l.write("client/config.yaml", fmt.Sprintf(
		"server:\n  address: %q\nloop:\n  amount: %d\n  period: %q\nlog:\n  level: %q\nbatch:\n  maxAmount: %d\n",
		c.address, c.amount, c.period, c.level, c.batchMaxAmount))
}

// usual is a client's default configuration in tests.
var usual = clientConfig{address: "server:12345", amount: 5, period: "0s", level: "DEBUG", batchMaxAmount: 10}

// usualCentral logs everything.
var usualCentral = serverConfig{port: 12345, backlog: 128, level: "DEBUG"}

// provide replaces the data by one file per number, with that many bets.
func (l *lab) provide(bets ...int) (files [][]row) {
	l.Helper()
	if err := os.RemoveAll(filepath.Join(l.dir, ".data", "datasets.zip")); err != nil {
		l.Fatal(err)
	}
	for i, amount := range bets {
		rows := makeRows(i+1, amount)
		files = append(files, rows)
		l.write(fmt.Sprintf(".data/agency-%d.csv", i+1), formatRows(rows))
	}
	return files
}

// up starts the containers and returns when all have started.
func (l *lab) up(services ...string) {
	l.Helper()
	l.compose(append([]string{"up", "-d"}, services...)...)
}

// down removes the containers and the network, after a look at their logs.
func (l *lab) down() {
	l.Helper()
	l.checkShape()
	l.shell(markdown.Quoted("docker compose down"))
}

// destroy removes everything of the project, whatever file it was started from.
func (l *lab) destroy() {
	l.docker("compose", "-f", composeName, "down", "--volumes", "--remove-orphans", "--timeout", "5")
}

// exitCode waits until the container has ended.
func (l *lab) exitCode(container string) int {
	l.Helper()
	code, err := strconv.Atoi(strings.TrimSpace(l.docker("wait", container)))
	if err != nil {
		l.Fatal(err)
	}
	return code
}

// finish waits until the agencies 1 to n have ended, each with exit code 0.
func (l *lab) finish(n int) {
	l.Helper()
	for agency := 1; agency <= n; agency++ {
		if code := l.exitCode(client(agency)); code != 0 {
			l.Errorf("%s exited with %d", client(agency), code)
		}
	}
	if l.Failed() {
		l.FailNow()
	}
}

func (l *lab) running(container string) bool {
	l.Helper()
	return strings.TrimSpace(l.docker("inspect", "--format", "{{.State.Running}}", container)) == "true"
}

// containers returns those of the project, running or not.
func (l *lab) containers() []string {
	l.Helper()
	return strings.Fields(l.docker("ps", "--all", "--filter", "label=com.docker.compose.project="+project,
		"--format", "{{.Names}}"))
}

func client(agency int) string { return "client" + strconv.Itoa(agency) }

// stored reads the bets of a contest from the central's container.
func (l *lab) stored(contest string) [][]string {
	l.Helper()
	var archive, stderr bytes.Buffer
	c := l.command(nil, "docker", "cp", "server:/bets/"+contest+"/bets.csv", "-")
	c.Stdout, c.Stderr = &archive, &stderr
	if err := c.Run(); err != nil {
		l.Fatalf("docker cp: %v: %s", err, &stderr)
	}
	files := tar.NewReader(&archive)
	if _, err := files.Next(); err != nil {
		l.Fatal(err)
	}
	content, err := io.ReadAll(files)
	if err != nil {
		l.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		l.Fatalf("bets.csv: %v", err)
	}
	return rows
}

// contest returns the contest's name in the lab's Compose file.
func (l *lab) contest() string {
	l.Helper()
	content, err := os.ReadFile(filepath.Join(l.dir, composeName))
	if err != nil {
		l.Fatal(err)
	}
	_, rest, found := strings.Cut(string(content), "- CONTEST=")
	name, _, _ := strings.Cut(rest, "\n")
	if !found || name == "" {
		l.Fatal("the Compose file names no contest")
	}
	return name
}
