package main

import (
	"bytes"
	"io"
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
	command := exec.Command(bin+"/peers", "--bin", bin, "--before", bin, "--folder", folder, "--rounds", "1", "--duration", duration)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	rows := 0
	for line := range strings.Lines(stdout.String()) {
		cells := strings.Split(line, "|")
		if len(cells) < 7 || !strings.Contains(line, "synced") {
			continue
		}
		rows++
		for _, cell := range cells[3:7] {
			if strings.HasPrefix(strings.TrimSpace(cell), "0 ") {
				silent = line
			}
		}
	}
	skipped := strings.Count(stderr.String(), "is skipped")
	if rows+skipped != 8 {
		t.Errorf("there are %d rows, and %d peers were skipped, expected 8 together:\n%s%s", rows, skipped, stderr.String(), stdout.String())
	}
	for _, ratio := range []string{"| the central | the central of --before | no goal |", "| the central | goroutines: the same ledger and log, package net | 1.05 × |"} {
		if !strings.Contains(stdout.String(), ratio) {
			t.Errorf("there is no row %q:\n%s", ratio, stdout.String())
		}
	}
	return silent
}

// TestUsage: what cannot be measured is said before anything is.
func TestUsage(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"--only central,nobody", `--only has "nobody", expected some of central, before, quiet, goroutines, simple, jetstream, redis, postgres`},
		{"--loads 5:2", `--loads has "5:2", expected some of 1:1, 5:1, 5:64, 64:1`},
		{"--only central,before", "--only has before, which needs --before"},
		{"--rounds 0", "--rounds and --duration are positive"},
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(test.args), io.Discard, &stderr); code != 2 || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%s: exit code %d and %q, expected 2 and %q", test.args, code, stderr.String(), test.want)
		}
	}
}
