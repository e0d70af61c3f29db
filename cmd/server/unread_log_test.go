package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"loteria/codec"
	"loteria/lottery"
)

// A central whose log is no longer read still stops when it is told to. Writers of
// log lines wait when too much is unread.
func TestStopWhileNobodyReadsTheLog(t *testing.T) {
	const each = 100 // batches in the window
	log, input, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("sh", "-c", `exec "$0" "$@" >&3`, os.Args[0], "--bind", "127.0.0.1", "--port", "0", "--admin=",
		"--expected-agencies", "1", "--log-level", "DEBUG", "--fsync", "never", "--shutdown-timeout", "20s")
	cmd.ExtraFiles = []*os.File{input}
	p := start(t, cmd)
	input.Close() // the central has its own
	for lines := bufio.NewScanner(log); p.address == "" && lines.Scan(); {
		if line := lines.Text(); strings.Contains(line, "action: listen") {
			p.address = addressOf(line)
		}
	}
	var batch codec.Batch
	for i := range 200 {
		batch.RawBets = append(batch.RawBets, lottery.RawBet{Agency: "1", FirstName: "A", LastName: "B", Document: strconv.Itoa(i + 1), Birthdate: "2000-01-01", Number: "1"})
	}
	var requests []codec.Message
	for range each {
		requests = append(requests, &batch)
	}
	window, answers := frames(t, requests...), make([]byte, each*len(frames(t, &codec.Success{Document: "1", Number: "1"})))
	conn := p.dial()
	for {
		if _, err := conn.Write(window); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second))
		if _, err := io.ReadFull(conn, answers); errors.Is(err, os.ErrDeadlineExceeded) {
			break // the log is full
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 { // each logs a short line, where there is room for it
		short, err := net.Dial("tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		short.Close()
	}
	p.Process.Stop() // its connection is left to it
}
