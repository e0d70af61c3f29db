package chaos_test

import (
	"fmt"
	"testing"
)

// verdict counts the violations among the bets of a contest.
type verdict struct {
	stored, acked int

	lost     int // acknowledged, and not stored
	doubled  int // stored again
	disorder int // stored, but not in the file's order
	foreign  int // stored, but in no file
}

func (v *verdict) add(w verdict) {
	v.stored += w.stored
	v.acked += w.acked
	v.lost += w.lost
	v.doubled += w.doubled
	v.disorder += w.disorder
	v.foreign += w.foreign
}

func (v verdict) good() bool { return v.lost+v.doubled+v.disorder+v.foreign == 0 }

func (v verdict) String() string {
	return fmt.Sprintf("%d bets stored, %d acknowledged; acknowledged lost %d, stored twice %d, out of order %d, of nobody %d",
		v.stored, v.acked, v.lost, v.doubled, v.disorder, v.foreign)
}

// judge compares an agency's stored rows with those of its file, all different,
// of which the first acked are acknowledged.
func judge(stored, file []string, acked int) verdict {
	v := verdict{stored: len(stored), acked: acked}
	place := make(map[string]int, len(file))
	for i, row := range file {
		place[row] = i
	}
	seen := make(map[int]bool, len(stored))
	next := 0
	for _, row := range stored {
		at, known := place[row]
		switch {
		case !known:
			v.foreign++
			continue
		case seen[at]:
			v.doubled++
			continue
		case at != next:
			v.disorder++
		}
		seen[at] = true
		next = at + 1
	}
	for i := range acked {
		if !seen[i] {
			v.lost++
		}
	}
	return v
}

func TestJudge(t *testing.T) {
	file := []string{"a", "b", "c", "d", "e"}
	for _, c := range []struct {
		what   string
		stored []string
		acked  int
		want   verdict
	}{
		{"nothing", nil, 0, verdict{}},
		{"all", file, 5, verdict{}},
		{"more than acknowledged", file[:3], 2, verdict{}},
		{"the end lost", file[:3], 5, verdict{lost: 2}},
		{"one in between lost", []string{"a", "c"}, 3, verdict{lost: 1, disorder: 1}},
		{"one not acknowledged missing in between", []string{"a", "c"}, 1, verdict{disorder: 1}},
		{"twice at once", []string{"a", "a", "b"}, 2, verdict{doubled: 1}},
		{"a batch twice", []string{"a", "b", "a", "b", "c"}, 3, verdict{doubled: 2}},
		{"exchanged", []string{"b", "a"}, 2, verdict{disorder: 2}},
		{"another's", []string{"a", "x", "b"}, 2, verdict{foreign: 1}},
	} {
		c.want.stored, c.want.acked = len(c.stored), c.acked
		if got := judge(c.stored, file, c.acked); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}
