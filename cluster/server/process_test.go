// Package server_test tests the central's program on NATS servers.
package server_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"loteria/codec"
	"loteria/internal/leaktest"
	"loteria/internal/process/gobuild"
	"loteria/internal/process/processtest"
)

// patience bounds every wait of these tests; none of them needs it.
const patience = time.Minute

// programs builds the server and the client, in their own module.
var programs = gobuild.New("../..", "./cmd/server", "./cmd/client")

func TestMain(m *testing.M) {
	code := leaktest.Run(m)
	programs.Remove()
	os.Exit(code)
}

// program returns the path of the server.
func program(t *testing.T) string {
	t.Helper()
	return filepath.Join(programs.Folder(t), "server")
}

// begin starts a server without waiting for anything.
func begin(t *testing.T, args ...string) *processtest.Process {
	t.Helper()
	args = append([]string{"--bind", "127.0.0.1", "--port", "0", "--admin="}, args...)
	return processtest.Start(t, exec.Command(program(t), args...), nil)
}

// listens waits until the central accepts connections, and returns its address.
func listens(p *processtest.Process) string {
	_, address, _ := strings.Cut(p.Await("action: listen | result: success"), "address: ")
	return address
}

// do runs the server to its end, expects the exit code, and returns its stdout and
// stderr.
func do(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	p := begin(t, args...)
	if got := p.End(); got != code {
		t.Fatalf("%q exits with %d, expected %d: %v", args, got, code, p)
	}
	if code != 0 && strings.Count(p.Stderr(), "\n") != 1 {
		t.Errorf("%q says more than a line: %s", args, p.Stderr())
	}
	return strings.Join(p.Lines(), "\n"), p.Stderr()
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
