package reactor

import (
	"context"
	"net"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"loteria/lottery"
)

// isOnLoop reports whether the caller is a task of an event loop's mailbox.
func isOnLoop() bool {
	stack := string(debug.Stack())
	return strings.Contains(stack, "(*mailbox).take") && strings.Contains(stack, "gnet")
}

// roomy is a journal that has room or not.
type roomy struct {
	Journal
	full *atomic.Bool
}

func (j roomy) HasRoom() bool { return !j.full.Load() }

// A loop makes a commit when little is going on.
func TestWhenALoopLeads(t *testing.T) {
	var full atomic.Bool
	c := start(t, 1, func(config *Config) { config.Journal = roomy{config.Journal, &full} }, nil)
	if c.Lead(func() { t.Error("a loop has been found") }) {
		t.Error("a commit was taken before anything was read")
	}
	c.dial().send([]byte("hola")) // no line yet: it stays
	c.awaitReading()
	for _, test := range []struct {
		name    string
		waiting int
		full    bool
		want    bool
	}{
		{"nothing to do", 0, false, true},
		{"little to do", maxLed, false, true},
		{"one more", maxLed + 1, false, false},
		{"a slow log", 1, true, false},
		{"the log has room again", 1, false, true},
	} {
		c.waiting.add(test.waiting)
		full.Store(test.full)
		made := make(chan bool, 1)
		if got := c.Lead(func() { made <- isOnLoop() }); got != test.want {
			t.Errorf("%s: taken is %t, expected %t", test.name, got, test.want)
		} else if got && !await(t, made, "the commit is not made") {
			t.Errorf("%s: it is not made by a loop", test.name)
		}
		c.waiting.add(-test.waiting)
		full.Store(false)
		c.onLoops(func(*shard) {})
		if len(made) > 0 {
			t.Errorf("%s: the commit was made twice, or though it was refused", test.name)
		}
	}

	c.stopping.Store(true)
	if c.Lead(func() { t.Error("it was made") }) {
		t.Error("a commit was taken while stopping")
	}
	c.stopping.Store(false)
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	c.stopping.Store(false) // the mailbox is closed all the same
	if c.Lead(func() { t.Error("it was made") }) {
		t.Error("a commit was taken after the stop")
	}
}

// awaitReading waits until a loop has read something.
func (c *central) awaitReading() {
	c.t.Helper()
	c.await("a loop reads something", func() bool { return c.reading.Load() != nil })
}

// The ledger's commits for a lone agency are made by its loop, and those of a busy
// server by the ledger.
func TestCommitsOfALoneAgency(t *testing.T) {
	for _, test := range []struct {
		name    string
		waiting int
		led     bool
	}{{"little to do", 0, true}, {"much to do", maxLed + 1, false}} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, 1, nil, nil)
			var led, elsewhere atomic.Int32
			c.ledger.LendTo(func(commit func()) bool {
				return c.Lead(func() {
					if isOnLoop() {
						led.Add(1)
					} else {
						elsewhere.Add(1)
					}
					commit()
				})
			})
			c.waiting.add(test.waiting)
			defer c.waiting.add(-test.waiting)
			p, raw := c.dial(), rawBetOf(1, "1", losing)
			for range 5 {
				p.send(betFrame(raw))
				p.expect(successFrame(raw))
			}
			if (led.Load() > 0) != test.led || elsewhere.Load() > 0 {
				t.Errorf("loops have made %d commits, others %d of theirs", led.Load(), elsewhere.Load())
			}
			c.expectRows(raw, raw, raw, raw, raw)
		})
	}
}

// A loop that is stuck in a commit holds up a stop no longer than that may take, and
// nothing is left when it goes on.
func TestStopWhileALoopIsStuck(t *testing.T) {
	for name, begin := range map[string]func(c *central){
		"":                      func(*central) {},
		"with a new connection": func(c *central) { c.dial() },
		"with many new ones":    func(c *central) { c.dialMany(2 * maxEnrolling) },
		"with a request": func(c *central) {
			c.dial().send(betFrame(rawBetOf(1, "1", losing)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t, func(t *testing.T) {
				c := start(t, 1, func(config *Config) {
					config.Loops = 1
					config.StopTimeout = 10 * time.Millisecond
				}, nil)
				c.loopEnd = 10 * time.Millisecond
				p := c.dial()
				p.send([]byte("hola")) // no line yet: it stays
				c.awaitReading()
				disk, made := newGate(), make(chan struct{})
				defer disk.open()
				if !c.Lead(func() { disk.block(); close(made) }) {
					t.Fatal("no loop takes the commit")
				}
				disk.wait(t, 1)
				begin(c)

				stopped := make(chan error, 1)
				go func() { stopped <- c.stop() }()
				err := await(t, stopped, "the central does not stop")
				if err == nil || !strings.Contains(err.Error(), "10ms") || !strings.Contains(err.Error(), "loops that do not end: 1") {
					t.Errorf("stop: %v, expected an error that says why", err)
				}
				c.log.only(t, "shutdown", "in_progress")
				if ended := c.log.find(t, "close_workers", "success"); len(ended) > 0 {
					t.Errorf("the log has %v", ended)
				}
				disk.open()
				await(t, made, "the commit is not made")
				p.expectGone()
			})
		})
	}
}

// While a loop is stuck in a commit, the others take those who come, and a stop ends
// their connections.
func TestOthersWhileALoopIsStuck(t *testing.T) {
	c := startGathered(t, maxGathered, 1, nil)
	p := c.dialGathered(1)[0]
	p.send([]byte("hola")) // no line yet: it stays
	c.awaitReading()
	disk := newGate()
	defer disk.open()
	if !c.Lead(disk.block) {
		t.Fatal("no loop takes the commit")
	}
	disk.wait(t, 1)
	c.await("the loop is stuck", c.shards[0].isStuck)
	if c.shards[1].isStuck() {
		t.Error("the other loop is, too")
	}
	two := c.dialTo(c.Address().String(), net.Dialer{}) // accepted before the next one
	one := c.dialTo(c.Address().String(), net.Dialer{})
	one.send([]byte("hola\n"))
	one.expectBytes([]byte("hola\n"))
	if n := c.shards[0].connections.get(); n != 1 {
		t.Errorf("the loop that is stuck was given %d more", n-1)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- c.stop() }()
	two.expectEnd() // one that has said nothing
	disk.open()
	two.Close()
	one.Close()
	p.Close()
	if err := await(t, stopped, "the central does not stop"); err != nil {
		t.Error(err)
	}
	if c.shards[0].isStuck() {
		t.Error("it is stuck after its commit")
	}
}

// What came with the same read as the last batch that a commit waited for may be much:
// then the loop does not make the commit.
func TestCommitWithMuchThatCameLater(t *testing.T) {
	c := start(t, 1, nil, nil)
	p := c.dial()
	p.send([]byte("hola")) // no line yet: it stays
	c.awaitReading()
	release := c.block(c.reading.Load())
	made := make(chan bool, 1)
	if !c.Lead(func() { made <- isOnLoop() }) {
		t.Fatal("no loop takes the commit")
	}
	c.waiting.add(maxLed + 1)
	defer c.waiting.add(-maxLed - 1)
	release()
	if await(t, made, "the commit is not made") {
		t.Error("a loop has made it")
	}
}

// A loop that waited long for the disk has still to read what came meanwhile: it judges
// nobody by the time before that.
func TestNobodyIsJudgedAfterALongCommit(t *testing.T) {
	c := start(t, 1, nil, noLottery(t))
	p := c.dial()
	p.send([]byte("hola")) // no line yet
	s := c.session(p)
	c.awaitThat(s, "the piece was read", func() bool { return len(s.line) == 4 })
	sh := s.shard()
	c.onLoop(sh, func() {
		s.lastSeen = s.lastSeen.Add(-2 * quietTime)
		sh.slept = time.Now().Add(time.Hour) // however slow this machine is
		sh.sweep()
	})
	p.send([]byte(" mundo\n"))
	p.expectBytes([]byte("hola mundo\n"))
	p.expectEnd()

	for _, test := range []struct {
		took  time.Duration
		slept bool
	}{{maxSleep, false}, {maxSleep + 1, true}} {
		sh, begun := new(shard), time.Now()
		sh.led(begun, begun.Add(test.took))
		if sh.slept.IsZero() == test.slept {
			t.Errorf("after a commit of %v the loop has slept until %v", test.took, sh.slept)
		}
	}
}

// silentLoop is an event loop that is woken, but never comes to its tasks.
type silentLoop struct{ gnet.EventLoop }

func (silentLoop) Execute(context.Context, gnet.Runnable) error { return nil }

// wokenLoop counts how often it is woken.
type wokenLoop struct {
	gnet.EventLoop
	calls int
}

func (l *wokenLoop) Execute(context.Context, gnet.Runnable) error { l.calls++; return nil }

// A loop that is with a connection is not woken for a commit: it makes it after that,
// behind the tasks that were there before. For anything else, and at any other time, it is.
func TestLoopIsNotWokenForItsOwnCommit(t *testing.T) {
	m, loop := new(mailbox), new(wokenLoop)
	m.open(loop)
	var done []string
	put := func(what string, commit bool) {
		t.Helper()
		if !m.put(task{commit: commit, do: func() { done = append(done, what) }}) {
			t.Errorf("%s was not taken", what)
		}
	}
	expect := func(calls int, what ...string) {
		t.Helper()
		if loop.calls != calls || !slices.Equal(done, what) {
			t.Errorf("done was %q, and the loop was woken %d times, expected %q, %d times", done, loop.calls, what, calls)
		}
		done = nil
	}
	m.leave(task{do: func() { done = append(done, "left") }})
	m.read()
	expect(0, "left")
	m.leave(task{do: func() { done = append(done, "left") }})
	put("commit", true)
	expect(0)
	m.lead()
	expect(0, "left", "commit")
	m.lead()
	expect(0)

	put("commit", true)
	expect(1)
	_ = m.Run(t.Context())
	expect(1, "commit")

	m.read()
	put("sweep", false)
	expect(2)
	m.lead()
	expect(2) // as it is woken anyway
	_ = m.Run(t.Context())
	expect(2, "sweep")

	m.read()
	put("commit", true)
	m.close()
	m.lead()
	expect(2, "commit")
	m.finish()
	expect(2)
}

// Commits that a loop has left are made, once, in order.
func TestMailboxFinish(t *testing.T) {
	m := new(mailbox)
	m.open(silentLoop{})
	var done []string
	note := func(what string, commit bool) task {
		return task{commit: commit, do: func() {
			done = append(done, what)
			if m.put(task{commit: commit, do: func() { t.Error("a task of a task was done") }}) {
				t.Error("a task was taken after the end")
			}
		}}
	}
	for _, l := range []task{note("first", true), note("a sweep", false), note("second", true)} {
		if !m.put(l) {
			t.Fatal("a task was not taken")
		}
	}
	m.close()
	m.finish()
	m.finish()
	if got := strings.Join(done, ", "); got != "first, second" {
		t.Errorf("done was %s", got)
	}
}

// A loop ends with a commit still in its mailbox, as gnet prefers the end to tasks from
// 1,024 of them on. The commit is made, or the ledger could not be closed.
func TestCommitThatALoopLeaves(t *testing.T) {
	const threshold = 1024 // netpoll.MaxPollEventsCap
	leavesNothing(t, func(t *testing.T) {
		c := start(t, 1, func(config *Config) {
			config.Loops = 1
			config.StopTimeout = time.Millisecond
		}, nil)
		c.loopEnd = patience
		p := c.dial()
		p.send([]byte("hola")) // no line yet: it stays
		loop := c.session(p).conn.(gnet.Conn).EventLoop()
		c.awaitReading()
		_, release := blockLoop(t, loop, true)
		for range threshold {
			execute(t, loop, func() {})
		}
		lent := make(chan bool, 1)
		c.ledger.LendTo(func(commit func()) bool {
			taken := c.Lead(func() {
				if isOnLoop() {
					t.Error("the loop has come to the commit")
				}
				commit()
			})
			lent <- taken
			return taken
		})
		var batch lottery.Batch
		raw := rawBetOf(1, "1", losing)
		if err := batch.Add(&raw); err != nil {
			t.Fatal(err)
		}
		stored := make(chan error, 1)
		if err := c.contest.Store(&batch, 0, func(err error) { stored <- err }); err != nil {
			t.Fatal(err)
		}
		if !await(t, lent, "no commit is due") {
			t.Fatal("the commit is not lent")
		}
		stopped := make(chan error, 1)
		go func() { stopped <- c.stop() }()
		c.await("gnet waits for the loop, which it has told to end", func() bool {
			stacks := make([]byte, 1<<20)
			return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "errgroup.(*Group).Wait")
		})
		release()
		if err := await(t, stopped, "the central does not stop"); err == nil {
			t.Error("the stop was not late")
		}
		if err := await(t, stored, "nobody makes the commit"); err != nil {
			t.Error(err)
		}
	})
}
