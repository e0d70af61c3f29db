package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"loteria/internal/logline"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

// The report says whom the draw waits for and since when each is silent, and is
// bounded (pitfall 8).
func TestReportAwaited(t *testing.T) {
	ledger, err := csvledger.Open(t.TempDir(), maxAwaited+3)
	if err != nil {
		t.Fatal(err)
	}
	contest, err := lottery.NewContest(ledger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = contest.Close() })
	if err := contest.DrawWithout(2); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	writer := logline.New(&text, logline.Text)
	reportAwaited(contest, time.Now().Add(3*time.Minute), writer.Logger(zerolog.InfoLevel))
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != maxAwaited+1 {
		t.Fatalf("the report has %d lines, expected %d:\n%s", len(lines), maxAwaited+1, &text)
	}
	for line, part := range map[int]string{
		0:          "action: await_agency | result: in_progress | agency: 1 | bets: 0 | silent_for: 3m0s | since: ",
		1:          "| agency: 3 |", // the betting of 2 has ended
		maxAwaited: "| more_agencies: 2",
	} {
		if !strings.Contains(lines[line], part) {
			t.Errorf("line %d is %q, expected is %q", line, lines[line], part)
		}
	}
	for _, line := range lines {
		if !shape.MatchString(line) {
			t.Errorf("a line has another shape: %q", line)
		}
	}
}
