package agency

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The count is what a run with the same configuration sends.
func TestCountBets(t *testing.T) {
	rows := sampleRows(1234)
	broken := append(append(append([]string{}, rows[:20]...), "no bet", `"not closed`, "Ana,Paz,1,2001-02-29,5"), rows[20:]...)
	crlf := func(rows []string) string { return strings.Join(rows, "\r\n") + "\r\n" }
	tests := []struct {
		name        string
		content     string
		skipInvalid bool
		zipped      bool
		want        uint64
		fails       bool
	}{
		{"empty", "", false, false, 0, true},
		{"rows", crlf(rows), false, false, 1234, false},
		{"in a zip", crlf(rows), false, true, 1234, false},
		{"no break at the end, a mark, empty lines", "\uFEFF" + strings.Join(rows, "\n\n"), false, false, 1234, false},
		{"quoted line breaks", "\"A\"\"na\",\"Paz, h.\",1,2000-01-01,5\r\n" + crlf(rows), false, false, 1235, false},
		{"invalid rows are left out", crlf(broken), true, false, 1234, false},
		{"invalid rows end it", crlf(broken), false, false, 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			central := &fake{knowsResume: true}
			config := batchConfig(t, central.start(t), nil)
			config.DataDir = writeFile(t, test.content)
			config.SkipInvalid = test.skipInvalid
			config.AllowEmpty = false
			told := uint64(0)
			config.Total = func(bets uint64) {
				central.wantUncalled()
				told = bets
			}
			if test.zipped {
				config.DataDir = t.TempDir()
				err := os.WriteFile(filepath.Join(config.DataDir, "a.zip"), zipOf(t, "agency-1.csv", test.content), 0o644)
				if err != nil {
					t.Fatal(err)
				}
			}
			n, err := CountBets(t.Context(), config)
			if n != test.want || (err != nil) != test.fails {
				t.Errorf("%d bets were counted (%v), expected %d", n, err, test.want)
			}
			_, runErr := runAgency(t, config)
			if (runErr != nil) != test.fails || test.fails && runErr.Error() != err.Error() {
				t.Errorf("the run ends with %v, counting with %v", runErr, err)
			}
			if sent := len(central.ends); uint64(sent) != n || told != n {
				t.Errorf("%d bets were sent, %d were counted, and %d told", sent, n, told)
			}
		})
	}
}

func TestCountBetsOfOtherModes(t *testing.T) {
	for _, amount := range []int{0, 7} {
		for mode, want := range map[Mode]uint64{ModeBet: uint64(amount), ModeEcho: 0} {
			config := betConfig("server:12345", amount)
			config.Mode = mode
			if n, err := CountBets(t.Context(), config); n != want || err != nil {
				t.Errorf("mode %s, %d times: %d (%v), expected %d", mode, amount, n, err, want)
			}
		}
	}
}

func TestCountBetsFails(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	pipes := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(pipes, "agency-1.csv"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		ctx    context.Context
		folder string
		says   string
	}{
		{"no file", t.Context(), t.TempDir(), "no agency-1.csv"},
		{"a pipe, which has its bets for the run alone", t.Context(), pipes, "is no regular file"},
		{"stopped", ended, writeFile(t, strings.Join(sampleRows(3), "\n")), context.Canceled.Error()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := batchConfig(t, "server:12345", nil)
			config.DataDir = test.folder
			n, err := CountBets(test.ctx, config)
			if n != 0 || err == nil || !contains(err, test.says) {
				t.Errorf("%d bets, %v; expected the error %q", n, err, test.says)
			}
		})
	}
}
