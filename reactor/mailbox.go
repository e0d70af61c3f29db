package reactor

import (
	"context"
	"sync"

	"github.com/panjf2000/gnet/v2"
)

// mailbox is the one way by which others hand something to an event loop. What
// is put in comes out in that order. gnet's own queues do not promise it: once
// 1,024 tasks wait, one of lower priority goes to another queue, and stays there
// while later ones pass it.
//
// It is bounded by what is put in: a job for each read that has no answer yet,
// which windows and Config.MaxWaiting bound, a call for each connection whose
// socket was full, and a few others.
type mailbox struct {
	mu      sync.Mutex
	loop    gnet.EventLoop // nil before the first connection, and when it is closed
	letters []letter
	spare   []letter // the loop's, empty
	woken   bool     // the loop has been told that there are some
}

// letter is a job that is complete, or something else to do.
type letter struct {
	job *job
	do  func()
}

// leave is put of a letter that can wait until the loop is awake: at the latest
// the next sweep wakes it.
func (m *mailbox) leave(l letter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loop != nil {
		m.letters = append(m.letters, l)
	}
}

// put hands a letter to the loop, which is woken when it was not. It reports
// false when the loop has no connection yet, or takes no letters any more.
func (m *mailbox) put(l letter) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loop == nil {
		return false
	}
	m.letters = append(m.letters, l)
	// Under the lock: after the engine has stopped, gnet would write its wake-up
	// call to a descriptor that may by then be another file's.
	if m.woken {
		return true
	}
	m.woken = true
	return m.loop.Execute(context.Background(), m) == nil
}

// do has f done by the loop, and returns a channel that is closed then.
func (m *mailbox) do(f func()) <-chan struct{} {
	done := make(chan struct{})
	if !m.put(letter{do: func() { f(); close(done) }}) {
		close(done)
	}
	return done
}

// Run takes the letters out, on the loop (gnet.Runnable).
func (m *mailbox) Run(context.Context) error {
	m.empty()
	return nil
}

// empty does what the letters say, in their order. Only the loop calls it.
func (m *mailbox) empty() {
	m.mu.Lock()
	letters := m.letters
	m.letters = m.spare
	m.spare, m.woken = nil, false
	m.mu.Unlock()
	for i := range letters {
		if l := &letters[i]; l.job != nil {
			l.job.session.completed(l.job)
		} else {
			l.do()
		}
	}
	clear(letters)
	if cap(letters) <= maxSpareLetters {
		m.spare = letters[:0]
	}
}

// maxSpareLetters bounds the room that is kept for the next letters.
const maxSpareLetters = 4096

// open has letters taken, for the loop.
func (m *mailbox) open(loop gnet.EventLoop) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loop = loop
}

// close has nothing more put in.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loop = nil
}
