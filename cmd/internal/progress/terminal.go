package progress

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// The size of a terminal that does not know it.
const (
	usualColumns = 80
	usualRows    = 24
)

// Terminal is one on which the cursor can be moved.
type Terminal struct{ file *os.File }

// FindTerminal returns the terminal that out is. ok is false when it is
// something else, or one that can only write on (TERM=dumb).
func FindTerminal(out io.Writer) (t *Terminal, ok bool) {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return nil, false
	}
	if _, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ); err != nil {
		return nil, false
	}
	return &Terminal{file}, true
}

// Size returns how many characters fit on a line, and how many lines on the
// screen, at this moment.
func (t *Terminal) Size() (columns, rows int) {
	columns, rows = usualColumns, usualRows
	if size, err := unix.IoctlGetWinsize(int(t.file.Fd()), unix.TIOCGWINSZ); err == nil {
		if size.Col > 0 {
			columns = int(size.Col)
		}
		if size.Row > 0 {
			rows = int(size.Row)
		}
	}
	return columns, rows
}
