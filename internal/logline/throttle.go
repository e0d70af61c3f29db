package logline

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Anybody who can reach the central can make it log: a line for each refused frame,
// each connection, each echoed line. So similar lines are written a limited number
// of times a second; more are counted, and one line at the end of the second says
// how many were left out.
const (
	throttlePeriod = time.Second
	maxRepeats     = 20 // lines of one kind that are written in a period
	// maxWritten bounds the lines of all kinds with one result, as a flood may come
	// from many addresses. It is the only bound of those that say success: people and
	// scripts that try the echo count its lines.
	maxWritten = 512
	// maxKinds bounds the kinds that are told apart in a period. Further ones are
	// merged by action and result, without code and address.
	maxKinds = 256
)

// kind is what similar lines have in common.
type kind struct{ action, result, code, ip string }

// repeats are the lines of a kind in the current period.
type repeats struct {
	written, suppressed int
	bets                int // in those suppressed; negative when they are not about bets
}

// throttle counts lines of the kinds that strangers can cause.
type throttle struct {
	mu    sync.Mutex
	began time.Time // of the current period
	kinds map[kind]repeats
	total map[string]int // lines that were written, by result
	timer *time.Timer    // ends a period in which lines were suppressed
	armed bool
}

// newThrottle returns a throttle that calls tell at the end of each period in
// which lines were suppressed.
func newThrottle(tell func()) *throttle {
	t := &throttle{kinds: make(map[kind]repeats), total: make(map[string]int), timer: time.AfterFunc(throttlePeriod, tell)}
	t.timer.Stop()
	return t
}

// allow reports whether to write a line of that kind, about that many bets. If not
// it is counted.
func (t *throttle) allow(k kind, bets int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.armed && time.Since(t.began) >= throttlePeriod {
		t.begin(time.Now())
	}
	r, known := t.kinds[k]
	if !known && len(t.kinds) >= maxKinds {
		k.code, k.ip = "", ""
		r = t.kinds[k]
	}
	most := maxRepeats
	if k.result == "success" {
		most = maxWritten
	}
	isWritten := r.written < most && t.total[k.result] < maxWritten
	switch {
	case isWritten:
		r.written++
		t.total[k.result]++
	case r.suppressed == 0:
		r.suppressed, r.bets = 1, bets
	default:
		r.suppressed++
		r.bets += max(bets, 0)
	}
	t.kinds[k] = r
	if !isWritten && !t.armed {
		t.armed = true
		t.timer.Reset(max(0, throttlePeriod-time.Since(t.began)))
	}
	return isWritten
}

// end ends a period, and calls tell for each kind of which lines were suppressed.
func (t *throttle) end(tell func(kind, repeats)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.armed {
		return
	}
	t.armed = false
	t.timer.Stop()
	for k, r := range t.kinds {
		if r.suppressed > 0 {
			tell(k, r)
		}
	}
	t.begin(time.Time{}) // the next line does that
}

func (t *throttle) begin(now time.Time) {
	clear(t.kinds)
	clear(t.total)
	t.began = now
}

// tellSuppressed accounts in the log for the lines that were suppressed:
//
//	ERROR    action: … | result: fail | cantidad: N | code: … | ip: … | suppressed_lines: N
func (w *Writer) tellSuppressed() {
	var lines []byte
	w.throttle.end(func(k kind, r repeats) {
		level := zerolog.ErrorLevel
		if k.result == "success" {
			level = zerolog.InfoLevel
		}
		l := w.begin(lines, level, k.action, k.result)
		if r.bets >= 0 {
			l.number("cantidad", r.bets)
		}
		if k.code != "" {
			l.text("code", k.code)
		}
		if k.ip != "" {
			l.text("ip", k.ip)
		}
		l.number("suppressed_lines", r.suppressed)
		lines = l.end()
	})
	_ = w.enqueue(lines, false)
}
