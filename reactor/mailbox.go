package reactor

import (
	"context"
	"sync"

	"github.com/panjf2000/gnet/v2"
)

// mailbox is the only way to hand something to an event loop from outside. Tasks
// come out in the order in which they were put in. gnet's own queues do not promise
// it: once 1,024 tasks wait, one of lower priority goes to another queue, where
// later ones pass it.
//
// Its size is bounded by what is put in: a job for each read that has no answer yet,
// which windows and Config.MaxWaiting bound, a call for each connection whose socket
// was full, and a few others.
type mailbox struct {
	mu    sync.Mutex
	loop  gnet.EventLoop // nil before it is open, and when it is closed
	tasks []task
	spare []task // the loop's, empty
	woken bool   // the loop has been told that there are tasks
	reads bool   // the loop is with a connection, and calls lead after that
	leads bool   // so it was not told that there is a commit
}

// task is a job that is complete, or something else to do.
type task struct {
	job     *job
	do      func()
	session *session // that it is about, or nil, as it is for a job
	commit  bool     // of the ledger, which somebody else makes if the loop ends first
}

// of returns the session that the task is about, or nil.
func (l *task) of() *session {
	if l.job != nil {
		return l.job.session
	}
	return l.session
}

// leave is put for a task that can wait until the loop wakes, for the next sweep at
// the latest, or for wake.
func (m *mailbox) leave(l task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loop != nil {
		m.tasks = append(m.tasks, l)
	}
}

// wake has the loop do the tasks that were left to it.
func (m *mailbox) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loop != nil && len(m.tasks) > 0 {
		m.call()
	}
}

// put hands a task to the loop, and wakes it if necessary. It reports false when the
// loop takes no tasks yet, or no longer.
func (m *mailbox) put(l task) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loop == nil {
		return false
	}
	m.tasks = append(m.tasks, l)
	if m.reads && l.commit {
		m.leads = true
		return true
	}
	if !m.call() {
		m.tasks = m.tasks[:len(m.tasks)-1]
		return false
	}
	return true
}

// call wakes the loop, unless that is done. The caller holds the lock: after the
// engine has stopped, gnet would write its wake-up call to a descriptor that may by
// then be another file's.
func (m *mailbox) call() bool {
	m.woken = m.woken || m.loop.Execute(context.Background(), m) == nil
	return m.woken
}

// read empties the mailbox. The loop calls it when it begins with a connection, and lead
// when it is done with that.
func (m *mailbox) read() {
	m.mu.Lock()
	m.reads = true
	m.take()
}

// lead empties the mailbox if it has a commit: to be woken for that would take the loop
// two system calls.
func (m *mailbox) lead() {
	m.mu.Lock()
	m.reads = false
	if !m.leads {
		m.mu.Unlock()
		return
	}
	m.leads = false
	m.take()
}

// do runs f on the loop. The channel is closed after that, or at once if put fails.
func (m *mailbox) do(f func()) <-chan struct{} {
	done := make(chan struct{})
	if !m.put(task{do: func() { f(); close(done) }}) {
		close(done)
	}
	return done
}

// Run takes the tasks out, on the loop (gnet.Runnable).
func (m *mailbox) Run(context.Context) error {
	m.empty()
	return nil
}

// empty does the tasks, in their order. Only the loop calls it.
func (m *mailbox) empty() {
	m.mu.Lock()
	m.take()
}

// take is empty, for a caller who holds the lock; it returns without it.
func (m *mailbox) take() {
	tasks := m.tasks
	m.tasks = m.spare
	m.spare, m.woken = nil, false
	m.mu.Unlock()
	for i := range tasks {
		l := &tasks[i]
		if s := l.of(); s != nil && &s.shard().mail != m {
			s.shard().mail.put(*l) // it has moved
		} else if l.job != nil {
			s.completed(l.job)
		} else {
			l.do()
		}
	}
	clear(tasks)
	if cap(tasks) <= maxSpareTasks {
		m.spare = tasks[:0]
	}
}

// maxSpareTasks bounds the room that is kept for the next tasks.
const maxSpareTasks = 4096

// open lets tasks in, for the loop.
func (m *mailbox) open(loop gnet.EventLoop) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loop = loop
}

// close lets no more tasks in.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loop = nil
}

// finish does what must be done of what the loop has left. It has ended.
func (m *mailbox) finish() {
	m.mu.Lock()
	tasks := m.tasks
	m.tasks = nil
	m.mu.Unlock()
	for _, l := range tasks {
		if l.commit {
			l.do()
		}
	}
}
