package main

import (
	"bytes"
	"os"
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

func TestScreenIntoAFile(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := newScreen(file)
	begin := time.Now()
	for half := range 10 { // five seconds
		s.report("progress of "+string(rune('a'+half)), begin.Add(time.Duration(half)*time.Second/2))
	}
	s.alarm("central", "x")
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := "progress   progress of e\nprogress   progress of i\ncentral    x\n"
	if string(text) != want {
		t.Errorf("the file has %q, want %q", text, want)
	}
}

func TestTable(t *testing.T) {
	agencies := []*agency{
		{id: 1, bets: 26936, batches: 270, took: 1234 * time.Millisecond, winners: 2},
		{id: 12, bets: 0, batches: 0, took: 4 * time.Millisecond, winners: 0},
	}
	got := table(agencies, 61*time.Second)
	want := strings.Join([]string{
		"  agency   bets  batches  seconds  winners",
		"       1  26936      270     1.23        2",
		"      12      0        0     0.00        0",
		"   total  26936      270    61.00        2",
	}, "\n")
	if got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
}
