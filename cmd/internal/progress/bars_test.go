package progress

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"loteria/cmd/internal/progress/terminaltest"
)

// open returns bars on a terminal, and what ends both.
func open(t *testing.T, columns, rows int) (bars *Bars, screen *terminaltest.Terminal, end func()) {
	t.Helper()
	t.Setenv("TERM", "xterm-256color")
	screen, tty := terminaltest.Open(t, columns, rows)
	terminal, ok := FindTerminal(tty)
	if !ok {
		t.Fatal("a pseudo terminal is none")
	}
	bars = New(terminal)
	return bars, screen, sync.OnceFunc(func() {
		t.Helper()
		if err := bars.Close(); err != nil {
			t.Error(err)
		}
		tty.Close()
		screen.Ended()
	})
}

func wantLines(t *testing.T, screen *terminaltest.Terminal, want ...string) {
	t.Helper()
	lines := screen.Lines()
	same := len(lines) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = regexp.MustCompile("^(?:" + want[i] + ")$").MatchString(lines[i])
	}
	if !same {
		t.Errorf("the screen has\n%s\nexpected\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestBars(t *testing.T) {
	bars, screen, end := open(t, 90, 24)
	first, second, third := bars.Add("agency 1"), bars.Add("agency 10"), bars.Add("agency 2")
	first.SetTotal(2000)
	first.Set(0)
	first.Set(500)
	second.Set(0)
	second.Set(12300)
	fmt.Fprintln(bars, "a line")
	screen.Says("500 / 2,000")
	screen.Says("12,300 bets")
	fmt.Fprintln(bars, "another line")
	first.Set(2000)
	first.Finish()
	second.SetTotal(123000)
	second.Set(61500)
	screen.Says("50%")
	fmt.Fprint(bars, "two\nlines\n")
	third.Set(0)
	third.Finish() // there was none
	end()
	bars.Write([]byte("never seen"))
	screen.Clean()
	wantLines(t, screen,
		"a line",
		"another line",
		"two",
		"lines",
		`agency 1  \[=+\] 100% +2,000 / 2,000 +[\d,]+ bets/s +in \d+\.\d\d s`,
		`agency 10 \[=+>-+\] +50% +61,500 / 123,000 +[\d,]+ bets/s +stopped`,
		`agency 2  \[=+\] 100% +0 / 0 +in \d+\.\d\d s`,
	)
}

// filling is of many lengths, but never makes a line that just fits the screen,
// which looks as if it wrapped.
func filling(i int) string { return strings.Repeat("x", i%9*10) }

// Many lines from many goroutines, while bars change: each is whole and there once,
// in its writer's order.
func TestLinesAboveBars(t *testing.T) {
	const writers, each = 4, 400
	bars, screen, end := open(t, 60, 12)
	bar := bars.Add("agency 1")
	bar.SetTotal(writers * each)
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for i := range each {
				fmt.Fprintf(bars, "writer %d line %d %s.\n", w, i, filling(i))
				bar.Set(uint64(i))
			}
		})
	}
	running.Wait()
	bar.Finish()
	end()
	lines := screen.Lines()
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "agency 1 [===") {
		t.Errorf("the last line is %q", last)
	}
	lines = lines[:len(lines)-1]
	if len(lines) != writers*each {
		t.Errorf("there are %d lines, expected %d", len(lines), writers*each)
	}
	next := make([]int, writers)
	for _, line := range lines {
		var w, i int
		if _, err := fmt.Sscanf(line, "writer %d line %d", &w, &i); err != nil || i != next[w] ||
			line != fmt.Sprintf("writer %d line %d %s.", w, i, filling(i)) {
			t.Fatalf("the line %q is torn or out of order", line)
		}
		next[w]++
	}
}

// What is written when the bars have ended, but are not closed, is there too:
// mpb would have lost it.
func TestLinesAfterTheLastFrame(t *testing.T) {
	bars, screen, end := open(t, 60, 12)
	bar := bars.Add("agency 1")
	bar.Finish()
	bar.bar.Wait()
	fmt.Fprintln(bars, "late")
	bars.mpb.Wait()
	fmt.Fprintln(bars, "later")
	end()
	wantLines(t, screen, "late", "later", `agency 1 \[=+\] 100% +0`)
}

func TestNarrow(t *testing.T) {
	for columns, want := range map[int]string{
		120: `agency 1 \[=+>-+\]  50%  61,500 / 123,000  stopped`,
		72:  `agency 1 \[=+>-+\]  50% 61,500 stopped`,
		40:  `agency 1 \[=+>-+\]  50% 61,500 stopped`,
		29:  `agency 1 \[=+>-+\]  50%`,
		20:  `agency 1 \[=>-\]  50%`,
		10:  `agency 1`,
		5:   `age…`,
		2:   `…`,
	} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			bars, screen, end := open(t, max(columns, minColumns), 10)
			screen.Resize(columns, 10) // it may become as narrow as it likes
			bar := bars.Add("agency 1")
			bar.SetTotal(123000)
			bar.Set(61500)
			for range 20 {
				fmt.Fprintln(bars, "x")
			}
			bar.Stop()
			end()
			screen.Clean()
			lines := screen.Lines()
			at := slices.IndexFunc(lines, func(l string) bool { return l != "x" })
			if at != 20 || len(lines) != 21 || !regexp.MustCompile("^"+want+"$").MatchString(lines[20]) {
				t.Errorf("the screen has\n%s\nexpected 20 lines and %s", screen, want)
			}
		})
	}
}

// A screen with fewer lines than bars shows some, and loses nothing of what is
// above.
func TestLowScreen(t *testing.T) {
	bars, screen, end := open(t, 60, 4)
	var all []*Bar
	for i := range 6 {
		all = append(all, bars.Add(fmt.Sprintf("agency %d", i+1)))
	}
	for i := range 30 {
		fmt.Fprintf(bars, "line %d\n", i)
	}
	screen.Says("agency")
	for _, bar := range all {
		bar.Finish()
	}
	end()
	screen.Clean()
	lines := screen.Lines()
	for i := range 30 {
		if lines[i] != fmt.Sprintf("line %d", i) {
			t.Fatalf("line %d is %q", i, lines[i])
		}
	}
	if n := len(lines) - 30; n != 3 {
		t.Errorf("%d bars are left, expected as many as there is room for", n)
	}
}

// A terminal that changes its size gets frames of the new one, and keeps its
// lines.
func TestResize(t *testing.T) {
	bars, screen, end := open(t, 90, 20)
	bar := bars.Add("agency 1")
	bar.SetTotal(1000)
	bar.Set(0)
	for i, columns := range []int{90, 50, 120, 33, 80} {
		screen.Resize(columns, 20)
		bar.Set(uint64(100 * (i + 1)))
		fmt.Fprintf(bars, "line %d\n", i)
		text := fmt.Sprintf("%d0%%", i+1)
		screen.Await(text, func(lines []string) bool { return len(lines) > 0 && strings.Contains(lines[len(lines)-1], text) })
	}
	bar.Stop()
	end()
	screen.Clean()
	var kept []string
	for _, line := range screen.Lines() {
		if strings.HasPrefix(line, "line ") {
			kept = append(kept, line)
		}
	}
	if want := []string{"line 0", "line 1", "line 2", "line 3", "line 4"}; !slices.Equal(kept, want) {
		t.Errorf("the lines are %q, expected %q", kept, want)
	}
	lines := screen.Lines()
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "agency 1 [") || !strings.Contains(last, "500 / 1,000") {
		t.Errorf("the last line is %q", last)
	}
}

// A line that comes when the terminal has just become narrower, before there is
// a frame of the new width, does not make the old one wrap.
func TestLineAfterResize(t *testing.T) {
	bars, screen, end := open(t, 90, 20)
	bar := bars.Add("agency 1")
	bar.Finish()
	bar.bar.Wait()
	bars.mpb.Wait() // no frame comes any more
	screen.Says("100%")
	screen.Resize(30, 20)
	fmt.Fprintln(bars, "a line")
	end()
	wantLines(t, screen, "a line", `agency 1 \[=+`)
}

// What a person types, as a Ctrl-C that shows as ^C, does not stay in the bar.
func TestTyping(t *testing.T) {
	bars, screen, end := open(t, 60, 12)
	bar := bars.Add("agency 1")
	bar.SetTotal(4)
	bar.Set(1)
	screen.Says("25%")
	screen.Type("\x03")
	screen.Says("^C")
	bar.Set(2)
	screen.Says("50%")
	end()
	screen.Clean()
	wantLines(t, screen, `agency 1 \[.*\]  50% +2.* stopped`)
}

// A terminal that takes nothing any more does not block the command.
func TestStuckTerminal(t *testing.T) {
	// A pipe that nobody reads, standing in for a terminal after Ctrl-S.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	bars := New(&Terminal{w})
	bars.limit = 200 * time.Millisecond
	bar := bars.Add("agency 1")
	wrote := make(chan error, 1)
	go func() {
		_, err := bars.Write(make([]byte, 1<<20))
		wrote <- err
	}()
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil { // the write has begun
		t.Fatal(err)
	}
	bar.Set(1)
	bar.SetTotal(1)
	bar.Finish()
	if err := bars.Close(); err != ErrStuck {
		t.Errorf("Close returns %v, expected ErrStuck", err)
	}
	go io.Copy(io.Discard, r) // released, all goroutines end
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	bars.mpb.Wait()
	w.Close()
}

func TestFindTerminal(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	terminal := func(columns, rows int) *os.File {
		_, tty := terminaltest.Open(t, columns, rows)
		t.Cleanup(func() { _ = tty.Close() })
		return tty
	}
	tty := terminal(80, 24)
	tests := []struct {
		name string
		out  io.Writer
		term string
		want bool
	}{
		{"a terminal", tty, "xterm", true},
		{"a terminal without a name", tty, "", true},
		{"a terminal that can only write on", tty, "dumb", false},
		{"a narrow one", terminal(minColumns, minRows), "xterm", true},
		{"one that is too narrow", terminal(minColumns-1, 24), "xterm", false},
		{"one of one line", terminal(80, 1), "xterm", false},
		{"one without a size", terminal(0, 0), "xterm", false},
		{"a file", file, "xterm", false},
		{"no file", new(strings.Builder), "xterm", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("TERM", test.term)
			if _, ok := FindTerminal(test.out); ok != test.want {
				t.Errorf("it is a terminal: %v, expected %v", ok, test.want)
			}
		})
	}
}

// A terminal that loses its size is assumed to have a usual one.
func TestSizeIsUnknown(t *testing.T) {
	bars, screen, end := open(t, 80, 24)
	screen.Resize(0, 0)
	if columns, rows := bars.console.size(); columns != usualColumns || rows != usualRows {
		t.Errorf("the size is %d × %d, expected the usual one", columns, rows)
	}
	end()
}
