package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"loteria/internal/leaktest"
	"loteria/internal/process"
	"loteria/internal/process/gobuild"
)

// The test binary plays the programs: under the name of one of them it is that
// one. The server is the real one, in which something goes wrong, see
// misbehaves.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "run":
		main()
	case "server":
		stubServer()
	default:
		code := leaktest.Run(m)
		programs.Remove()
		os.Exit(code)
	}
}

// A stub's environment.
const (
	// watchVar is the address to which every stub opens a connection that stays
	// until its process and the real server's are gone, however they go.
	watchVar = "STUB_WATCH"
	// stubVar says what must go wrong.
	stubVar = "STUB_MISBEHAVES"
	// serverVar is the path of the real server.
	serverVar = "STUB_SERVER"
)

// programs has the real server.
var programs = gobuild.New("../..", "./cmd/server")

func misbehaves(how string) bool { return os.Getenv(stubVar) == how }

func die(code int, format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(code)
}

func logLine(format string, args ...any) {
	fmt.Printf("2026-01-31 10:00:00 INFO     "+format+"\n", args...)
}

// stubServer runs the real server, and passes its log on. Neither outlives the other.
func stubServer() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	watch := dialWatch()
	if misbehaves("dies") {
		for i := range 40 {
			logLine("action: getting_ready | result: success | step: %d", i+1)
		}
		die(3, "panic: nothing works\x1b[31m today")
	}
	output, input, err := os.Pipe()
	if err != nil {
		die(9, "%v", err)
	}
	cmd := exec.Command(os.Getenv(serverVar), os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = input, os.Stderr
	if watch != nil {
		cmd.ExtraFiles = []*os.File{watch} // the test sees the end of both
	}
	server, err := process.Start(cmd, "real server")
	if err != nil {
		die(9, "%v", err)
	}
	input.Close() // the server has its own
	if watch != nil {
		go func() {
			_, _ = io.Copy(io.Discard, watch) // the test hangs up
			server.Kill()
		}()
	}
	go func() {
		<-stop
		if watch != nil {
			fmt.Fprintln(watch, "stopping")
		}
		if !misbehaves("is stubborn") {
			server.Signal(syscall.SIGTERM)
		}
	}()
	for lines := bufio.NewScanner(output); lines.Scan(); {
		line := lines.Text()
		switch {
		case misbehaves("is silent") && strings.Contains(line, "action: listen "):
		case strings.Contains(line, "action: sorteo ") && misbehaves("hides the draw"):
		case strings.Contains(line, "action: sorteo ") && misbehaves("draws again"):
			fmt.Println(line + "\n" + line)
		case strings.Contains(line, "action: sorteo ") && misbehaves("grumbles"):
			fmt.Println(line)
			logLine("action: apuesta_recibida | result: fail | cantidad: 1")
		case strings.Contains(line, "action: apuesta_recibida ") && misbehaves("crashes"):
			server.Kill()
			die(4, "panic: an agency came")
		default:
			fmt.Println(line)
		}
	}
	<-server.Ended()
	switch {
	case misbehaves("loses a row"):
		rows, _ := os.ReadFile("bets.csv")
		_ = os.WriteFile("bets.csv", rows[strings.Index(string(rows), "\n")+1:], 0o644)
	case misbehaves("stops badly"):
		die(1, "server: cannot stop")
	}
	if server.ExitCode() < 0 { // killed
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	os.Exit(server.ExitCode())
}

// dialWatch connects to the test, if that watches.
func dialWatch() *os.File {
	address := os.Getenv(watchVar)
	if address == "" {
		return nil
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		die(9, "watch: %v", err)
	}
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		die(9, "watch: %v", err)
	}
	conn.Close() // the file is another descriptor of it
	return file
}
