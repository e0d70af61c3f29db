package reactor

import "time"

// maxLed is how many bytes of requests, by their cost, may wait for their answer in the
// whole server for a loop to make the commit. With more it has better things to do.
const maxLed = maxGathered

// Lead makes a commit of the ledger on an event loop, and completes the jobs that it
// was for there; on a goroutine, if by then there is much to do. It reports false, and
// calls nothing, when a goroutine of the ledger's own is better: when the loops have
// much to do, or the log's reader is slow.
//
// With few batches in the server the loop that has taken the last one would only wait
// for that commit. So its thread is the one that is awake: no other must be woken, to
// sleep again while it wakes the loops. It makes the commit when it is done with the
// connection that it reads from, or as any other task of its mailbox.
func (s *Server) Lead(commit func()) bool {
	sh := s.reading.Load()
	return sh != nil && s.waiting.get() <= maxLed && !s.stopping.Load() && s.config.Journal.HasRoom() &&
		sh.mail.put(task{commit: true, do: func() {
			if s.waiting.get() > maxLed { // the read that made it due had more in it
				go commit()
				return
			}
			begun := time.Now()
			sh.leadsSince.Store(int64(begun.Sub(s.made)))
			commit()
			sh.leadsSince.Store(0)
			sh.led(begun, time.Now())
		}})
}

// isStuck reports whether the loop has been waiting for a commit for long. Anybody may
// call it.
func (sh *shard) isStuck() bool {
	begun := time.Duration(sh.leadsSince.Load())
	return begun > 0 && time.Since(sh.server.made)-begun > maxSleep
}

const (
	// maxSleep is how long a commit may take for its loop to judge its peers as if it had
	// read all the time.
	maxSleep = 100 * time.Millisecond
	// catchUp is how long after a longer one it judges nobody: it reads first.
	catchUp = 500 * time.Millisecond
)

// led notes a commit that the loop has made.
func (sh *shard) led(begun, ended time.Time) {
	if ended.Sub(begun) > maxSleep {
		sh.slept = ended
	}
}
