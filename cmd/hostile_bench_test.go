//go:build linux

package cmd_test

import (
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"loteria/codec"
)

// BenchmarkHostile plays lotteries with a crowd of hostile peers beside the
// honest agencies and without, by turns, and reports how much longer the median
// answer to a batch takes with them (answer-x), how long it takes without
// (answer-µs), and how much longer the median lottery takes (lottery-x).
//
//	go test ./cmd -run '^$' -bench Hostile -benchtime 9x
//
// The crowd, the agencies and the central share the machine: for a crowd that sends
// as fast as it can, a part of the result is the crowd's own cost. "no crowd"
// compares the one half with the other, and should be 1.
func BenchmarkHostile(b *testing.B) {
	for _, bench := range []struct {
		name  string
		args  []string
		crowd func(*hostileCrowd)
	}{
		{"no crowd", nil, func(*hostileCrowd) {}},
		{"1000 that send a byte a second", nil, func(c *hostileCrowd) { c.drip(1000) }},
		{"5000 with half a frame", nil, func(c *hostileCrowd) { c.hold(5000, []byte{0, 0, 0x20, 0, byte(codec.TypeBatch), 0}) }},
		{"5000 that say nothing", nil, func(c *hostileCrowd) { c.hold(5000, nil) }},
		{"1000 a second with a length of 2^32-1", nil, func(c *hostileCrowd) {
			c.each(1000, func(p *hostilePeer, _ *rand.Rand) {
				_, _ = p.Write(append(mustFrames(&codec.Resume{Agency: strconv.Itoa(stranger)}), 0xFF, 0xFF, 0xFF, 0xFF, byte(codec.TypeBatch)))
			})
		}},
		{"1000 a second that come and go", nil, func(c *hostileCrowd) { c.each(1000, func(*hostilePeer, *rand.Rand) {}) }},
		{"1000 a second with random bytes", nil, func(c *hostileCrowd) {
			c.each(1000, func(p *hostilePeer, rng *rand.Rand) {
				if stream := garbage(rng, c.known); !betsOrFinishes(stream) {
					_, _ = p.Write(stream)
				}
			})
		}},
		{"100000 tiny frames a second", nil, func(c *hostileCrowd) {
			frames := []byte(strings.Repeat(string(mustFrames(&codec.Resume{Agency: strconv.Itoa(stranger)})), 500))
			c.each(200, func(p *hostilePeer, _ *rand.Rand) { _, _ = p.Write(frames); c.linger(p) })
		}},
		{"10000 refused bets a second", nil, func(c *hostileCrowd) {
			frames := []byte(strings.Repeat(string(mustFrames(&codec.Bet{RawBet: hostileRawBet(stranger, 1)})), 100))
			c.each(100, func(p *hostilePeer, _ *rand.Rand) { _, _ = p.Write(frames); c.linger(p) })
		}},
		{"1000 a second for another agency", nil, func(c *hostileCrowd) {
			frames := mustFrames(&codec.Resume{Agency: strconv.Itoa(stranger)}, &codec.Bet{RawBet: hostileRawBet(2, 1)}, &codec.WinnersQuery{Agency: "3"})
			c.each(1000, func(p *hostilePeer, _ *rand.Rand) { _, _ = p.Write(frames); c.linger(p) })
		}},
		{"1000 echo lines a second", nil, func(c *hostileCrowd) {
			c.each(1000, func(p *hostilePeer, rng *rand.Rand) { _, _ = p.Write([]byte("x" + forgery(rng) + "\n")); c.linger(p) })
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var alone, beside hostileTimes
			known := vectorStreams(b)
			turn := 0
			for b.Loop() {
				plays := []func(){
					func() { alone.play(b, known, bench.args, func(*hostileCrowd) {}) },
					func() { beside.play(b, known, bench.args, bench.crowd) },
				}
				if turn++; turn%2 == 0 {
					slices.Reverse(plays)
				}
				for _, play := range plays {
					play()
				}
			}
			b.ReportMetric(0, "ns/op") // it is that of two lotteries and all around them
			b.ReportMetric(ratio(median(beside.answers), median(alone.answers)), "answer-x")
			b.ReportMetric(float64(median(alone.answers).Microseconds()), "answer-µs")
			b.ReportMetric(ratio(median(beside.lotteries), median(alone.lotteries)), "lottery-x")
		})
	}
}

// hostileTimes is how long honest agencies have waited.
type hostileTimes struct {
	answers   []time.Duration // for the answer to a batch
	lotteries []time.Duration // from the first connection to the last winner
}

// play plays one lottery over the project's data, with the crowd at work from
// before its beginning to its end. Each agency waits for each answer, so the time
// between two batches is that of an answer.
func (times *hostileTimes) play(b *testing.B, known [][]byte, args []string, crowd func(*hostileCrowd)) {
	b.Helper()
	central := &hostileCentral{tb: b, storage: b.TempDir(), deaf: true}
	central.launch(agencies, args)
	s := &hostileScene{tb: b, central: central, data: "../.data", batch: 100, window: 1, begun: make(chan struct{}), told: map[int]int{}}
	var mu sync.Mutex
	last := map[int]time.Time{}
	s.answered = func(id int) {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if before, ok := last[id]; ok {
			times.answers = append(times.answers, now.Sub(before))
		}
		last[id] = now
	}
	c := &hostileCrowd{hostileScene: s, known: known, quit: make(chan struct{})}
	crowd(c)
	begun := time.Now()
	s.honest(1, 2, 3, 4, 5)
	times.lotteries = append(times.lotteries, time.Since(begun))
	close(c.quit)
	c.running.Wait()
	s.leave()
	for id := 1; id <= agencies; id++ {
		if told, known := s.told[id]; !known || told != winners[id] {
			b.Errorf("agency %d was told of %d winners (%v), expected %d", id, told, known, winners[id])
		}
	}
	central.stop()
	central.check(78_697)
	_ = os.RemoveAll(central.storage)
}

// hostileCrowd works until it is told to quit. It begins at once, and keeps its
// rates as far as it can.
type hostileCrowd struct {
	*hostileScene
	known   [][]byte
	quit    chan struct{}
	running sync.WaitGroup
}

// hold opens connections that send only text.
func (c *hostileCrowd) hold(n int, text []byte) {
	for _, p := range c.open(affordable(c.tb, n)) {
		_, _ = p.Write(text)
	}
	c.central.awaitConnections(n, n)
}

// drip opens connections that send a byte of a frame a second each.
func (c *hostileCrowd) drip(n int) {
	peers := c.open(affordable(c.tb, n))
	frame := []byte{0, 0, 0x20, 0, byte(codec.TypeBatch)}
	c.running.Go(func() {
		ticker := time.NewTicker(time.Second / time.Duration(n))
		defer ticker.Stop()
		for i := 0; c.wait(ticker); i++ {
			next := byte(0)
			if sent := i / n; sent < len(frame) {
				next = frame[sent]
			}
			_, _ = peers[i%n].Write([]byte{next})
		}
	})
}

// each opens that many connections a second for f, and resets them after it.
func (c *hostileCrowd) each(perSecond int, f func(*hostilePeer, *rand.Rand)) {
	const openers = 4
	for opener := range openers {
		c.running.Go(func() {
			ticker := time.NewTicker(openers * time.Second / time.Duration(perSecond))
			defer ticker.Stop()
			for i := opener; c.wait(ticker); i += openers {
				p, err := c.dial(i)
				if err != nil {
					c.fail(i, err)
					return
				}
				f(p, rand.New(rand.NewPCG(c.seed, uint64(i))))
				p.reset()
			}
		})
	}
}

func (c *hostileCrowd) wait(ticker *time.Ticker) bool {
	select {
	case <-c.quit:
		return false
	case <-ticker.C:
		return true
	}
}

// linger reads what the central says for a moment, so that it is not spared the
// work by a connection that is gone.
func (c *hostileCrowd) linger(p *hostilePeer) {
	_ = p.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	_, _ = io.Copy(io.Discard, p)
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
