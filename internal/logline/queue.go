package logline

import (
	"bytes"
	"cmp"

	"github.com/rs/zerolog"
)

const (
	// chunkSize is the most that is written at once, except a longer line or lines put
	// into the log as one, and the unit in which memory is kept.
	chunkSize = 64 << 10
	// maxSpare bounds the empty chunks that are kept for later: 1 MiB.
	maxSpare = 16
)

// enqueue adds whole lines to the queue. Without mayWait, those without room are
// dropped and counted.
func (w *Writer) enqueue(text []byte, mayWait bool) error {
	if len(text) == 0 {
		return nil
	}
	w.mu.Lock()
	for !w.fits(text) && !w.stopped && !w.stuck {
		if !mayWait || w.hurried {
			w.dropped += max(1, bytes.Count(text, []byte("\n")))
			w.mu.Unlock()
			return nil
		}
		w.release(len(w.chunks))
		w.room.Wait()
	}
	if w.stopped || w.stuck {
		writable := mayWait && !w.stuck
		w.mu.Unlock()
		if !writable {
			return nil
		}
		w.direct.Lock()
		defer w.direct.Unlock()
		_, err := w.out.Write(text)
		return err
	}
	if w.dropped > 0 {
		w.reportDropped()
	}
	w.push(text)
	w.mu.Unlock()
	return nil
}

// hasRoom reports whether at least half of the room is free.
func (w *Writer) hasRoom() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting <= w.limit/2
}

// fits reports whether there is room for text. A text above the bound waits alone.
func (w *Writer) fits(text []byte) bool {
	return w.waiting == 0 || w.waiting+len(text) <= w.limit
}

// push appends text to the last chunk. It is never split between two. Chunks
// are due when they are full, or when the timer says so.
func (w *Writer) push(text []byte) {
	w.waiting += len(text)
	last := len(w.chunks) - 1
	if last < 0 || len(w.chunks[last])+len(text) > cap(w.chunks[last]) {
		var chunk []byte
		switch n := len(w.spare); {
		case len(text) > chunkSize:
			chunk = make([]byte, 0, len(text))
		case n > 0:
			chunk, w.spare = w.spare[n-1], w.spare[:n-1]
		default:
			chunk = make([]byte, 0, chunkSize)
		}
		w.release(len(w.chunks))
		w.chunks = append(w.chunks, chunk)
		last++
	}
	w.chunks[last] = append(w.chunks[last], text...)
	if len(w.chunks[last]) == cap(w.chunks[last]) {
		w.release(len(w.chunks))
	}
	if w.due < len(w.chunks) && !w.armed {
		w.armed = true
		w.timer.Reset(flushDelay)
	}
}

// release makes the first n chunks due.
func (w *Writer) release(n int) {
	if n > w.due {
		w.due = n
		w.work.Signal()
	}
}

// flush makes everything due. The timer calls it.
func (w *Writer) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = false
	w.release(len(w.chunks))
}

// reportDropped pushes the line that accounts for what was dropped, at the very
// place where it is missing.
func (w *Writer) reportDropped() {
	w.push(w.droppedLine(w.dropped, nil))
	w.dropped = 0
}

// droppedLine renders the line that accounts for missing lines, with the reason
// unless that is lack of room.
func (w *Writer) droppedLine(lines int, why error) []byte {
	l := w.begin(nil, zerolog.ErrorLevel, "log", "fail")
	l.number("dropped_lines", lines)
	if why != nil {
		l.text(zerolog.ErrorFieldName, why.Error())
	}
	return l.end()
}

// run writes the chunks that are due, one after the other.
func (w *Writer) run() {
	defer close(w.done)
	w.mu.Lock()
	defer w.mu.Unlock()
	var out output
	for w.await() {
		var chunk []byte // none when it is only tried again
		if w.due > 0 {
			chunk = w.chunks[0]
			copy(w.chunks, w.chunks[1:])
			w.chunks[len(w.chunks)-1] = nil
			w.chunks = w.chunks[:len(w.chunks)-1]
			w.due--
		}
		w.tryAgain = false

		w.mu.Unlock()
		err := out.write(w, chunk)
		w.mu.Lock()

		w.failing = err != nil
		if w.failing {
			w.err = cmp.Or(w.err, err)
			w.retry.Reset(retryDelay)
		}
		w.waiting -= len(chunk)
		if cap(chunk) == chunkSize && len(w.spare) < maxSpare {
			w.spare = append(w.spare, chunk[:0])
		}
		w.room.Broadcast()
	}
	w.stopped = true
	w.timer.Stop()
	w.retry.Stop()
	w.room.Broadcast()
}

// again has the goroutine try whether the log can be written again. The timer
// calls it.
func (w *Writer) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tryAgain = true
	w.work.Signal()
}

// await returns true when a chunk is due, or when it is time to try again what
// has failed, and false when neither will be.
func (w *Writer) await() bool {
	for w.due == 0 && !w.tryAgain {
		switch {
		case w.dropped > 0:
			w.reportDropped()
			w.release(len(w.chunks))
		case !w.closing:
			w.work.Wait()
		case len(w.chunks) > 0:
			w.release(len(w.chunks))
		case w.failing && !w.lastTry:
			w.lastTry = true
			return true
		default:
			return false
		}
	}
	return true
}
