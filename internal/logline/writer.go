// Package logline writes the log of the commands: zerolog's events as lines of
// the shape that scripts and graders read,
//
//	2026-01-31 10:00:00 INFO     action: NAME | result: success | key: value
//
// or as zerolog's own JSON. One goroutine writes, a few milliseconds later, so that
// callers wait for no system call and many lines share one; the lines stay in
// order, and Close writes the last one. The lines of which there is one for each
// bet go through a Journal, without zerolog.
//
//	w := logline.New(os.Stdout, logline.Text)
//	defer w.Close()
//	log := w.Logger(zerolog.InfoLevel)
//	log.Info().Str("action", "config").Str("result", "success").Int("port", 12345).Send()
//	loopLog := log.Output(w.NonBlocking()) // for the event loop
//	bets := w.Journal(zerolog.InfoLevel)
//	bets.Write(bets.AppendBet(nil, "30904465", "7574", false))
//
// Fields appear in the order in which they were added, and those of a logger's
// context (With) come before those of the event: action and result belong
// first, so a context is not the place for a field of the contract's lines.
package logline

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

const (
	// MaxWaiting bounds the bytes that wait to be written, those that are
	// being written included. At the bound Write waits for room, while
	// TryWrite and a NonBlocking's Write drop their lines.
	MaxWaiting = 16 << 20
	// flushDelay bounds how long a line waits for others to be written with.
	flushDelay = 5 * time.Millisecond
	// retryDelay is how long after a failed write, while nobody logs, the next one is
	// tried.
	retryDelay = time.Second
	// closeLimit bounds how long Close, and after Hurry everybody else, waits for a
	// log reader that has stopped reading: twice that is less than any sensible grace
	// period of a stop.
	closeLimit = 3 * time.Second
)

// ErrStuck is returned by Close when the underlying writer did not take what
// was waiting in time. The rest is lost.
var ErrStuck = errors.New("logline: the log could not be written in time")

// Writer renders events and writes them asynchronously, in order and completely. It
// is safe for concurrent use. A failing underlying writer, such as a file on a disk
// that is full, loses what it was given and affects no caller: later lines are
// tried again, and when it takes lines again, which is also tried once a second,
// the first one says how many are missing, and why:
//
//	action: log | result: fail | dropped_lines: N | error: …
//
// The first error is what Close returns.
type Writer struct {
	out    io.Writer
	format Format
	limit  int                    // MaxWaiting
	done   chan struct{}          // closed when the writing goroutine has ended
	second atomic.Pointer[second] // the latest that a line began with

	throttle *throttle

	mu       sync.Mutex
	work     sync.Cond // there are chunks due, or Close was called
	room     sync.Cond // fewer bytes are waiting, or nobody writes any more
	chunks   [][]byte  // lines in order; the last chunk is being filled
	due      int       // how many of the chunks, from the first, are to be written now
	timer    *time.Timer
	armed    bool        // the timer runs, as it does while there are chunks that are not due
	retry    *time.Timer // runs while lines are lost
	failing  bool        // the last write failed
	tryAgain bool
	lastTry  bool // was made
	spare    [][]byte
	waiting  int // bytes in chunks and in the chunk being written
	dropped  int // lines not yet accounted for in the log
	closing  bool
	stopped  bool // the goroutine has ended
	stuck    bool // Close gave up on the goroutine
	hurried  bool // nobody waits for room any more
	err      error

	direct sync.Mutex // serialises writes after Close
}

// New returns a Writer onto out and starts its goroutine, which ends with Close.
func New(out io.Writer, format Format) *Writer {
	w := newWriter(out, format)
	go w.run()
	return w
}

func newWriter(out io.Writer, format Format) *Writer {
	w := &Writer{out: out, format: format, limit: MaxWaiting, done: make(chan struct{})}
	w.work.L = &w.mu
	w.room.L = &w.mu
	w.timer = time.AfterFunc(flushDelay, w.flush)
	w.timer.Stop()
	w.retry = time.AfterFunc(retryDelay, w.again)
	w.retry.Stop()
	w.throttle = newThrottle(w.tellSuppressed)
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
	text := event
	if w.format == Text {
		text = appendLine(w.appendTime(nil), event)
	}
	return len(event), w.enqueue(text, mayWait)
}

// Hurry is called when a stop begins, so that a log reader that has stopped reading
// cannot hold it up: in three seconds from now nobody waits for room any more. From
// then on lines without room are dropped and counted, as those of NonBlocking are.
func (w *Writer) Hurry() {
	time.AfterFunc(closeLimit, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hurried = true
		w.room.Broadcast()
	})
}

// Close writes everything that is waiting and ends the goroutine. It may be called
// again, and concurrently. Its error is the first one of the underlying writer, or
// ErrStuck when that did not take everything within three seconds.
func (w *Writer) Close() error {
	w.tellSuppressed()
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
