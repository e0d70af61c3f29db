package reactor

import "sync"

// turns gives the processors for handshakes to one address after another, and to the
// handshakes of one address in the order in which they ask. So an address with many
// slow ones keeps itself waiting, and others only for one of them.
type turns struct {
	mu      sync.Mutex
	free    int                        // processors; none while somebody waits
	waiting map[string][]chan struct{} // by address; closed when it is their turn
	order   []string                   // the addresses that wait, the next one first
}

func newTurns(processors int) *turns {
	return &turns{free: processors, waiting: make(map[string][]chan struct{})}
}

// take waits until a handshake from the address may compute.
func (t *turns) take(from string) {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	if t.waiting[from] == nil {
		t.order = append(t.order, from)
	}
	t.waiting[from] = append(t.waiting[from], turn)
	t.mu.Unlock()
	<-turn
}

// give gives the processor to the next in turn.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == 0 {
		t.free++
		return
	}
	from := t.order[0]
	turn, rest := t.waiting[from][0], t.waiting[from][1:]
	t.order = t.order[1:]
	if len(rest) > 0 {
		t.waiting[from], t.order = rest, append(t.order, from)
	} else {
		delete(t.waiting, from)
	}
	close(turn)
}
