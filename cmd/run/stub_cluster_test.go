package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// sharedName is the file in the run's folder that the stubs of a cluster have
// for a ledger.
const sharedName = "shared.csv"

// stubNATS says that it is ready and does nothing.
func stubNATS() {
	name := strings.ReplaceAll(os.Getenv("NATS_NAME"), "-", " ")
	watched(name)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	if misbehave(name, "dies") {
		die(1, "nats-server: no such file")
	}
	if !misbehave(name, "is silent") {
		fmt.Fprintln(os.Stderr, "[7] 2026/01/31 10:00:00.000000 [INF] Server is ready")
	}
	<-stop
	if misbehave(name, "is stubborn") {
		select {}
	}
	// Who ends before the centrals is noticed.
	if err := os.WriteFile("stopped-"+os.Getenv("NATS_NAME"), nil, 0o644); err != nil {
		die(1, "%v", err)
	}
}

// stubSharing is one of several centrals on the same file. All draw when every
// agency has finished, wherever.
func stubSharing(listener net.Listener, expected int, name string) {
	var once sync.Once
	for {
		conn, err := listener.Accept()
		if err != nil {
			die(1, "%v", err)
		}
		go func() {
			defer conn.Close()
			rows, err := io.ReadAll(conn)
			if err != nil {
				die(1, "%v", err)
			}
			if id, isQuestion := strings.CutPrefix(string(rows), "?"); isQuestion {
				once.Do(stubDrawn)
				for _, row := range sharedRows() {
					if fields := strings.Split(row, ","); fields[0] == id && strings.HasSuffix(row, ",7574\r\n") && !misbehave(name, "tells nobody") {
						fmt.Fprintln(conn, fields[3])
					}
				}
				return
			}
			file, err := os.OpenFile(sharedName, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
			if err == nil {
				_, err = file.Write(append(rows, "end\n"...))
			}
			if err != nil {
				die(1, "%v", err)
			}
			for strings.Count(strings.Join(sharedRows(), ""), "end\n") < expected {
				time.Sleep(time.Millisecond)
			}
			if misbehave(name, "sees a lag") {
				logLine("action: stream_replica | result: fail | error: it is behind the leader")
			}
			if misbehave(name, "grumbles") {
				logLine("action: ledger_failed | result: fail | error: it is gone")
			}
			once.Do(stubDrawn)
			fmt.Fprintln(conn, strings.Count(string(rows), ",7574\r\n"))
		}()
	}
}

func stubDrawn() { logLine("action: sorteo | result: success") }

func sharedRows() []string {
	text, err := os.ReadFile(sharedName)
	if err != nil {
		die(1, "%v", err)
	}
	return strings.SplitAfter(string(text), "\n")
}

// stubExport writes the shared file's rows. The servers have to be there.
func stubExport(name string) {
	if stopped, _ := filepath.Glob("stopped-*"); len(stopped) > 0 {
		die(1, "server: no NATS server answers: %v", stopped)
	}
	text := strings.ReplaceAll(strings.Join(sharedRows(), ""), "end\n", "")
	switch {
	case misbehave("export", "fails"):
		die(1, "server: a message is missing")
	case misbehave("export", "loses a row"):
		text = text[strings.Index(text, "\n")+1:]
	case misbehave("export", "changes a row"):
		text = strings.Replace(text, "Ana", "Ann", 1)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		die(1, "%v", err)
	}
}

// stubAsk asks for an agency's winners.
func stubAsk(conn *net.TCPConn, id string) {
	fmt.Fprint(conn, "?"+id)
	if err := conn.CloseWrite(); err != nil {
		die(1, "client: %v", err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		die(1, "client: %v", err)
	}
	documents := strings.Fields(string(answer))
	for _, document := range documents {
		logLine("action: ganador | result: success | client_id: %s | dni: %s", id, document)
	}
	logLine("action: consulta_ganadores | result: success | cant_ganadores: %d", len(documents))
}
