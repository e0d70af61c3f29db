package logline

import "bytes"

// output is the writing goroutine's record of which lines the underlying writer has
// not taken.
type output struct {
	lost int   // lines that are not accounted for yet
	why  error // the last error
	torn bool  // what was taken ends within a line
}

// write writes lines, after the account of those that were lost. Without lines
// it writes only that.
func (o *output) write(w *Writer, lines []byte) error {
	if o.lost > 0 {
		account := w.droppedLine(o.lost, o.why)
		if o.torn {
			account = append([]byte("\n"), account...)
		}
		n, err := w.out.Write(account)
		o.took(account, n)
		if err != nil {
			o.fail(lines, err)
			return err
		}
		o.lost = 0
	}
	if len(lines) == 0 {
		return nil
	}
	n, err := w.out.Write(lines)
	o.took(lines, n)
	if err != nil {
		o.fail(lines[n:], err)
	}
	return err
}

// took notes that n bytes of text were taken.
func (o *output) took(text []byte, n int) {
	if n > 0 {
		o.torn = text[n-1] != '\n'
	}
}

// fail counts whole lines, and one that was cut, as lost.
func (o *output) fail(lines []byte, err error) {
	o.lost += bytes.Count(lines, []byte("\n"))
	o.why = err
}
