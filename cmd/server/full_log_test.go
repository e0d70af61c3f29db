package main

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"loteria/codec"
)

// A log that cannot be written does not end the lottery: bets are stored and
// acknowledged, the draw is made, and the exit code is 0.
func TestLogOnAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	// The log cannot tell the port, so it is one of an address of its own.
	pid := os.Getpid()
	host := net.IPv4(127, byte(1+pid>>16&0x7f), byte(pid>>8), byte(pid)).String()
	p := start(t, exec.Command("sh", "-c", `exec "$0" "$@" >/dev/full`, os.Args[0],
		"--bind", host, "--port", "12345", "--admin=", "--expected-agencies", "1", "--log-level", "DEBUG"))
	p.address = host + ":12345"
	var conn net.Conn
	for deadline := time.Now().Add(patience); conn == nil; time.Sleep(time.Millisecond) {
		var err error
		if conn, err = net.Dial("tcp", p.address); err != nil && time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	defer conn.Close()
	for range 100 {
		p.exchange(conn, []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	}
	p.exchange(conn, []codec.Message{&codec.Finished{Agency: "1", Total: 100, HasTotal: true}}, []codec.Message{finished})
	p.Stop()
	if said := p.Stderr(); !strings.Contains(said, "no space left on device") {
		t.Errorf("the error output has %q, expected is why the log is not whole", said)
	}
}
