package agency

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// A central that cannot be reached is called as often as configured, each time with
// a line, and then given up.
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

// least returns the shortest time that the pauses can take.
func (b backoff) least(pauses int) (sum time.Duration) {
	for failures := 1; failures <= pauses; failures++ {
		sum += b.middle(failures) / 2
	}
	return sum
}

// The default allows for a restart of the central even with the shortest pauses.
func TestDefaultConnectLimit(t *testing.T) {
	const away = 3 * time.Minute
	if least := newAgency(Config{}, zerolog.Nop()).backoff.least(DefaultConnectLimit - 1); least < away {
		t.Errorf("a central is given up after %v, expected not before %v", least, away)
	}
}

func TestParseAddresses(t *testing.T) {
	many := make([]string, maxAddresses+1)
	for i := range many {
		many[i] = fmt.Sprint("a:", i+1)
	}
	for text, want := range map[string][]string{
		"server:12345":              {"server:12345"},
		" a:1 , b:2,[::1]:65535 ":   {"a:1", "b:2", "[::1]:65535"},
		"a:1,b:1,a:1":               {"a:1", "b:1"},
		strings.Join(many[1:], ","): many[1:],
		strings.Join(many, ","):     nil,
		"":                          nil,
		"a":                         nil,
		":1":                        nil,
		"a:0":                       nil,
		"a:65536":                   nil,
		"a:http":                    nil,
		"a:1,":                      nil,
		"a:1;b:1":                   nil,
		"::1:80":                    nil,
		"http://a:1":                nil,
	} {
		got, err := ParseAddresses(text)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %q, %v, expected %q", text, got, err, want)
		}
	}
}

// When one address does not answer, the next one is called, in every mode. Each that
// does not is named.
func TestNextAddress(t *testing.T) {
	for mode, config := range map[Mode]Config{
		ModeBatch:   batchConfig(t, "", sampleRows(25)),
		ModeBet:     betConfig("", 3),
		ModeWinners: winnersConfig(""),
	} {
		t.Run(string(mode), func(t *testing.T) {
			central := &fake{knowsResume: true}
			dead := refusing(t)
			config.Address = dead + ", no-such-host.invalid:12345," + central.start(t)
			config.ConnectLimit = 0
			log := completed(t, config)
			lines := log.with("action: connect | result: in_progress")
			if len(lines) != 2 || !strings.Contains(lines[0], "server_address: "+dead+" ") || !strings.Contains(lines[0], "next: no-such-host.invalid:12345 ") ||
				!strings.Contains(lines[1], "server_address: no-such-host.invalid:12345 ") {
				t.Errorf("the log says %q, expected a line about each of the first two", lines)
			}
		})
	}
	t.Run("echo", func(t *testing.T) {
		address := serve(t, func(_ int, p *peer) {
			line := make([]byte, 100)
			n, _ := p.Read(line)
			p.send(line[:n])
		})
		log := completed(t, echoConfig(refusing(t)+","+address, 3))
		if lines := log.with("action: connect | result: in_progress"); len(lines) != 1 {
			t.Errorf("the log says %q, expected that the address which works is kept", lines)
		}
	})
	t.Run("none", func(t *testing.T) {
		a, b := refusing(t), refusing(t)
		config := echoConfig(a+","+b, 1)
		config.ConnectLimit = 3
		log, err := runAgency(t, config)
		wantFailure(t, log, err, "connect", "any of its 2 addresses, given up after 3 attempts at each", a+": dial tcp", b+": dial tcp")
		if lines := log.with("action: connect | result: in_progress"); len(lines) != 5 {
			t.Errorf("the log says %q, expected 5 calls that are followed by another", lines)
		}
	})
}

// An address that accepts connections and loses them is left for the next one. It is
// not taken for an existing central, which needs its closings at one address.
func TestNextAddressAfterLosses(t *testing.T) {
	for name, speaks := range map[string]bool{"no room": false, "closes on RESUME": true} {
		t.Run(name, func(t *testing.T) {
			losing := func() string {
				return serve(t, func(_ int, p *peer) {
					if speaks {
						p.expect(tResume)
					}
				})
			}
			central := &fake{knowsResume: true}
			rows := sampleRows(25)
			config := batchConfig(t, losing()+","+losing()+","+central.start(t), rows)
			config.ConnectLimit = 1
			completed(t, config)
			central.wantAll(rows)
		})
	}
}

// A name with addresses of both families is called at both.
func TestLocalhost(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		t.Run(loopback, func(t *testing.T) {
			addresses, _ := net.DefaultResolver.LookupHost(t.Context(), "localhost")
			listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
			if err != nil || !slices.Contains(addresses, loopback) {
				t.Skipf("localhost is not at %s: %v", loopback, errors.Join(err))
			}
			defer listener.Close()
			_, port, _ := net.SplitHostPort(listener.Addr().String())
			a := testAgency(echoConfig("localhost:"+port, 1), newRecord())
			a.config.ConnectLimit = 1
			a.rotation.addresses = []string{a.config.Address}
			l, err := a.connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l.close()
		})
	}
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
