package agency

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// record is a log whose lines can be waited for.
type record struct {
	mu     sync.Mutex
	lines  []string
	levels []string      // of the lines
	change chan struct{} // closed with each new line
}

func newRecord() *record { return &record{change: make(chan struct{})} }

func (r *record) logger(level zerolog.Level) zerolog.Logger { return zerolog.New(r).Level(level) }

func (r *record) Write(event []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var fields struct{ Level string }
	_ = json.Unmarshal(event, &fields)
	r.lines, r.levels = append(r.lines, asLine(event)), append(r.levels, fields.Level)
	close(r.change)
	r.change = make(chan struct{})
	return len(event), nil
}

// asLine writes an event as the contract has it, without time and level.
func asLine(event []byte) string {
	var parts []string
	d := json.NewDecoder(bytes.NewReader(event))
	_, _ = d.Token() // {
	for d.More() {
		key, _ := d.Token()
		value, _ := d.Token()
		if key != zerolog.LevelFieldName {
			parts = append(parts, fmt.Sprintf("%v: %v", key, value))
		}
	}
	return strings.Join(parts, " | ")
}

func (r *record) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

// with returns the lines with the prefix.
func (r *record) with(prefix string) []string {
	var found []string
	for _, line := range r.all() {
		if strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}

// level returns the level of an existing line.
func (r *record) level(line string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.levels[slices.Index(r.lines, line)]
}

// await waits until a line has the prefix.
func (r *record) await(t *testing.T, prefix string) {
	t.Helper()
	r.awaitCount(t, prefix, 1)
}

// awaitCount waits until that many lines have the prefix.
func (r *record) awaitCount(t *testing.T, prefix string, lines int) {
	t.Helper()
	limit := time.After(testLimit)
	for {
		r.mu.Lock()
		change := r.change
		r.mu.Unlock()
		if len(r.with(prefix)) >= lines {
			return
		}
		select {
		case <-change:
		case <-limit:
			t.Fatalf("no line %q in\n%s", prefix, strings.Join(r.all(), "\n"))
		}
	}
}

func (r *record) wantLines(t *testing.T, want ...string) {
	t.Helper()
	got, expected := strings.Join(r.all(), "\n"), strings.Join(want, "\n")
	if got != expected {
		t.Errorf("the log is\n%s\nexpected\n%s", got, expected)
	}
}

func (r *record) wantNoFail(t *testing.T) {
	t.Helper()
	for _, line := range r.all() {
		if strings.Contains(line, "result: fail") {
			t.Errorf("nothing went wrong, but the log says %s", line)
		}
	}
}
