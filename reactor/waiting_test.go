package reactor

import (
	"bytes"
	"runtime"
	"testing"

	"loteria/lottery"
)

// heldLottery admits all batches, keeps nothing of them, and does not tell that they
// are durable before it is told to.
type heldLottery struct {
	Lottery
	held []func(error)
}

func (h *heldLottery) wrap(l Lottery) Lottery {
	h.Lottery = l
	return h
}

func (h *heldLottery) Store(_ *lottery.Batch, _ lottery.Writer, done func(error)) error {
	h.held = append(h.held, done)
	return nil
}

// A batch that waits for the disk costs little beside its rows: its frame is not
// kept, and of its bets no more than the log needs.
func TestWaitingBatchesCostLittle(t *testing.T) {
	const connections, window = 100, 8
	for name, test := range map[string]struct {
		journal func(*Config)
		most    int // bytes
	}{
		"each bet is logged": {func(*Config) {}, 3500},
		"no bet is logged":   {func(config *Config) { config.Journal = nil }, frameCost + jobCost},
	} {
		t.Run(name, func(t *testing.T) {
			held := &heldLottery{held: make([]func(error), 0, connections*window)}
			c := start(t, 1, func(config *Config) { config.Loops = 1; test.journal(config) }, held.wrap)
			rawBets := losers(1, 100)
			batch := batchFrame(rawBets...)
			peers := make([]*peer, connections)
			for i := range peers {
				peers[i] = c.dial()
				peers[i].send(resumeFrame(1))
				peers[i].expect(pointFrame())
			}
			before := heap()
			for range window {
				for _, p := range peers {
					p.send(batch)
				}
			}
			c.await("all batches wait", func() bool { return c.Stats().WaitingFrames == connections*window })
			c.onLoops((*shard).sweep)
			if each := (heap() - before) / (connections * window); each > test.most {
				t.Errorf("each batch of %d bytes costs %d, expected at most %d", len(batch), each, test.most)
			} else {
				t.Logf("each batch of %d bytes costs %d", len(batch), each)
			}
			var told []func(error)
			c.onLoops(func(*shard) { told = held.held })
			for _, done := range told {
				done(nil)
			}
			for _, p := range peers {
				p.expectBytes(bytes.Repeat(successFrame(rawBets[0]), window))
			}
		})
	}
}

// heap returns how many bytes are in use, garbage aside.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
