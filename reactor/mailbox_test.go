package reactor

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/panjf2000/gnet/v2"
)

// loopTask is something to do on an event loop (gnet.Runnable).
type loopTask func()

func (f loopTask) Run(context.Context) error {
	f()
	return nil
}

// blockLoop lets the loop wait among its tasks until the returned function is
// called. If now, it returns only when the loop waits.
func blockLoop(t *testing.T, loop gnet.EventLoop, now bool) (blocked chan struct{}, release func()) {
	t.Helper()
	blocked, released := make(chan struct{}), make(chan struct{})
	execute(t, loop, func() {
		close(blocked)
		<-released
	})
	if now {
		await(t, blocked, "the loop does not come to the task")
	}
	return blocked, func() { close(released) }
}

func execute(t *testing.T, loop gnet.EventLoop, f func()) {
	t.Helper()
	if err := loop.Execute(context.Background(), loopTask(f)); err != nil {
		t.Fatal(err)
	}
}

// From 1,024 waiting tasks on, gnet puts one of low priority into a second queue,
// which is served when the first one is empty; one that comes when the first has
// room again overtakes it. What is put into a mailbox keeps its order.
func TestMailboxKeepsTheOrder(t *testing.T) {
	const threshold = 1024 // netpoll.MaxPollEventsCap
	first, second := newGate(), newGate()
	gates := make(chan *gate, 2)
	gates <- first
	gates <- second
	c := start(t, 1, func(config *Config) { config.Loops = 1 }, (&hooked{done: func(call string, _ int, err error, tell func(error)) {
		(<-gates).hold(func() { tell(err) })
	}}).wrap)
	defer first.open()
	defer second.open()
	p, one, two := c.dial(), rawBetOf(1, "1", losing), rawBetOf(1, "2", losing)
	p.send(betFrame(one))
	first.wait(t, 1)
	p.send(betFrame(two))
	second.wait(t, 1)
	s := c.session(p)
	mail, loop := &s.shard().mail, s.conn.(gnet.Conn).EventLoop()

	_, release := blockLoop(t, loop, true)
	for range threshold - 1 {
		execute(t, loop, func() {})
	}
	halfway, releaseHalfway := blockLoop(t, loop, false) // the last that the first queue takes
	var order []int
	mail.put(task{do: func() { order = append(order, 1) }})
	first.open()
	release()
	await(t, halfway, "the loop does not come halfway")
	second.open()
	mail.put(task{do: func() { order = append(order, 2) }})
	releaseHalfway()

	p.expect(successFrame(one), successFrame(two))
	c.onLoop(s.shard(), func() {
		if !slices.Equal(order, []int{1, 2}) {
			t.Errorf("the order is %v", order)
		}
	})
}

// After its loop has ended, a mailbox takes no tasks.
func TestMailboxAfterTheEnd(t *testing.T) {
	c := start(t, 1, nil, nil)
	c.expectEcho("hola\n")
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	for _, sh := range c.shards {
		if sh.mail.put(task{do: func() { t.Error("somebody has read it") }}) {
			t.Error("a task was taken after the end")
		}
		await(t, sh.mail.do(func() { t.Error("somebody has done it") }), "who waits for it waits for ever")
	}
}

// unwakeable is an event loop that cannot be woken.
type unwakeable struct{ gnet.EventLoop }

func (unwakeable) Execute(context.Context, gnet.Runnable) error {
	return errors.New("there is no descriptor")
}

// A task that the loop was not told of is not taken: it is not done later, when
// its caller has given up, and the next one tries to wake the loop again.
func TestMailboxCannotWakeTheLoop(t *testing.T) {
	m := new(mailbox)
	m.open(unwakeable{})
	for range 2 {
		ran := false
		<-m.do(func() { ran = true })
		m.empty()
		if ran {
			t.Error("a task was done that was not taken")
		}
	}
	for range 2 {
		if m.put(task{do: func() {}}) {
			t.Error("a task was taken")
		}
	}
}
