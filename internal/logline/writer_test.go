package logline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"loteria/internal/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

// gate is an underlying writer that takes nothing before it is opened.
type gate struct {
	open   chan struct{}
	writes int
	buf    bytes.Buffer
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.writes++
	return g.buf.Write(p)
}

func (g *gate) lines() []string {
	return strings.Split(strings.TrimSuffix(g.buf.String(), "\n"), "\n")
}

func TestTimeIsThatOfTheEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newGate()
		w := New(out, Text)
		log := w.Logger(zerolog.InfoLevel)
		want := ""
		for i := range 8 {
			time.Sleep(333 * time.Millisecond)
			log.Info().Int("n", i).Send()
			want += fmt.Sprintf("%s INFO     n: %d\n", time.Now().Format("2006-01-02 15:04:05"), i)
		}
		log.Debug().Str("action", "below the level").Send()
		close(out.open)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := out.buf.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	w := New(&out, JSON)
	log := w.Logger(zerolog.InfoLevel)
	log.Info().Str("action", "config").Str("result", "success").Send()
	loop := log.Output(w.NonBlocking())
	loop.Warn().Str("action", "a | b").Send()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %q", len(lines), out.String())
	}
	for i, action := range []string{"config", "a | b"} {
		var event struct {
			Time   time.Time
			Action string
		}
		if err := json.Unmarshal([]byte(lines[i]), &event); err != nil || event.Action != action || event.Time.IsZero() {
			t.Errorf("%s: %v, %+v", lines[i], err, event)
		}
	}
}

func TestLinesAreOrderedAndComplete(t *testing.T) {
	const writers, each = 4, 2000
	out := newGate()
	w := New(out, Text)
	log := w.Logger(zerolog.InfoLevel)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for n := range each {
				log.Info().Int("writer", i).Int("n", n).Send()
			}
		})
	}
	all.Wait()
	close(out.open)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var next [writers]int
	for _, line := range out.lines() {
		var i, n int
		if _, err := fmt.Sscanf(line[len("2026-01-31 10:00:00 INFO     "):], "writer: %d | n: %d", &i, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if n != next[i] {
			t.Fatalf("writer %d: line %d comes when %d is due", i, n, next[i])
		}
		next[i]++
	}
	for i, n := range next {
		if n != each {
			t.Errorf("writer %d: %d lines of %d", i, n, each)
		}
	}
	if limit := out.buf.Len()/(chunkSize/2) + 2; out.writes > limit {
		t.Errorf("%d writes for %d bytes, at most %d expected", out.writes, out.buf.Len(), limit)
	}
}

func TestLineIsNotHeldBack(t *testing.T) {
	in, out := io.Pipe()
	w := New(out, Text)
	log := w.Logger(zerolog.InfoLevel)
	buf := make([]byte, 100)
	for range 3 { // each is read although no other follows
		log.Info().Str("action", "one").Send()
		if n, err := in.Read(buf); err != nil || !strings.HasSuffix(string(buf[:n]), "action: one\n") {
			t.Fatalf("%q, %v", buf[:n], err)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// small returns a Writer with room for a few chunks only.
func small(out io.Writer, format Format) *Writer {
	w := newWriter(out, format)
	w.limit = 4 * chunkSize
	go w.run()
	return w
}

// fill logs lines of the event until the next one would have to wait.
func fill(w *Writer, event []byte) (lines int) {
	for {
		w.mu.Lock()
		fits := w.waiting+len(event)+100 <= w.limit
		w.mu.Unlock()
		if !fits {
			return lines
		}
		_, _ = w.Write(event)
		lines++
	}
}

func bigEvent() []byte {
	return []byte(`{"level":"info","action":"` + strings.Repeat("x", 6000) + "\"}\n")
}

func TestWriteWaitsAtTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newGate()
		w := small(out, Text)
		lines := fill(w, bigEvent())
		var late sync.WaitGroup
		returned := make(chan int, 2)
		for i := range 2 {
			late.Go(func() {
				_, _ = w.Write(bigEvent())
				returned <- i
			})
		}
		synctest.Wait()
		if len(returned) != 0 {
			t.Error("Write did not wait although the queue is full")
		}
		close(out.open)
		late.Wait()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if got := len(out.lines()); got != lines+2 {
			t.Errorf("%d lines written of %d", got, lines+2)
		}
	})
}

func TestNonBlockingDropsAndAccounts(t *testing.T) {
	for _, format := range []Format{Text, JSON} {
		synctest.Test(t, func(t *testing.T) {
			out := newGate()
			w := small(out, format)
			loop := zerolog.New(w.NonBlocking())
			lines := fill(w, bigEvent())
			text := strings.Repeat("y", 6000)
			for range 7 { // none of these may wait: the test would never end
				loop.Info().Str("action", text).Send()
			}
			close(out.open)
			synctest.Wait() // everything is written, without Close or another line
			if !strings.Contains(out.buf.String(), "dropped_lines") {
				t.Error("nothing accounts for the dropped lines while no other is logged")
			}
			loop.Info().Str("action", "after").Send()
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			got := out.lines()
			if len(got) != lines+2 {
				t.Fatalf("%d lines, want %d, one for the dropped ones, one after", len(got), lines)
			}
			report := got[lines]
			want := "ERROR    action: log | result: fail | dropped_lines: 7"
			if format == JSON {
				want = `"action":"log","result":"fail","dropped_lines":7}`
				if !json.Valid([]byte(report)) {
					t.Errorf("no JSON: %s", report)
				}
			}
			if !strings.HasSuffix(report, want) {
				t.Errorf("got %q, want …%s", report, want)
			}
			if strings.Contains(out.buf.String(), "yyy") || !strings.Contains(got[lines+1], "after") {
				t.Error("a dropped line was written, or the one after is missing")
			}
		})
	}
}

// A report stands where lines are missing: before the next line that has room.
func TestReportStandsInTheGap(t *testing.T) {
	w := newWriter(io.Discard, Text)
	w.dropped = 3
	_, _ = w.NonBlocking().Write([]byte(`{"level":"info","action":"next"}`))
	got := string(bytes.Join(w.chunks, nil))
	if at := strings.Index(got, "dropped_lines: 3\n"); at < 0 || at > strings.Index(got, "action: next") {
		t.Errorf("%q", got)
	}
}

func TestLineLongerThanTheBound(t *testing.T) {
	var out bytes.Buffer
	w := small(&out, Text)
	event := []byte(`{"level":"info","a":"` + strings.Repeat("x", w.limit+1) + `"}`)
	for range 2 {
		if _, err := w.Write(event); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || out.Len() < 2*w.limit {
		t.Errorf("%v, %d bytes", err, out.Len())
	}
}

type failing struct {
	err error
	n   int
}

func (f *failing) Write([]byte) (int, error) { f.n++; return 0, f.err }

func TestFailingWriterDisturbsNobody(t *testing.T) {
	out := &failing{err: errors.New("broken pipe")}
	w := small(out, Text)
	event := bigEvent()
	for range 2 * w.limit / len(event) { // more than may wait
		if n, err := w.Write(event); n != len(event) || err != nil {
			t.Fatal(n, err)
		}
	}
	for range 2 {
		if err := w.Close(); !errors.Is(err, out.err) {
			t.Errorf("Close: %v", err)
		}
	}
	if out.n < 2 {
		t.Error("later lines were not tried")
	}
}

// withStuck calls do with a writer whose output hangs and has no more room, and with
// a line that waits for some.
func withStuck(t *testing.T, do func(t *testing.T, out *gate, w *Writer, waiting *sync.WaitGroup)) {
	synctest.Test(t, func(t *testing.T) {
		out := newGate()
		w := small(out, Text)
		fill(w, bigEvent())
		var waiting sync.WaitGroup
		waiting.Go(func() { _, _ = w.Write(bigEvent()) })
		synctest.Wait()
		do(t, out, w, &waiting)
	})
}

// A stop does not wait for a stuck reader of the log: neither what waits for room
// already, nor what comes later.
func TestHurry(t *testing.T) {
	withStuck(t, func(t *testing.T, out *gate, w *Writer, waiting *sync.WaitGroup) {
		start := time.Now()
		w.Hurry()
		waiting.Wait()
		if took := time.Since(start); took != closeLimit {
			t.Errorf("a line waits for %v, expected %v", took, closeLimit)
		}
		_, _ = w.Write(bigEvent()) // at once, or this deadlocks
		close(out.open)
		synctest.Wait()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(out.buf.String(), "dropped_lines: 2") {
			t.Error("the lines that did not wait are not accounted for")
		}
	})
}

func TestCloseGivesUpOnAStuckWriter(t *testing.T) {
	withStuck(t, func(t *testing.T, out *gate, w *Writer, waiting *sync.WaitGroup) {
		start := time.Now()
		if err := w.Close(); !errors.Is(err, ErrStuck) {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(start); took != closeLimit {
			t.Errorf("Close took %v", took)
		}
		waiting.Wait()           // nobody waits for room that never comes
		_, _ = w.Write([]byte{}) // nor for a turn to write directly
		close(out.open)          // lets the goroutine end
		<-w.done
	})
}

func TestCloseTwiceAndWriteAfterwards(t *testing.T) {
	var out bytes.Buffer
	w := New(&out, Text)
	log := w.Logger(zerolog.InfoLevel)
	log.Info().Str("action", "before").Send()
	var closers sync.WaitGroup
	for range 3 {
		closers.Go(func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	closers.Wait()
	log.Info().Str("action", "after").Send()
	loop := log.Output(w.NonBlocking())
	loop.Info().Str("action", "dropped").Send()
	got := out.String()
	if !strings.Contains(got, "before") || !strings.Contains(got, "after") || strings.Contains(got, "dropped") {
		t.Errorf("%q", got)
	}
}

func TestFatalFlushes(t *testing.T) {
	for _, blocking := range []bool{true, false} {
		var out bytes.Buffer
		w := New(&out, Text)
		log := w.Logger(zerolog.InfoLevel)
		if !blocking {
			log = log.Output(w.NonBlocking())
		}
		exited := ""
		zerolog.FatalExitFunc = func() { exited = out.String() }
		log.Fatal().Str("action", "end").Send()
		zerolog.FatalExitFunc = nil
		if !strings.HasSuffix(exited, "CRITICAL action: end\n") {
			t.Errorf("written before the exit: %q", exited)
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	for _, format := range []Format{Text, JSON} {
		b.Run([]string{"text", "json"}[format], func(b *testing.B) {
			w := New(io.Discard, format)
			log := w.Logger(zerolog.InfoLevel)
			b.ReportAllocs()
			for b.Loop() {
				log.Info().Str("action", "apuesta_almacenada").Str("result", "success").
					Str("dni", "30904465").Str("numero", "7574").Send()
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
