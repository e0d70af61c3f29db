package logline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// hotLine is a line in a journal's words and in zerolog's.
type hotLine struct {
	name    string
	parts   int
	journal func(j *Journal, dst []byte) []byte
	zerolog func(log *zerolog.Logger)
}

// hotLines are all that a journal has, with one value wherever there is a text.
func hotLines(value string, bets int) []hotLine {
	bet := func(e *zerolog.Event) {
		e.Str("action", "apuesta_almacenada").Str("result", "success").Str("dni", value).Str("numero", value).Send()
	}
	err := errors.New(value)
	return []hotLine{
		{"bet", 4,
			func(j *Journal, dst []byte) []byte { return j.AppendBet(dst, value, value, false) },
			func(log *zerolog.Logger) { bet(log.Info()) }},
		{"bet of a batch", 4,
			func(j *Journal, dst []byte) []byte { return j.AppendBet(dst, value, value, true) },
			func(log *zerolog.Logger) { bet(log.Debug()) }},
		{"batch", 3,
			func(j *Journal, dst []byte) []byte { return j.AppendBatch(dst, bets) },
			func(log *zerolog.Logger) {
				log.Info().Str("action", "apuesta_recibida").Str("result", "success").Int("cantidad", bets).Send()
			}},
		{"refused bets", 6,
			func(j *Journal, dst []byte) []byte {
				return j.AppendRefusal(dst, value, max(bets, 0), value, value, err)
			},
			func(log *zerolog.Logger) {
				coded(log.Error().Str("action", value).Str("result", "fail").Int("cantidad", max(bets, 0)), value).
					Str("ip", value).Err(err).Send()
			}},
		{"refusal", 5,
			func(j *Journal, dst []byte) []byte { return j.AppendRefusal(dst, value, -1, value, value, err) },
			func(log *zerolog.Logger) {
				coded(log.Error().Str("action", value).Str("result", "fail"), value).Str("ip", value).Err(err).Send()
			}},
		{"echo", 4,
			func(j *Journal, dst []byte) []byte { return j.AppendEcho(dst, value, []byte(value)) },
			func(log *zerolog.Logger) {
				log.Info().Str("action", "receive_message").Str("result", "success").Str("ip", value).Bytes("msg", []byte(value)).Send()
			}},
		{"refusal without an error", 4,
			func(j *Journal, dst []byte) []byte { return j.AppendRefusal(dst, value, -1, value, value, nil) },
			func(log *zerolog.Logger) {
				coded(log.Error().Str("action", value).Str("result", "fail"), value).Str("ip", value).Err(nil).Send()
			}},
	}
}

// coded adds a code to an event, if there is one.
func coded(e *zerolog.Event, code string) *zerolog.Event {
	if code == "" {
		return e
	}
	return e.Str("code", code)
}

// timeless returns a line without its time.
func timeless(line []byte) string { return string(line[len("2026-01-31 10:00:00 "):]) }

func TestJournalLines(t *testing.T) {
	j := newWriter(io.Discard, Text).Journal(zerolog.DebugLevel)
	for _, test := range []struct {
		got  []byte
		want string
	}{
		{j.AppendBet(nil, "30904465", "7574", false),
			"INFO     action: apuesta_almacenada | result: success | dni: 30904465 | numero: 7574"},
		{j.AppendBet(nil, "30904466", "7575", true),
			"DEBUG    action: apuesta_almacenada | result: success | dni: 30904466 | numero: 7575"},
		{j.AppendBatch(nil, 1234),
			"INFO     action: apuesta_recibida | result: success | cantidad: 1234"},
		{j.AppendRefusal(nil, "apuesta_recibida", 2, "bad_number", "127.0.0.1", errors.New("bad_number: 0")),
			"ERROR    action: apuesta_recibida | result: fail | cantidad: 2 | code: bad_number | ip: 127.0.0.1 | error: bad_number: 0"},
		{j.AppendRefusal(nil, "resume", -1, "storage", "::1", errors.New("a | b\n")),
			`ERROR    action: resume | result: fail | code: storage | ip: ::1 | error: a \u007c b\n`},
	} {
		if got := timeless(test.got); got != test.want+"\n" {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

// Through the same writer, a journal's line and a logger's are the same.
func TestJournalWritesWhatALoggerDoes(t *testing.T) {
	values := []string{"30904465", "", "Ñandú 你 😀 \"a\" \\n", "a | b: c\r\n\t\x00\x1b[31m\x7f\b\f",
		"\u0085\u009b\u2028\u2029\u202e\u200f\u061c\ufffd", "x\xffy\xe2\x80", strings.Repeat("long ", 300)}
	for _, format := range []Format{Text, JSON} {
		for _, level := range []zerolog.Level{zerolog.DebugLevel, zerolog.InfoLevel, zerolog.ErrorLevel, zerolog.Disabled} {
			synctest.Test(t, func(t *testing.T) { // where no time passes between two lines
				var out bytes.Buffer
				w := New(&out, format)
				j, log := w.Journal(level), w.Logger(level)
				if j.EachBet() != (level == zerolog.DebugLevel) {
					t.Errorf("level %v: EachBet says %v", level, j.EachBet())
				}
				enabled := 0
				for i, value := range values {
					for _, line := range hotLines(value, i*1000) {
						text, ok := bytes.CutPrefix(line.journal(j, []byte("before")), []byte("before"))
						if !ok {
							t.Fatalf("%s: %q is not appended", line.name, text)
						}
						if len(text) > 0 {
							enabled++
						}
						j.Write(text)
						line.zerolog(&log)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				lines := slices.Collect(strings.Lines(out.String()))
				if len(lines) != 2*enabled || (enabled == 0) != (level == zerolog.Disabled) {
					t.Fatalf("%v, %v: %d lines, and %d of the journal's", format, level, len(lines), enabled)
				}
				for pair := range slices.Chunk(lines, 2) {
					if format == JSON {
						pair[0], pair[1] = fields(t, pair[0]), fields(t, pair[1])
					}
					if pair[0] != pair[1] {
						t.Errorf("the journal's %q\nthe logger's  %q", pair[0], pair[1])
					}
				}
			})
		}
	}
}

// fields returns what a JSON line says, its time included.
func fields(t *testing.T, line string) string {
	t.Helper()
	var event map[string]any
	if err := json.Unmarshal([]byte(line), &event); err != nil || event[zerolog.TimestampFieldName] == nil {
		t.Fatalf("%q: %v", line, err)
	}
	return fmt.Sprint(event)
}

func FuzzJournal(f *testing.F) {
	f.Add("value | forged: yes\n2026-01-31 10:00:00 INFO     action: sorteo", 1)
	f.Add("\u2028\u202e\x1b[0m\xff\"\\\b", -1)
	f.Add("", -1)
	f.Fuzz(func(t *testing.T, value string, bets int) {
		j := newWriter(io.Discard, Text).Journal(zerolog.DebugLevel) // which has not written a line alike before
		for _, line := range hotLines(value, bets) {
			got := timeless(line.journal(j, nil))
			if want := rendered(t, line.zerolog); got != want {
				t.Fatalf("%s: got %q, want %q", line.name, got, want)
			}
			parts := line.parts
			if value == "" && strings.HasPrefix(line.name, "refus") {
				parts-- // an empty code is left out
			}
			checkShape(t, got, parts)
		}
	})
}

// Lines that are put into the log together stay together, in the order of each
// goroutine, while the second changes.
func TestJournalIsForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const writers, blocks, each = 4, 200, 20
		var out bytes.Buffer
		w := New(&out, Text)
		j := w.Journal(zerolog.InfoLevel)
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				for n := range blocks {
					time.Sleep(flushDelay)
					var lines []byte
					for range each {
						lines = j.AppendBatch(lines, i*blocks+n)
					}
					j.Write(lines)
				}
			})
		}
		all.Wait()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		lines := slices.Collect(strings.Lines(out.String()))
		if len(lines) != writers*blocks*each {
			t.Fatalf("%d lines of %d", len(lines), writers*blocks*each)
		}
		var next [writers]int
		for block := range slices.Chunk(lines, each) {
			var id int
			for _, line := range block {
				if _, err := fmt.Sscanf(timeless([]byte(line)), "INFO     action: apuesta_recibida | result: success | cantidad: %d", &id); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				if next[id/blocks] != id%blocks {
					t.Fatalf("writer %d: block %d within block %d", id/blocks, id%blocks, next[id/blocks])
				}
			}
			next[id/blocks]++
		}
	})
}

func TestTryWriteDropsAndCountsLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newGate()
		w := small(out, Text)
		j := w.Journal(zerolog.InfoLevel)
		lines := fill(w, bigEvent())
		many := j.AppendBatch(j.AppendBatch(j.AppendBatch(nil, 1), 2), 3)
		many = append(many, bytes.Repeat([]byte("y"), 6000)...)
		many = append(many, '\n')
		j.TryWrite(many) // would wait for ever, and the test with it
		j.TryWrite(many)
		j.TryWrite(nil)
		close(out.open)
		synctest.Wait()
		j.TryWrite(j.AppendBatch(nil, 4))
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		got := out.lines()
		if len(got) != lines+2 || !strings.HasSuffix(got[lines], "action: log | result: fail | dropped_lines: 8") ||
			!strings.HasSuffix(got[lines+1], "cantidad: 4") {
			t.Errorf("%d lines after %d: %q", len(got)-lines, lines, got[lines:])
		}
	})
}

func TestJournalAfterClose(t *testing.T) {
	var out bytes.Buffer
	w := New(&out, Text)
	j := w.Journal(zerolog.InfoLevel)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	j.TryWrite(j.AppendBatch(nil, 1))
	j.Write(nil)
	j.Write(j.AppendBatch(nil, 2))
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "cantidad: 2\n") {
		t.Errorf("%q", got)
	}
}

func TestJournalAllocatesNothing(t *testing.T) {
	j := newWriter(io.Discard, Text).Journal(zerolog.DebugLevel)
	dst := make([]byte, 0, 512)
	for _, line := range hotLines("Ñandú | 30904465", 12345) {
		if n := testing.AllocsPerRun(100, func() { dst = line.journal(j, dst[:0]) }); n != 0 {
			t.Errorf("%s: %v allocations", line.name, n)
		}
	}
}

// Beside BenchmarkWriter, which logs the same line with zerolog.
func BenchmarkJournal(b *testing.B) {
	const block = 100 // lines that are put into the log together
	for _, written := range []bool{false, true} {
		b.Run(map[bool]string{false: "rendered", true: "written"}[written], func(b *testing.B) {
			w := New(io.Discard, Text)
			j := w.Journal(zerolog.InfoLevel)
			lines, n := make([]byte, 0, 100*block), 0
			b.ReportAllocs()
			for b.Loop() {
				lines = j.AppendBet(lines, "30904465", "7574", false)
				if n++; n%block == 0 {
					if written {
						j.Write(lines)
					}
					lines = lines[:0]
				}
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
