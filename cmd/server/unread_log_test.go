package main

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"loteria/codec"
	"loteria/lottery"
)

// A central whose log is no longer read still stops when it is told to. Writers of
// log lines wait when too much is unread.
func TestStopWhileNobodyReadsTheLog(t *testing.T) {
	const each = 100 // batches in the window
	p := launch(t, "--expected-agencies", "1", "--log-level", "DEBUG", "--fsync", "never", "--shutdown-timeout", "20s")
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
	p.signal(syscall.SIGTERM)
	stuck := time.AfterFunc(patience, func() { p.signal(syscall.SIGKILL) })
	defer stuck.Stop()
	defer func() { // end what reads the pipe
		for range p.lines {
		}
	}()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("it ends with %v, expected 0:\n%s", err, &p.stderr)
	}
}
