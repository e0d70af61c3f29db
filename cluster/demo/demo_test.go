package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"loteria/internal/process"
	"loteria/internal/process/gobuild"
	"loteria/internal/process/processtest"
)

const root = "../.."

// The programs of both modules.
var (
	project = gobuild.New(root, "./cmd/server", "./cmd/client", "./cmd/run")
	ours    = gobuild.New("..", "github.com/nats-io/nats-server/v2", "./demo")
)

func TestMain(m *testing.M) {
	code := m.Run()
	project.Remove()
	ours.Remove()
	os.Exit(code)
}

// stage is a folder from which the demo is run.
type stage struct {
	*testing.T
	folder string
	mark   string // in the environment of all its processes
}

// newStage has the programs in bin, the data of two agencies in .data, and the
// project's configuration.
func newStage(t *testing.T) *stage {
	s := &stage{T: t, folder: t.TempDir()}
	s.mark = "DEMO_OF=" + s.folder
	for _, from := range []struct{ folder, name string }{
		{project.Folder(t), "server"}, {project.Folder(t), "run"}, {ours.Folder(t), "nats-server"},
	} {
		s.must(os.MkdirAll(filepath.Join(s.folder, "bin"), 0o755))
		s.must(os.Symlink(filepath.Join(from.folder, from.name), s.program(from.name)))
	}
	s.write(".data/agency-1.csv", "Ana,Paz,30904465,1999-03-17,7574\nEva,Paz,30904466,1999-03-17,1\n")
	s.write(".data/agency-2.csv", "Leo,Paz,30904467,1999-03-17,2\n")
	config, err := os.ReadFile(filepath.Join(root, "deploy", "nats", "nats.conf"))
	s.must(err)
	s.write("deploy/nats/nats.conf", string(config))
	return s
}

func (s *stage) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stage) program(name string) string { return filepath.Join(s.folder, "bin", name) }

func (s *stage) write(name, content string) {
	s.Helper()
	path := filepath.Join(s.folder, name)
	s.must(os.MkdirAll(filepath.Dir(path), 0o755))
	s.must(os.WriteFile(path, []byte(content), 0o644))
}

// spoil puts a script in the place of a program, whose path is $real.
func (s *stage) spoil(name, script string) {
	s.Helper()
	real, err := filepath.EvalSymlinks(s.program(name))
	s.must(err)
	s.must(os.Remove(s.program(name)))
	s.must(os.WriteFile(s.program(name), fmt.Appendf(nil, "#!/bin/sh\nreal=%s stage=%s\n%s\n", real, s.folder, script), 0o755))
}

// start starts the demo.
func (s *stage) start(args ...string) *processtest.Process {
	s.Helper()
	command := exec.Command(filepath.Join(ours.Folder(s.T), "demo"), args...)
	command.Dir, command.Env = s.folder, append(os.Environ(), s.mark)
	return processtest.Start(s.T, command, nil)
}

// left returns the processes of the demo that still run.
func (s *stage) left() (all []string) {
	s.Helper()
	environments, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is valid
	for _, path := range environments {
		content, _ := os.ReadFile(path) // it may end at any moment, and one that has ended has none
		if bytes.Contains(content, []byte(s.mark+"\x00")) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			all = append(all, string(bytes.ReplaceAll(command, []byte{0}, []byte(" "))))
		}
	}
	return all
}

// The committed data is drawn from three servers, and the export is what the
// agencies' files have.
func TestClusterWithTheCommittedData(t *testing.T) {
	s := newStage(t)
	data, err := filepath.Abs(filepath.Join(root, ".data"))
	s.must(err)
	p := s.start("--data", data)
	if code := p.End(); code != 0 {
		t.Fatalf("exit code %d: %v", code, p)
	}
	for _, want := range []string{
		"agency 1   2 winners", "agency 2   3 winners", "agency 3   3 winners", "agency 4   2 winners", "agency 5   0 winners",
		"cluster    every central tells the same winners",
		"export.csv has 78697 rows, each agency's those of its file, in their order.",
	} {
		if p.Count(want) != 1 {
			t.Errorf("the screen does not say %q once: %v", want, p)
		}
	}
	// Both centrals had agencies.
	for _, name := range []string{"central-1.log", "central-2.log"} {
		logs, _ := filepath.Glob(filepath.Join(s.folder, "run", "*", name)) // the pattern is valid
		if len(logs) != 1 {
			t.Fatalf("there are the logs %q", logs)
		}
		log, err := os.ReadFile(logs[0])
		if err != nil || !bytes.Contains(log, []byte("action: apuesta_recibida | result: success")) {
			t.Errorf("%s took no bets (%v)", name, err)
		}
	}
}

// Whatever goes wrong is told, and no process is left behind.
func TestClusterFails(t *testing.T) {
	const (
		two    = "--agencies=2"
		onTwo  = `if [ "$NATS_NAME" = nats-2 ]; then %s; fi; exec "$real" "$@"`
		second = `case "$*" in *central-2*) %s;; esac; exec "$real" "$@"`
		export = `case "$*" in *--export*) %s;; esac; exec "$real" "$@"`
	)
	script := func(program, format, what string) func(*stage) {
		return func(s *stage) { s.spoil(program, fmt.Sprintf(format, what)) }
	}
	// These two are killed when the agencies are to play.
	dies := func(program, format, number string) func(*stage) {
		return func(s *stage) {
			s.spoil(program, fmt.Sprintf(format, `echo $$ >"$stage/pid"; exec "$real" "$@"`))
			s.spoil("run", `kill -`+number+` $(cat "$stage/pid"); trap 'exit 3' TERM; while :; do sleep 0.01; done`)
		}
	}
	for name, test := range map[string]struct {
		spoil func(*stage)
		args  []string
		code  int
		says  []string
	}{
		"an unknown flag":   {nil, []string{"--what"}, 2, []string{"unknown flag: --what"}},
		"an argument":       {nil, []string{"what"}, 2, []string{`cluster: unexpected argument "what" (see --help)`}},
		"no agencies":       {nil, []string{"--agencies=0"}, 2, []string{"cluster: --agencies is 0, expected at least 1"}},
		"no configuration":  {nil, []string{"--config=nowhere"}, 2, []string{"cluster: there is no nowhere"}},
		"no programs":       {nil, []string{two, "--bin=nowhere"}, 2, []string{"cluster: there is no nowhere/server"}},
		"no nats-server":    {func(s *stage) { s.must(os.Remove(s.program("nats-server"))) }, []string{two}, 2, []string{"cluster: there is no bin/nats-server"}},
		"no data":           {nil, []string{two, "--data=nowhere"}, 2, []string{"cluster: open nowhere/agency-1.csv: no such file"}},
		"an agency no data": {nil, []string{"--agencies=3"}, 2, []string{"cluster: open .data/agency-3.csv: no such file"}},
		"no folder of its own": {func(s *stage) { s.write("run", "") }, []string{two}, 1,
			[]string{"cluster: failed: mkdir run: not a directory"}},
		"a wrong configuration": {func(s *stage) { s.write("wrong.conf", "jetstream: what") }, []string{two, "--config=wrong.conf"}, 1,
			[]string{"cluster: failed: nats-1: nats-server exited with code 1 before it was ready", "wrong.conf"}},
		"a server does not start": {script("nats-server", onTwo, "echo the disk is full; exit 4"), []string{two}, 1,
			[]string{"cluster: failed: nats-2: nats-server exited with code 4 before it was ready", "the disk is full"}},
		"a server's port is taken": {script("nats-server", onTwo, `NATS_LISTEN=$NATS_MONITOR`), []string{two}, 1,
			[]string{"cluster: failed: nats-2: nats-server exited with code 1 before it was ready", "address already in use"}},
		"a server dies": {dies("nats-server", onTwo, "KILL"), []string{two}, 1,
			[]string{"cluster: failed: nats-2: nats-server ended with signal: killed before it was to stop", "JetStream"}},
		"a central does not start": {script("server", second, "echo no memory >&2; exit 5"), []string{two}, 1,
			[]string{"cluster: failed: central 2 exited with code 5 before it was ready", "no memory"}},
		"a central dies": {dies("server", second, "KILL"), []string{two}, 1,
			[]string{"cluster: failed: central 2 ended with signal: killed before it was to stop", "action: listen"}},
		"a central ends": {dies("server", second, "TERM"), []string{two}, 1,
			[]string{"cluster: failed: central 2 exited with code 0 before it was to stop", "action: exit"}},
		"an agency's file is bad": {func(s *stage) { s.write(".data/agency-2.csv", "Leo,Paz,30904467\n") }, []string{two}, 1,
			[]string{"run: failed: agency 2", "line 1"}},
		"the run dies": {func(s *stage) { s.spoil("run", "kill -KILL $$") }, []string{two}, 1,
			[]string{"cluster: failed: run ended with signal: killed"}},
		"the export fails": {script("server", export, "echo a message is missing >&2; exit 1"), []string{two}, 1,
			[]string{"cluster: failed: export exited with code 1", "a message is missing"}},
		"the export lacks a row": {script("server", export, `"$real" "$@" && sed -i /Eva/d export.csv; exit`), []string{two}, 1,
			[]string{`cluster: failed: export.csv lacks the bet ["Eva" "Paz" "30904466"`}},
		"the export has another row": {script("server", export, `"$real" "$@" && sed -i s/Leo/Luz/ export.csv; exit`), []string{two}, 1,
			[]string{"cluster: failed: export.csv, row ", `and here is ["Luz"`}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			if test.spoil != nil {
				test.spoil(s)
			}
			p := s.start(test.args...)
			if code := p.End(); code != test.code {
				t.Errorf("exit code %d, expected %d", code, test.code)
			}
			for _, want := range test.says {
				if !strings.Contains(p.Stderr(), want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if left := s.left(); len(left) > 0 {
				t.Errorf("left are %q", left)
			}
			if t.Failed() {
				t.Log(p)
			}
		})
	}
}

// A signal ends the demo and its processes, in order or at once.
func TestNothingOfAClusterSurvives(t *testing.T) {
	const waits = `trap 'echo run has it; exit 0' INT TERM HUP; echo run waits; while :; do sleep 0.01; done`
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // under nohup, the demo would ignore it, too
	for name, test := range map[string]struct {
		program, script, await string // the program that is replaced, and the line to wait for
		signal                 syscall.Signal
		code                   int
	}{
		"Ctrl-C":                        {"run", waits, "run waits", syscall.SIGINT, 130},
		"SIGTERM":                       {"run", waits, "run waits", syscall.SIGTERM, 143},
		"the terminal closes":           {"run", waits, "run waits", syscall.SIGHUP, 129},
		"it is killed":                  {"run", waits, "run waits", syscall.SIGKILL, -1},
		"Ctrl-C while a server starts":  {"nats-server", `echo >"$stage/started"; exec sleep 1000`, "", syscall.SIGINT, 130},
		"Ctrl-C while a central starts": {"server", `echo >"$stage/started"; exec sleep 1000`, "nats 3     ready", syscall.SIGINT, 130},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.spoil(test.program, test.script)
			p := s.start("--agencies=2")
			if test.await != "" {
				p.Await(test.await)
			}
			if test.program != "run" {
				s.await("the program has started", func() bool { _, err := os.Stat(filepath.Join(s.folder, "started")); return err == nil })
			}
			p.Signal(test.signal)
			if code := p.End(); code != test.code {
				t.Errorf("exit code %d, expected %d: %v", code, test.code, p)
			}
			if test.code > 0 {
				if want := fmt.Sprintf("cluster: stopped by a signal: %v\n", test.signal); p.Stderr() != want {
					t.Errorf("it says %q, expected %q", p.Stderr(), want)
				}
				if want := strings.Count(test.program, "run"); p.Count("run has it") != want {
					t.Errorf("run has not got the signal: %v", p)
				}
				if left := s.left(); len(left) > 0 {
					t.Errorf("left are %q", left)
				}
				return
			}
			s.await("the end of all processes", func() bool { return len(s.left()) == 0 })
		})
	}
}

// await waits for what no process tells.
func (s *stage) await(what string, is func() bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), processtest.Patience)
	defer cancel()
	for !is() {
		if ctx.Err() != nil {
			s.Fatalf("no sign of %s; left are %q", what, s.left())
		}
	}
}

// Two centrals that do not share a ledger tell different winners.
func TestDifferentWinners(t *testing.T) {
	s := newStage(t)
	d := demo{agencies: 1}
	for i, number := range []string{"7574", "1"} {
		folder := filepath.Join(s.folder, fmt.Sprint(i))
		s.write(fmt.Sprintf("%d/.data/agency-1.csv", i), "Ana,Paz,30904465,1999-03-17,"+number+"\n")
		c, err := process.StartCentral(t.Context(), filepath.Join(s.folder, "bin"), folder, fmt.Sprintf("central %d", i+1), false,
			"--bind", "127.0.0.1", "--port", "0", "--admin=", "--storage-dir", ".", "--expected-agencies", "1")
		s.must(err)
		t.Cleanup(c.Kill)
		d.centrals = append(d.centrals, c)
		client := exec.Command(filepath.Join(project.Folder(t), "client"), "--id", "1", "--server-address", c.Address)
		client.Dir = folder
		if output, err := client.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	const want = `central 2 tells agency 1 the winners [], and central 1 told ["30904465"]`
	if err := d.askAll(t.Context()); err == nil || err.Error() != want {
		t.Errorf("the error is %v, expected %s", err, want)
	}
}
