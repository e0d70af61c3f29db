package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// stage prepares a working directory: the programs under bin, two agencies'
// files under data.
func stage(t *testing.T, misbehaviour string) {
	t.Helper()
	server := filepath.Join(programs.Folder(t), "server")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	// Under the race detector each stub would end only after a second.
	t.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	t.Setenv(serverVar, server)
	t.Setenv(stubVar, misbehaviour)
	for _, dir := range []string{"bin", "data"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"server", "run"} {
		if err := os.Symlink(self, filepath.Join("bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	writeAgency(t, "1", "Ana,Muñoz,1000001,1990-01-01,7574\r\n\"Juan \"\"Tito\"\"\",\"Paz, h.\",1000002,1991-01-01,1\r\nEva,Sosa,1000003,1992-01-01,2\r\n")
	writeAgency(t, "2", "Luz,Ríos,2000001,1990-01-01,3\r\n")
}

func writeAgency(t *testing.T, id, rows string) {
	t.Helper()
	name := filepath.Join("data", "agency-"+id+".csv")
	if err := os.WriteFile(name, []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	// An agency waits when its file has just been written.
	if err := os.Chtimes(name, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
}

// folder returns the only run's folder.
func folder(t *testing.T) string {
	t.Helper()
	dirs, err := filepath.Glob("run/*")
	if err != nil || len(dirs) != 1 {
		t.Fatalf("the runs left %q, want one folder", dirs)
	}
	return dirs[0]
}

var stubArgs = []string{"--data", "data", "--agencies", "2", "--batch", "2"}

// dawdle has an agency wait after its first batch.
var dawdle = append(stubArgs, "--loop-period", "1h")

// watcher is connected with the stub of the central, which lives as long as the
// connection.
type watcher struct {
	listener *net.TCPListener
	conn     net.Conn
	lines    *bufio.Reader
}

func watch(t *testing.T) *watcher {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{listener: listener}
	t.Cleanup(w.close)
	t.Setenv(watchVar, listener.Addr().String())
	return w
}

func (w *watcher) close() {
	w.listener.Close()
	if w.conn != nil {
		w.conn.Close()
	}
}

// central waits until there is one.
func (w *watcher) central(t *testing.T) {
	t.Helper()
	_ = w.listener.SetDeadline(time.Now().Add(patience))
	conn, err := w.listener.Accept()
	if err != nil {
		t.Fatalf("waiting for the central to start: %v", err)
	}
	w.conn, w.lines = conn, bufio.NewReader(conn)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
}

// stopping waits until the central was told to stop.
func (w *watcher) stopping(t *testing.T) {
	t.Helper()
	if line, err := w.lines.ReadString('\n'); line != "stopping\n" {
		t.Fatalf("the central says %q (%v)", line, err)
	}
}

// gone checks that the central has ended, if there was one.
func (w *watcher) gone(t *testing.T) {
	t.Helper()
	if w.conn == nil {
		_ = w.listener.SetDeadline(time.Now().Add(10 * time.Millisecond)) // it is in the backlog if it came
		conn, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.conn, w.lines = conn, bufio.NewReader(conn)
		_ = conn.SetReadDeadline(time.Now().Add(patience))
	}
	var timeout net.Error
	if _, err := io.Copy(io.Discard, w.lines); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the central is still there")
	}
}
