package logline

import (
	"bytes"
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

// logged returns how many lines end like that.
func logged(out *bytes.Buffer, ending string) (n int) {
	for line := range strings.Lines(out.String()) {
		if strings.HasSuffix(line, ending+"\n") {
			n++
		}
	}
	return n
}

func expectLogged(t *testing.T, out *bytes.Buffer, want map[string]int) {
	t.Helper()
	all := 0
	for ending, n := range want {
		all += n
		if got := logged(out, ending); got != n {
			t.Errorf("%d lines end with %q, expected %d", got, ending, n)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != all {
		t.Errorf("there are %d lines, expected %d:\n%.2000s", n, all, out)
	}
}

// Of lines that strangers can cause, twenty similar ones are written in a second,
// of those that say success more. The others are counted, and reported at its end,
// also when nothing more comes.
func TestRepeatedLinesAreCounted(t *testing.T) {
	refusal := func(action string, bets int, code, ip string) func(*Journal) []byte {
		return func(j *Journal) []byte { return j.AppendRefusal(nil, action, bets, code, ip, io.ErrUnexpectedEOF) }
	}
	echo := func(j *Journal) []byte { return j.AppendEcho(nil, "10.0.0.1", []byte("hola")) }
	for name, test := range map[string]struct {
		line         func(*Journal) []byte
		text, summed string
		most         int // lines in a second
	}{
		"a batch": {refusal("apuesta_recibida", 3, "bad_number", "10.0.0.1"),
			"ERROR    action: apuesta_recibida | result: fail | cantidad: 3 | code: bad_number | ip: 10.0.0.1 | error: unexpected EOF",
			"ERROR    action: apuesta_recibida | result: fail | cantidad: 12 | code: bad_number | ip: 10.0.0.1 | suppressed_lines: 4", maxRepeats},
		"an empty batch": {refusal("apuesta_recibida", 0, "empty_batch", "10.0.0.1"),
			"ERROR    action: apuesta_recibida | result: fail | cantidad: 0 | code: empty_batch | ip: 10.0.0.1 | error: unexpected EOF",
			"ERROR    action: apuesta_recibida | result: fail | cantidad: 0 | code: empty_batch | ip: 10.0.0.1 | suppressed_lines: 4", maxRepeats},
		"another request": {refusal("resume", -1, "storage", "::1"),
			"ERROR    action: resume | result: fail | code: storage | ip: ::1 | error: unexpected EOF",
			"ERROR    action: resume | result: fail | code: storage | ip: ::1 | suppressed_lines: 4", maxRepeats},
		"no frame": {refusal("receive_frame", -1, "", "10.0.0.1"),
			"ERROR    action: receive_frame | result: fail | ip: 10.0.0.1 | error: unexpected EOF",
			"ERROR    action: receive_frame | result: fail | ip: 10.0.0.1 | suppressed_lines: 4", maxRepeats},
		"an echo": {echo,
			"INFO     action: receive_message | result: success | ip: 10.0.0.1 | msg: hola",
			"INFO     action: receive_message | result: success | ip: 10.0.0.1 | suppressed_lines: 4", maxWritten},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				w := New(&out, Text)
				j := w.Journal(zerolog.InfoLevel)
				for round := 1; round <= 2; round++ { // in each second anew
					for i := range test.most + 4 {
						if i == test.most+2 {
							time.Sleep(throttlePeriod / 2) // it is still the same
						}
						j.TryWrite(test.line(j))
					}
					time.Sleep(throttlePeriod)
					synctest.Wait()
					expectLogged(t, &out, map[string]int{test.text: round * test.most, test.summed: round})
				}
				j.TryWrite(test.line(j))
				time.Sleep(2 * throttlePeriod)
				synctest.Wait()
				expectLogged(t, &out, map[string]int{test.text: 2*test.most + 1, test.summed: 2})
				for range test.most + 4 {
					j.TryWrite(test.line(j))
				}
				if err := w.Close(); err != nil { // in the middle of a second
					t.Fatal(err)
				}
				expectLogged(t, &out, map[string]int{test.text: 3*test.most + 1, test.summed: 3})
				for range test.most + 4 {
					j.TryWrite(test.line(j))
				}
				time.Sleep(2 * throttlePeriod)
				expectLogged(t, &out, map[string]int{test.text: 3*test.most + 1, test.summed: 3})
			})
		})
	}
}

// Lines within the limits are not reported, and neither is a line that the level
// leaves out.
func TestNothingIsToldOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w := New(&out, Text)
		info, none := w.Journal(zerolog.InfoLevel), w.Journal(zerolog.Disabled)
		for range maxRepeats {
			info.Write(info.AppendEcho(nil, "10.0.0.1", nil))
			none.Write(none.AppendEcho(nil, "10.0.0.1", nil))
			none.Write(none.AppendRefusal(nil, "resume", -1, "storage", "10.0.0.1", nil))
		}
		for range 1000 { // whatever agencies have stored is told
			info.Write(info.AppendBatch(nil, 1))
			info.Write(info.AppendBet(nil, "1", "2", false))
		}
		time.Sleep(2 * throttlePeriod)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); n != maxRepeats+2000 || strings.Contains(out.String(), "suppressed") {
			t.Errorf("there are %d lines, expected %d, and nothing suppressed", n, maxRepeats+2000)
		}
	})
}

// A flood suppresses nobody else's lines.
func TestOthersAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w := New(&out, JSON)
		j := w.Journal(zerolog.InfoLevel)
		for range 10_000 {
			j.TryWrite(j.AppendRefusal(nil, "apuesta_recibida", 2, "bad_number", "10.0.0.1", nil))
		}
		for _, other := range []kind{
			{"apuesta_recibida", "", "bad_name", "10.0.0.1"}, {"apuesta_recibida", "", "bad_number", "10.0.0.2"},
			{"agencia_finalizada", "", "bad_number", "10.0.0.1"},
		} {
			j.TryWrite(j.AppendRefusal(nil, other.action, 1, other.code, other.ip, nil))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); n != maxRepeats+3+1 {
			t.Errorf("there are %d lines, expected the first %d, 3 of others and one that sums up:\n%s", n, maxRepeats, &out)
		}
		if !strings.Contains(out.String(), `"cantidad":19960,"code":"bad_number","ip":"10.0.0.1","suppressed_lines":9980}`) {
			t.Errorf("the sum is not in\n%s", &out)
		}
	})
}

// A flood of refusals suppresses no line that says success.
func TestEchoesBesideAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w := New(&out, Text)
		j := w.Journal(zerolog.InfoLevel)
		for i := range 10 * maxWritten {
			j.TryWrite(j.AppendRefusal(nil, "receive_frame", -1, "", fmt.Sprint("10.1.", i/256, ".", i%256), nil))
		}
		for range maxWritten {
			j.TryWrite(j.AppendEcho(nil, "10.0.0.1", []byte("hola")))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "msg: hola\n"); n != maxWritten {
			t.Errorf("%d echoes are logged, expected %d", n, maxWritten)
		}
	})
}

// An unbounded number of addresses takes bounded memory and log: those without a
// place are counted together, by what they did.
func TestMoreAddressesThanAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w := New(&out, Text)
		j := w.Journal(zerolog.InfoLevel)
		const strangers = 50 * maxKinds
		for i := range strangers {
			j.TryWrite(j.AppendRefusal(nil, "receive_frame", -1, "", fmt.Sprint("10.1.", i/256, ".", i%256), nil))
		}
		for range maxRepeats + 7 {
			j.TryWrite(j.AppendRefusal(nil, "apuesta_recibida", 2, "gap", "10.0.0.1", nil))
		}
		if n := w.throttle.kept(); n > maxKinds+2 {
			t.Errorf("%d kinds are kept", n)
		}
		time.Sleep(throttlePeriod)
		synctest.Wait()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		written := maxKinds + 2*maxRepeats
		if n := strings.Count(out.String(), "\n"); n != written+2 {
			t.Errorf("there are %d lines, expected %d and two that sum up", n, written)
		}
		for _, sum := range []string{
			fmt.Sprint("action: receive_frame | result: fail | suppressed_lines: ", strangers-maxKinds-maxRepeats),
			"action: apuesta_recibida | result: fail | cantidad: 14 | suppressed_lines: 7",
		} {
			if logged(&out, sum) != 1 {
				t.Errorf("there is no %q in\n%.1000s", sum, out.String()[max(0, out.Len()-1000):])
			}
		}
		if n := w.throttle.kept(); n != 0 {
			t.Errorf("%d kinds are kept after that", n)
		}
	})
}

// However many clients do it, and in however many ways, the total is bounded.
func TestAllTogetherAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w := New(&out, Text)
		j := w.Journal(zerolog.InfoLevel)
		const strangers = maxKinds - 1
		for i := range strangers * maxRepeats {
			j.TryWrite(j.AppendEcho(nil, fmt.Sprint("10.0.0.", i%strangers), nil))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		total := 0
		for line := range strings.Lines(out.String()) {
			n := 1
			if _, sum, found := strings.Cut(line, "suppressed_lines: "); found {
				_, _ = fmt.Sscan(sum, &n)
			}
			total += n
		}
		if n := strings.Count(out.String(), "\n"); n != maxWritten+strangers || total != strangers*maxRepeats {
			t.Errorf("%d lines account for %d, expected %d and one that sums up for each stranger, for %d", n, total, maxWritten, strangers*maxRepeats)
		}
	})
}

func (t *throttle) kept() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.kinds)
}

// However many loops and workers log at once, each line is written or counted.
func TestThrottleIsForMany(t *testing.T) {
	const writers, each = 8, 5000
	var out bytes.Buffer
	w := New(&out, Text)
	j := w.Journal(zerolog.InfoLevel)
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for i := range each {
				j.TryWrite(j.AppendRefusal(nil, "resume", -1, "gap", fmt.Sprint("10.0.0.", i%3), nil))
			}
		})
	}
	all.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	total := 0
	for line := range strings.Lines(out.String()) {
		_, sum, found := strings.Cut(line, "suppressed_lines: ")
		n := 1
		if found {
			if _, err := fmt.Sscan(sum, &n); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		total += n
	}
	if total != writers*each {
		t.Errorf("%d refusals are accounted for, expected %d", total, writers*each)
	}
}

// A stuck log blocks nobody: neither the goroutine that refuses nor the timer, of
// which there must not be one more each second.
func TestSumsDoNotWaitForTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newGate()
		w := small(out, Text)
		lines := fill(w, bigEvent())
		j := w.Journal(zerolog.InfoLevel)
		for range 3 {
			for range maxRepeats + 1 {
				j.TryWrite(j.AppendRefusal(nil, strings.Repeat("y", 7000), -1, "gap", "10.0.0.1", nil))
			}
			time.Sleep(throttlePeriod)
			synctest.Wait()
		}
		close(out.open)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got := out.lines()
		want := fmt.Sprint("dropped_lines: ", 3*(maxRepeats+1))
		if i := slices.IndexFunc(got, func(line string) bool { return strings.HasSuffix(line, want) }); i != lines {
			t.Errorf("line %d has %q, expected line %d", i, want, lines)
		}
	})
}

func BenchmarkThrottledRefusal(b *testing.B) {
	w := New(io.Discard, Text)
	j := w.Journal(zerolog.InfoLevel)
	line := make([]byte, 0, 200)
	b.ReportAllocs()
	for b.Loop() {
		j.TryWrite(j.AppendRefusal(line[:0], "apuesta_recibida", 1, "bad_number", "10.0.0.1", io.ErrUnexpectedEOF))
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}
