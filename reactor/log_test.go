package reactor

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
)

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
	slow func(line []byte) // called before a line is written, or nil
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	slow := b.slow
	b.mu.Unlock()
	if slow != nil {
		slow(p)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// slowDown lets f be called before each line is written.
func (b *logBuffer) slowDown(f func(line []byte)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slow = f
}

// event is one line of the log.
type event map[string]any

func (e event) is(action, result string) bool { return e["action"] == action && e["result"] == result }

// events returns the log so far.
func (b *logBuffer) events(t testing.TB) []event {
	t.Helper()
	var events []event
	for line := range strings.Lines(b.String()) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		events = append(events, e)
	}
	return events
}

// find returns the lines so far with that action and result.
func (b *logBuffer) find(t testing.TB, action, result string) []event {
	t.Helper()
	var found []event
	for _, e := range b.events(t) {
		if e.is(action, result) {
			found = append(found, e)
		}
	}
	return found
}

// only returns the one line with that action and result.
func (b *logBuffer) only(t testing.TB, action, result string) event {
	t.Helper()
	found := b.find(t, action, result)
	if len(found) != 1 {
		t.Fatalf("%d log lines %s %s, expected one; the log:\n%s", len(found), action, result, b.String())
	}
	return found[0]
}

// failures returns the lines so far that say fail.
func (b *logBuffer) failures(t testing.TB) []event {
	t.Helper()
	var found []event
	for _, e := range b.events(t) {
		if e["result"] == "fail" {
			found = append(found, e)
		}
	}
	return found
}
