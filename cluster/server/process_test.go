// Package server_test tests the central's program on NATS servers.
package server_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"loteria/codec"
	"loteria/internal/process/gobuild"
)

// patience bounds every wait of these tests; none of them needs it.
const patience = time.Minute

// programs builds the server, in its own module.
var programs = gobuild.New("../..", "./cmd/server")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		programs.Remove()
		os.Exit(code)
	}))
}

// program returns the path of the server.
func program(t *testing.T) string {
	t.Helper()
	return filepath.Join(programs.Folder(t), "server")
}

// process is a running server.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
	lines  chan string // of stdout; closed at its end
	log    []string    // the lines read so far
}

// begin starts a server without waiting for anything.
func begin(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, lines: make(chan string, 4096)}
	p.cmd = exec.Command(program(t), append([]string{"--bind", "127.0.0.1", "--port", "0", "--admin="}, args...)...)
	p.cmd.Dir = t.TempDir()
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	go func() {
		defer close(p.lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
	}()
	return p
}

// await reads the log up to the first line with the text, and returns it.
func (p *process) await(text string) string {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the server ended without %q:\n%s\n%s", text, strings.Join(p.log, "\n"), &p.stderr)
			}
			p.log = append(p.log, line)
			if strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			p.t.Fatalf("no line has %q:\n%s", text, strings.Join(p.log, "\n"))
		}
	}
}

// end reads the rest of the log and returns the exit code.
func (p *process) end() int {
	p.t.Helper()
	stuck := time.AfterFunc(patience, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) })
	defer stuck.Stop()
	for line := range p.lines {
		p.log = append(p.log, line)
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// stop sends SIGTERM and expects a clean end.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if code := p.end(); code != 0 {
		p.t.Fatalf("exit code %d after SIGTERM, expected 0:\n%s\n%s", code, strings.Join(p.log, "\n"), &p.stderr)
	}
}

func (p *process) count(text string) (n int) {
	for _, line := range p.log {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// listens waits until the central accepts connections, and returns its address.
func (p *process) listens() (address string) {
	p.t.Helper()
	_, address, _ = strings.Cut(p.await("action: listen | result: success"), "address: ")
	return address
}

// do runs the server to its end, expects the exit code, and returns its stdout and
// stderr.
func do(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	p := begin(t, args...)
	if got := p.end(); got != code {
		t.Fatalf("%q exits with %d, expected %d:\n%s\n%s", args, got, code, strings.Join(p.log, "\n"), &p.stderr)
	}
	said := strings.Join(p.log, "\n")
	if code != 0 && strings.Count(p.stderr.String(), "\n") != 1 {
		t.Errorf("%q says more than a line: %s", args, &p.stderr)
	}
	return said, p.stderr.String()
}

// exchange sends requests on a new connection and expects the answers.
func exchange(t *testing.T, address string, requests, answers []codec.Message) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(frames(t, requests)); err != nil {
		t.Fatal(err)
	}
	want := frames(t, answers)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || !slices.Equal(got, want) {
		t.Fatalf("received % x and %v, expected % x", got, err, want)
	}
}

func frames(t *testing.T, messages []codec.Message) (b []byte) {
	t.Helper()
	for _, m := range messages {
		var err error
		if b, err = codec.AppendFrame(b, m); err != nil {
			t.Fatal(err)
		}
	}
	return b
}
