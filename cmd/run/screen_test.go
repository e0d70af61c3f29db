package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestScreen(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out}
	steps := []struct {
		name    string
		colours bool
		do      func()
		want    string
	}{
		{"news", true, func() { s.say("run", "a") }, "run        a\n"},
		{"an alarm", true, func() { s.alarm("agency 1", "b") }, "agency 1   \x1b[31mb\x1b[0m\n"},
		{"an alarm without colours", false, func() { s.alarm("agency 1", "b") }, "agency 1   b\n"},
		{"what a process may write", true, func() { s.say("run", "a\x1b[2Jb\a") }, "run        a\ufffd[2Jb\ufffd\n"},
	}
	for _, step := range steps {
		out.Reset()
		s.colours = step.colours
		step.do()
		if out.String() != step.want {
			t.Errorf("%s: %q, want %q", step.name, out.String(), step.want)
		}
	}
}

func TestResult(t *testing.T) {
	r := &round{took: 61 * time.Second, agencies: []*agency{
		{id: 1, batches: 270, took: 1234 * time.Millisecond, winners: 2},
		{id: 12, took: 4 * time.Millisecond},
	}}
	r.agencies[0].stored.Store(26936)
	want := strings.Join([]string{"",
		"  agency     bets  batches  seconds  winners",
		"       1    26936      270     1.23        2",
		"      12        0        0     0.00        0",
		"   total    26936      270    61.00        2",
	}, "\n")
	if got := r.result(); !strings.HasPrefix(got, want+"\n") {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
	r.agencies[0].complete.Store(true)
	if got := r.progress(); !strings.HasPrefix(got, "26936 bets in ") || !strings.HasSuffix(got, " s    1: 26936 ✓  12: 0") {
		t.Errorf("the progress is %q", got)
	}
}
