package main

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var clusterArgs = append(stubArgs, "--cluster", "nats.conf")

func TestCluster(t *testing.T) {
	stage(t)
	t.Setenv(stubVar, "central-1 sees a lag") // which is nobody's fault
	alive := watch(t)
	var stdout, stderr bytes.Buffer
	if code := run(clusterArgs, &stdout, &stderr, nil); code != exitOK {
		t.Errorf("exit code %d, want %d; stderr: %s", code, exitOK, &stderr)
	}
	dir := folder(t)
	for _, want := range []string{
		"nats 1     ready\n", "nats 2     ready\n", "nats 3     ready\n",
		"central 1  listening on 127.0.0.1:", "central 2  listening on 127.0.0.1:",
		"central    every agency has finished, the draw is done\n",
		"central 1  action: stream_replica | result: fail | error: it is behind the leader\n",
		"agency 1   1 winner\n", "agency 2   0 winners\n",
		"run        every central tells the same winners\n",
		dir + "/export.csv has 4 rows, each agency's those of its file, in their order.\n",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the screen does not say %q", want)
		}
	}
	alive.none(t)
	if t.Failed() {
		t.Logf("the screen:\n%s", &stdout)
	}
}

func TestClusterFails(t *testing.T) {
	tests := []struct {
		name       string
		misbehaves string
		args       []string
		err        string
		screen     string
	}{
		{"a server dies", "nats 2 dies", nil, "nats 2 exited with code 1 before it was to stop", "nats-server: no such file\n"},
		{"a server is never ready", "nats 3 is silent", []string{"--timeout", "1s"}, "nats 3 was not ready within 1s", ""},
		{"a server does not stop", "nats 1 is stubborn", nil, "nats 1 did not stop within 300ms of SIGTERM", "nats 1     did not stop and was killed\n"},
		{"a line says fail", "central-2 grumbles", nil, "central 2 logged 1 line with result: fail", ""},
		{"a central tells something else", "central-2 tells nobody", nil, "central 2 tells agency 1 0 winners, which was told 1 winner before", ""},
		{"the export fails", "export fails", nil, "export exited with code 1", "server: a message is missing\n"},
		{"the export lacks a row", "export loses a row", nil, "export.csv", ""},
		{"the export has another row", "export changes a row", nil, "export.csv, row ", ""},
		{"no program", "", []string{"--bin", "data"}, "there is no data/server", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stage(t)
			t.Setenv(stubVar, tt.misbehaves)
			alive := watch(t)
			opts, _, err := parse(append(clusterArgs, tt.args...))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(tt.misbehaves, "stubborn") {
				opts.grace = 300 * time.Millisecond
			}
			var stdout bytes.Buffer
			err = play(opts, newScreen(&stdout), nil)
			if err == nil || !strings.HasPrefix(err.Error(), tt.err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the run ends with %v, want one line that begins with %q", err, tt.err)
			}
			if !strings.Contains(stdout.String(), tt.screen) {
				t.Errorf("the screen does not say %q", tt.screen)
			}
			alive.none(t)
			if t.Failed() {
				t.Logf("the screen:\n%s", &stdout)
			}
		})
	}
}

// A central that stops still has something to store, so the servers end last.
func TestNothingOfAClusterSurvives(t *testing.T) {
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(sent.String(), func(t *testing.T) {
			if sent == syscall.SIGKILL && !dieTogether {
				t.Skip("only Linux ends the processes of a run that is killed")
			}
			stage(t)
			t.Setenv(stubVar, "agency 1 hangs,agency 2 hangs")
			alive := watch(t)
			cmd := exec.Command("bin/run", clusterArgs...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			alive.all(t, "nats 1", "nats 2", "nats 3", "central 1", "central 2", "agency 1", "agency 2")
			if err := cmd.Process.Signal(sent); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); sent == syscall.SIGINT && code != 130 {
				t.Errorf("exit code %d; it says:\n%s", code, &out)
			}
			alive.none(t)
		})
	}
}

func TestCompareFiles(t *testing.T) {
	const (
		ana = "Ana,Muñoz,1000001,1990-01-01,"
		eva = "Eva,\"Paz, h.\",1000002,1990-01-01,"
	)
	agencies := []*agency{{id: 1}, {id: 2}}
	for name, tt := range map[string]struct {
		stored string
		want   string
	}{
		"the same":            {"1," + ana + "7\r\n2," + ana + "1\r\n1," + eva + "8\r\n", ""},
		"one is missing":      {"1," + ana + "7\r\n2," + ana + "1\r\n", "lacks the bet"},
		"the first missing":   {"1," + eva + "8\r\n2," + ana + "1\r\n", "row 1: agency 1's next bet is"},
		"another order":       {"1," + eva + "8\r\n1," + ana + "7\r\n2," + ana + "1\r\n", "row 1: agency 1's next bet is"},
		"twice":               {"1," + ana + "7\r\n1," + eva + "8\r\n1," + eva + "8\r\n2," + ana + "1\r\n", "row 3: agency 1's next bet is []"},
		"another number":      {"1," + ana + "9\r\n", "row 1"},
		"of another agency":   {"3," + ana + "7\r\n", `agency "3" has no file`},
		"cut off":             {"1,Ana", "wrong number of fields"},
		"nothing":             {"", "lacks the bet"},
		"a number is spelled": {"1," + ana + "007\r\n", "row 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			export := filepath.Join(dir, exportName)
			file := filepath.Join(dir, "agency-1.csv")
			if err := os.WriteFile(file, []byte(ana+"0007\n"+eva+"8"), 0o644); err != nil {
				t.Fatal(err)
			}
			zipRow(t, filepath.Join(dir, "a.zip"), "agency-3.csv", ana+"1")
			zipRow(t, filepath.Join(dir, "b.zip"), "agency-2.csv", ana+"1")
			if err := os.WriteFile(export, []byte(tt.stored), 0o644); err != nil {
				t.Fatal(err)
			}
			err := compareFiles(export, dir, agencies)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want %q in it", err, tt.want)
			}
		})
	}
	if err := compareFiles("export.csv", t.TempDir(), agencies); err == nil || !strings.Contains(err.Error(), "agency-1.csv") {
		t.Errorf("without files the error is %v", err)
	}
}

func zipRow(t *testing.T, path, name, text string) {
	t.Helper()
	var content bytes.Buffer
	w := zip.NewWriter(&content)
	entry, err := w.Create(name)
	if err == nil {
		_, err = entry.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = os.WriteFile(path, content.Bytes(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
