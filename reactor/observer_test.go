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

// all is what was heard so far.
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

func (n *notes) Told(agency int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, agency)
}

// observed runs a central whose observer takes notes. It also begins with
// whatever configure changes.
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
	slips := losers(2, 5)
	bet, batch := betFrame(slips[0]), batchAt(0, slips[:3]...)
	longer := batchAt(1, slips[1:]...)

	c.ask(bet, successFrame(slips[0]))
	c.ask(batch, successFrame(slips[0]))  // one of three is known
	c.ask(batch, successFrame(slips[0]))  // all are
	c.ask(longer, successFrame(slips[1])) // two of four are
	want := [][3]int{
		{2, 1, payloadOf(bet)}, {2, 2, payloadOf(batch)}, {2, 0, payloadOf(batch)}, {2, 2, payloadOf(longer)},
	}
	if got := n.all(); !slices.Equal(got.stored, want) || len(got.refused)+len(got.told) > 0 {
		t.Errorf("heard is %+v, expected are the stored %v alone", got, want)
	}
}

// Nothing is said of a batch before it is durable.
func TestObserverHearsOfWhatIsDurable(t *testing.T) {
	release, waiting := make(chan struct{}), make(chan struct{})
	c, n := observed(t, 1, nil, (&hooked{await: func() error {
		close(waiting)
		<-release
		return nil
	}}).wrap)
	slip := losers(1, 1)[0]
	p := c.dial()
	p.send(betFrame(slip))
	await(t, waiting, "nobody waits for the disk")
	early := len(n.all().stored)
	close(release)
	p.expect(successFrame(slip))
	if late := len(n.all().stored); early != 0 || late != 1 {
		t.Errorf("%d are stored before the disk has it and %d after, expected 0 and 1", early, late)
	}
}

// Every refusal that TestRefusals knows is observed, once, with its code.
func TestObserverHearsOfRefusals(t *testing.T) {
	for _, r := range refusals() {
		t.Run(r.String(), func(t *testing.T) {
			var wrap func(Lottery) Lottery
			if r.fails != nil {
				wrap = r.fails.wrap
			}
			c, n := observed(t, 2, nil, wrap)
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
			p.expect(errorFrame(r.code, r.slip))
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
	c, n := observed(t, 2, func(config *Config) { config.WindowFrames = 1; config.MaxWaiting = 600 }, nil)

	c.ask(batchFrame(bad...), errorFrame(lottery.BadNumber, bad[2]))
	busy := c.dial()
	busy.send(batchFrame(losers(1, 20)...)) // more than MaxWaiting
	busy.expectRetry()
	ahead := c.dial()
	ahead.send(append(resumeFrame(1), resumeFrame(1)...)) // more than WindowFrames
	ahead.expect(pointFrame())
	ahead.expectRetry()
	want := []Refused{
		{"apuesta_recibida", 2, 3, lottery.BadNumber, "127.0.0.1"},
		{"receive_frame", 0, 0, Retry, "127.0.0.1"},
		{"receive_frame", 1, 0, Retry, "127.0.0.1"},
	}
	if got := n.all(); !slices.Equal(got.refused, want) {
		t.Errorf("heard is\n%+v, expected\n%+v", got.refused, want)
	}
}

func TestObserverHearsWhoIsTold(t *testing.T) {
	c, n := observed(t, 2, nil, nil)
	winner := slipOf(2, "7", winning)
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
	c.ask(queryFrame(1), winnersFrame())
	c.onLoop(func() {}) // the answer goes before the observer hears of it
	if told := n.all().told; !slices.Equal(told, []int{2, 1}) {
		t.Errorf("told are %v, expected 2 and 1", told)
	}
}

// Stats agree with what is there, and go back to nothing.
func TestStats(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	c, _ := observed(t, 2, func(config *Config) { config.MaxConnections = 3 }, (&hooked{store: func(*lottery.Batch) error {
		held <- struct{}{}
		<-hold
		return nil
	}}).wrap)
	fixed := c.Stats()
	check := func(when string, change func(*Stats)) {
		t.Helper()
		want := fixed
		change(&want)
		var got Stats
		c.onLoop(func() { got = c.Stats() })
		if got != want {
			t.Errorf("%s: the server has\n%+v, expected\n%+v", when, got, want)
		}
	}
	slips := losers(1, 2)
	first, second := batchFrame(slips...), betFrame(slips[0])

	asking := c.dial()
	asking.send(queryFrame(2))
	c.awaitParked(1)
	check("a query is parked", func(s *Stats) { s.Connections, s.ParkedQueries = 1, 1 })

	sending := c.dial()
	sending.send(first)
	await(t, held, "nothing is stored")
	sending.send(second)
	c.awaitFrames(sending, 2)
	idle := c.dial()
	c.awaitSessions(3)
	tooMany := c.dial()
	tooMany.expectRetry()
	bytes := payloadOf(first) + payloadOf(second)
	c.await("the windows were looked at", func() bool { return c.Stats().WindowFrames == 2 })
	check("a batch is with a worker", func(s *Stats) {
		s.Connections, s.ParkedQueries, s.RefusedConnections, s.Bursts = 3, 1, 1, 1
		s.WaitingFrames, s.WaitingBytes, s.WindowFrames, s.WindowBytes = 2, bytes, 2, bytes
	})

	close(hold)
	sending.expect(successFrame(slips[0]), successFrame(slips[0]))
	for _, p := range []*peer{asking, sending, idle} {
		p.Close()
	}
	c.awaitSessions(0)
	c.await("the windows were looked at again", func() bool { return c.Stats().WindowFrames == 0 })
	check("all are gone", func(s *Stats) { s.RefusedConnections = 1 })
	c.expectIdle()
}

// Whoever settles a burst must not look at the agency that the next one names;
// that is for the race detector.
func TestObserverBesideAPipeline(t *testing.T) {
	c, n := observed(t, 1, nil, nil)
	p := c.dial()
	slips := losers(1, 60)
	var sent, want [][]byte
	for range 200 {
		sent = append(sent, batchFrame(slips...))
		want = append(want, successFrame(slips[0]))
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

// Who has gone when its winners are there was not told of them.
func TestObserverHearsNotOfWhoHasGone(t *testing.T) {
	release, waiting := make(chan struct{}), make(chan struct{})
	c, n := observed(t, 1, nil, (&hooked{finish: func(int) error {
		close(waiting)
		<-release
		return nil
	}}).wrap)
	p := c.dial()
	p.send(append(finishedFrame(1), queryFrame(1)...))
	await(t, waiting, "nobody finishes")
	p.reset()
	c.await("the connection is gone", func() bool { return c.Stats().Connections == 0 })
	close(release)
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
	for range 1 + maxBehindQuery/codec.MaxPayload {
		p.send(batchFrame(losers(1, 120)...))
	}
	p.expectRetry()
	if cut := c.Stats().CutConnections; cut != 1 {
		t.Errorf("%d connections were cut, expected 1", cut)
	}
}
