package main

import (
	"bytes"
	"io"
)

// maxLine is how many bytes of a line are kept together; a longer one is cut
// there, on the screen but not in the log.
const maxLine = 16 << 10

// lineWriter copies what it is given to a log, and passes it on line by line.
type lineWriter struct {
	log  io.Writer
	line func(string)
	rest []byte // of a line that has not ended
}

func (w *lineWriter) Write(b []byte) (int, error) {
	if n, err := w.log.Write(b); err != nil {
		return n, err
	}
	w.rest = append(w.rest, b...)
	for {
		end := bytes.IndexByte(w.rest, '\n')
		switch {
		case end >= 0 && end <= maxLine:
			w.line(string(bytes.TrimSuffix(w.rest[:end], []byte("\r"))))
			w.rest = w.rest[end+1:]
		case len(w.rest) > maxLine:
			w.line(string(w.rest[:maxLine]))
			w.rest = w.rest[maxLine:]
		default:
			w.rest = append([]byte(nil), w.rest...) // let go of what was passed on
			return len(b), nil
		}
	}
}

// flush passes on a last line that has no line break.
func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.line(string(w.rest))
		w.rest = nil
	}
}
