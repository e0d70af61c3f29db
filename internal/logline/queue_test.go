package logline

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// written is a write: when, and how much.
type written struct {
	at    time.Duration
	bytes int
}

// recorder records what is written to it.
type recorder struct {
	start  time.Time
	writes []written
}

func (r *recorder) Write(p []byte) (int, error) {
	r.writes = append(r.writes, written{time.Since(r.start), len(p)})
	return len(p), nil
}

func TestWhenLinesAreWritten(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name      string
		put, want []written
	}{
		{"alone, after the delay", []written{{0, 10}}, []written{{flushDelay, 10}}},
		{"together, after the first one's delay",
			[]written{{0, 10}, {1 * ms, 10}, {flushDelay - 1, 10}},
			[]written{{flushDelay, 30}}},
		{"each after its own",
			[]written{{0, 10}, {flushDelay + 2*ms, 20}},
			[]written{{flushDelay, 10}, {2*flushDelay + 2*ms, 20}}},
		{"a chunk that is full, at once",
			[]written{{1 * ms, 10}, {2 * ms, chunkSize - 10}},
			[]written{{2 * ms, chunkSize}}},
		{"a chunk without room, at once, and what had none, later",
			[]written{{0, chunkSize - 9}, {1 * ms, 10}},
			[]written{{1 * ms, chunkSize - 9}, {flushDelay, 10}}},
		{"longer than a chunk, at once",
			[]written{{1 * ms, 2 * chunkSize}},
			[]written{{1 * ms, 2 * chunkSize}}},
		{"nothing, never", []written{{0, 0}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := &recorder{start: time.Now()}
				w := New(out, Text)
				for _, p := range test.put {
					time.Sleep(time.Until(out.start.Add(p.at)))
					_ = w.enqueue([]byte(strings.Repeat("x", p.bytes)), true)
				}
				time.Sleep(2 * flushDelay)
				synctest.Wait()
				if !slices.Equal(out.writes, test.want) {
					t.Errorf("written: %v, want %v", out.writes, test.want)
				}
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Neither Close nor a line that waits for room waits for the timer.
func TestTheDelayKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &recorder{start: time.Now()}
		w := small(out, Text)
		for _, n := range []int{10, w.limit, 20} { // no two of them have room
			_ = w.enqueue([]byte(strings.Repeat("x", n)), true)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if want := []written{{0, 10}, {0, w.limit}, {0, 20}}; !slices.Equal(out.writes, want) {
			t.Errorf("written: %v, want %v", out.writes, want)
		}
	})
}

// A journal has room while at most half of it is taken; what waits comes out of it.
func TestJournalHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		w := small(gated{open}, Text)
		j := w.Journal(zerolog.InfoLevel)
		for _, step := range []struct {
			bytes int
			want  bool
		}{{0, true}, {w.limit / 2, true}, {1, false}, {w.limit/2 - 1, false}} {
			j.Write([]byte(strings.Repeat("x", step.bytes)))
			if got := j.HasRoom(); got != step.want {
				t.Errorf("after %d more bytes there is room: %t", step.bytes, got)
			}
		}
		close(open)
		time.Sleep(2 * flushDelay)
		synctest.Wait()
		if !j.HasRoom() {
			t.Error("there is no room when all is written")
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if !j.HasRoom() {
			t.Error("there is no room after Close, which nobody would wait for")
		}
	})
}

// gated is a reader of the log that waits until the channel is closed.
type gated struct{ open chan struct{} }

func (g gated) Write(p []byte) (int, error) { <-g.open; return len(p), nil }
