package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"loteria/codec"
	"loteria/internal/logline"
	"loteria/lottery"
	"loteria/lottery/csvledger"
	"loteria/lottery/ledgertest"
)

// startLottery runs a central in the folder until one bet is stored.
func startLottery(t *testing.T, args ...string) {
	t.Helper()
	p := launch(t, args...)
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	p.Stop()
}

// refuses starts a central that must not start, and returns what it says.
func refuses(t *testing.T, code int, args ...string) string {
	t.Helper()
	p := begin(t, args...)
	if got := p.End(); got != code || p.has("action: listen") {
		t.Errorf("%q exits with %d, expected %d:\n%s", args, got, code, p)
	}
	said := strings.TrimSpace(p.Stderr())
	if strings.Contains(said, "\n") {
		t.Errorf("%q says more than a line: %s", args, said)
	}
	return said
}

const (
	drawn     = "action: sorteo | result: success"
	endedBoth = "action: end_betting | result: success | missing: [1,2]"
)

// A deadline ends the betting once, whether it comes while a central runs or
// while none does, and it need not be given again.
func TestDrawDeadline(t *testing.T) {
	storage := t.TempDir()
	args := []string{"--storage-dir", storage, "--expected-agencies", "2"}
	startLottery(t, args...)
	p := launch(t, append(args, "--draw-deadline", time.Now().Add(2*time.Second).Format(time.RFC3339Nano))...)
	p.Stop()
	first := p
	p = launch(t, args...)
	for _, line := range []string{endedBoth, drawn} {
		if !first.has(line) {
			p.line(line)
		}
	}
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{&codec.Error{Code: lottery.DrawDone}})
	p.Stop()
	if first.Count(endedBoth)+p.Count(endedBoth) != 1 || first.Count(drawn)+p.Count(drawn) != 1 {
		t.Errorf("the logs do not tell of one draw:\n%s\n%s", first, p)
	}
	p = launch(t, args...) // what is known is not logged again
	p.exchange(p.dial(), []codec.Message{&codec.WinnersQuery{Agency: "1"}}, []codec.Message{&codec.Winners{Documents: []string{raw.Document}}})
	p.Stop()
	if p.has("sorteo") || p.has("end_betting") || p.has("draw_deadline") {
		t.Errorf("the restart has news:\n%s", p)
	}
}

// A deadline that has passed draws a contest that has bets, but never a new one.
func TestDeadlineThatHasPassed(t *testing.T) {
	storage := t.TempDir()
	args := []string{"--storage-dir", storage, "--expected-agencies", "2"}
	past := append(args, "--draw-deadline", "2025-12-24T18:00:00-03:00")
	for range 2 { // the first has left an empty contest
		said := refuses(t, 2, past...)
		for _, word := range []string{"DRAW_DEADLINE", "2025-12-24T", "has passed", "to come"} {
			if !strings.Contains(said, word) {
				t.Errorf("%q is not in %s", word, said)
			}
		}
	}
	startLottery(t, args...)
	p := launch(t, past...)
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{&codec.Error{Code: lottery.DrawDone}}) // not for a second
	p.Stop()
	if p.Count(endedBoth) != 1 || p.Count(drawn) != 1 {
		t.Errorf("the log does not tell of one draw:\n%s", p)
	}
}

// What the deadline of a contest with a bet becomes when the central is started
// again with another one. How it has ended is where the two differ.
func TestDeadlineIsKept(t *testing.T) {
	const kept, later, earlier = "2099-12-24T18:00:00-03:00", "2100-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
	for name, test := range map[string]struct {
		first, second string
		code          int
		says          []string // in the line of the deadline, or on stderr
	}{
		"none at all":            {"", "", 0, nil},
		"not given again":        {kept, "", 0, []string{"deadline: 2099-12-24T21:00:00Z | zone: UTC"}},
		"the same":               {kept, "2099-12-24T21:00:00Z", 0, []string{"deadline: 2099-12-24T21:00:00Z | zone: UTC"}},
		"a later one":            {kept, later, 0, []string{"deadline: 2100-01-01T00:00:00Z", "replaces: 2099-12-24T21:00:00Z"}},
		"an earlier one to come": {kept, earlier, 0, []string{"deadline: 2099-01-01T00:00:00Z", "replaces: 2099-12-24T21:00:00Z"}},
		"the first one":          {"", later, 0, []string{"deadline: 2100-01-01T00:00:00Z"}},
		"one that has passed":    {kept, "2025-12-24T18:00:00-03:00", 2, []string{"2025-12-24T21:00:00Z has passed", "2099-12-24T21:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--storage-dir", t.TempDir(), "--expected-agencies", "2"}
			startLotteryInUTC(t, append(args, "--draw-deadline", test.first)...)
			p := beginInUTC(t, append(args, "--draw-deadline", test.second)...)
			if test.code != 0 {
				if code := p.End(); code != test.code {
					t.Errorf("exit code %d, expected %d", code, test.code)
				}
				for _, word := range test.says {
					if !strings.Contains(p.Stderr(), word) {
						t.Errorf("stderr has %q, expected %q", p.Stderr(), word)
					}
				}
				return
			}
			p.Await("action: listen | result: success")
			p.Stop()
			line := ""
			if i := p.index("action: draw_deadline | result: success"); i >= 0 {
				line = p.Lines()[i]
			}
			for _, word := range test.says {
				if !strings.Contains(line, word) {
					t.Errorf("the log has %q, expected %q", line, word)
				}
			}
			if test.says == nil && line != "" || strings.Contains(line, "replaces") != (len(test.says) == 2 && test.first != "") {
				t.Errorf("the log has %q", line)
			}
			if p.has("sorteo") {
				t.Error("there was a draw")
			}
		})
	}
}

func beginInUTC(t *testing.T, args ...string) *process {
	t.Helper()
	return start(t, command(args...), "TZ=UTC")
}

func startLotteryInUTC(t *testing.T, args ...string) {
	t.Helper()
	p := beginInUTC(t, args...)
	p.listens()
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	p.Stop()
}

// After the deadline nothing about it can be changed, also when it is drawn.
func TestDeadlineAfterTheDraw(t *testing.T) {
	storage := t.TempDir()
	args := []string{"--storage-dir", storage, "--expected-agencies", "1"}
	startLottery(t, args...)
	past := "2025-12-24T18:00:00-03:00"
	p := launch(t, append(args, "--draw-deadline", past)...)
	p.line(drawn)
	p.Stop()
	check := begin(t, "--storage-dir", storage, "--check")
	if code := check.End(); code != 0 || !check.has("; state: drawn") || !check.has("deadline: 2025-12-24T") || check.has("--reopen") {
		t.Errorf("--check exits with %d and says\n%s", code, check)
	}
	said := refuses(t, 2, append(args, "--draw-deadline", "2099-12-24T18:00:00Z")...)
	if !strings.Contains(said, "betting has ended at 2025-12-24T") || !strings.Contains(said, "begin another contest") {
		t.Error(said)
	}
	for _, again := range [][]string{args, append(args, "--draw-deadline", past)} {
		launch(t, again...).Stop()
	}
}

// While nobody has bet, a contest may begin again with other terms.
func TestOtherTerms(t *testing.T) {
	storage := t.TempDir()
	for _, terms := range [][]string{{"5", "2099-12-24T18:00:00Z"}, {"2", "2098-12-24T18:00:00Z"}, {"3", ""}} {
		p := launch(t, "--storage-dir", storage, "--expected-agencies", terms[0], "--draw-deadline", terms[1])
		p.Stop()
	}
	startLottery(t, "--storage-dir", storage, "--expected-agencies", "3")
	if said := refuses(t, 1, "--storage-dir", storage, "--expected-agencies", "5"); !strings.Contains(said, "begun with 3 expected agencies, not with 5") {
		t.Error(said)
	}
}

// The clock is set, or goes on while the machine sleeps: the deadline follows the
// clock, not the time that has passed.
func TestDeadlineIsByTheClock(t *testing.T) {
	for name, test := range map[string]struct {
		set time.Duration // forward
		due bool
	}{
		"goes on":          {0, false},
		"set forward":      {2 * time.Hour, true},
		"set back":         {-24 * time.Hour, false},
		"set just to it":   {50 * time.Minute, true},
		"set just to less": {49 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ledger, err := csvledger.Open(t.TempDir(), 2)
				if err != nil {
					t.Fatal(err)
				}
				c := ledgertest.NewContest(t, ledger)
				if err := c.SetDeadline(time.Now().Add(time.Hour), time.Now()); err != nil {
					t.Fatal(err)
				}
				var set atomic.Int64
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					ended <- watch(ctx, c.Contest, newMissingLog(c.Contest, zerolog.Nop()), folderLedger{ledger}, func() time.Time { return time.Now().Add(time.Duration(set.Load())) }, zerolog.Nop())
				}()
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				c.CheckPhase(lottery.Betting)
				set.Store(int64(test.set))
				time.Sleep(2 * lookInterval)
				synctest.Wait()
				c.CheckDraw(test.due, nil, nil)
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The deadline comes while contest.json cannot be saved: no bets are taken any
// more, and the draw is made as soon as it can be saved.
func TestDeadlineWhileNothingCanBeSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		ledger, err := csvledger.Open(folder, 2)
		if err != nil {
			t.Fatal(err)
		}
		c := ledgertest.NewContest(t, ledger)
		bets := ledgertest.Bets(1, 0, 6)
		c.MustStore(ledgertest.Batch(t, bets...))
		if err := c.SetDeadline(time.Now().Add(time.Minute), time.Now()); err != nil {
			t.Fatal(err)
		}
		obstacle := filepath.Join(folder, csvledger.StateFile+".new")
		if err := os.Mkdir(obstacle, 0o755); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		writer := logline.New(&text, logline.Text)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			log := writer.Logger(zerolog.InfoLevel)
			ended <- watch(ctx, c.Contest, newMissingLog(c.Contest, log), folderLedger{ledger}, time.Now, log)
		}()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		c.CheckPhase(lottery.Betting)
		c.CheckStoreRefused(ledgertest.Batch(t, bets...), lottery.AgencyFinished)
		if err := os.Remove(obstacle); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		c.CheckDraw(true, ledgertest.Winners(bets...), nil)
		cancel()
		if err := errors.Join(<-ended, writer.Close()); err != nil {
			t.Error(err)
		}
		if n := strings.Count(text.String(), endedBoth); n != 1 {
			t.Errorf("the end is logged %d times:\n%s", n, &text)
		}
	})
}

// A zone that Go does not know would silently be UTC.
func TestZone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte("no zone"), 0o644); err != nil {
		t.Fatal(err)
	}
	for value, known := range map[string]bool{
		"": true, ":": true, "UTC": true, "America/Argentina/Buenos_Aires": true, ":America/Argentina/Buenos_Aires": true, "Etc/GMT+3": true,
		"Mars/Base": false, "America/Buenos Aires": false, "ART3": false, "<-03>3": false, "Local": false, "../etc/passwd": false,
		"/missing": false, ":/missing": false, file: false,
	} {
		inFolder(t, "")
		_, err := loadConfig(nil, []string{"HOME=/", "TZ=" + value})
		if (err == nil) != known || err != nil && (!strings.Contains(err.Error(), value) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("TZ=%s: %v, known: %t", value, err, known)
		}
	}
	const zones = "/usr/share/zoneinfo/America/Argentina/Buenos_Aires"
	if _, err := os.Stat(zones); err == nil {
		if err := checkZone([]string{"TZ=" + zones}); err != nil {
			t.Error(err)
		}
	}
	if err := checkZone(nil); err != nil {
		t.Error(err)
	}
	p := start(t, command("--version"), "TZ=Mars/Base")
	if code := p.End(); code != 0 {
		t.Errorf("--version exits with %d", code)
	}
	p = start(t, command(), "TZ=Mars/Base")
	if code := p.End(); code != 2 || !strings.Contains(p.Stderr(), `environment variable TZ: "Mars/Base"`) {
		t.Errorf("the central exits with %d and says %s", code, p.Stderr())
	}
}

// A time without an offset is the operator's local time, in an image without
// zones, too: those are in the program.
func TestLocalDeadline(t *testing.T) {
	p := start(t, command("--expected-agencies", "1", "--draw-deadline", "2099-12-24 18:00"), "TZ=America/Argentina/Buenos_Aires")
	line := p.Await("action: draw_deadline")
	if want := "| deadline: 2099-12-24T18:00:00-03:00 | zone: America/Argentina/Buenos_Aires | left: "; !strings.Contains(line, want) {
		t.Errorf("the log has %q, expected %q", line, want)
	}
	if !shape.MatchString(line) {
		t.Errorf("a line of the log has another shape: %q", line)
	}
	p.Await("action: listen")
	p.Stop()
}

// What cannot be saved is tried again each second, and logged each minute.
func TestUnsavedIsLoggedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		writer := logline.New(&text, logline.Text)
		saves := unsaved{log: writer.Logger(zerolog.InfoLevel)}
		for range 3 * 60 {
			saves.note(os.ErrPermission)
			time.Sleep(time.Second)
		}
		saves.note(nil)
		saves.note(os.ErrPermission) // another time
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		var said []string
		for line := range strings.Lines(text.String()) {
			_, line, _ = strings.Cut(line, "action: save_contest | ")
			said = append(said, strings.TrimSpace(line))
		}
		want := []string{
			"result: in_progress | tries: 1 | error: permission denied",
			"result: in_progress | tries: 61 | error: permission denied",
			"result: in_progress | tries: 121 | error: permission denied",
			"result: success | tries: 181",
			"result: in_progress | tries: 1 | error: permission denied",
		}
		if strings.Join(said, "\n") != strings.Join(want, "\n") {
			t.Errorf("the log has\n%s\nexpected\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
		}
	})
}
