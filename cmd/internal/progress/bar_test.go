package progress

import (
	"strings"
	"testing"
	"time"
)

// What a bar shows, frame by frame, at a clock that the test moves.
func TestColumns(t *testing.T) {
	var now time.Time
	bar := newBar("agency 1", func() time.Time { return now })
	steps := []struct {
		name  string
		after time.Duration
		do    func()
		want  string // percentage, bets, bets/s, time
	}{
		{"nothing is known", 0, func() {}, " | 0 bets |  | "},
		{"some are there before", time.Second, func() { bar.Set(1_000_000) }, " | 1,000,000 bets |  | "},
		{"these are nobody's rate", 2 * time.Second, func() { bar.Set(1_000_200) }, " | 1,000,200 bets | 100 bets/s | "},
		{"the total is known", time.Second, func() { bar.SetTotal(1_000_700); bar.Set(1_000_300) },
			"99% | 1,000,300 / 1,000,700 | 100 bets/s | 0:04 left"},
		{"nothing comes", 2 * time.Second, func() {}, "99% | 1,000,300 / 1,000,700 | 60 bets/s | 0:07 left"},
		{"for longer than is looked back", 10 * time.Second, func() {}, "99% | 1,000,300 / 1,000,700 |  | "},
		{"faster again", time.Second, func() { bar.Set(1_000_600) }, "99% | 1,000,600 / 1,000,700 | 300 bets/s | 0:00 left"},
		{"the last one", time.Second, func() { bar.Set(1_000_700) }, "100% | 1,000,700 / 1,000,700 | 200 bets/s | 0:00 left"},
		{"the end", time.Second, func() { bar.Finish() }, "100% | 1,000,700 / 1,000,700 | 39 bets/s | in 18.0 s"},
		{"time goes on", time.Hour, func() { bar.Set(5); bar.SetTotal(6); bar.Stop() }, "100% | 1,000,700 / 1,000,700 | 39 bets/s | in 18.0 s"},
	}
	now = time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)
	for _, step := range steps {
		now = now.Add(step.after)
		step.do()
		bar.begin(100)
		if got := shown(bar); got != step.want {
			t.Errorf("%s: the bar shows %q, expected %q", step.name, got, step.want)
		}
	}
}

func shown(bar *Bar) string {
	var columns []string
	for _, column := range []string{bar.percent(), bar.bets(), bar.rate(), bar.time()} {
		columns = append(columns, strings.TrimSpace(column))
	}
	return strings.Join(columns, " | ")
}

func TestEndings(t *testing.T) {
	tests := []struct {
		name string
		do   func(*Bar)
		want string
	}{
		{"no bets", func(b *Bar) { b.Set(0); b.Finish() }, "100% | 0 / 0 |  | in 0.00 s"},
		{"all were there before", func(b *Bar) { b.SetTotal(9); b.Set(9); b.Finish() }, "100% | 9 / 9 |  | in 0.00 s"},
		{"finished before anything is known", func(b *Bar) { b.Finish() }, "100% | 0 / 0 |  | "},
		{"finished before the total is known", func(b *Bar) { b.Set(7); b.Finish(); b.SetTotal(8) }, "100% | 7 / 7 |  | in 0.00 s"},
		{"stopped before anything is known", func(b *Bar) { b.Stop() }, " | 0 bets |  | stopped"},
		{"stopped", func(b *Bar) { b.SetTotal(9); b.Set(3); b.Stop(); b.Finish() }, "33% | 3 / 9 |  | stopped"},
		{"more than were counted", func(b *Bar) { b.SetTotal(9); b.Set(10) }, "100% | 10 / 9 |  | "},
		{"none counted", func(b *Bar) { b.SetTotal(0); b.Set(0) }, " | 0 / 0 |  | "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			now := time.Now()
			bar := newBar("agency 1", func() time.Time { return now })
			test.do(bar)
			bar.begin(100)
			if got := shown(bar); got != test.want {
				t.Errorf("the bar shows %q, expected %q", got, test.want)
			}
			if current, total, _ := bar.drawn.share(); current > total {
				t.Errorf("the bar is longer than it can be: %d of %d", current, total)
			}
		})
	}
}

// Frames do not pile up what they have seen.
func TestSamplesAreBounded(t *testing.T) {
	now := time.Now()
	bar := newBar("agency 1", func() time.Time { return now })
	bar.Set(0)
	for range 10_000 {
		now = now.Add(refresh)
		bar.begin(100)
	}
	if most := int(rateSpan/refresh) + 2; len(bar.samples) > most {
		t.Errorf("%d samples are kept, expected at most %d", len(bar.samples), most)
	}
}

func TestTexts(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 26936: "26,936", 1234567: "1,234,567", 1<<64 - 1: "18,446,744,073,709,551,615"} {
		if got := Number(n); got != want {
			t.Errorf("Number(%d) is %q, expected %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0.00 s", 1234 * time.Millisecond: "1.23 s", 12345 * time.Millisecond: "12.3 s",
		time.Minute: "1:00", 3725 * time.Second: "1:02:05", maxLeft: "1000:00:00",
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%v) is %q, expected %q", d, got, want)
		}
	}
	if got := Printable("Ñ\x1b[2J\tb\a\u0085"); got != "Ñ\ufffd[2J\tb\ufffd\ufffd" {
		t.Errorf("Printable gives %q", got)
	}
}
