package reactor

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"loteria/lottery"
)

// The log tells the draw once, after the last bet.
func TestDrawIsLoggedAfterTheBets(t *testing.T) { withLoops(t, testDrawIsLoggedAfterTheBets) }

func testDrawIsLoggedAfterTheBets(t *testing.T, configure func(*Config)) {
	const agencies = 5
	c := start(t, agencies, configure, nil)
	ended := make(chan error, agencies)
	for a := 1; a <= agencies; a++ {
		p, won := c.dial(), rawBetOf(a, fmt.Sprint(a), winning)
		go func() {
			for range 10 {
				if _, err := p.Write(batchFrame(won, won)); err != nil {
					ended <- err
					return
				}
			}
			_, _ = p.Write(bytes.Join([][]byte{finishedFrame(a), queryFrame(a)}, nil))
			documents := make([]string, 20)
			for i := range documents {
				documents[i] = won.Document
			}
			ended <- p.match(bytes.Join([][]byte{bytes.Repeat(successFrame(won), 10), okFrame, winnersFrame(documents...)}, nil))
		}()
	}
	for range agencies {
		if err := await(t, ended, "an agency gets no answer"); err != nil {
			t.Fatal(err)
		}
	}
	draw, lastBet := -1, -1
	for i, e := range c.log.events(t) {
		switch e["action"] {
		case "sorteo":
			if draw >= 0 || !e.is("sorteo", "success") {
				t.Errorf("line %d is %v, after line %d", i, e, draw)
			}
			draw = i
		case "apuesta_almacenada", "apuesta_recibida":
			lastBet = i
		}
	}
	if draw < lastBet || lastBet < 0 {
		t.Errorf("the draw is line %d, the last bet line %d", draw, lastBet)
	}
}

func TestNobodyIsToldTheWinnersBeforeTheDrawIsLogged(t *testing.T) {
	g := newGate()
	c := start(t, 1, nil, nil)
	defer g.open()
	c.log.slowDown(func(line []byte) {
		if bytes.Contains(line, []byte("sorteo")) {
			g.block()
		}
	})
	won := rawBetOf(1, "1", winning)
	early := c.dial()
	early.send(betFrame(won), finishedFrame(1), queryFrame(1))
	early.expect(successFrame(won), okFrame)
	g.wait(t, 1)

	late := c.dial()
	late.send(queryFrame(1))
	c.awaitParked(2)
	c.expectEcho("hola\n")
	early.expectNothing()
	late.expectNothing()

	g.open()
	early.expect(winnersFrame("1"))
	late.expect(winnersFrame("1"))
}

// finishNow ends an agency's betting, and waits until that is durable.
func finishNow(t testing.TB, l Lottery, agency int) {
	t.Helper()
	ended := make(chan error, 1)
	if err := l.Finish(agency, 0, lottery.Tally{}, func(err error) { ended <- err }); err != nil {
		t.Fatal(err)
	}
	if err := await(t, ended, "the agency's betting does not end"); err != nil {
		t.Fatal(err)
	}
}

// Pitfall 7: an agency finishes once, however often it says so.
func TestPitfall7FinishedRepeated(t *testing.T) {
	c := start(t, 3, nil, nil)
	p := c.dial()
	p.send(finishedFrame(1), finishedFrame(1), totalFrame(1, 0))
	p.expect(okFrame, okFrame, okFrame)
	for range 3 { // after a reconnect
		c.ask(finishedFrame(1), okFrame)
	}
	waiting := c.dial()
	waiting.send(queryFrame(1))
	c.awaitParked(1)
	c.ask(finishedFrame(2), okFrame)
	c.ask(finishedFrame(2), okFrame)
	select {
	case <-c.contest.Drawn():
		t.Fatal("the draw is done before agency 3 has finished")
	default:
	}

	// The last FINISHED, from several connections at once.
	last := make([]*peer, 12)
	for i := range last {
		last[i] = c.dial()
	}
	ended := make(chan error, len(last))
	for _, q := range last {
		go func() {
			_, _ = q.Write(bytes.Repeat(finishedFrame(3), 5))
			ended <- q.match(bytes.Repeat(okFrame, 5))
		}()
	}
	for range last {
		if err := await(t, ended, "an agency gets no answer"); err != nil {
			t.Error(err)
		}
	}
	waiting.expect(winnersFrame())
	for a := 1; a <= 3; a++ { // and after the draw
		c.ask(finishedFrame(a), okFrame)
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	c.log.only(t, "sorteo", "success")
}

// Pitfall 2: no winners means none, not "no draw yet" or one without a name; a query
// before the draw has no answer, not an empty one.
func TestPitfall2NoWinners(t *testing.T) {
	c := start(t, 2, nil, nil)
	raw := rawBetOf(1, "1", losing)
	p := c.dial()
	p.send(betFrame(raw), finishedFrame(1), queryFrame(1))
	p.expect(successFrame(raw), okFrame)
	c.awaitParked(1)
	c.expectEcho("hola\n")
	p.expectNothing()

	c.ask(finishedFrame(2), okFrame)
	none := []byte("\x00\x00\x00\x04\x07\x00\x00\x00\x00\xff")
	p.expectBytes(none)
	c.ask(queryFrame(1), none)
	c.ask(queryFrame(2), none)
}

// Pitfall 10: an agency is known by its name, from wherever and however often it
// connects.
func TestPitfall10AgencyIsKnownByItsName(t *testing.T) {
	c := start(t, 2, nil, nil)
	one, two := losers(1, 4), losers(2, 4)
	one[3].Number, two[0].Number = winning, winning

	first, second := c.dial(), c.dial() // of one address, at the same time
	first.send(resumeFrame(1), batchAt(0, one[:2]...))
	first.expect(pointFrame(), successFrame(one[0]))
	second.send(resumeFrame(2), batchAt(0, two[:2]...))
	second.expect(pointFrame(), successFrame(two[0]))
	first.Close()

	again := c.dial() // goes on where the first was
	again.send(resumeFrame(1))
	again.expect(pointFrame(one[:2]...))
	again.send(batchAt(0, one[:3]...), batchAt(3, one[3:]...), totalFrame(1, 4), queryFrame(1))
	again.expect(successFrame(one[0]), successFrame(one[3]), okFrame)

	beside := c.dial() // a second one of the same agency
	beside.send(resumeFrame(2), batchAt(2, two[2]))
	beside.expect(pointFrame(two[:2]...), successFrame(two[2]))
	second.send(batchAt(3, two[3:]...), totalFrame(2, 4))
	second.expect(errorFrame(lottery.Fenced, noRawBet), errorFrame(lottery.Fenced, noRawBet))
	second.send(resumeFrame(2), batchAt(2, two[2:]...), totalFrame(2, 4), queryFrame(2))
	second.expect(pointFrame(two[:3]...), successFrame(two[2]), okFrame, winnersFrame(two[0].Document))
	again.expect(winnersFrame(one[3].Document))

	c.expectRows(append(append(append([]lottery.RawBet(nil), one[:2]...), two[:2]...), one[2], one[3], two[2], two[3])...)
}

// The draw is logged even when it is done before the server has fully started:
// here, when it logs its first line.
func TestDrawRightAfterTheStart(t *testing.T) {
	var finish func()
	c := start(t, 1, func(config *Config) {
		config.Log = config.Log.Hook(zerolog.HookFunc(func(*zerolog.Event, zerolog.Level, string) { finish() }))
	}, func(l Lottery) Lottery {
		finish = sync.OnceFunc(func() {
			finishNow(t, l, 1)
		})
		return l
	})
	c.ask(queryFrame(1), winnersFrame())
	c.log.only(t, "sorteo", "success")
}

// A draw that is done while the central stops is logged then; the next start
// takes it for known.
func TestDrawWhileStopping(t *testing.T) {
	g := newGate()
	c := start(t, 1, nil, (&hooked{begin: func(_ string, _ int, do func()) { g.hold(do) }}).wrap)
	defer g.open()
	p, idle := c.dial(), c.dial()
	p.send(finishedFrame(1))
	g.wait(t, 1)
	c.awaitSessions(2)
	stopped := make(chan error, 1)
	go func() { stopped <- c.stop() }()
	idle.expectEnd()
	g.open()
	p.expect(okFrame)
	p.expectEnd()
	if err := await(t, stopped, "the central does not stop"); err != nil {
		t.Fatal(err)
	}
	c.log.only(t, "sorteo", "success")
}

// A draw that was done when the server is made is logged once, unless it was
// announced before; where several centrals share a contest, it may come at any time.
func TestDrawBeforeTheStart(t *testing.T) {
	for announced, lines := range map[bool]int{false: 1, true: 0} {
		c := start(t, 1, func(config *Config) { config.Announced = announced }, func(l Lottery) Lottery {
			finishNow(t, l, 1)
			await(t, l.Drawn(), "there is no draw")
			return l
		})
		c.ask(queryFrame(1), winnersFrame())
		if err := c.stop(); err != nil {
			t.Fatal(err)
		}
		if told := c.log.find(t, "sorteo", "success"); len(told) != lines {
			t.Errorf("announced: %t: the log has %v, expected %d lines", announced, told, lines)
		}
	}
}

// A draw that was announced before the start and is told later, as by a shared
// ledger, is not logged either.
func TestDrawThatWasAnnouncedIsToldLater(t *testing.T) {
	c := start(t, 1, func(config *Config) { config.Announced = true }, nil)
	p := c.dial()
	p.send(finishedFrame(1))
	p.expect(okFrame)
	p.send(queryFrame(1))
	p.expect(winnersFrame())
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	if told := c.log.find(t, "sorteo", "success"); len(told) != 0 {
		t.Errorf("the log has %v", told)
	}
}

// A draw that is made between New and Run, as by a deadline that has passed, is
// logged like any other.
func TestDrawBeforeRun(t *testing.T) {
	_, contest := openContest(t, t.TempDir(), 1)
	defer contest.Close()
	log := &logBuffer{}
	server := New(Config{
		Address: anyPort, Backlog: 1, Loops: 1, MaxConnections: 1, StopTimeout: patience,
		Log: zerolog.New(log), LoopLog: zerolog.New(log),
	}, contest)
	if err := contest.DrawWithout(1); err != nil {
		t.Fatal(err)
	}
	await(t, contest.Drawn(), "there is no draw")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	await(t, server.Ready(), "the server does not listen")
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if draws := log.find(t, "sorteo", "success"); len(draws) != 1 {
		t.Errorf("the log has %d draws, expected one:\n%s", len(draws), log)
	}
}

// A loop that has handed bets to the lottery logs them before the draw, however
// late.
func TestDrawIsLoggedAfterTheBetsOfABusyLoop(t *testing.T) {
	centrals, admitted := make(chan *central, 1), make(chan struct{})
	h := &hooked{stored: func() { // the loop stops where it has admitted the bet
		close(admitted)
		c := <-centrals
		<-c.contest.Drawn()
		c.await("the draw is announced, or the loop is waited for", func() bool {
			waited := c.announced()
			for _, sh := range c.shards {
				sh.mail.mu.Lock()
				waited = waited || len(sh.mail.tasks) > 0
				sh.mail.mu.Unlock()
			}
			return waited
		})
	}}
	c := start(t, 1, nil, h.wrap)
	betting, finishing := c.dial(), c.dial()
	if c.session(betting).shard() == c.session(finishing).shard() {
		t.Fatal("both connections have the same loop")
	}
	centrals <- c
	raw := rawBetOf(1, "1", losing)
	betting.send(betFrame(raw), queryFrame(1))
	await(t, admitted, "the bet is not admitted")
	finishing.send(finishedFrame(1), queryFrame(1))
	finishing.expect(okFrame, winnersFrame())
	betting.expect(successFrame(raw), winnersFrame())
	bet, draw := -1, -1
	for i, e := range c.log.events(t) {
		switch e["action"] {
		case "apuesta_almacenada":
			bet = i
		case "sorteo":
			draw = i
		}
	}
	if bet < 0 || draw < bet {
		t.Errorf("the bet is line %d, the draw line %d", bet, draw)
	}
}
