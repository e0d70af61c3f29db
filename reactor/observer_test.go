package reactor

import (
	"slices"
	"sync"
	"testing"

	"loteria/codec"
	"loteria/lottery"
)

// heard is what an observer was told.
type heard struct {
	stored  [][3]int // agency, bets, bytes
	refused []Refused
	told    []int
}

// notes is an observer that writes down what it is told.
type notes struct {
	mu sync.Mutex
	heard
}

// all returns what was heard so far.
func (n *notes) all() heard {
	n.mu.Lock()
	defer n.mu.Unlock()
	return heard{slices.Clone(n.stored), slices.Clone(n.refused), slices.Clone(n.told)}
}

func (n *notes) Stored(agency, bets, bytes int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stored = append(n.stored, [3]int{agency, bets, bytes})
}

func (n *notes) Refused(r Refused) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refused = append(n.refused, r)
}

func (n *notes) WinnersSent(agency int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, agency)
}

// observed runs a central whose observer takes notes.
func observed(t *testing.T, agencies int, configure func(*Config), wrap func(Lottery) Lottery) (*central, *notes) {
	t.Helper()
	n := &notes{}
	return start(t, agencies, func(c *Config) {
		c.Observer = n
		if configure != nil {
			configure(c)
		}
	}, wrap), n
}

func payloadOf(frame []byte) int { return len(frame) - 6 }

func TestObserverHearsOfBets(t *testing.T) {
	c, n := observed(t, 2, nil, nil)
	rawBets := losers(2, 5)
	bet, batch := betFrame(rawBets[0]), batchAt(0, rawBets[:3]...)
	longer := batchAt(1, rawBets[1:]...)

	p := c.dial()
	p.send(resumeFrame(2), bet, batch, batch, longer) // one of three is known, all are, two of four are
	p.expect(pointFrame(), successFrame(rawBets[0]), successFrame(rawBets[0]), successFrame(rawBets[0]), successFrame(rawBets[1]))
	want := [][3]int{
		{2, 1, payloadOf(bet)}, {2, 2, payloadOf(batch)}, {2, 0, payloadOf(batch)}, {2, 2, payloadOf(longer)},
	}
	if got := n.all(); !slices.Equal(got.stored, want) || len(got.refused)+len(got.told) > 0 {
		t.Errorf("heard is %+v, expected are the stored %v alone", got, want)
	}
}

// The observer is told of a batch only when it is durable.
func TestObserverHearsOfWhatIsDurable(t *testing.T) {
	g := newGate()
	c, n := observed(t, 1, nil, g.slowDisk().wrap)
	defer g.open()
	raw := losers(1, 1)[0]
	p := c.dial()
	p.send(betFrame(raw))
	g.wait(t, 1)
	early := len(n.all().stored)
	g.open()
	p.expect(successFrame(raw))
	if late := len(n.all().stored); early != 0 || late != 1 {
		t.Errorf("%d are stored before the disk has it and %d after, expected 0 and 1", early, late)
	}
}

// Every refusal that TestRefusals knows is observed, once, with its code.
func TestObserverHearsOfRefusals(t *testing.T) {
	for _, r := range refusals() {
		t.Run(r.String(), func(t *testing.T) {
			c, n := observed(t, 2, nil, failing(r.fails).wrap)
			if r.before != nil {
				r.before(c)
			}
			p := c.dial()
			agency := 0
			if r.bound || r.frame[0] != 0 {
				p.send(resumeFrame(1))
				p.expect(pointFrame())
				agency = 1
			}
			p.send(r.frame)
			p.expect(errorFrame(r.code, r.raw))
			all := n.all()
			if len(all.refused) != 1 || len(all.stored) != 0 {
				t.Fatalf("heard is %+v, expected one refusal alone", all)
			}
			got := all.refused[0]
			if got.Code != r.code || got.Peer != "127.0.0.1" || agency != 0 && got.Agency != agency {
				t.Errorf("observed is %+v, expected code %s, of agency %d at 127.0.0.1", got, r.code, agency)
			}
			if fails := c.log.failures(t); len(fails) == 0 || fails[0]["action"] != got.Action {
				t.Errorf("observed is action %s, the log says %v", got.Action, fails)
			}
		})
	}
}

func TestObserverHearsOfBatchesAndRetries(t *testing.T) {
	bad := losers(2, 3)
	bad[2].Number = "10000"
	c, n := observed(t, 2, func(config *Config) { config.WindowFrames = 2; config.MaxWaiting = jobCost + 600 }, nil)

	c.ask(batchFrame(bad...), errorFrame(lottery.BadNumber, bad[2]))
	busy := c.dial()
	busy.send(resumeFrame(1), batchFrame(losers(1, 20)...)) // more than MaxWaiting
	busy.expect(pointFrame())
	busy.expectRetry()
	ahead := c.dial()
	ahead.send(resumeFrame(1), resumeFrame(1), resumeFrame(1)) // more than WindowFrames
	ahead.expect(pointFrame(), pointFrame())
	ahead.expectRetry()
	want := []Refused{
		{"apuesta_recibida", 2, 3, lottery.BadNumber, "127.0.0.1"},
		{"receive_frame", 1, 0, Retry, "127.0.0.1"},
		{"receive_frame", 1, 0, Retry, "127.0.0.1"},
	}
	if got := n.all(); !slices.Equal(got.refused, want) {
		t.Errorf("heard is\n%+v, expected\n%+v", got.refused, want)
	}
}

func TestObserverHearsWhoIsTold(t *testing.T) {
	c, n := observed(t, 2, nil, nil)
	winner := rawBetOf(2, "7", winning)
	c.ask(betFrame(winner), successFrame(winner))
	early := c.dial()
	early.send(queryFrame(2))
	c.awaitParked(1)
	if told := n.all().told; len(told) > 0 {
		t.Errorf("before the draw %v were told", told)
	}
	c.ask(finishedFrame(1), okFrame)
	c.ask(finishedFrame(2), okFrame)
	early.expect(winnersFrame("7"))
	c.onLoops(func(*shard) {}) // the answer is sent before the observer hears of it
	c.ask(queryFrame(1), winnersFrame())
	c.onLoops(func(*shard) {})
	if told := n.all().told; !slices.Equal(told, []int{2, 1}) {
		t.Errorf("told are %v, expected 2 and 1", told)
	}
}

// Stats agree with what there is, and go back to zero.
func TestStats(t *testing.T) {
	g := newGate()
	c, _ := observed(t, 2, func(config *Config) { config.MaxConnections = 3 }, g.slowDisk().wrap)
	defer g.open()
	fixed := c.Stats()
	check := func(when string, change func(*Stats)) {
		t.Helper()
		want := fixed
		change(&want)
		c.onLoops(func(*shard) {})
		if got := c.Stats(); got != want {
			t.Errorf("%s: the server has\n%+v, expected\n%+v", when, got, want)
		}
	}
	rawBets := losers(1, 2)
	first, second := batchFrame(rawBets...), betFrame(rawBets[0])

	asking := c.dial()
	asking.send(queryFrame(2))
	c.awaitParked(1)
	check("a query is parked", func(s *Stats) { s.Connections, s.ParkedQueries, s.WaitingFrames = 1, 1, 1 })

	sending := c.dial()
	sending.send(first)
	g.wait(t, 1)
	sending.send(second)
	c.awaitFrames(sending, 2)
	idle := c.dial()
	c.awaitSessions(3)
	tooMany := c.dial()
	tooMany.expectRetry()
	bytes := payloadOf(first) + payloadOf(second)
	c.onLoops((*shard).sweep)
	check("bets are on their way", func(s *Stats) {
		s.Connections, s.ParkedQueries, s.RefusedConnections, s.Jobs = 3, 1, 1, 2
		s.WaitingFrames, s.WaitingBytes, s.WindowFrames, s.WindowBytes = 3, bytes+2*frameCost+2*jobCost, 2, bytes
	})

	g.open()
	sending.expect(successFrame(rawBets[0]), successFrame(rawBets[0]))
	for _, p := range []*peer{asking, sending, idle} {
		p.reset()
	}
	c.awaitSessions(0)
	c.awaitJobs(0)
	c.onLoops((*shard).sweep)
	check("all are gone", func(s *Stats) { s.RefusedConnections = 1 })
	c.expectIdle()
}

// The goroutine that completes a job must not look at the agency that the next one
// names; the race detector checks it.
func TestObserverBesideAPipeline(t *testing.T) {
	c, n := observed(t, 1, nil, nil)
	p := c.dial()
	rawBets := losers(1, 60)
	var sent, want [][]byte
	for range 200 {
		sent = append(sent, batchFrame(rawBets...))
		want = append(want, successFrame(rawBets[0]))
	}
	go p.send(append(sent, finishedFrame(1))...)
	p.expect(append(want, okFrame)...)
	bets := 0
	for _, s := range n.all().stored {
		if s[0] != 1 {
			t.Fatalf("stored is %v, expected agency 1", s)
		}
		bets += s[1]
	}
	if bets != 200*60 {
		t.Errorf("%d bets are stored, expected %d", bets, 200*60)
	}
}

// An agency that has left before the draw was not told its winners.
func TestObserverHearsNotOfWhoHasGone(t *testing.T) {
	g := newGate()
	c, n := observed(t, 1, nil, (&hooked{begin: func(_ string, _ int, do func()) { g.hold(do) }}).wrap)
	defer g.open()
	p := c.dial()
	p.send(append(finishedFrame(1), queryFrame(1)...))
	g.wait(t, 1)
	p.reset()
	c.await("the connection is gone", func() bool { return c.Stats().Connections == 0 })
	g.open()
	c.awaitSessions(0)
	if told := n.all().told; len(told) > 0 {
		t.Errorf("told are %v, expected nobody", told)
	}
}

func TestStatsCountWhoIsCut(t *testing.T) {
	c, _ := observed(t, 2, nil, nil)
	p := c.dial()
	p.send(queryFrame(1))
	c.awaitParked(1)
	for range 1 + maxBehind/codec.MaxPayload {
		p.send(batchFrame(losers(1, 120)...))
	}
	p.expectRetry()
	if cut := c.Stats().CutConnections; cut != 1 {
		t.Errorf("%d connections were cut, expected 1", cut)
	}
}
