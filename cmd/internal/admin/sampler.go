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
	// sharedWindow is how many intervals the rates of a shared ledger span: it reports
	// the bets of other centrals at times of its own, so some seconds have no report.
	sharedWindow = 5
)

// rateSampler takes the rates at which bets come in, of the agencies that the page
// lists and of all together.
type rateSampler struct {
	mu    sync.Mutex
	ticks int // rates taken

	window int                     // intervals that a rate is taken over: 1, or sharedWindow
	taken  [sharedWindow]time.Time // when the last rates were, one per interval

	total curve
	each  []curve // of agency i+1
}

// curve is the last rates of a count, the oldest overwritten by the newest.
type curve struct {
	counts [sharedWindow]uint64 // the last counts, one per interval of the window
	rates  [curveLength]float64
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

// newRateSampler returns one without any bets.
func newRateSampler(t *counters, now time.Time) *rateSampler {
	p := &rateSampler{window: 1, each: make([]curve, min(maxListed, len(t.agencies)))}
	p.since(now)
	return p
}

func (p *rateSampler) since(now time.Time) {
	for i := range p.taken {
		p.taken[i] = now
	}
}

// begin starts the counters with the existing bets, which are no part of the next
// rates.
func (p *rateSampler) begin(t *counters, contest *lottery.Contest, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.begin(contest)
	if contest.Shared() {
		p.window = sharedWindow
	}
	p.since(now)
}

// take takes the rates since the last time.
func (p *rateSampler) take(t *counters, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := p.ticks % p.window
	seconds := now.Sub(p.taken[oldest]).Seconds()
	if seconds <= 0 {
		return
	}
	at := p.ticks % curveLength
	p.total.take(t.grown(), seconds, at, oldest)
	for i := range p.each {
		p.each[i].take(t.agencies[i].grown(), seconds, at, oldest)
	}
	p.ticks++
	p.taken[oldest] = now
}

func (c *curve) take(count uint64, seconds float64, at, oldest int) {
	c.rates[at] = math.Round(float64(count-c.counts[oldest]) / seconds)
	c.counts[oldest] = count
}

// now returns the rates that were last taken.
func (p *rateSampler) now() rates {
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

func (p *rateSampler) curves() Curves {
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
