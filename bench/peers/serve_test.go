package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"loteria/bench/generator"
	"loteria/bench/peers/goroutines"
	"loteria/bench/peers/simple"
	"loteria/lottery"
)

// server is what a peer that speaks the lottery's protocol has in common with
// another one.
type server interface {
	Serve(net.Listener) error
	Close() error
}

// TestLotteries runs a whole lottery on each peer that speaks the protocol. Both
// must come to the same file and the same winners.
func TestLotteries(t *testing.T) {
	const bets = 30_000
	for name, start := range map[string]func(t *testing.T, path string) server{
		"goroutines": func(t *testing.T, path string) server {
			contest, _, err := lottery.OpenContest(filepath.Dir(path), 3)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { contest.Close() })
			return goroutines.New(contest)
		},
		"simple": func(_ *testing.T, path string) server { return simple.New(path, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), lottery.LedgerFile)
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
			draw(t, target, name == "goroutines")
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// draw has queries wait for the draw, where the peer knows RESUME, which Park
// asks for.
func draw(t *testing.T, target *generator.Central, resumes bool) {
	t.Helper()
	if !resumes {
		return
	}
	parked, err := generator.Park(t.Context(), target, generator.ParkConfig{Queries: 6, Connections: 6, Agencies: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer parked.Close()
	if _, err := parked.Draw(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServeNothingKnown(t *testing.T) {
	if err := servePeer(context.Background(), "nobody", io.Discard); err == nil {
		t.Error("nobody serves")
	}
}
