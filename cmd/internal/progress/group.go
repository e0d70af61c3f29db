package progress

import "sync"

// Group is the bars of several senders, numbered from 0: one for each, or where
// these take more than half of the terminal, one for all. Nil shows nothing. It is
// safe for concurrent use.
type Group struct {
	mu   sync.Mutex
	bars []*Bar
	each []state
}

// AddGroup puts n bars below the others. all is the name of the one for all.
func (b *Bars) AddGroup(n int, name func(i int) string, all string) *Group {
	g := &Group{each: make([]state, n)}
	if _, rows := b.console.size(); n > rows/2 {
		n, name = 1, func(int) string { return all }
	}
	for i := range n {
		bar := b.Add(name(i))
		bar.Set(0)
		g.bars = append(g.bars, bar)
	}
	return g
}

// Set says how many bets of sender i are stored, and whether that is all.
func (g *Group) Set(i int, stored uint64, all bool) {
	g.change(i, func(s *state) {
		if s.stored = stored; all {
			s.end = finished
		}
	})
}

// SetTotal says how many bets one has in all.
func (g *Group) SetTotal(i int, total uint64) {
	g.change(i, func(s *state) { s.total, s.totalKnown = total, true })
}

func (g *Group) change(i int, change func(*state)) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.each[i])
	bar, of := g.bars[0], g.each
	if len(g.bars) == len(g.each) {
		bar, of = g.bars[i], g.each[i:i+1]
	}
	sum, all, counted := state{}, true, true
	for _, s := range of {
		sum.stored += s.stored
		sum.total += s.total
		all = all && s.end == finished
		counted = counted && s.totalKnown
	}
	if counted {
		bar.SetTotal(sum.total)
	}
	if bar.Set(sum.stored); all {
		bar.Finish()
	}
}
