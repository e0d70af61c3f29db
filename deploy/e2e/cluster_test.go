//go:build e2e

package e2e

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	"loteria/docs/markdown"
)

const (
	clusterFile    = "deploy/cluster.yaml"
	clusterProject = "loteria-cluster"
	clusterPause   = "50ms" // between two batches, so that sending takes a while
)

// clusterSettings are free ports of this machine, and the pause.
var clusterSettings = []string{"ADMIN_PORT_1=0", "ADMIN_PORT_2=0", "LOOP_PERIOD=" + clusterPause}

// composeCluster runs docker compose on the file of the cluster.
func (l *lab) composeCluster(args ...string) string {
	l.Helper()
	return l.runWith(clusterSettings, "docker", append([]string{"compose", "-f", clusterFile}, args...)...)
}

// newClusterLab returns a lab that destroys the cluster at its end.
func newClusterLab(t *testing.T) *lab {
	l := newLab(t)
	t.Cleanup(func() { l.composeCluster("down", "--volumes", "--remove-orphans", "--timeout", "5") })
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the last lines:\n%s", l.composeCluster("logs", "--tail", "40"))
		}
	})
	return l
}

// In the middle of sending a server and a central are killed and stay down: the
// result of the lottery is the same.
func TestClusterLosesAServerAndACentral(t *testing.T) {
	l := newClusterLab(t)
	files := committedRows(t)
	l.composeCluster("build", "credentials") // also where an older image has that name
	up := l.open(clusterSettings, "sh", "-c", markdown.Quoted("docker compose -f deploy/cluster.yaml up"))
	for _, name := range []string{"agency-1", "agency-2"} { // one at each central
		up.await("^" + name + ` +\| .* action: batch_processed \| result: success `)
		l.await(name, "batch_processed", "success", 20)
	}
	l.docker("kill", "nats-1", "central-1")
	wins := []int{2, 3, 3, 2, 0}
	for i, rows := range files {
		name := fmt.Sprintf("agency-%d", i+1)
		if code := l.exitCode(name); code != 0 {
			t.Fatalf("%s exited with %d", name, code)
		}
		all := l.logs(name)
		// A batch that was stored and whose answer was lost has no line of its own.
		l.checkLine(name, all, 1, fmt.Sprintf("action: batch_processing_complete | result: success | client_id: %d | processed: %d/%[2]d", i+1, len(rows)))
		l.checkLine(name, all, 1, fmt.Sprintf("action: consulta_ganadores | result: success | cant_ganadores: %d", wins[i]))
	}
	l.await("central-2", "sorteo", "success", 1)
	l.checkLine("central-2", l.logs("central-2"), 1, "action: sorteo | result: success")
	l.checkExport(files)

	// The central that was down gives the same answers.
	l.docker("start", "nats-1", "central-1")
	for i := range files {
		answer := l.composeCluster("run", "--rm", "--no-deps", "-T", "-e", "CLI_MODE=winners", "-e", "CLI_SERVER_ADDRESS=central-1:12345",
			fmt.Sprintf("agency-%d", i+1))
		if want := fmt.Sprintf("action: consulta_ganadores | result: success | cant_ganadores: %d\n", wins[i]); !strings.Contains(answer, want) {
			t.Errorf("central-1 tells agency %d %q, want %d winners", i+1, answer, wins[i])
		}
	}
	l.checkConfined()

	up.interrupt()
	_ = up.end() // 130, as of whatever Ctrl-C ends
	for _, name := range []string{"central-1", "central-2"} {
		if code := l.exitCode(name); code != 0 {
			t.Errorf("%s exited with %d", name, code)
		}
	}
}

// checkExport compares the centrals' export with the agencies' files.
func (l *lab) checkExport(files [][]row) {
	l.Helper()
	text := l.composeCluster("run", "--rm", "--no-deps", "-T", "central-2", "--export", "-")
	bets, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		l.Fatalf("the export is no CSV: %v", err)
	}
	l.checkBets(bets, files)
}

// checkConfined checks what the containers may do.
func (l *lab) checkConfined() {
	l.Helper()
	names := strings.Fields(l.composeCluster("ps", "--all", "--format", "{{.Name}}"))
	if len(names) != 11 {
		l.Errorf("there are the containers %q", names)
	}
	for _, name := range names {
		limits := strings.TrimSpace(l.docker("inspect", "--format", "{{.Config.User}} {{.HostConfig.CapDrop}} {{.HostConfig.ReadonlyRootfs}}", name))
		if limits != "65532:65532 [ALL] true" {
			l.Errorf("%s may do %s", name, limits)
		}
		// docker inspect shows no secret.
		environment := l.docker("inspect", "--format", "{{.Config.Env}} {{.Args}}", name)
		if slices.ContainsFunc([]string{"PASSWORD", "SEED", "BEGIN"}, func(secret string) bool { return strings.Contains(environment, secret) }) {
			l.Errorf("%s shows a secret: %s", name, environment)
		}
	}
}
