package reactor

import (
	"bytes"
	"sync"

	"golang.org/x/sys/unix"
)

// shortcut lets the goroutine that completes a job write its replies itself, when
// they are next and nothing is before them: waking the loop for that would take
// longer than the write, and its thread would sleep again at once. Everything else
// goes through the loop.
//
// The lock is held for a write to a socket, which never blocks. The loop writes
// without it: only the job that is next may be written, by one of the two. Over TLS
// the loop may have more to send than replies, and records must go out in the order
// in which they were sealed: there it claims the shortcut first.
type shortcut struct {
	mu     sync.Mutex
	fd     int     // of the socket; 0 while there is none
	secure *secure // over TLS, or nil
	next   uint64  // number of the job whose replies are next
	last   uint64  // number of the last job that there is
	full   bool    // the loop keeps replies that the socket did not take, or has claimed the shortcut
	rest   []byte  // sealed bytes that the socket did not take; the loop takes them with its claim
}

// maxShort is how many jobs in the server there may be for the shortcut to be used.
// With more the loops write, while the next commit is made.
const maxShort = 16

// write writes the job's replies, if it may, and leaves the job to its loop. It
// leaves in the job what the socket did not take, and reports whether all are
// written.
func (c *shortcut) write(j *job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd == 0 || c.full || c.next != j.number {
		return false
	}
	j.uncount()
	if c.secure != nil {
		return c.writeSealed(j)
	}
	n, err := unix.Write(c.fd, j.replies)
	if err != nil {
		return false // the loop will see it, too
	}
	if n < len(j.replies) {
		j.replies = j.replies[n:]
		c.full = true
		return false
	}
	c.wrote(j)
	return true
}

// wrote leaves to its loop a job whose replies are written.
func (c *shortcut) wrote(j *job) {
	c.next++
	j.written = true
	s, isLast := j.session, c.last == j.number // the job is the loop's from here on
	mail := &s.shard().mail
	mail.leave(task{job: j})
	if !isLast || len(c.rest) > 0 || s.server.stopping.Load() {
		mail.wake() // replies of later jobs may be ready, or the connection is to be closed
	}
}

// writeSealed is write over TLS. What the socket does not take is kept for the
// loop, as it is sealed.
func (c *shortcut) writeSealed(j *job) bool {
	j.sealed = j.sealed[:0]
	c.secure.transport.out = &j.sealed
	if _, err := c.secure.Write(j.replies); err != nil {
		return false // likewise
	}
	n, _ := unix.Write(c.fd, j.sealed) // the loop will see an error
	if rest := j.sealed[max(n, 0):]; len(rest) > 0 {
		c.rest, c.full = bytes.Clone(rest), true
	}
	c.wrote(j)
	return true
}

// claim closes the shortcut until the loop calls pass, and returns what must be
// written first.
func (c *shortcut) claim() (rest []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest, c.rest, c.full = c.rest, nil, true
	return rest
}

// opened says that there is one more job.
func (c *shortcut) opened(number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = number
}

// hasWritten reports whether the job's replies are written. Then the job is in
// the mailbox, if not further.
func (c *shortcut) hasWritten(j *job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return j.query == 0 && c.next > j.number
}

// pass says which job is next, and whether the loop keeps replies of earlier ones.
func (c *shortcut) pass(next uint64, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next, c.full = max(c.next, next), full
}

// use sets the socket and its TLS; 0 closes the shortcut for good.
func (c *shortcut) use(fd int, secure *secure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fd, c.secure = fd, secure
}
