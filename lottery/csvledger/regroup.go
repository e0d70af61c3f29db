package csvledger

import "time"

// regroup decides whether a commit waits for the agencies whose rows the last one
// has made durable: an agency that sends one batch at a time sends the next one
// when it gets the answer.
//
// Without that, such agencies fall into groups: while the disk takes the batches of
// one, those of the next gather, so that each batch waits for two half-empty syncs;
// together they would wait for one. Databases have a fixed delay for that
// (commit_delay and commit_siblings of PostgreSQL); this one depends on which
// agencies are active: a lone batch waits for nothing.
type regroup struct {
	expected int       // appends of the next commit, if all come back
	until    time.Time // nobody is waited for any longer
	misses   int       // waits in vain, one after the other
	pause    int       // commits before the next try
}

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

// committed notes a commit that has ended now: how many appends it had, how
// many have come since it began, and how long it took.
func (r *regroup) committed(appends, since int, took time.Duration) {
	r.expected = appends + since
	r.until = time.Now().Add(min(regroupCommits*took, maxRegroupTime))
	if r.pause > 0 {
		r.pause--
	}
}

// wait returns how many appends are worth waiting for, and for how long, when that
// many appends and bytes are pending. expected is 0 when there is nothing to wait
// for.
func (r *regroup) wait(appends, bytes int) (expected int, remaining time.Duration) {
	if r.pause > 0 || appends >= r.expected || bytes >= maxRegrouped {
		return 0, 0
	}
	return r.expected, time.Until(r.until)
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
