//go:build linux

package cmd_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"loteria/internal/process/processtest"
	"loteria/lottery/csvledger"
)

// rival is one of two processes that speak for agency 1 at the same time.
type rival struct {
	*process
	rows  []string // of its file, as the ledger must have them
	acked int      // how many the central has acknowledged to it
}

// TestRivals has two processes speak for one agency, with the same bets or with
// others, through connections that are cut, and with pauses of the processes. What
// is acknowledged to either is stored, what is stored is all of the one that gets
// to its end, and the other one is told.
func TestRivals(t *testing.T) { eachTransport(t, testRivals) }

func testRivals(t *testing.T, over transport) {
	rounds := 5
	if long() {
		rounds = 200
	}
	seed := seeded(t)
	begun := time.Now()
	var all rivalry
	for n := range rounds {
		all.add(playRivals(t, over, rand.New(rand.NewPCG(seed, uint64(n)))))
	}
	t.Logf("%v; %v", &all, time.Since(begun).Round(time.Second))
}

// rivalry counts what has happened.
type rivalry struct {
	rounds, bets, acked, both, fenced, cuts, pauses int
	notStored, notWinners                           int
}

func (r *rivalry) add(s rivalry) {
	r.rounds++
	r.bets += s.bets
	r.acked += s.acked
	r.both += s.both
	r.fenced += s.fenced
	r.cuts += s.cuts
	r.pauses += s.pauses
	r.notStored += s.notStored
	r.notWinners += s.notWinners
}

func (r *rivalry) String() string {
	return fmt.Sprintf("%d rounds, %d bets stored, %d acknowledged, to both in %d rounds; fenced %d times, %d connections cut, %d pauses; "+
		"acknowledged and not stored: %d, stored and not of the winner: %d",
		r.rounds, r.bets, r.acked, r.both, r.fenced, r.cuts, r.pauses, r.notStored, r.notWinners)
}

// rivalRows returns the rows of two files: the first common ones are the same,
// and all when common is the length.
func rivalRows(rows, common int) (files [2][]string) {
	for i := range files {
		for row := range rows {
			owner := "Ana"
			if i == 1 && row >= common {
				owner = "Beto"
			}
			files[i] = append(files[i], fmt.Sprintf("%s,Ruiz,%d,2000-01-01,%d", owner, 10_000_000+row, row%10_000))
		}
	}
	return files
}

func playRivals(t *testing.T, over transport, rng *rand.Rand) (said rivalry) {
	programs(t)
	rows := 20 + upTo(rng, 1500)
	common := [...]int{0, 0, rng.IntN(rows), rows}[rng.IntN(4)]
	files := rivalRows(rows, common)

	storage, address := t.TempDir(), processtest.FreeAddress(t)
	events := make(chan event, 1024)
	_, port, _ := net.SplitHostPort(address)
	central := start(t, events, 0, "server", append(over.server(port), "--admin=", "--storage-dir", storage, "--expected-agencies", "1")...)
	stuck := time.NewTimer(stuckTime)
	defer stuck.Stop()
	next := func() event {
		select {
		case e := <-events:
			stuck.Reset(stuckTime)
			if e.end {
				e.from.ended = true
			}
			return e
		case <-stuck.C:
			t.Fatalf("nothing happens any more:\n%v", central)
			return event{}
		}
	}
	for !strings.Contains(next().line, "action: listen") {
	}

	var budget atomic.Int64
	budget.Store(int64(upTo(rng, 20)))
	var rivals [2]*rival
	var proxies [2]*proxy
	for i := range rivals {
		folder, file := t.TempDir(), new(bytes.Buffer)
		r := &rival{}
		for _, row := range files[i] {
			fmt.Fprintf(file, "%s\n", row)
			r.rows = append(r.rows, "1,"+row)
		}
		if err := os.WriteFile(filepath.Join(folder, "agency-1.csv"), file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		proxies[i] = startProxy(t, over, address, rng.Uint64(), i, &budget, time.Second)
		args := append(over.client(1), "--id", "1", "--server-address", proxies[i].address(), "--data-dir", folder, "--connect-limit", "100000",
			"--batch-max-amount", strconv.Itoa(1+upTo(rng, 100)), "--window", strconv.Itoa(1+upTo(rng, 32)))
		if chance(rng, 3) {
			args = append(args, "--loop-period", upToTime(rng, 3*time.Millisecond).String())
		}
		r.process = start(t, events, 1+i, "client", args...)
		rivals[i] = r
	}
	for !rivals[0].ended || !rivals[1].ended {
		e := next()
		if e.end || e.from == central {
			continue
		}
		r := rivals[e.from.id-1]
		line := r.take(e.line)
		if strings.Contains(e.line, "another process speaks for this agency") {
			said.fenced++
		}
		if line["action"] == "batch_processed" && line["result"] == "success" {
			_, last, _ := strings.Cut(line["batch"], "-")
			r.acked, _ = strconv.Atoi(last)
		}
		if chance(rng, 60) {
			said.pauses++
			r.Signal(syscall.SIGSTOP)
			time.AfterFunc(upToTime(rng, 200*time.Millisecond), func() { r.Signal(syscall.SIGCONT) })
		}
	}
	central.Signal(syscall.SIGTERM)
	for !central.ended {
		if e := next(); e.from == central && !e.end {
			central.take(e.line)
		}
	}
	for _, p := range proxies {
		p.close()
		for _, n := range p.cuts {
			said.cuts += n
		}
	}

	text, err := os.ReadFile(filepath.Join(storage, csvledger.LedgerFile))
	if err != nil {
		t.Fatal(err)
	}
	stored := strings.Split(strings.TrimSuffix(string(text), "\r\n"), "\r\n")
	said.bets = len(stored)
	won := 0
	for _, r := range rivals {
		said.acked += r.acked
		for i := range r.acked {
			if i >= len(stored) || stored[i] != r.rows[i] {
				said.notStored++
			}
		}
		if r.ExitCode() == 0 {
			won++
			for i, row := range stored {
				if i >= len(r.rows) || row != r.rows[i] {
					said.notWinners++
				}
			}
			if len(stored) != len(r.rows) {
				t.Errorf("%d bets are stored, the one that has finished had %d", len(stored), len(r.rows))
			}
		} else if r.ExitCode() != 1 || !strings.Contains(r.stderr.String(), "the central has") {
			t.Errorf("the one that has not finished does not say why:\n%v", r)
		}
	}
	if rivals[0].acked > 0 && rivals[1].acked > 0 {
		said.both++
	}
	if want := map[bool]int{true: 2, false: 1}[common == rows]; won != want {
		t.Errorf("%d of them have finished, expected %d", won, want)
	}
	if said.notStored+said.notWinners > 0 || central.ExitCode() != 0 {
		t.Errorf("acknowledged and not stored: %d, stored and not of the winner: %d", said.notStored, said.notWinners)
	}
	if t.Failed() {
		t.Fatalf("%d rows, the first %d the same\n%v\n%v\n%v", rows, common, central, rivals[0], rivals[1])
	}
	return said
}
