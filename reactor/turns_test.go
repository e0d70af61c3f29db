package reactor

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// An address with many handshakes gets no more turns than others.
func TestTurns(t *testing.T) {
	turns := newTurns(1)
	turns.take("busy")
	taken := make(chan string)
	waiting := 0
	ask := func(from string) {
		t.Helper()
		waiting++
		go func() {
			turns.take(from)
			taken <- from
		}()
		for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			turns.mu.Lock()
			n := 0
			for _, of := range turns.waiting {
				n += len(of)
			}
			turns.mu.Unlock()
			if n == waiting {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d wait, expected %d", n, waiting)
			}
		}
	}
	for _, from := range strings.Fields("busy busy busy busy one two one") {
		ask(from)
	}
	var got []string
	for range waiting {
		turns.give()
		got = append(got, await(t, taken, "nobody has a turn"))
	}
	if want := strings.Fields("busy one two busy one busy busy"); !slices.Equal(got, want) {
		t.Errorf("the turns are of %q, expected %q", got, want)
	}
	turns.give()
	if turns.free != 1 || len(turns.waiting)+len(turns.order) != 0 {
		t.Errorf("%d processors are free, expected 1; %d addresses wait", turns.free, len(turns.waiting))
	}
}
