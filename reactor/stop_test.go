package reactor

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
	"loteria/codec"
	"loteria/lottery"
)

// stages are connections in the middle of something, none of which waits for
// the lottery. A stop closes each, and tells it nothing more.
var stages = map[string]func(c *central, p *peer){
	"silent":                    func(c *central, p *peer) { c.session(p) },
	"half a frame":              func(c *central, p *peer) { p.send(resumeFrame(1)[:6]); c.awaitRead(p, 6) },
	"half a line":               func(c *central, p *peer) { c.sendLine(p, "hol", ""); c.session(p) },
	"idle":                      func(c *central, p *peer) { p.send(resumeFrame(1)); p.expect(pointFrame()) },
	"a parked query":            func(c *central, p *peer) { park(c, p) },
	"more after a parked query": func(c *central, p *peer) { park(c, p); p.send(resumeFrame(1)); c.awaitFrames(p, 2) },
	"a query parked at the end": func(c *central, p *peer) {
		park(c, p)
		p.send([]byte("\x00\x00\x00\x00\x0c"))
		c.awaitDraining(c.session(p))
	},
	"lingering": func(c *central, p *peer) {
		p.send([]byte("\x00\x00\x00\x00\x0c"))
		p.expect(errorFrame(codec.UnknownType, noRawBet))
	},
	"echoed": func(c *central, p *peer) {
		p.send([]byte("hola\n"))
		p.expectBytes([]byte("hola\n"))
	},
}

func park(c *central, p *peer) {
	c.t.Helper()
	p.send(queryFrame(1))
	s := c.session(p)
	c.awaitThat(s, "the query is parked", func() bool { return s.parked })
}

// expectStop stops the central and checks that all was closed and logged.
func (c *central) expectStop(connections int) {
	c.t.Helper()
	stopped := make(chan error, 1)
	go func() { stopped <- c.stop() }()
	if err := await(c.t, stopped, "the central does not stop"); err != nil {
		c.t.Errorf("stop: %v", err)
	}
	c.log.only(c.t, "shutdown", "in_progress")
	c.log.only(c.t, "close_listener", "success")
	c.log.only(c.t, "close_workers", "success")
	closings := c.log.find(c.t, "close_connection", "success")
	for _, e := range closings {
		if e["level"] != "info" {
			c.t.Errorf("the log has %v", e)
		}
	}
	if len(closings) != connections {
		c.t.Errorf("the log has %d closings, expected %d", len(closings), connections)
	}
	if _, err := net.Dial("tcp", c.Address().String()); err == nil {
		c.t.Error("the central still listens")
	}
}

// Pitfalls 12 and 13: a stop tells no parked query that the draw is done, and
// waits for no read.
func TestPitfalls12And13StopInTheMiddle(t *testing.T) {
	for stage, reach := range stages {
		t.Run(stage, func(t *testing.T) {
			leavesNothing(t, func(t *testing.T) {
				c := start(t, 1, nil, nil)
				p := c.dial()
				reach(c, p)
				c.expectStop(1)
				p.expectEnd()
				p.Close()
				if told := c.log.find(t, "sorteo", "success"); len(told) > 0 {
					t.Errorf("the log has %v", told)
				}
			})
		})
	}
	t.Run("all", func(t *testing.T) {
		leavesNothing(t, func(t *testing.T) {
			c := start(t, 1, nil, nil)
			var peers []*peer
			for range 5 {
				for _, reach := range stages {
					p := c.dial()
					reach(c, p)
					peers = append(peers, p)
				}
			}
			c.expectStop(len(peers))
			for _, p := range peers {
				p.expectEnd()
				p.Close()
			}
		})
	})
}

// Batches on their way to the disk are stored and answered.
func TestStopInTheMiddleOfBatches(t *testing.T) {
	const connections = 6
	leavesNothing(t, func(t *testing.T) {
		c, g := startSlow(t, connections, nil)
		idle := c.dial()
		c.session(idle)
		peers := make([]*peer, connections)
		for i := range peers {
			rawBets := losers(i+1, 3)
			peers[i] = c.dial()
			peers[i].send(batchFrame(rawBets...))
			c.awaitFrames(peers[i], 1)
			peers[i].send(batchFrame(rawBets...))
			c.awaitFrames(peers[i], 2)
		}
		g.wait(t, 2*connections)

		stopped := make(chan error, 1)
		go func() { stopped <- c.stop() }()
		idle.expectEnd()
		for _, p := range peers {
			p.expectNothing()
		}
		select {
		case err := <-stopped:
			t.Fatalf("the central has stopped with bets in flight: %v", err)
		default:
		}
		g.open()
		if err := await(t, stopped, "the central does not stop"); err != nil {
			t.Errorf("stop: %v", err)
		}
		rows := c.rows()
		for i, p := range peers {
			rawBets := losers(i+1, 3)
			p.expect(successFrame(rawBets[0]), successFrame(rawBets[0]))
			p.expectEnd()
			p.Close()
			if n := strings.Count(rows, string(rowsOf(rawBets))); n != 2 {
				t.Errorf("the batch of agency %d is %d times in bets.csv, expected twice", i+1, n)
			}
		}
		idle.Close()
		c.expectStop(connections + 1)
	})
}

// Agencies that keep sending do not keep the central from stopping, and each bet
// that it has acknowledged is in the file.
func TestPitfall13StopWhileAgenciesSend(t *testing.T) {
	const agencies = 4
	leavesNothing(t, func(t *testing.T) {
		c := start(t, agencies, nil, nil)
		acknowledged := make(chan int, agencies)
		busy := make(chan struct{}, agencies)
		for a := 1; a <= agencies; a++ {
			p := c.dial()
			raw := rawBetOf(a, "1", losing)
			window := make(chan struct{}, 50)
			go func() {
				for {
					window <- struct{}{}
					if _, err := p.Write(betFrame(raw)); err != nil {
						return
					}
				}
			}()
			go func() {
				n := 0
				for ; p.match(successFrame(raw)) == nil; n++ {
					<-window
					if n == 100 {
						busy <- struct{}{}
					}
				}
				p.Close()
				acknowledged <- n
				for range cap(window) { // let go of the sender
					select {
					case <-window:
					default:
					}
				}
			}()
		}
		for range agencies {
			await(t, busy, "an agency gets no answer")
		}
		stopped := make(chan error, 1)
		go func() { stopped <- c.stop() }()
		if err := await(t, stopped, "the central does not stop"); err != nil {
			t.Errorf("stop: %v", err)
		}
		told := 0
		for range agencies {
			told += await(t, acknowledged, "an agency does not see the end")
		}
		if stored := strings.Count(c.rows(), "\r\n"); stored < told {
			t.Errorf("%d bets are in the file, %d were acknowledged", stored, told)
		}
	})
}

// An answer that the ledger's leader has written during a stop is the last one: the end of
// file follows at once, and not with the end of all patience.
func TestStopWhileTheLeaderAnswers(t *testing.T) {
	g := newGate()
	c := start(t, 1, func(config *Config) { config.Loops = 1 }, g.slowDisk().wrap)
	t.Cleanup(g.open)
	c.stopLinger = time.Hour
	p, idle, raw := c.dial(), c.dial(), rawBetOf(1, "1", losing)
	c.session(idle)
	p.send(betFrame(raw))
	g.wait(t, 1)
	stopped := make(chan error, 1)
	go func() { stopped <- c.stop() }()
	idle.expectEnd() // so the loop has been through its connections
	idle.Close()
	g.open()
	p.expect(successFrame(raw))
	p.expectEnd()
	p.Close()
	if err := await(t, stopped, "the central does not stop"); err != nil {
		t.Error(err)
	}
}

// A peer that does not read does not hold up a stop.
func TestStopWithUnreadAnswers(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		c := start(t, 1, func(config *Config) { config.Loops = 1 }, won(t, 2000))
		p := c.dial()
		s := c.fillsUp(p)
		p.send(bytes.Repeat(queryFrame(1), 100))
		c.awaitThat(s, "answers wait to be read", func() bool { return s.telling })
		c.expectStop(1)
		p.expectGone()
		p.Close()
	})
}

func TestStopWithoutAConnection(t *testing.T) {
	leavesNothing(t, func(t *testing.T) { start(t, 1, nil, nil).expectStop(0) })
}

func TestStopAfterAllHaveLeft(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		c := start(t, 1, func(config *Config) {
			config.LoopLog = zerolog.Nop()
		}, nil)
		c.expectEcho("hola\n")
		c.ask(finishedFrame(1), okFrame)
		c.awaitSessions(0)
		c.expectStop(0)
	})
}

// A lottery that hangs holds up a stop no longer than StopTimeout, and a call that
// ends later breaks nothing.
func TestStopWithALotteryThatHangs(t *testing.T) {
	for call, h := range hangs() {
		t.Run(call, func(t *testing.T) {
			leavesNothing(t, func(t *testing.T) {
				c := start(t, 3, func(config *Config) {
					config.StopTimeout = 10 * time.Millisecond
				}, h.lottery.wrap)
				defer h.open()
				h.hangs(2)
				var peers []*peer
				for range 3 {
					p := c.dial()
					p.send(h.request, queryFrame(3))
					peers = append(peers, p)
				}
				h.wait(t, 2)
				stopped := make(chan error, 1)
				go func() { stopped <- c.stop() }()
				err := await(t, stopped, "the central does not stop")
				if err == nil || !strings.Contains(err.Error(), "10ms") {
					t.Errorf("stop: %v, expected an error with the time that it had", err)
				}
				for _, p := range peers {
					p.expectGone()
					p.Close()
				}
				h.open()
			})
		})
	}
}

func TestListenFails(t *testing.T) {
	taken, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for what, test := range map[string]struct {
		address string
		reason  error
	}{
		"taken":        {taken.Addr().String(), unix.EADDRINUSE},
		"not here":     {"192.0.2.1:0", unix.EADDRNOTAVAIL}, // TEST-NET-1
		"no such port": {"127.0.0.1:123456", nil},
	} {
		t.Run(what, func(t *testing.T) {
			leavesNothing(t, func(t *testing.T) {
				server := New(Config{Address: test.address, Backlog: 1, Loops: 2, MaxConnections: 1}, undrawn{})
				err := server.Run(context.Background())
				if err == nil || !strings.Contains(err.Error(), test.address) {
					t.Errorf("the error is %v, expected one that names %s", err, test.address)
				}
				if test.reason != nil && !errors.Is(err, test.reason) {
					t.Errorf("the error is %v, expected %v", err, test.reason)
				}
				select {
				case <-server.Ready():
					t.Error("it says that it is ready")
				default:
				}
			})
		})
	}
}

// undrawn is a lottery before its draw; nothing else is asked of it.
type undrawn struct{ Lottery }

func (undrawn) Drawn() <-chan struct{} { return nil }
func (undrawn) Phase() lottery.Phase   { return lottery.Betting }
func (undrawn) Agencies() int          { return 1 }

func TestStopBeforeTheStart(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		server := New(Config{Address: anyPort, Backlog: 1, Loops: 2, MaxConnections: 1, StopTimeout: patience}, undrawn{})
		if err := server.Run(ctx); err != nil {
			t.Error(err)
		}
	})
}
