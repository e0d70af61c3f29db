package admin

import (
	"sync"
	"sync/atomic"
	"time"

	"loteria/codec"
	"loteria/lottery"
	"loteria/reactor"
)

// counters counts what the reactor reports (reactor.Observer).
type counters struct {
	agencies []agencyCounters                // of agency i+1
	refusals map[lottery.Code]*atomic.Uint64 // for every code
	problems problems
	changed  chan struct{} // has room for one: something happened that people want to see at once

	shared     atomic.Bool // the bets are not only this central's: refresh counts them
	refreshing sync.Mutex  // one at a time does
}

// agencyCounters is what is counted for one agency.
type agencyCounters struct {
	bets    atomic.Uint64 // durable, of the whole contest
	known   atomic.Bool   // bets was learned, and 0 means none
	before  atomic.Uint64 // those of bets that existed when it became known
	own     atomic.Uint64 // with a shared ledger: new ones that this central has stored since the start
	batches atomic.Uint64 // BETs and BATCHes acknowledged since the start
	bytes   atomic.Uint64 // of their payloads
	refused atomic.Uint64 // requests
	told    atomic.Bool   // its winners were sent
}

func newCounters(agencies int) *counters {
	t := &counters{
		agencies: make([]agencyCounters, agencies),
		refusals: map[lottery.Code]*atomic.Uint64{reactor.Retry: {}},
		changed:  make(chan struct{}, 1),
	}
	for _, code := range codec.Codes() {
		t.refusals[code] = new(atomic.Uint64)
	}
	return t
}

// begin counts the bets that a contest had before the reactor began.
func (t *counters) begin(contest *lottery.Contest) {
	if contest.Shared() {
		t.shared.Store(true)
		t.refresh(contest)
		return
	}
	for _, s := range contest.Standings() {
		t.agencies[s.Agency-1].learn(s.Bets)
	}
}

// learn sets how many bets of an agency there are, once that is known.
func (a *agencyCounters) learn(bets uint64) {
	a.before.Store(bets - min(bets, a.own.Load())) // first, or all of them would look new
	a.bets.Store(bets)
	a.known.Store(true)
}

// refresh counts the bets of a contest that other centrals store, too. There
// are never fewer than there were.
func (t *counters) refresh(contest *lottery.Contest) {
	t.refreshing.Lock()
	defer t.refreshing.Unlock()
	for agency, bets := range contest.Durable() {
		a := &t.agencies[agency-1]
		switch {
		case !a.known.Load():
			a.learn(bets)
		case bets > a.bets.Load():
			a.bets.Store(bets)
		}
	}
}

// of returns the counters of an agency, or nil for one that is not expected.
func (t *counters) of(agency int) *agencyCounters {
	if agency < 1 || agency > len(t.agencies) {
		return nil
	}
	return &t.agencies[agency-1]
}

// Stored implements reactor.Observer.
func (t *counters) Stored(agency, bets, bytes int) {
	if a := t.of(agency); a != nil {
		if t.shared.Load() {
			a.own.Add(uint64(bets))
		} else {
			a.bets.Add(uint64(bets))
		}
		a.batches.Add(1)
		a.bytes.Add(uint64(bytes))
	}
}

// Refused implements reactor.Observer.
func (t *counters) Refused(r reactor.Refused) {
	if n := t.refusals[r.Code]; n != nil {
		n.Add(1)
	}
	if a := t.of(r.Agency); a != nil {
		a.refused.Add(1)
	}
	t.problems.add(r, time.Now())
	t.wake()
}

// WinnersSent implements reactor.Observer.
func (t *counters) WinnersSent(agency int) {
	if a := t.of(agency); a != nil && !a.told.Load() {
		a.told.Store(true)
		t.wake()
	}
}

func (t *counters) wake() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// bets returns how many bets of all agencies are durable.
func (t *counters) bets() (sum uint64) {
	for i := range t.agencies {
		sum += t.agencies[i].bets.Load()
	}
	return sum
}

// grown returns how many bets of all agencies are new since the count began.
func (t *counters) grown() (sum uint64) {
	for i := range t.agencies {
		sum += t.agencies[i].grown()
	}
	return sum
}

func (a *agencyCounters) grown() uint64 {
	bets := a.bets.Load() // before the other, which is changed first
	return bets - min(bets, a.before.Load())
}
