package progress

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// The least size at which a bar can be read, and does not wrap.
const (
	minColumns = 40
	minRows    = 2
)

// The size of a terminal that does not tell it.
const (
	usualColumns = 80
	usualRows    = 24
)

// Terminal is one on which the cursor can be moved.
type Terminal struct{ file *os.File }

// FindTerminal returns the terminal that out is. ok is false when out is something
// else, a dumb terminal (TERM=dumb), or one that is too small or does not know its
// size, as in some containers.
func FindTerminal(out io.Writer) (t *Terminal, ok bool) {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return nil, false
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col < minColumns || size.Row < minRows {
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
