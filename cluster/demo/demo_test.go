package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// The committed data is drawn from three servers, and the export is what the
// agencies' files have.
func TestClusterWithTheCommittedData(t *testing.T) {
	bin := t.TempDir()
	build(t, root, bin, "./cmd/server", "./cmd/run")
	build(t, "..", bin, "github.com/nats-io/nats-server/v2", "./demo")
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(filepath.Join(bin, "demo"), "--bin", bin, "--data", filepath.Join(top, ".data"),
		"--config", filepath.Join(top, "deploy", "nats", "nats.conf"))
	run.Dir = t.TempDir() // its output goes with the test
	var said, failed bytes.Buffer
	run.Stdout, run.Stderr = &said, &failed
	err = run.Run()
	screen := said.String()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, &failed, screen)
	}
	for _, want := range []string{
		"agency 1   2 winners\n", "agency 2   3 winners\n", "agency 3   3 winners\n", "agency 4   2 winners\n", "agency 5   0 winners\n",
		"cluster    every central tells the same winners\n",
		"export.csv has 78697 rows, each agency's those of its file, in their order.\n",
	} {
		if !strings.Contains(screen, want) {
			t.Errorf("the screen does not say %q", want)
		}
	}
	// Both centrals had agencies.
	for _, name := range []string{"central-1.log", "central-2.log"} {
		logs, _ := filepath.Glob(filepath.Join(run.Dir, "run", "*", name)) // the pattern is valid
		if len(logs) != 1 {
			t.Fatalf("there are the logs %q", logs)
		}
		log, err := os.ReadFile(logs[0])
		if err != nil || !bytes.Contains(log, []byte("action: apuesta_recibida | result: success")) {
			t.Errorf("%s took no bets (%v)", name, err)
		}
	}
	if t.Failed() {
		t.Log(screen)
	}
}

func build(t *testing.T, folder, bin string, packages ...string) {
	t.Helper()
	command := exec.Command("go", append([]string{"build", "-o", bin + string(filepath.Separator)}, packages...)...)
	command.Dir = folder
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}
