package reactor

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"

	"loteria/codec"
	"loteria/lottery"
)

var (
	errFenced      = &lottery.Refusal{Code: lottery.Fenced, Reason: "somebody else has written"}
	errStorage     = &lottery.Refusal{Code: lottery.Storage, Reason: "the ledger is dead"}
	errUnavailable = fmt.Errorf("the disk is slow: %w", lottery.ErrUnavailable)
	retryFrame     = frame(&codec.Retry{Reason: lottery.ErrUnavailable.Error()})
)

// Whatever call of the lottery fails, at once or later, the answer, the log and the
// observer say how; the connection lives on.
func TestTheLotteryFails(t *testing.T) {
	raw := rawBetOf(1, "1", losing)
	for _, call := range []struct {
		name, action string
		request      []byte
	}{
		{callStore, "apuesta_recibida", betFrame(raw)},
		{callResume, "resume", resumeFrame(1)},
		{callFinish, "agencia_finalizada", finishedFrame(1)},
	} {
		for _, failure := range []struct {
			err    error
			code   lottery.Code
			answer []byte
		}{
			{errUnavailable, Retry, retryFrame},
			{errFenced, lottery.Fenced, errorFrame(lottery.Fenced, noRawBet)},
			{errStorage, lottery.Storage, errorFrame(lottery.Storage, noRawBet)},
			{errDisk, lottery.Storage, errorFrame(lottery.Storage, noRawBet)},
		} {
			for _, later := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s, later %v", call.name, failure.code, later), func(t *testing.T) {
					h := &hooked{}
					if later {
						h.done = func(_ string, _ int, _ error, tell func(error)) { tell(failure.err) }
					} else {
						h.refuse = func(string, int) error { return failure.err }
					}
					c, n := observed(t, 2, nil, h.wrap)
					p := c.dial()
					for range 2 {
						p.send(call.request)
						p.expect(failure.answer)
					}
					if e := c.log.find(t, call.action, "fail"); len(e) != 2 || e[0]["code"] != string(failure.code) {
						t.Errorf("the log has %v", e)
					}
					if all := n.all(); len(all.refused) != 2 || all.refused[0].Code != failure.code || all.refused[0].Action != call.action || len(all.stored) > 0 {
						t.Errorf("observed is %+v", all)
					}
				})
			}
		}
	}
}

// failFrom makes all batches after the n-th fail, as a ledger does.
func failFrom(n int32, err error) *hooked {
	var batches atomic.Int32
	return &hooked{done: func(call string, _ int, _ error, tell func(error)) {
		if call == callStore && batches.Add(1) > n {
			tell(err)
		} else {
			tell(nil)
		}
	}}
}

// Of the batches that come with one read, those that were stored before the
// ledger failed are acknowledged, and the others are not.
func TestSomeOfAJobFails(t *testing.T) {
	rawBets, bad := losers(1, 4), rawBetOf(1, "x", losing)
	for stored := range 5 {
		t.Run(fmt.Sprint(stored), func(t *testing.T) {
			c, n := observed(t, 1, nil, failFrom(int32(stored), errUnavailable).wrap)
			var request, answer []byte
			for i, raw := range rawBets {
				request = append(append(request, betFrame(bad)...), batchFrame(raw)...)
				answer = append(answer, errorFrame(lottery.BadDocument, bad)...)
				if i < stored {
					answer = append(answer, successFrame(raw)...)
				} else {
					answer = append(answer, retryFrame...)
				}
			}
			p := c.dial()
			p.send(request)
			p.expectBytes(answer)
			if got := len(n.all().stored); got != stored {
				t.Errorf("%d batches are observed as stored, expected %d", got, stored)
			}
			if got := len(c.log.find(t, "apuesta_recibida", "success")); got != stored {
				t.Errorf("%d batches are logged as stored, expected %d", got, stored)
			}
		})
	}
}

// unready is a lottery that takes no bets while an error is stored in it.
type unready struct {
	atomic.Pointer[error]
}

func (u *unready) wrap(l Lottery) Lottery {
	return (&hooked{refuse: func(call string, _ int) error {
		if err := u.Load(); err != nil && call == callStore {
			return *err
		}
		return nil
	}}).wrap(l)
}

// After a bet that was answered RETRY or fenced, no later bet of its connection is
// taken, and no FINISHED: a bet is not overtaken. That ends with the next RESUME, or
// when all is answered.
func TestNothingOvertakesABetThatWasNotTaken(t *testing.T) {
	rawBets := losers(1, 4)
	fenced := errorFrame(lottery.Fenced, noRawBet)
	for what, test := range map[string]struct {
		err    error
		answer []byte
	}{
		"retry":  {errUnavailable, retryFrame},
		"fenced": {errFenced, fenced},
	} {
		t.Run(what, func(t *testing.T) {
			g := newGate()
			var u unready
			c := start(t, 1, nil, func(l Lottery) Lottery { return u.wrap(g.slowDisk().wrap(l)) })
			defer g.open()
			p := c.dial()
			p.send(betFrame(rawBets[0]))
			c.awaitFrames(p, 1)
			u.Store(&test.err)
			p.send(betFrame(rawBets[1]))
			c.awaitFrames(p, 2)
			u.Store(nil)
			p.send(betFrame(rawBets[2]), batchFrame(rawBets[3]), finishedFrame(1))
			c.awaitFrames(p, 5)
			g.open()
			p.expect(successFrame(rawBets[0]), test.answer, test.answer, test.answer, test.answer)
			c.expectRows(rawBets[0])

			p.send(betFrame(rawBets[1]), resumeFrame(1)) // all was answered
			p.expect(successFrame(rawBets[1]), pointFrame(rawBets[:2]...))

			// A connection that has said RESUME says it again.
			u.Store(&test.err)
			p.send(betFrame(rawBets[2]))
			p.expect(test.answer)
			u.Store(nil)
			p.send(betFrame(rawBets[3]))
			p.expect(test.answer)
			p.send(finishedFrame(1), resumeFrame(1), betFrame(rawBets[2]), betFrame(rawBets[3]), totalFrame(1, 4))
			p.expect(test.answer, pointFrame(rawBets[:2]...), successFrame(rawBets[2]), successFrame(rawBets[3]), okFrame)
			c.expectRows(rawBets...)
		})
	}
}

// The same holds for a bet for which there was no room.
func TestNothingOvertakesABetWithoutRoom(t *testing.T) {
	rawBets := losers(1, 40)
	small := rawBetOf(1, "7", losing)
	c, g := startSlow(t, 1, func(config *Config) { config.MaxWaiting = 2*jobCost + 1500 })
	p := c.dial()
	p.send(betFrame(small))
	c.awaitFrames(p, 1)
	p.send(batchFrame(rawBets...), betFrame(small), finishedFrame(1))
	c.awaitFrames(p, 4)
	g.open()
	p.expect(successFrame(small))
	for range 3 {
		p.expectRetry()
	}
	c.expectRows(small)
	p.send(batchFrame(rawBets...))
	p.expect(successFrame(rawBets[0]))
	p.send(finishedFrame(1))
	p.expect(okFrame)
}

// A failure of the ledger fails what all connections have in flight, and each
// gets its own answers.
func TestAFailureForManyConnections(t *testing.T) {
	const connections, each = 8, 20
	g := newGate()
	c := start(t, connections, nil, (&hooked{done: func(_ string, _ int, _ error, tell func(error)) {
		g.hold(func() { tell(errStorage) })
	}}).wrap)
	defer g.open()
	peers := make([]*peer, connections)
	for i := range peers {
		peers[i] = c.dial()
		peers[i].send(bytes.Repeat(betFrame(rawBetOf(i+1, "1", losing)), each), queryFrame(i+1))
		c.awaitFrames(peers[i], each+1)
	}
	g.open()
	for _, p := range peers {
		p.expectBytes(bytes.Repeat(errorFrame(lottery.Storage, noRawBet), each))
	}
	c.awaitParked(connections)
	for i := range peers {
		finishNow(t, c.contest, i+1)
	}
	for _, p := range peers {
		p.expect(winnersFrame())
	}
}

// A lottery may complete a request before the loop has finished what it has read, or
// even the call.
func TestTheLotteryIsFasterThanTheLoop(t *testing.T) {
	told := make(chan struct{}, 16)
	early := &hooked{
		done: func(_ string, _ int, err error, tell func(error)) {
			tell(err)
			told <- struct{}{}
		},
		begin: func(_ string, _ int, do func()) {
			go do()
			<-told
		},
		stored: func() { <-told },
	}
	withLoops(t, func(t *testing.T, configure func(*Config)) {
		c := start(t, 1, configure, early.wrap)
		rawBets := losers(1, 4)
		p := c.dial()
		for range 3 {
			p.send(batchFrame(rawBets...), betFrame(rawBets[1]), resumeFrame(1), betFrame(rawBets[2]), resumeFrame(1)[:7])
			p.expect(successFrame(rawBets[0]), successFrame(rawBets[1]))
			p.receive()
			p.expect(successFrame(rawBets[2]))
			p.send(resumeFrame(1)[7:])
			p.receive()
		}
		p.send(betFrame(rawBets[3]), finishedFrame(1), queryFrame(1))
		p.expect(successFrame(rawBets[3]), okFrame, winnersFrame())
		events := c.log.events(t)
		if last := events[len(events)-1]; last["action"] != "sorteo" {
			t.Errorf("the last line is %v", last)
		}
	})
}

// nth makes the n-th batch fail with err; when decides when that is told.
func nth(n int32, err error, when func(tell func())) *hooked {
	var batches atomic.Int32
	return &hooked{done: func(call string, _ int, stored error, tell func(error)) {
		if call == callStore && batches.Add(1) == n {
			when(func() { tell(err) })
		} else {
			tell(stored)
		}
	}}
}

// Requests of one read are answered each for itself, also when a RESUME comes
// between a batch that fails and one that is stored.
func TestAResumeBetweenBatches(t *testing.T) {
	rawBets := losers(1, 2)
	c := start(t, 1, nil, nth(1, errUnavailable, func(tell func()) { tell() }).wrap)
	p := c.dial()
	p.send(append(append(betFrame(rawBets[0]), resumeFrame(1)...), betFrame(rawBets[1])...))
	p.expect(retryFrame)
	p.receive()
	p.expect(successFrame(rawBets[1]))
}

// A bet that the ledger has lost later is not overtaken either.
func TestNothingOvertakesABetThatWasLost(t *testing.T) {
	rawBets := losers(1, 5)
	for what, test := range map[string]struct {
		err    error
		answer []byte
	}{
		"retry":  {errUnavailable, retryFrame},
		"fenced": {errFenced, errorFrame(lottery.Fenced, noRawBet)},
	} {
		t.Run(what, func(t *testing.T) {
			g, slow := newGate(), newGate()
			told := make(chan struct{}, 1)
			c := start(t, 1, nil, func(l Lottery) Lottery {
				lost := nth(2, test.err, func(tell func()) { // on the ledger's goroutine, like all of these
					tell()
					told <- struct{}{}
				}).wrap(l)
				return nth(1, nil, func(tell func()) { slow.hold(tell) }).wrap(lost)
			})
			defer g.open()
			defer slow.open()
			p := c.dial()
			p.send(betFrame(rawBets[0]))
			slow.wait(t, 1)
			p.send(betFrame(rawBets[1]))
			await(t, told, "the second bet is not told")
			p.send(betFrame(rawBets[2]), finishedFrame(1))
			c.awaitFrames(p, 4)
			slow.open()
			p.expect(successFrame(rawBets[0]), test.answer, test.answer, test.answer)

			p.send(betFrame(rawBets[3])) // all was answered
			p.expect(successFrame(rawBets[3]))
		})
		t.Run(what+" before RESUME", func(t *testing.T) {
			late := newGate()
			c := start(t, 1, nil, nth(1, test.err, func(tell func()) { late.hold(tell) }).wrap)
			defer late.open()
			p := c.dial()
			p.send(betFrame(rawBets[0]))
			late.wait(t, 1)
			p.send(resumeFrame(1))
			c.awaitFrames(p, 2)
			late.open() // it is told when a RESUME was taken already
			p.expect(test.answer)
			p.receive()
			p.send(betFrame(rawBets[1]), betFrame(rawBets[2]))
			p.expect(successFrame(rawBets[1]), successFrame(rawBets[2]))
		})
		t.Run(what+" of the writer", func(t *testing.T) {
			c := start(t, 1, nil, nth(2, test.err, func(tell func()) { tell() }).wrap)
			p := c.dial()
			p.send(resumeFrame(1))
			p.receive()
			p.send(betFrame(rawBets[0]))
			p.expect(successFrame(rawBets[0]))
			p.send(betFrame(rawBets[1]))
			p.expect(test.answer)
			p.send(betFrame(rawBets[2]), finishedFrame(1)) // until it says RESUME
			p.expect(test.answer, test.answer)
			p.send(resumeFrame(1), betFrame(rawBets[3]))
			p.receive()
			p.expect(successFrame(rawBets[3]))
		})
	}
}
