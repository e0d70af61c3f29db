package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"loteria/codec"
	"loteria/lottery"
)

// A peer that sends the same nonsense again and again gets its answers, and does
// not fill the disk with their log. Every refusal is accounted for.
func TestFloodOfRefusals(t *testing.T) {
	const floods, each = 20, 500
	p := launch(t, "--expected-agencies", "1")
	bad := raw
	bad.Number = "10000"
	request := bytes.Repeat(frames(t, &codec.Bet{RawBet: bad}), each)
	answer := frames(t, &codec.Error{Document: bad.Document, Number: bad.Number, Code: lottery.BadNumber})
	conn := p.dial()
	for range floods {
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, each*len(answer))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, bytes.Repeat(answer, each)) {
			t.Fatalf("received %.100q, %v", got, err)
		}
	}
	const echoes = 100
	for range echoes {
		echo, err := net.Dial("tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := echo.Write([]byte("hola\n")); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(echo); err != nil || string(got) != "hola\n" {
			t.Fatalf("the echo is %q, %v", got, err)
		}
		echo.Close()
	}
	p.Stop()
	for what, want := range map[string]struct{ told, most int }{
		"action: apuesta_recibida | result: fail":   {floods * each, floods * each / 4}, // a slow machine takes several seconds
		"action: receive_message | result: success": {echoes, echoes},
	} {
		lines, told := 0, 0
		for _, line := range p.Lines() {
			if !strings.Contains(line, what) {
				continue
			}
			n := 1
			if _, sum, found := strings.Cut(line, "suppressed_lines: "); found {
				if _, err := fmt.Sscan(sum, &n); err != nil {
					t.Errorf("%q: %v", line, err)
				}
			}
			lines++
			told += n
		}
		if told != want.told || lines > want.most {
			t.Errorf("%s: %d lines tell of %d, expected at most %d of %d", what, lines, told, want.most, want.told)
		}
	}
}
