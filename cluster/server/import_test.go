package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"loteria/cluster/natstest"
	"loteria/codec"
	"loteria/lottery"
	"loteria/lottery/csvledger"
	"loteria/lottery/ledgertest"
	"loteria/lottery/natsledger"
)

// writeFolder makes a contest of three agencies, whose bets are interleaved; the
// third has none.
func writeFolder(t *testing.T, bets int, drawn bool) (folder string) {
	t.Helper()
	folder = t.TempDir()
	var rows []byte
	for i := range bets {
		rows = append(rows, ledgertest.Rows(ledgertest.Bets(1+i%2, i/2, 1)...)...)
	}
	state := map[string]any{"agencies": 3, "finished": []int{3}, "phase": "betting", "deadline": "2099-12-24T18:00:00.000000123Z", "ledger_bytes": len(rows)}
	if drawn {
		state["finished"], state["missing"], state["phase"] = []int{1, 3}, []int{2}, "drawn"
	}
	content, err := json.Marshal(state)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, csvledger.StateFile), content, 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, csvledger.LedgerFile), rows, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// rowsOf returns the rows of one agency, in their order.
func rowsOf(rows []byte, agency int) (its []byte) {
	prefix := fmt.Appendf(nil, "%d,", agency)
	for line := range bytes.Lines(rows) {
		if bytes.HasPrefix(line, prefix) {
			its = append(its, line...)
		}
	}
	return its
}

// checkWinners compares what --winners writes with the rows of an export.
func checkWinners(t *testing.T, rows []byte, args []string) {
	t.Helper()
	want, row := "agency,document,row", 0
	err := lottery.ParseRows(rows, func(bet lottery.Bet, _ int) {
		if row++; bet.HasWon() {
			want += fmt.Sprintf("\n%d,%s,%d", bet.Agency, bet.Document, row)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := do(t, 0, args...); got != want {
		t.Errorf("the winners are %.300s, want %.300s", got, want)
	}
}

// A contest goes from a folder into a stream and back unchanged.
func TestImportAndBack(t *testing.T) {
	c := natstest.Start(t, 3)
	for name, test := range map[string]struct {
		bets  int
		drawn bool
	}{"betting": {5001, false}, "drawn": {20_000, true}, "no bets": {0, true}} {
		t.Run(name, func(t *testing.T) {
			source, args := writeFolder(t, test.bets, test.drawn), on(c)
			said, _ := do(t, 0, with(args, "--import", source)...)
			if !strings.Contains(said, "both are the same, and nothing is damaged") || !strings.Contains(said, "to loteria-c") {
				t.Errorf("it says %s", said)
			}
			if _, again := do(t, 1, with(args, "--import", source)...); !strings.Contains(again, "nothing was imported: the target has a contest already") {
				t.Errorf("again it says %s", again)
			}
			if checked, _ := do(t, 0, with(args, "--check")...); !strings.Contains(checked, fmt.Sprintf(": %d rows, ", test.bets)) || !strings.HasSuffix(checked, "nothing is damaged") {
				t.Errorf("the check says %s", checked)
			}
			c.WaitCurrent("loteria-" + args[3])
			if checked, _ := do(t, 0, with(args, "--check")...); strings.Count(checked, " is whole") != 3 {
				t.Errorf("the check does not tell of three copies: %s", checked)
			}
			want := read(t, filepath.Join(source, csvledger.LedgerFile))
			exported := filepath.Join(t.TempDir(), "bets.csv")
			if !test.drawn {
				if _, said := do(t, 1, with(args, "--export", exported)...); !strings.Contains(said, "the contest is not drawn") {
					t.Errorf("the export says %s", said)
				}
			}
			do(t, 0, with(args, "--export", exported, fmt.Sprintf("--so-far=%t", !test.drawn))...)
			checkWinners(t, read(t, exported), with(args, "--winners", "--so-far"))
			storage := t.TempDir()
			do(t, 0, "--import", strings.Join(c.URLs(), ","), "--contest", args[3], "--storage-dir", storage)
			back := filepath.Join(storage, args[3])
			for _, path := range []string{exported, filepath.Join(back, csvledger.LedgerFile)} {
				got := read(t, path)
				if len(got) != len(want) {
					t.Errorf("%s has %d bytes, expected %d", path, len(got), len(want))
				}
				for agency := 1; agency <= 3; agency++ {
					if !bytes.Equal(rowsOf(got, agency), rowsOf(want, agency)) {
						t.Errorf("%s: the rows of agency %d are others", path, agency)
					}
				}
			}
			var states [2]map[string]any
			for i, folder := range []string{source, back} {
				if err := json.Unmarshal(read(t, filepath.Join(folder, csvledger.StateFile)), &states[i]); err != nil {
					t.Fatal(err)
				}
			}
			if test.bets == 0 {
				delete(states[0], "ledger_bytes")
			}
			// The times are those of the import, as NATS has them.
			for _, name := range []string{"opened", "closed", "drawn"} {
				if _, isThere := states[1][name]; isThere != (name == "opened" || test.drawn) {
					t.Errorf("%s is %v", name, states[1][name])
				}
				delete(states[1], name)
				delete(states[0], name)
			}
			if got, want := fmt.Sprint(states[1]), fmt.Sprint(states[0]); got != want {
				t.Errorf("contest.json is %s, expected %s", got, want)
			}
		})
	}
}

// Nothing is imported into a contest that has a bet or other terms.
func TestImportIntoAUsedStream(t *testing.T) {
	c := natstest.Start(t, 1)
	source := writeFolder(t, 100, true)
	open := func(args []string, agencies int) *natsledger.Ledger {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		l, err := natsledger.Open(ctx, natsledger.Config{Servers: c.URLs(), Contest: args[3], Agencies: agencies, Replicas: 1, MaxBytes: 64 << 20, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	terms := on(c)
	if err := open(terms, 2).Close(); err != nil {
		t.Fatal(err)
	}
	if _, said := do(t, 1, with(terms, "--import", source)...); !strings.Contains(said, "nothing was imported") || !strings.Contains(said, "of 2 agencies") {
		t.Errorf("with other terms it says %s", said)
	}
	used := on(c)
	p := begin(t, with(used, "--expected-agencies", "3")...)
	exchange(t, listens(p), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	if _, said := do(t, 1, with(used, "--import", source)...); !strings.Contains(said, "nothing was imported: the target has a contest already") {
		t.Errorf("with a bet it says %s", said)
	}
	if said, _ := do(t, 0, with(used, "--check")...); !strings.Contains(said, ": 1 rows") {
		t.Errorf("the check says %s", said)
	}
	p.Stop()
	unused := on(c)
	if err := open(unused, 3).Close(); err != nil {
		t.Fatal(err)
	}
	do(t, 0, with(unused, "--import", source)...) // a central was there, and no agency
}

// A killed import leaves a stream that takes no other import, so that nothing is
// in it twice.
func TestImportIsKilled(t *testing.T) {
	c := natstest.Start(t, 1)
	source, args := writeFolder(t, 200_000, false), on(c)
	p := begin(t, with(args, "--import", source)...)
	p.Await("from ")
	config := natsledger.Config{Servers: c.URLs(), Contest: args[3], Log: zerolog.Nop()}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		report, err := natsledger.Read(t.Context(), config, func(lottery.Stretch) error { return nil })
		if err == nil && report.Rows > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing is imported: %v", err)
		}
	}
	p.Kill()
	if _, said := do(t, 1, with(args, "--import", source)...); !strings.Contains(said, "nothing was imported: the target has a contest already") || !strings.Contains(said, "nats stream rm") {
		t.Errorf("again it says %s", said)
	}
}
