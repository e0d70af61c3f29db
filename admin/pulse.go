package admin

import (
	"math"
	"sync"
	"time"

	"loteria/lottery"
)

const (
	// interval is how often rates are taken, and the page is fed.
	interval = time.Second
	// curveLength is how many rates a curve has: those of the last minutes.
	curveLength = 180
)

// pulse takes the rates at which bets come in, of the agencies that the page
// lists and of all together.
type pulse struct {
	mu    sync.Mutex
	ticks int       // rates taken
	taken time.Time // when the last ones were
	total curve
	each  []curve // of agency i+1
}

// curve is the last rates of a count, the oldest overwritten by the newest.
type curve struct {
	count uint64 // when it was last looked at
	rates [curveLength]float64
}

// rates are those of the last second.
type rates struct {
	tick  int
	total float64
	each  []float64
}

func (r rates) of(i int) float64 {
	if i < len(r.each) {
		return r.each[i]
	}
	return 0
}

// newPulse begins with the counts of the tally.
func newPulse(t *tally, now time.Time) *pulse {
	p := &pulse{each: make([]curve, min(maxListed, len(t.agencies)))}
	p.begin(t, nil, now)
	return p
}

// begin has the tally begin with the bets that there are, which are no part of
// the next rates.
func (p *pulse) begin(t *tally, standings []lottery.Standing, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.begin(standings)
	p.taken = now
	p.total.count = t.bets()
	for i := range p.each {
		p.each[i].count = t.agencies[i].bets.Load()
	}
}

// take takes the rates since the last time.
func (p *pulse) take(t *tally, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seconds := now.Sub(p.taken).Seconds()
	if seconds <= 0 {
		return
	}
	at := p.ticks % curveLength
	p.total.take(t.bets(), seconds, at)
	for i := range p.each {
		p.each[i].take(t.agencies[i].bets.Load(), seconds, at)
	}
	p.ticks++
	p.taken = now
}

func (c *curve) take(count uint64, seconds float64, at int) {
	c.rates[at] = math.Round(float64(count-c.count) / seconds)
	c.count = count
}

// now returns the rates that were last taken.
func (p *pulse) now() rates {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := rates{tick: p.ticks, each: make([]float64, len(p.each))}
	if p.ticks == 0 {
		return r
	}
	at := (p.ticks - 1) % curveLength
	r.total = p.total.rates[at]
	for i := range p.each {
		r.each[i] = p.each[i].rates[at]
	}
	return r
}

// Curves are the rates of the last minutes, in bets per second, one for each
// second, the oldest first.
type Curves struct {
	Length   int         `json:"length"` // how many rates a curve has at most
	Tick     int         `json:"tick"`   // State.Tick of the last one
	Total    []float64   `json:"total"`
	Agencies [][]float64 `json:"agencies"` // of agency i+1
}

func (p *pulse) curves() Curves {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := Curves{Length: curveLength, Tick: p.ticks, Total: p.total.inOrder(p.ticks), Agencies: make([][]float64, len(p.each))}
	for i := range p.each {
		c.Agencies[i] = p.each[i].inOrder(p.ticks)
	}
	return c
}

func (c *curve) inOrder(ticks int) []float64 {
	n := min(ticks, curveLength)
	rates := make([]float64, 0, n)
	for tick := ticks - n; tick < ticks; tick++ {
		rates = append(rates, c.rates[tick%curveLength])
	}
	return rates
}
