package goroutines

import "sync"

// progress counts a connection's batches that have become durable, in the order
// in which they were handed over. A failure is final.
type progress struct {
	mu      sync.Mutex
	changed sync.Cond
	waited  bool // await waits for a change
	done    int
	err     error
}

func newProgress() *progress {
	p := new(progress)
	p.changed.L = &p.mu
	return p
}

// add is called with the outcome of the next batch.
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

// await waits until n batches have an outcome. It returns how many have, and the
// first failure.
func (p *progress) await(n int) (done int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.done < n {
		p.waited = true
		p.changed.Wait()
	}
	return p.done, p.err
}
