package agency

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// A central that cannot be reached is called as often as was asked for, each
// time with a line, and then given up.
func TestUnreachable(t *testing.T) {
	for name, address := range map[string]string{
		"refused":      refusing(t),
		"unresolvable": "no-such-host.invalid:12345",
	} {
		t.Run(name, func(t *testing.T) {
			config := batchConfig(t, address, sampleRows(3))
			config.ConnectLimit = 3
			log, err := runAgency(t, config)
			wantFailure(t, log, err, "connect", "the central "+address+" cannot be reached, given up after 3 attempts")
			lines := log.with("action: connect | result: in_progress | client_id: 1 | server_address: " + address)
			if len(lines) != 2 || !strings.Contains(lines[1], "attempt: 2 | limit: 3 | pause: ") {
				t.Errorf("the log says %q, expected two attempts that are followed by another", lines)
			}
		})
	}
}

// A central that starts late is found.
func TestCentralStartsLate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()

	log := newRecord()
	a := testAgency(echoConfig(address, 1), log)
	a.config.ConnectLimit = 1_000_000
	ended := make(chan error, 1)
	go func() { ended <- a.run(context.Background()) }()
	log.await(t, "action: connect | result: in_progress")
	if listener, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	line := make([]byte, 100)
	n, _ := conn.Read(line)
	_, _ = conn.Write(line[:n])
	if err := <-ended; err != nil {
		t.Error(err)
	}
	log.wantNoFail(t)
}

// The pauses double up to the longest, and differ by up to a half.
func TestBackoff(t *testing.T) {
	b := backoff{firstPause, longestPause}
	for failures, middle := range map[int]time.Duration{
		1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 3: 400 * time.Millisecond,
		5: 1600 * time.Millisecond, 6: 2 * time.Second, 7: 2 * time.Second, 1_000_000_000: 2 * time.Second,
	} {
		t.Run(fmt.Sprint(failures), func(t *testing.T) {
			seen := map[time.Duration]bool{}
			for range 100 {
				pause := b.pause(failures)
				seen[pause] = true
				if pause < middle/2 || pause > middle+middle/2 {
					t.Errorf("the pause is %v, expected %v ± 50 %%", pause, middle)
				}
			}
			if len(seen) < 10 {
				t.Errorf("only %d different pauses of 100", len(seen))
			}
		})
	}
}
