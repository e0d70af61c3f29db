package csvledger

import "time"

// regroup decides whether a commit waits for the agencies whose rows the last ones
// have made durable: an agency that sends one batch at a time sends the next one
// when it gets the answer.
//
// Without that, such agencies fall into groups: while the disk takes the batches of
// one, those of the next gather, so that each batch waits for two half-empty syncs;
// together they would wait for one. Databases have a fixed delay for that
// (commit_delay and commit_siblings of PostgreSQL); this one depends on which
// agencies are active: a lone batch waits for nothing.
//
// The last two commits tell who is active. One would not do: when the event loop
// makes the commit, no rows come meanwhile, and agencies in two groups would never
// learn of each other.
type regroup struct {
	next    commitNumber // for which rows are pending
	last    int          // agencies in the commit before that
	joined  int          // agencies in the next one
	again   int          // of these, in the last one, too
	missing int          // agencies in the last two, but not in the next
	until   time.Time    // nobody is waited for any longer
	misses  int          // waits in vain, one after the other
	pause   int          // commits before the next try
}

// commitNumber counts commits; 0 is none.
type commitNumber uint64

// The first commit has the least number of which two less is not 0.
func newRegroup() regroup { return regroup{next: 3} }

const (
	// From this many bytes on, the disk's time goes into them and not into the sync
	// itself, and waiting gains nothing.
	maxRegrouped = 64 << 10
	// An agency whose next batch takes longer than this many commits, or than this
	// time, is not worth waiting for.
	regroupCommits = 2
	maxRegroupTime = 5 * time.Millisecond
	// After this many waits in vain, this many commits wait for nobody.
	maxRegroupMisses = 4
	regroupPause     = 64
)

// join notes that an agency has rows in the next commit. was is the last commit
// in which it had any.
func (r *regroup) join(was *commitNumber) {
	switch *was {
	case r.next:
		return
	case r.next - 1:
		r.again++
		r.missing--
	case r.next - 2:
		r.missing--
	}
	r.joined++
	*was = r.next
}

// begin notes that the next commit begins: rows that come from now on are for the
// one after it.
func (r *regroup) begin() {
	r.missing = r.joined + r.last - r.again
	r.last, r.joined, r.again = r.joined, 0, 0
	r.next++
}

// committed notes that the commit has ended, and how long it took.
func (r *regroup) committed(took time.Duration) {
	r.until = time.Now().Add(min(regroupCommits*took, maxRegroupTime))
	if r.pause > 0 {
		r.pause--
	}
}

// wait returns how many agencies are worth waiting for, and for how long, when that
// many bytes are pending.
func (r *regroup) wait(bytes int) (missing int, remaining time.Duration) {
	if r.pause > 0 || r.missing == 0 || bytes >= maxRegrouped {
		return 0, 0
	}
	return r.missing, time.Until(r.until)
}

// waited notes whether those who were waited for have come.
func (r *regroup) waited(came bool) {
	if came {
		r.misses = 0
		return
	}
	if r.misses++; r.misses == maxRegroupMisses {
		r.misses, r.pause = 0, regroupPause
	}
}
