package reactor

import (
	"sync"
	"testing"
	"time"

	"loteria/lottery"
)

// The calls of a lottery that end with a callback.
const (
	callStore  = "Store"
	callResume = "Resume"
	callFinish = "Finish"
)

// hooked is a lottery with hooks for a test. The event loops call them, so they must
// not wait, except to show what becomes of it.
type hooked struct {
	Lottery
	// refuse may return an error, which the call then returns.
	refuse func(call string, agency int) error
	// begin lets do make a FINISHED's call, now or later.
	begin func(call string, agency int, do func())
	// stored is called, on the loop, when a batch is admitted.
	stored func()
	// done calls tell with what the callback is told, now or later.
	done func(call string, agency int, err error, tell func(error))
}

func (h *hooked) wrap(l Lottery) Lottery {
	h.Lottery = l
	return h
}

func (h *hooked) refused(call string, agency int) error {
	if h.refuse == nil {
		return nil
	}
	return h.refuse(call, agency)
}

func (h *hooked) tell(call string, agency int, err error, tell func(error)) {
	if h.done == nil {
		tell(err)
		return
	}
	h.done(call, agency, err, tell)
}

// call makes a call that may begin later: its error is then told by the callback.
func (h *hooked) call(call string, agency int, do func() error, tell func(error)) error {
	if err := h.refused(call, agency); err != nil {
		return err
	}
	if h.begin == nil {
		return do()
	}
	h.begin(call, agency, func() {
		if err := do(); err != nil {
			go h.tell(call, agency, err, tell)
		}
	})
	return nil
}

func (h *hooked) Store(batch *lottery.Batch, from lottery.Writer, done func(error)) error {
	agency := batch.Agency()
	if err := h.refused(callStore, agency); err != nil {
		return err
	}
	err := h.Lottery.Store(batch, from, func(err error) { h.tell(callStore, agency, err, done) })
	if h.stored != nil {
		h.stored()
	}
	return err
}

func (h *hooked) Resume(agency int, done func(bets, digest uint64, err error)) (writer lottery.Writer, err error) {
	err = h.refused(callResume, agency)
	if err == nil {
		writer, err = h.Lottery.Resume(agency, func(bets, digest uint64, err error) {
			h.tell(callResume, agency, err, func(err error) { done(bets, digest, err) })
		})
	}
	return writer, err
}

func (h *hooked) Finish(agency int, from lottery.Writer, said lottery.Tally, done func(error)) error {
	return h.call(callFinish, agency, func() error {
		return h.Lottery.Finish(agency, from, said, func(err error) {
			h.tell(callFinish, agency, err, done)
		})
	}, done)
}

// gate holds up what comes until the test opens it. The test must, or the central
// could not stop.
type gate struct {
	came   chan struct{} // one for each
	opened chan struct{}

	mu   sync.Mutex
	held []func()
}

func newGate() *gate { return &gate{came: make(chan struct{}, 4096), opened: make(chan struct{})} }

// hold lets f be called when the gate is open, after those that came before.
func (g *gate) hold(f func()) {
	g.came <- struct{}{}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.opened:
		f()
	default:
		g.held = append(g.held, f)
	}
}

// block returns when the gate is open.
func (g *gate) block() {
	g.came <- struct{}{}
	<-g.opened
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.opened:
		return
	default:
	}
	close(g.opened)
	for _, f := range g.held {
		f()
	}
	g.held = nil
}

// slowDisk is a lottery that does not tell that bets are durable before the gate is
// open.
func (g *gate) slowDisk() *hooked {
	return &hooked{done: func(call string, _ int, err error, tell func(error)) {
		if call == callStore {
			g.hold(func() { tell(err) })
		} else {
			tell(err)
		}
	}}
}

// startSlow is start with such a disk. The gate is open at the end of the test, before
// the central is stopped.
func startSlow(t testing.TB, agencies int, configure func(*Config)) (*central, *gate) {
	t.Helper()
	g := newGate()
	c := start(t, agencies, configure, g.slowDisk().wrap)
	t.Cleanup(g.open)
	return c, g
}

// wait waits until n more have come to the gate.
func (g *gate) wait(t testing.TB, n int) {
	t.Helper()
	for range n {
		await(t, g.came, "nobody came to the gate")
	}
}

// await waits for an event.
func await[T any](t testing.TB, event <-chan T, otherwise string) (v T) {
	t.Helper()
	select {
	case v = <-event:
	case <-time.After(patience):
		t.Fatal(otherwise)
	}
	return v
}
