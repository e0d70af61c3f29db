package lottery_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"loteria/internal/leaktest"
	"loteria/lottery"
	"loteria/lottery/csvledger"
	"loteria/lottery/ledgertest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

var (
	sample       = ledgertest.Bet
	samples      = ledgertest.Bets
	anyBet       = ledgertest.AnyBet
	anyBets      = ledgertest.AnyBets
	rowsOf       = ledgertest.Rows
	winnersOf    = ledgertest.Winners
	newBatch     = ledgertest.Batch
	at           = ledgertest.At
	checkRefused = ledgertest.CheckRefused
)

// contest is one in a folder.
type contest struct {
	*ledgertest.Contest
	ledger interface {
		Checkpoint() error
		Durable() int64
	}
	folder string
}

// openContest opens the contest for the time of the test.
func openContest(t testing.TB, folder string, agencies int) *contest {
	t.Helper()
	ledger, err := csvledger.Open(folder, agencies)
	if err != nil {
		t.Fatal(err)
	}
	if ledger.Torn() != 0 {
		t.Errorf("the ledger had a torn row of %d bytes", ledger.Torn())
	}
	return &contest{ledgertest.NewContest(t, ledger), ledger, folder}
}

// reopen closes the contest and opens it as the next process would.
func (c *contest) reopen(t testing.TB) *contest {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return openContest(t, c.folder, c.Agencies())
}

// checkRows checks which bets are on disk.
func (c *contest) checkRows(t testing.TB, bets ...lottery.Bet) {
	t.Helper()
	if got, want := c.read(t, csvledger.LedgerFile), rowsOf(bets...); got != want {
		t.Fatalf("on disk are %d bytes of rows, want %d:\n%.300q, want\n%.300q", len(got), len(want), got, want)
	}
}

func (c *contest) read(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// stored returns the bets that are on disk.
func (c *contest) stored(t testing.TB) (bets []lottery.Bet) {
	t.Helper()
	for row := range strings.Lines(c.read(t, csvledger.LedgerFile)) {
		bet, err := lottery.ParseRow(row)
		if err != nil {
			t.Fatal(err)
		}
		bets = append(bets, bet)
	}
	return bets
}

// keptTimes are those that a contest keeps in its state.
var keptTimes = regexp.MustCompile(`,"(opened|closed|drawn)":"[^"]*"`)

// checkState checks the state on disk, without the times that it has.
func (c *contest) checkState(t testing.TB, want string) {
	t.Helper()
	bytes := fmt.Sprintf(`,"ledger_bytes":%d}`, c.ledger.Durable())
	got := strings.TrimSpace(c.read(t, csvledger.StateFile))
	got = keptTimes.ReplaceAllString(got, "")
	if strings.Replace(got, bytes, "}", 1) != want {
		t.Errorf("the state on disk is %s, want %s with %s", got, want, bytes)
	}
}
