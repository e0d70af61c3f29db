package goroutines

import "sync"

// progress counts what of a connection's has become durable, in the order in
// which it was handed over. A failure is for good.
type progress struct {
	mu      sync.Mutex
	changed sync.Cond
	waited  bool // somebody waits for a change
	done    int
	err     error
}

func newProgress() *progress {
	p := new(progress)
	p.changed.L = &p.mu
	return p
}

// add is called with what has become of the next one.
func (p *progress) add(err error) {
	p.mu.Lock()
	p.done++
	if p.err == nil {
		p.err = err
	}
	wake := p.waited
	p.waited = false
	p.mu.Unlock()
	if wake {
		p.changed.Signal()
	}
}

// await returns how many are durable when it is at least n, or why it will never
// be.
func (p *progress) await(n int) (done int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.done < n {
		p.waited = true
		p.changed.Wait()
	}
	return p.done, p.err
}
