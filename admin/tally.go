package admin

import (
	"sync/atomic"
	"time"

	"loteria/codec"
	"loteria/lottery"
	"loteria/reactor"
)

// tally counts what the reactor tells of (reactor.Observer).
type tally struct {
	agencies []agencyTally                   // of agency i+1
	refusals map[lottery.Code]*atomic.Uint64 // for every code that there is
	problems problems
	changed  chan struct{} // has room for one: something happened that people want to see at once
}

// agencyTally is what is counted for one agency.
type agencyTally struct {
	bets    atomic.Uint64 // durable, those from before the start included
	batches atomic.Uint64 // BETs and BATCHes acknowledged since the start
	bytes   atomic.Uint64 // of their payloads
	refused atomic.Uint64 // requests
	told    atomic.Bool   // its winners
}

func newTally(agencies int) *tally {
	t := &tally{
		agencies: make([]agencyTally, agencies),
		refusals: map[lottery.Code]*atomic.Uint64{reactor.Retry: {}},
		changed:  make(chan struct{}, 1),
	}
	for _, code := range codec.Codes() {
		t.refusals[code] = new(atomic.Uint64)
	}
	return t
}

// begin counts the bets that a contest had before the reactor began.
func (t *tally) begin(standings []lottery.Standing) {
	for _, s := range standings {
		t.agencies[s.Agency-1].bets.Store(s.Bets)
	}
}

// of returns the tally of an agency, or nil for one that is not expected.
func (t *tally) of(agency int) *agencyTally {
	if agency < 1 || agency > len(t.agencies) {
		return nil
	}
	return &t.agencies[agency-1]
}

// Stored implements reactor.Observer.
func (t *tally) Stored(agency, bets, bytes int) {
	if a := t.of(agency); a != nil {
		a.bets.Add(uint64(bets))
		a.batches.Add(1)
		a.bytes.Add(uint64(bytes))
	}
}

// Refused implements reactor.Observer.
func (t *tally) Refused(r reactor.Refused) {
	if n := t.refusals[r.Code]; n != nil {
		n.Add(1)
	}
	if a := t.of(r.Agency); a != nil {
		a.refused.Add(1)
	}
	t.problems.add(r, time.Now())
	t.wake()
}

// Told implements reactor.Observer.
func (t *tally) Told(agency int) {
	if a := t.of(agency); a != nil && !a.told.Load() {
		a.told.Store(true)
		t.wake()
	}
}

func (t *tally) wake() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// bets returns how many bets of all agencies are durable.
func (t *tally) bets() (sum uint64) {
	for i := range t.agencies {
		sum += t.agencies[i].bets.Load()
	}
	return sum
}
