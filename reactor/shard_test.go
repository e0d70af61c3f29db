package reactor

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A sweep looks at no more than some sessions in one task of the loop, and at each
// that stays at least once, whichever others come and go.
func TestSweepInPieces(t *testing.T) {
	const sessions = 5000
	sh := newShard(New(Config{}, undrawn{}))
	come := func() *session {
		s := newSession(sh.server, sh, "")
		s.place = len(sh.sessions)
		sh.sessions = append(sh.sessions, s)
		return s
	}
	staying, leaving := map[*session]bool{}, []*session{}
	for range sessions {
		staying[come()] = true
		leaving = append(leaving, come())
	}
	random := rand.New(rand.NewPCG(15, 3))
	random.Shuffle(len(leaving), func(i, j int) { leaving[i], leaving[j] = leaving[j], leaving[i] })
	leave := func() {
		for range min(len(leaving), 300) {
			sh.forget(leaving[0])
			sh.forget(leaving[0]) // twice does no harm
			leaving = leaving[1:]
		}
		come()
	}
	pieces := 0
	for below := len(sh.sessions); below > 0; pieces++ {
		looked := 0
		below = sh.piece(below, func(s *session) {
			if looked++; looked%100 == 0 {
				leave() // also while a piece is looked at
			}
			delete(staying, s)
		})
		if looked > maxPiece {
			t.Fatalf("%d sessions are looked at in one piece", looked)
		}
		leave()
	}
	if len(staying) > 0 || pieces < sessions/maxPiece {
		t.Errorf("%d sessions were missed in %d pieces", len(staying), pieces)
	}
	for i, s := range sh.sessions {
		if s.place != i {
			t.Fatalf("session %d believes that it is %d", i, s.place)
		}
	}
}

// All parked queries are answered, some in each task of the loop.
func TestParkedQueriesAreToldInPieces(t *testing.T) {
	const queries = maxPiece + 100
	c := start(t, 1, func(config *Config) { config.Loops = 1 }, nil)
	peers := make([]*peer, queries)
	for i := range peers {
		peers[i] = c.dial()
		peers[i].send(queryFrame(1))
	}
	c.awaitParked(queries)
	replies := [][]byte{winnersFrame()}
	c.onLoops(func(sh *shard) {
		c.replies.Store(&replies)
		if more := sh.tellParked(); !more || len(sh.parked) != queries-maxPiece {
			t.Errorf("%d queries are left after one piece (%v)", len(sh.parked), more)
		}
		if more := sh.tellParked(); more || len(sh.parked) != 0 {
			t.Errorf("%d queries are left after two pieces (%v)", len(sh.parked), more)
		}
	})
	for _, p := range peers {
		p.expect(winnersFrame())
	}
}

// A sweep also reaches the connections that come late.
func TestSweepsReachAll(t *testing.T) {
	const peers = maxPiece + 100
	c := start(t, 1, func(config *Config) { config.Backlog, config.IdleTimeout = 2*peers, time.Millisecond }, nil)
	for _, p := range c.dialMany(peers) {
		p.expectRetry()
		p.Close()
	}
	c.awaitSessions(0)
}
