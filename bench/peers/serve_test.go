package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"loteria/bench/generator"
	"loteria/bench/peers/goroutines"
	"loteria/bench/peers/simple"
	"loteria/codec"
	"loteria/internal/logline"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

// server is a peer that speaks the lottery's protocol.
type server interface {
	Serve(net.Listener) error
	Close() error
}

// TestLotteries runs a whole lottery on each peer that speaks the protocol. All
// must end with the same file and the same winners.
func TestLotteries(t *testing.T) {
	const bets = 30_000
	for name, start := range map[string]func(t *testing.T, path string) server{
		"goroutines": func(t *testing.T, path string) server {
			ledger, err := csvledger.Open(filepath.Dir(path), 3)
			if err != nil {
				t.Fatal(err)
			}
			contest, err := lottery.NewContest(ledger)
			if err != nil {
				t.Fatal(err)
			}
			log := logline.New(io.Discard, logline.Text)
			t.Cleanup(func() { _ = contest.Close(); _ = log.Close() })
			return goroutines.New(contest, log.Journal(zerolog.InfoLevel))
		},
		"simple": func(_ *testing.T, path string) server { return simple.New(path, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), csvledger.LedgerFile)
			s := start(t, path)
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(listener) }()
			target := &generator.Central{Address: listener.Addr().String()}
			report, err := generator.Run(t.Context(), target, generator.Config{
				Connections: 3, Agencies: 3, Window: 5, BatchSize: 100, Bets: bets,
			})
			if err != nil {
				t.Fatal(err)
			}
			rows, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(rows), "\r\n"); n != bets || report.Bets != bets || int64(len(rows)) != report.RowBytes {
				t.Errorf("%d rows in %d bytes, and %d bets acknowledged in %d; expected %d", n, len(rows), report.Bets, report.RowBytes, bets)
			}
			if _, err := generator.Run(t.Context(), target, generator.Config{
				Connections: 4, Agencies: 4, Window: 1, BatchSize: 1, Bets: 4,
			}); err == nil || !strings.Contains(err.Error(), string(lottery.UnknownAgency)) {
				t.Errorf("an agency too many: the error is %v", err)
			}
			draw(t, listener.Addr().String())
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// draw lets three agencies bet, finish and ask for their winners, each over a
// connection of its own. Agency n has n of them.
func draw(t *testing.T, address string) {
	t.Helper()
	conns := make([]net.Conn, 3)
	winners := make([]codec.Winners, len(conns))
	for i := range conns {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
		agency := strconv.Itoa(i + 1)
		bet := codec.Bet{RawBet: lottery.RawBet{
			Agency: agency, FirstName: "Ana", LastName: "Sosa", Birthdate: "2000-02-29", Number: strconv.Itoa(lottery.WinningNumber),
		}}
		for range i + 1 {
			bet.RawBet.Document = strconv.Itoa(90_000_000 + 10*i + len(winners[i].Documents))
			winners[i].Documents = append(winners[i].Documents, bet.RawBet.Document)
			ask(t, conn, &bet, codec.TypeSuccess)
		}
		ask(t, conn, &codec.Finished{Agency: agency}, codec.TypeSuccess)
	}
	for i, conn := range conns {
		var got codec.Winners
		if err := got.Decode(ask(t, conn, &codec.WinnersQuery{Agency: strconv.Itoa(i + 1)}, codec.TypeWinners)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Documents, winners[i].Documents) {
			t.Errorf("agency %d has the winners %v, expected %v", i+1, got.Documents, winners[i].Documents)
		}
	}
}

// ask sends a request and returns the payload of its answer.
func ask(t *testing.T, conn net.Conn, m codec.Message, want codec.Type) []byte {
	t.Helper()
	frame, err := codec.AppendFrame(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(frame); err != nil {
		t.Fatal(err)
	}
	var decoder codec.Decoder
	for buffer := make([]byte, codec.MaxFrame); ; {
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		answer, _, ok, err := decoder.Next(buffer[:n])
		if err != nil || ok && answer.Type != want {
			t.Fatalf("the answer to %T is %v (%v), expected %v", m, answer.Type, err, want)
		}
		if ok {
			return answer.Payload
		}
	}
}

func TestServeNothingKnown(t *testing.T) {
	if err := servePeer(context.Background(), "nobody", io.Discard); err == nil {
		t.Error("nobody serves")
	}
}
