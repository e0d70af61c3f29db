package admin

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"loteria/lottery"
)

const (
	// maxViewers is how many pages may be fed at a time; more get 503.
	maxViewers = 64
	// writeTimeout is how long a page may take to take what it is sent.
	writeTimeout = 10 * time.Second
	// coalesceTime is how long an event waits for more before pages see it.
	coalesceTime = 200 * time.Millisecond
)

// viewers are the streams that are open. Each has a channel with room for one
// message: a slow one gets the newest.
type viewers struct {
	mu   sync.Mutex
	open map[chan []byte]struct{}
}

// join opens a stream, unless there are too many.
func (v *viewers) join() (messages chan []byte, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.open) >= maxViewers {
		return nil, false
	}
	messages = make(chan []byte, 1)
	if v.open == nil {
		v.open = make(map[chan []byte]struct{})
	}
	v.open[messages] = struct{}{}
	return messages, true
}

func (v *viewers) leave(messages chan []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.open, messages)
}

func (v *viewers) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.open)
}

// send hands a message to all. Only the goroutine of follow calls it, so what
// it takes out of a full channel is older.
func (v *viewers) send(message []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for messages := range v.open {
		select {
		case <-messages:
		default:
		}
		messages <- message
	}
}

// event is a message of a server-sent stream
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func event(name string, text []byte) []byte {
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, text)
}

// refresh counts the bets of a shared ledger anew.
func (s *Server) refresh() {
	if watched := s.watched.Load(); watched != nil && watched.contest.Shared() {
		s.counters.refresh(watched.contest)
	}
}

// follow takes the rates every second and feeds the pages, also when something
// happens in between, until done is closed.
func (s *Server) follow(done <-chan struct{}) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	soon := time.NewTimer(coalesceTime)
	defer soon.Stop()
	watching := s.watching
	var drawn <-chan struct{} // closed when the awaited draw is done
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			s.refresh()
			s.sampler.take(s.counters, time.Now()) // not the ticker's time: that may be a while ago
		case <-watching:
			watching = nil
			if watched := s.watched.Load(); watched.contest.Phase() != lottery.Drawn {
				drawn = watched.contest.Drawn()
			}
		case <-drawn:
			drawn = nil
			now := time.Now()
			s.watched.Load().drawnAt.Store(&now)
		case <-s.counters.changed:
			soon.Reset(coalesceTime)
			continue
		case <-soon.C:
		}
		s.renew()
		if s.viewers.count() > 0 {
			s.viewers.send(s.current().event)
		}
	}
}

// stream feeds a page: first with the curves so far and the state, then with each
// new state, as long as the request's token is valid.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-cache, no-store, no-transform")
	header.Set("X-Accel-Buffering", "no") // nginx, and others, would collect several states
	if r.Method == http.MethodHead {
		return
	}
	messages, ok := s.viewers.join()
	if !ok {
		header.Set("Connection", "close") // a client with that many must not keep them open
		answer(w, http.StatusServiceUnavailable, fmt.Sprintf("%d pages are open already, more are not fed", maxViewers))
		return
	}
	defer s.viewers.leave(messages)
	r.Context().Value(visitKey{}).(*visit).enter(feeding)
	controller := http.NewResponseController(w)
	write := func(message []byte) bool {
		_ = controller.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err := w.Write(message)
		return err == nil && controller.Flush() == nil
	}
	if !write(s.current().curvesEvent(s.sampler)) {
		return
	}
	select {
	case <-messages: // older than what follows
	default:
	}
	if !write(s.current().event) {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		case message := <-messages:
			if !s.isAllowed(r) || !write(message) {
				return
			}
		}
	}
}
