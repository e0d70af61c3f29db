// Package logline writes the log of the commands: zerolog's events as lines of
// the shape that scripts and graders read,
//
//	2026-01-31 10:00:00 INFO     action: NAME | result: success | key: value
//
// or as zerolog's own JSON. One goroutine writes, so that whoever logs waits
// for no system call; the lines stay in order, and Close writes the last one.
//
//	w := logline.New(os.Stdout, logline.Text)
//	defer w.Close()
//	log := w.Logger(zerolog.InfoLevel)
//	log.Info().Str("action", "config").Str("result", "success").Int("port", 12345).Send()
//	loopLog := log.Output(w.NonBlocking()) // for the event loop
//
// Fields appear in the order in which they were added, and those of a logger's
// context (With) come before those of the event: action and result belong
// first, so a context is not the place for a field of the contract's lines.
package logline

import (
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// MaxWaiting bounds the bytes that wait to be written, those that are
	// being written included. At the bound a Writer's Write waits for room,
	// and a NonBlocking's drops the line.
	MaxWaiting = 16 << 20
	// closeLimit bounds how long Close waits for a reader of the log who has
	// stopped reading: less than any sensible grace period of a stop.
	closeLimit = 3 * time.Second
	// chunkSize is how much is written at once, at most (a longer line alone
	// excepted), and the unit in which memory is kept.
	chunkSize = 64 << 10
	// maxSpare bounds the empty chunks that are kept for later: 1 MiB.
	maxSpare = 16
	// maxSpareLine bounds the buffers that are kept for rendering a line.
	maxSpareLine = 64 << 10
)

// ErrStuck is returned by Close when the underlying writer did not take what
// was waiting in time. The rest is lost.
var ErrStuck = errors.New("logline: the log could not be written in time")

// Writer renders events and writes them asynchronously, in order and
// completely. It is safe for concurrent use. A failing underlying writer loses
// what it was given and disturbs nobody: the first error is what Close returns,
// and later lines are tried again.
type Writer struct {
	out    io.Writer
	format Format
	now    func() time.Time
	limit  int           // MaxWaiting
	lines  sync.Pool     // of *line
	done   chan struct{} // closed when the writing goroutine has ended

	mu      sync.Mutex
	work    sync.Cond // there are lines, or Close was called
	room    sync.Cond // fewer bytes are waiting, or nobody writes any more
	chunks  [][]byte  // lines in order; the last chunk is being filled
	spare   [][]byte
	waiting int    // bytes in chunks and in the chunk being written
	dropped uint64 // lines of NonBlocking not yet accounted for in the log
	closing bool
	stopped bool // the goroutine has ended
	stuck   bool // Close gave up on the goroutine
	err     error

	direct sync.Mutex // serialises writes after Close
}

// line is the room in which one event is rendered, with the second that was
// formatted last: lines of the same second share its text.
type line struct {
	buf    []byte
	second int64
	stamp  []byte
}

// New returns a Writer onto out and starts its goroutine, which ends with Close.
func New(out io.Writer, format Format) *Writer {
	w := newWriter(out, format, time.Now)
	go w.run()
	return w
}

func newWriter(out io.Writer, format Format, now func() time.Time) *Writer {
	w := &Writer{out: out, format: format, now: now, limit: MaxWaiting, done: make(chan struct{})}
	w.lines.New = func() any { return &line{buf: make([]byte, 0, 512)} }
	w.work.L = &w.mu
	w.room.L = &w.mu
	return w
}

// Logger returns a logger that writes events of the given level and above to w,
// each with the local time at which it is logged.
func (w *Writer) Logger(level zerolog.Level) zerolog.Logger {
	log := zerolog.New(w).Level(level)
	if w.format == JSON {
		log = log.With().Timestamp().Logger()
	}
	return log // a text line takes its time in Write, once
}

// Write takes one event of zerolog. It waits only while MaxWaiting bytes are
// waiting. After Close the line is written directly, so that the very last
// words of a command are not lost, unless Close ended with ErrStuck.
func (w *Writer) Write(event []byte) (int, error) {
	return w.write(event, true)
}

// NonBlocking returns a writer onto the same queue for a goroutine that must
// never wait. When MaxWaiting bytes are waiting its lines are dropped and
// counted; as soon as there is room again one line says how many:
//
//	action: log | result: fail | dropped_lines: N
//
// After Close its lines are dropped. Closing it closes the Writer: zerolog does
// so before a fatal event ends the process.
func (w *Writer) NonBlocking() io.WriteCloser {
	return nonBlocking{w}
}

type nonBlocking struct{ w *Writer }

func (n nonBlocking) Write(event []byte) (int, error) { return n.w.write(event, false) }
func (n nonBlocking) Close() error                    { return n.w.Close() }

func (w *Writer) write(event []byte, mayWait bool) (int, error) {
	l := w.lines.Get().(*line)
	// Rendered outside the lock: it is held for copying the line, no longer.
	l.buf = w.render(l, l.buf[:0], event)
	err := w.enqueue(l.buf, mayWait)
	if cap(l.buf) <= maxSpareLine {
		w.lines.Put(l)
	}
	if err != nil {
		return 0, err
	}
	return len(event), nil
}

// render appends the event in the writer's format.
func (w *Writer) render(l *line, dst, event []byte) []byte {
	if w.format == JSON {
		return append(dst, event...)
	}
	now := w.now()
	if second := now.Unix(); second != l.second || len(l.stamp) == 0 {
		l.stamp = now.AppendFormat(l.stamp[:0], "2006-01-02 15:04:05 ")
		l.second = second
	}
	return appendLine(append(dst, l.stamp...), event)
}

func (w *Writer) enqueue(text []byte, mayWait bool) error {
	w.mu.Lock()
	for !w.fits(text) && !w.stopped && !w.stuck {
		if !mayWait {
			w.dropped++
			w.mu.Unlock()
			return nil
		}
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
	w.work.Signal()
	return nil
}

// fits tells whether text may wait too. A line longer than the bound goes alone.
func (w *Writer) fits(text []byte) bool {
	return w.waiting == 0 || w.waiting+len(text) <= w.limit
}

// push appends text to the last chunk. A line is never split between two.
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
		w.chunks = append(w.chunks, chunk)
		last++
	}
	w.chunks[last] = append(w.chunks[last], text...)
}

// reportDropped pushes the line that accounts for what was dropped, at the very
// place where it is missing.
func (w *Writer) reportDropped() {
	event := append([]byte(nil), `{"level":"error","time":"`...)
	event = w.now().AppendFormat(event, time.RFC3339)
	event = append(event, `","action":"log","result":"fail","dropped_lines":`...)
	event = append(strconv.AppendUint(event, w.dropped, 10), '}', '\n')
	w.dropped = 0
	w.push(w.render(new(line), nil, event))
}

// run writes chunks, also one that is not full, as long as there are any.
func (w *Writer) run() {
	defer close(w.done)
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.await() {
		chunk := w.chunks[0]
		copy(w.chunks, w.chunks[1:])
		w.chunks[len(w.chunks)-1] = nil
		w.chunks = w.chunks[:len(w.chunks)-1]

		w.mu.Unlock()
		_, err := w.out.Write(chunk)
		w.mu.Lock()

		if err != nil && w.err == nil {
			w.err = err
		}
		w.waiting -= len(chunk)
		if cap(chunk) == chunkSize && len(w.spare) < maxSpare {
			w.spare = append(w.spare, chunk[:0])
		}
		w.room.Broadcast()
	}
	w.stopped = true
	w.room.Broadcast()
}

// await returns true when there is a chunk, false when there will be none.
func (w *Writer) await() bool {
	for len(w.chunks) == 0 {
		switch {
		case w.dropped > 0:
			w.reportDropped()
		case w.closing:
			return false
		default:
			w.work.Wait()
		}
	}
	return true
}

// Close writes everything that is waiting and ends the goroutine. It may be
// called again, and by several. Its error is the first one of the underlying
// writer, or ErrStuck when that did not take everything within three seconds.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.work.Signal()

	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-w.done:
	case <-limit.C:
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		w.stuck = true
		w.room.Broadcast()
		return ErrStuck
	}
	return w.err
}
