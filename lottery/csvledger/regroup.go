package csvledger

import "time"

// regroup is whether a commit waits, after a commit, for those whose rows it
// has just made durable: to an agency that sends one batch at a time, the
// answer is what brings the next batch.
//
// Without that, such agencies fall into groups. While the disk takes the
// batches of one, those of the next gather, so that each batch waits for two
// syncs that are half empty; together they would wait for one. Databases know
// this as a delay of the group commit (commit_delay and commit_siblings of
// PostgreSQL); this one follows from who is there: a batch that is alone waits
// for nothing.
type regroup struct {
	expected int       // appends of the next commit, if all come back
	until    time.Time // nobody is waited for any longer
	misses   int       // waits in vain, one after the other
	pause    int       // commits before the next try
}

const (
	// From this many bytes on, the disk's time is for them and no longer for the
	// sync itself, and to wait earns nothing.
	maxRegrouped = 64 << 10
	// An agency that needs longer than this many commits for its next batch
	// is not worth waiting for; nor is one that needs longer than this.
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

// wait returns how many appends are worth waiting for, and for how long, when
// appends, of so many bytes, are there already. expected is 0 when there is
// nothing to wait for.
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
