package lottery

import (
	"testing"
	"time"
)

func TestRegroup(t *testing.T) {
	const took = time.Hour // but no longer than maxRegroupTime is waited
	var r regroup
	for _, step := range []struct {
		name          string
		commit, since int // appends of a commit that has ended, and during it
		there, bytes  int // appends and bytes when the writer is ready
		expected      int
	}{
		{"a batch that is alone", 1, 0, 1, 5000, 0},
		{"one has come during the commit of another", 1, 1, 1, 5000, 2},
		{"both are there", 1, 1, 2, 10_000, 0},
		{"five in two groups", 2, 3, 3, 15_000, 5},
		{"five in one", 5, 0, 1, 5000, 5},
		{"bytes enough for a commit", 40, 40, 20, maxRegrouped, 0},
	} {
		r.committed(step.commit, step.since, took)
		expected, remaining := r.wait(step.there, step.bytes)
		if expected != step.expected || (remaining > 0) != (expected > 0) || remaining > maxRegroupTime {
			t.Errorf("%s: waits for %d appends and %v, expected %d", step.name, expected, remaining, step.expected)
		}
	}

	r.committed(1, 1, 0)
	if _, remaining := r.wait(1, 5000); remaining > 0 {
		t.Errorf("waits for %v after a commit that took no time", remaining)
	}
}

// Who never comes back in time is not waited for again and again.
func TestRegroupGivesUp(t *testing.T) {
	const commits = 10 * (maxRegroupMisses + regroupPause)
	for _, test := range []struct {
		name        string
		comes       func(wait int) bool
		least, most int // waits
	}{
		{"never", func(int) bool { return false }, 10 * maxRegroupMisses, 11 * maxRegroupMisses},
		{"every other time", func(wait int) bool { return wait%2 == 0 }, commits, commits},
	} {
		var r regroup
		waits := 0
		for range commits {
			r.committed(1, 1, time.Hour)
			if expected, _ := r.wait(1, 5000); expected > 0 {
				r.waited(test.comes(waits))
				waits++
			}
		}
		if waits < test.least || waits > test.most {
			t.Errorf("who comes %s is waited for %d times in %d commits, expected %d to %d", test.name, waits, commits, test.least, test.most)
		}
	}
}
