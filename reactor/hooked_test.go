package reactor

import (
	"sync"
	"testing"
	"time"

	"loteria/lottery"
)

// hooked is a lottery in which a test has a say before each call that may
// block. An error is what the call then returns.
type hooked struct {
	Lottery
	store  func(*lottery.Batch) error
	await  func() error
	resume func(agency int) error
	finish func(agency int) error
}

func (h *hooked) wrap(l Lottery) Lottery {
	h.Lottery = l
	return h
}

func (h *hooked) Store(batch *lottery.Batch) (lottery.Receipt, error) {
	if h.store != nil {
		if err := h.store(batch); err != nil {
			return 0, err
		}
	}
	return h.Lottery.Store(batch)
}

func (h *hooked) Await(receipt lottery.Receipt) error {
	if h.await != nil {
		if err := h.await(); err != nil {
			return err
		}
	}
	return h.Lottery.Await(receipt)
}

func (h *hooked) Resume(agency int) (count, digest uint64, err error) {
	if h.resume != nil {
		if err := h.resume(agency); err != nil {
			return 0, 0, err
		}
	}
	return h.Lottery.Resume(agency)
}

func (h *hooked) Finish(agency int, total uint64, totalKnown bool) error {
	if h.finish != nil {
		if err := h.finish(agency); err != nil {
			return err
		}
	}
	return h.Lottery.Finish(agency, total, totalKnown)
}

// gate holds up whoever passes until the test opens it, which it must, or the
// central could not stop.
type gate struct {
	came   chan struct{} // one for each
	opened chan struct{}
	open   func()
}

func newGate() *gate {
	opened := make(chan struct{})
	return &gate{
		came:   make(chan struct{}, 4096),
		opened: opened,
		open:   sync.OnceFunc(func() { close(opened) }),
	}
}

func (g *gate) pass() error {
	g.came <- struct{}{}
	<-g.opened
	return nil
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
