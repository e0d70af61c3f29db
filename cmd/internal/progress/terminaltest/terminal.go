// Package terminaltest is a terminal for tests: a pseudo terminal for the
// program, and an emulator behind it that knows what a person would see.
package terminaltest

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// patience is how long a test waits for something to be on the screen.
const patience = 20 * time.Second

// shown is how many lines are shown of the screen of a test that failed.
const shown = 60

// Terminal is a screen with what has scrolled off it.
type Terminal struct {
	t   *testing.T
	pty *os.File

	mu       sync.Mutex
	emulator *vt.Emulator
	columns  int
	raw      strings.Builder // all that was written
	change   chan struct{}   // closed when more is
	ended    chan struct{}   // closed when no process has the terminal open
}

// Open returns a terminal of this size, and the file that is its other end, for
// code in the test's own process. Whoever writes to it closes it.
func Open(t *testing.T, columns, rows int) (*Terminal, *os.File) {
	t.Helper()
	control, tty, err := pty.Open()
	if err == nil {
		err = pty.Setsize(control, size(columns, rows))
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal := watch(t, control, columns, rows)
	t.Cleanup(func() { _ = tty.Close() }) // of a test that failed
	return terminal, tty
}

// Start starts a process whose terminal this is: it reads from it, writes to
// it, and gets its Ctrl-C. Whatever is left of it is killed with the test.
func Start(t *testing.T, cmd *exec.Cmd, columns, rows int) *Terminal {
	t.Helper()
	control, err := pty.StartWithSize(cmd, size(columns, rows))
	if err == nil {
		err = keepOutput(control)
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal := watch(t, control, columns, rows)
	t.Cleanup(func() { // before the screen's, which waits for this
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return terminal
}

func size(columns, rows int) *pty.Winsize {
	return &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)}
}

func watch(t *testing.T, control *os.File, columns, rows int) *Terminal {
	s := &Terminal{
		t:        t,
		pty:      control,
		emulator: vt.NewEmulator(columns, rows),
		columns:  columns,
		change:   make(chan struct{}),
		ended:    make(chan struct{}),
	}
	go s.read()
	t.Cleanup(func() {
		if t.Failed() {
			lines := s.Lines()
			t.Logf("the screen, its last lines:\n%s", strings.Join(lines[max(0, len(lines)-shown):], "\n"))
		}
		_ = control.Close()
		<-s.ended
	})
	return s
}

// read shows what is written, until nobody can write any more.
func (s *Terminal) read() {
	defer close(s.ended)
	buffer := make([]byte, 32<<10)
	for {
		n, err := s.pty.Read(buffer)
		s.mu.Lock()
		_, _ = s.emulator.Write(buffer[:n])
		_, _ = s.raw.Write(buffer[:n])
		close(s.change)
		s.change = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Ended waits until no process has the terminal open, so that the screen is as it
// stays.
func (s *Terminal) Ended() {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatal("somebody still has the terminal open")
	}
}

// Close closes the terminal as its window is closed: the process gets SIGHUP,
// and can write to it no more.
func (s *Terminal) Close() {
	_ = s.pty.Close()
	<-s.ended
}

// Wait waits for the end of the process that was started on the terminal, and
// returns its exit code and what is left on the screen, which must be clean.
func (s *Terminal) Wait(cmd *exec.Cmd) (code int, lines []string) {
	s.t.Helper()
	s.Ended()
	_ = cmd.Wait() // it has closed its terminal
	s.Clean()
	return cmd.ProcessState.ExitCode(), s.Lines()
}

// Lines returns what has scrolled off the screen and then what is on it,
// without empty lines at the end. A line that wraps is one.
func (s *Terminal) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	wraps := false
	add := func(row string) {
		if wraps {
			lines[len(lines)-1] += row
		} else {
			lines = append(lines, row)
		}
		wraps = len([]rune(row)) >= s.columns
	}
	for _, line := range s.emulator.Scrollback().Lines() {
		add(strings.TrimRight(line.String(), " "))
	}
	for y := range s.emulator.Height() {
		var row strings.Builder
		for x := range s.emulator.Width() {
			if cell := s.emulator.CellAt(x, y); cell != nil && cell.Content != "" {
				row.WriteString(cell.Content)
			} else {
				row.WriteByte(' ')
			}
		}
		add(strings.TrimRight(row.String(), " "))
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// String returns the lines as one text.
func (s *Terminal) String() string { return strings.Join(s.Lines(), "\n") }

// Raw returns all that was written, control sequences and all.
func (s *Terminal) Raw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.String()
}

// Await waits until so accepts the lines, and returns them.
func (s *Terminal) Await(what string, so func(lines []string) bool) []string {
	s.t.Helper()
	limit := time.After(patience)
	for {
		s.mu.Lock()
		change := s.change
		s.mu.Unlock()
		lines := s.Lines()
		if so(lines) {
			return lines
		}
		select {
		case <-change:
		case <-limit:
			s.t.Fatalf("the screen never shows %s", what)
		}
	}
}

// Says waits until a line has the text, and returns the last such line.
func (s *Terminal) Says(text string) (line string) {
	s.t.Helper()
	s.Await(text, func(lines []string) bool {
		for _, l := range lines {
			if strings.Contains(l, text) {
				line = l
			}
		}
		return line != ""
	})
	return line
}

// Resize changes the size, as dragging a window's corner does.
func (s *Terminal) Resize(columns, rows int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emulator.Resize(columns, rows)
	s.columns = columns
	if err := pty.Setsize(s.pty, size(columns, rows)); err != nil {
		s.t.Fatal(err)
	}
}

// Type presses keys.
func (s *Terminal) Type(keys string) {
	s.t.Helper()
	if _, err := s.pty.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// Clean fails the test unless a shell can go on: the cursor is visible and at
// the beginning of the line below the last one.
func (s *Terminal) Clean() {
	s.t.Helper()
	s.mu.Lock()
	hidden, at := s.emulator.CursorHidden(), s.emulator.CursorPosition()
	last := -1
	for y := range s.emulator.Height() {
		for x := range s.emulator.Width() {
			if cell := s.emulator.CellAt(x, y); cell != nil && strings.TrimSpace(cell.Content) != "" {
				last = y
			}
		}
	}
	s.mu.Unlock()
	if hidden {
		s.t.Error("the cursor is hidden")
	}
	if at.X != 0 || at.Y != last+1 {
		s.t.Errorf("the cursor is in column %d of line %d, the last text in line %d", at.X, at.Y, last)
	}
}
