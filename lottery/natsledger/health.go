package natsledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	seenPeriod = time.Second
	seenFactor = 20               // pause before the next look at all agencies, in times of what the last took
	leaderTime = 10 * time.Second // that a leader may be silent, as at an election, before another server is tried
	goneLooks  = 5                // seconds in a row that the stream must be gone, before the ledger is dead
)

// troubles are what the ledger has found wrong by itself. The watch over the
// stream finds the rest.
type troubles struct {
	full     error // the stream takes no more; until something is stored
	stumbled error // an unexpected answer; likewise
	foreign  error // a message that no ledger has written; for good
	draw     error // the stored draw is another one; for good
}

func (t *troubles) first() error { return cmp.Or(t.draw, t.full, t.foreign, t.stumbled) }

// Health returns the state of the servers. It does not block.
func (l *Ledger) Health() Health {
	h := l.watch.snapshot()
	h.Server = l.server.Load().name
	l.mu.Lock()
	defer l.mu.Unlock()
	h.InFlight = l.inFlight
	h.Problem = cmp.Or(l.err, l.troubles.draw, h.Problem, l.troubles.first())
	if h.Problem == nil && h.Server == "" {
		h.Problem = errors.New("no connection to any of the NATS servers")
	}
	return h
}

// observe reports what other centrals have stored, until the ledger is closed.
func (l *Ledger) observe() {
	known := make([]seen, l.config.Agencies)
	var last uint64 // sequence number up to which all is known
	var next time.Time
	quiet, gone := 0, 0
	for pause := time.Duration(0); ; pause = seenPeriod {
		select {
		case <-l.ctx.Done():
			return
		case <-time.After(pause):
		}
		problem := l.watch.gone()
		if gone++; problem == nil {
			gone = 0
		}
		if gone >= goneLooks {
			l.mu.Lock()
			l.die(fmt.Errorf("%w; take it back from a backup, or begin another contest", problem))
			l.mu.Unlock()
			return
		}
		l.leaveSilence()
		stored := l.watch.known.Load()
		if stored == last || time.Now().Before(next) || l.watch.blockedBy() != nil {
			continue
		}
		begun := time.Now()
		ctx, cancel := context.WithTimeout(l.ctx, beginTime)
		news, err := l.tellSeen(ctx, known)
		cancel()
		// The copy that was read may have been behind: one look more without any
		// news tells that all is known.
		if quiet++; err != nil || news > 0 {
			quiet = 0
		}
		if quiet > 1 {
			last, quiet = stored, 0
		}
		next = time.Now().Add(seenFactor * time.Since(begun))
	}
}

// leaveSilence tries another server when the stream's leader does not answer:
// this one may be cut off from the others.
func (l *Ledger) leaveSilence() {
	asked, now := l.watch.snapshot().Asked, time.Now()
	l.mu.Lock()
	silent := now.Sub(asked) > leaderTime && now.Sub(l.lastAnswer) > silenceTime && now.Sub(l.forced) > leaderTime && !asked.IsZero()
	if silent {
		l.forced = now
	}
	l.mu.Unlock()
	if silent {
		l.reconnect()
	}
}

// gone returns an error when the stream was deleted or made again, else nil.
func (w *watch) gone() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blocked != nil && (w.blocked.name == "deleted" || w.blocked.name == "another") {
		return w.blocked
	}
	return nil
}
