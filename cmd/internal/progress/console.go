package progress

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"unicode/utf8"
)

// maxColumns is the width of a frame at most: a wider bar says nothing more, and a
// narrower one does not wrap when the terminal shrinks a little.
const maxColumns = 100

// console is the terminal as mpb sees it (mpb.ConsoleWriter), shared with the
// writers of lines. The bars' last frame stands at the bottom, and the cursor on
// the line below it. A write erases the frame, puts the lines there, and draws the
// frame again below them, in one system call: no line is ever lost, torn, or
// waiting for mpb.
//
// A terminal made so narrow that the frame wraps keeps a torn bar each time. Going
// up by more lines instead would erase other text on terminals that do not reflow
// theirs.
type console struct {
	// Buffer is the frame that mpb is drawing; only its goroutine uses it.
	bytes.Buffer
	size func() (columns, rows int)

	mu    sync.Mutex
	out   *os.File
	frame []byte // as it stands on the terminal
}

// IsTerminal makes mpb ask for the size.
func (c *console) IsTerminal() bool { return true }

// GetTermSize returns the room for a frame. The last column stays free: not
// all terminals agree on where the cursor is after it. So does the line below,
// where the cursor is.
func (c *console) GetTermSize() (width, height int, err error) {
	columns, rows := c.size()
	return max(min(columns-1, maxColumns), 0), rows - 1, nil
}

// Flush puts the frame that mpb has drawn on the terminal. Its lines are counted
// here: mpb miscounts when there was no room for all bars.
func (c *console) Flush(int) error {
	defer c.Reset()
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Equal(c.Bytes(), c.frame) {
		return nil
	}
	frame := bytes.Clone(c.Bytes())
	_, err := c.out.Write(append(c.erase(), frame...))
	c.frame = frame
	return err
}

// above puts whole lines above the frame.
func (c *console) above(text []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	erase := c.erase()
	c.fit()
	n, err := c.out.Write(append(append(erase, text...), c.frame...))
	return min(max(n-len(erase), 0), len(text)), err
}

// fit cuts the lines of the frame where the terminal has become narrower since
// it was drawn, so that they do not wrap.
func (c *console) fit() {
	width, _, _ := c.GetTermSize()
	var cut []byte
	for line := range bytes.Lines(c.frame) {
		if text := bytes.TrimSuffix(line, []byte("\n")); utf8.RuneCount(text) > width {
			line = []byte(string([]rune(string(text))[:width]) + "\n")
		}
		cut = append(cut, line...)
	}
	c.frame = cut
}

// erase returns the sequence that erases the frame. The cursor may have left the
// first column: a Ctrl-C shows as ^C.
func (c *console) erase() []byte {
	lines := bytes.Count(c.frame, []byte("\n"))
	if lines == 0 {
		return nil
	}
	return fmt.Appendf(nil, "\r\x1b[%dA\x1b[J", lines)
}

// release leaves the frame to the terminal for good.
func (c *console) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frame = nil
}
