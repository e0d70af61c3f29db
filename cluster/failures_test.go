package cluster_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// chaos skips a long test unless CHAOS is set.
func chaos(t *testing.T) {
	t.Helper()
	if os.Getenv("CHAOS") == "" {
		t.Skip("CHAOS is not set")
	}
}

// pieces is in how many pieces an agency writes its bets during something.
const pieces = 8

// during runs f while agencies bet at the centrals in turn, until each has count
// bets, and then ends the contest. Each agency calls wrote, unless that is nil, when
// the bets of a piece are stored, of 1 to pieces.
func during(t *testing.T, c *natstest.Cluster, agencies, count int, wrote func(piece int), f func(stream string, stop <-chan struct{})) {
	t.Helper()
	config := config(c, agencies)
	config.Patience = 10 * time.Second
	a := openCentral(t, config)
	config.Central = "B"
	b := openCentral(t, config)
	stop := make(chan struct{})
	var breaker, writers sync.WaitGroup
	for i := range agencies {
		writers.Go(func() {
			s := []*central{a, b}[i%2]
			w := writer{agency: i + 1, window: 4}
			for piece := 1; piece <= pieces; piece++ {
				w.write(t, count*piece/pieces, 3, one(s))
				if wrote != nil {
					wrote(piece)
				}
			}
		})
	}
	breaker.Go(func() { f(a.Stream(), stop) })
	writers.Wait()
	for i := range agencies { // f also disturbs the endings and the draw
		[]*central{a, b}[i%2].mustEnd(i + 1)
	}
	bets := counts(agencies, count)
	a.mustDraw(bets...)
	close(stop)
	breaker.Wait()
	b.mustDraw(bets...)
	checkStream(t, config, bets...)
	a.expectEnds(agencies)
	b.expectEnds(agencies)
}

// TestConnectionsDrop closes all connections over and over, and whenever the first
// agency has written a piece of its bets, so that others are in the middle of theirs:
// answers to every kind of request are lost.
func TestConnectionsDrop(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	r := natstest.Rand(t)
	var first [pieces + 1]sync.Once
	wrote := func(piece int) { first[piece].Do(c.DropAllClients) }
	during(t, c, 8, 400, wrote, func(_ string, stop <-chan struct{}) {
		for range 50 {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(20+r.IntN(200)) * time.Millisecond):
				c.DropAllClients()
			}
		}
	})
}

// TestTheLeaderIsKilledWhileAgenciesBet kills the stream's leader once.
func TestTheLeaderIsKilledWhileAgenciesBet(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 3)
	during(t, c, 4, 2000, nil, func(stream string, _ <-chan struct{}) {
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		defer cancel()
		leader := c.StreamLeader(ctx, stream)
		c.Kill(leader)
		c.Restart(leader)
	})
}

// TestAllServersRestart stops everything while agencies bet.
func TestAllServersRestart(t *testing.T) {
	chaos(t)
	t.Parallel()
	c := natstest.Start(t, 3)
	during(t, c, 8, 1500, nil, func(string, <-chan struct{}) {
		for i := range c.Size() {
			c.Kill(i)
		}
		for i := range c.Size() {
			c.Restart(i)
		}
	})
}

// TestCloseWithoutServers closes a ledger whose servers do not answer: it closes
// when its patience is over, and answers everything.
func TestCloseWithoutServers(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	config := config(c, 2)
	s := openCentral(t, config)
	mark := s.account(1).Mark
	resume := c.StallAllClients()
	defer resume()
	answers := make(chan error, 4)
	if _, err := s.Append(ledgertest.Stretch(ledgertest.Bets(1, 0, 3)...), mark, func(err error) { answers <- err }); err != nil {
		t.Fatal(err)
	}
	s.Claim(2, 0, false, func(_ *lottery.Account, err error) { answers <- err })
	s.Draw(func(_ [][]string, err error) { answers <- err })
	s.SetDeadline(time.Time{}, time.Now(), func(err error) { answers <- err })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for range 4 {
		select {
		case err := <-answers:
			if err != lottery.ErrUnavailable {
				t.Errorf("the answer is %v, want %v", err, lottery.ErrUnavailable)
			}
		default:
			t.Fatal("Close has returned, and not everything is answered")
		}
	}
}

// TestOneServerIsCutOff isolates the server that the centrals are connected to.
// They switch to another one.
func TestOneServerIsCutOff(t *testing.T) {
	chaos(t)
	t.Parallel()
	c := natstest.Start(t, 3)
	during(t, c, 4, 2000, nil, func(string, <-chan struct{}) {
		heal := c.Isolate(0)
		time.Sleep(8 * time.Second)
		heal()
	})
}

// TestNoticesAfterAnInterruption cuts one of two centrals off while the other
// ends the betting of agencies and sets the deadline.
func TestNoticesAfterAnInterruption(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 3)
	config := config(c, 3)
	config.Servers = c.URLs()[:1]
	a := openCentral(t, config)
	config.Servers = c.URLs()[1:]
	b := openCentral(t, config)
	b.mustEnd(1)
	heal := c.CutClients(0)
	b.mustEnd(2)
	deadline := time.Now().Add(time.Hour)
	for await(t, "a deadline", func(done func(error)) { b.SetDeadline(time.Time{}, deadline, done) }) != nil {
	}
	heal()
	b.mustEnd(3)
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		a.mu.Lock()
		told := len(a.ended)
		a.mu.Unlock()
		if told == 3 && a.Terms().Deadline.Equal(deadline) {
			break
		}
		if time.Since(begun) > answerTime {
			t.Fatalf("%d of 3 ends were told, the deadline is %v", told, a.Terms().Deadline)
		}
	}
	for agency := range 3 {
		if a.ended[agency+1] != 1 {
			t.Errorf("the end of agency %d was told %d times", agency+1, a.ended[agency+1])
		}
	}
}
