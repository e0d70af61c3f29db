package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPeers runs a short comparison, in which each peer must store bets. It does
// not judge which stores more.
func TestPeers(t *testing.T) {
	bin, folder := t.TempDir(), t.TempDir()
	// PostgreSQL's user must have access if this one is root.
	for _, above := range []string{folder, filepath.Dir(folder)} {
		if err := os.Chmod(above, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for module, target := range map[string]string{"../..": "./cmd/server", ".": "loteria/bench/peers"} {
		build := exec.Command("go", "build", "-o", bin+"/", target)
		build.Dir = module
		if output, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	}
	// On a busy machine a short run may get no answer.
	for _, duration := range []string{"100ms", "2s", "10s"} {
		silent := compare(t, bin, folder, duration)
		if silent == "" {
			return
		}
		t.Logf("nothing was acknowledged within %s: %s", duration, silent)
	}
	t.Error("a peer has acknowledged nothing")
}

// compare compares for the duration, and returns the row of a peer that has
// acknowledged nothing, or "".
func compare(t *testing.T, bin, folder, duration string) (silent string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command := exec.Command(bin+"/peers", "--bin", bin, "--folder", folder, "--rounds", "1", "--duration", duration)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	rows := 0
	for line := range strings.Lines(stdout.String()) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 || !strings.Contains(line, "synced") {
			continue
		}
		rows++
		for _, cell := range cells[3:6] {
			if strings.HasPrefix(strings.TrimSpace(cell), "0 ") {
				silent = line
			}
		}
	}
	skipped := strings.Count(stderr.String(), "is skipped")
	if rows+skipped != 7 {
		t.Errorf("there are %d rows, and %d peers were skipped, expected 7 together:\n%s%s", rows, skipped, stderr.String(), stdout.String())
	}
	return silent
}
