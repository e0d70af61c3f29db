package admin

import (
	"slices"
	"sync"
	"time"

	"loteria/lottery"
	"loteria/reactor"
)

// Bounds of the problems that are kept; the oldest are forgotten. Those of one code
// and one address keep anybody from driving the others' out.
const (
	maxProblems   = 50
	maxPerCode    = 10
	maxPerAddress = 5
)

// problem is a refusal as people see it. Repeated ones are one problem: a peer that
// floods the central does not drown those of others.
type problem struct {
	Number uint64       `json:"number"` // of all since the start, from 1
	Time   time.Time    `json:"time"`   // of the last one
	Action string       `json:"action"` // of its line in the log
	Agency int          `json:"agency"` // 0 when none was named
	Code   lottery.Code `json:"code"`
	IP     string       `json:"ip"`
	Bets   int          `json:"bets"`  // that were refused
	Times  int          `json:"times"` // how often
}

// problems are the last ones.
type problems struct {
	mu    sync.Mutex
	last  []problem // oldest first
	count uint64
}

func (p *problems) add(r reactor.Refused, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.last {
		known := &p.last[i]
		if known.Action == r.Action && known.Agency == r.Agency && known.Code == r.Code && known.IP == r.Peer {
			known.Time = now
			known.Bets += r.Bets
			known.Times++
			return
		}
	}
	ofPeer := func(known *problem) bool { return known.IP == r.Peer }
	ofCode := func(known *problem) bool { return known.Code == r.Code }
	anyOne := func(*problem) bool { return true }
	for _, bound := range []struct {
		most int
		of   func(*problem) bool
	}{{maxPerAddress, ofPeer}, {maxPerCode, ofCode}, {maxProblems, anyOne}} {
		if p.forget(bound.most, bound.of) {
			break
		}
	}
	p.count++
	p.last = append(p.last, problem{
		Number: p.count, Time: now, Action: r.Action, Agency: r.Agency, Code: r.Code, IP: r.Peer, Bets: r.Bets, Times: 1,
	})
}

// forget makes room when there are that many problems of the kind: it removes
// the oldest one of the address that has the most of them.
func (p *problems) forget(most int, ofKind func(*problem) bool) bool {
	n, ofAddress := 0, make(map[string]int)
	for i := range p.last {
		if known := &p.last[i]; ofKind(known) {
			n++
			ofAddress[known.IP]++
		}
	}
	if n < most {
		return false
	}
	victim := -1
	for i := range p.last {
		if known := &p.last[i]; ofKind(known) && (victim < 0 || ofAddress[known.IP] > ofAddress[p.last[victim].IP]) {
			victim = i
		}
	}
	p.last = slices.Delete(p.last, victim, victim+1)
	return true
}

// all returns the problems that are kept, the oldest first.
func (p *problems) all() []problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]problem{}, p.last...) // in JSON never null
}
