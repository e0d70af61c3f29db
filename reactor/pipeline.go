package reactor

import "sync"

// pipeline is how far a session's bursts are with the workers. While the disk
// takes the bets of one, the bets of the next are read, judged and handed to
// the ledger. So two workers may have bursts of one session: one admits, and
// one, the settler, waits for the disk, logs and answers, in the order in which
// they were admitted.
//
// Only a burst of bets alone follows another one so, and is followed. Any
// other is out alone, and is admitted and settled by one worker.
type pipeline struct {
	mu        sync.Mutex
	admitting bool     // a burst is with the queue or with the worker that admits it
	wanted    bool     // the loop has another one, and is to be told when that ends
	admitted  []*burst // in their order, not yet with the settler
	settling  bool     // there is a settler
}

// enter reports whether the next burst may go to the workers. When it may not,
// leave or admit will report that one is wanted.
func (p *pipeline) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.admitting {
		p.wanted = true
		return false
	}
	p.admitting = true
	return true
}

// leave ends the admission of a burst that is settled already.
func (p *pipeline) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.admitting, p.wanted = false, false
}

// admit takes a burst of bets that are all admitted. It reports whether the
// loop waits to hear of that, and whether the caller is to be the settler.
// Nothing follows the last burst of a connection.
func (p *pipeline) admit(b *burst) (wanted, settle bool) {
	last := b.farewell.isSet()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.admitted = append(p.admitted, b)
	settle, p.settling = !p.settling, true
	if last {
		return false, settle
	}
	wanted, p.wanted, p.admitting = p.wanted, false, false
	return wanted, settle
}

// next returns the burst that the settler has to settle next. Without one,
// there is no settler any more.
func (p *pipeline) next() (b *burst, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.admitted) == 0 {
		p.settling = false
		return nil, false
	}
	b = p.admitted[0]
	n := copy(p.admitted, p.admitted[1:])
	p.admitted[n] = nil
	p.admitted = p.admitted[:n]
	return b, true
}
