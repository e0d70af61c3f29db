package reactor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"loteria/codec"
	"loteria/lottery"
)

// lateLottery is a lottery whose calls all begin and end late, in order, on a
// goroutine of its own.
type lateLottery struct {
	mu      sync.Mutex
	waiting []func()
	came    chan struct{}
	ended   chan struct{}
}

func newLateLottery() *lateLottery {
	return &lateLottery{came: make(chan struct{}, 1), ended: make(chan struct{})}
}

func (l *lateLottery) put(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, f)
	select {
	case l.came <- struct{}{}:
	default:
	}
}

func (l *lateLottery) run(stop chan struct{}) {
	defer close(l.ended)
	for {
		select {
		case <-l.came:
		case <-stop:
			return
		}
		l.mu.Lock()
		waiting := l.waiting
		l.waiting = nil
		l.mu.Unlock()
		for _, f := range waiting {
			f()
		}
	}
}

func (l *lateLottery) hooked() *hooked {
	return &hooked{
		begin: func(_ string, _ int, do func()) { l.put(do) },
		done:  func(_ string, _ int, err error, tell func(error)) { l.put(func() { tell(err) }) },
	}
}

// visit is one connection that does as it likes. It calls said when it has sent all,
// and returns what is wrong with the answers, if it has read them.
func visit(c *central, random *rand.Rand, agency int, said func()) error {
	p := c.dial()
	defer p.Close()
	said = sync.OnceFunc(said)
	defer said()
	stream := resumeFrame(agency)
	for i := range 1 + random.IntN(40) {
		raw := rawBetOf(agency, strconv.Itoa(i), losing) // numbered, to see their order
		switch random.IntN(12) {
		case 0, 1, 2, 3:
			stream = append(stream, betFrame(raw)...)
		case 4, 5, 6:
			stream = append(stream, batchFrame(raw, raw, raw)...)
		case 7:
			stream = append(stream, resumeFrame(agency)...)
		case 8:
			raw.Number = "x"
			stream = append(stream, betFrame(raw)...)
		case 9:
			stream = append(stream, queryFrame(agency)...)
		case 10:
			stream = append(stream, betFrame(document(string(bytes.Repeat([]byte("1"), 8000))))...)
		case 11:
			if random.IntN(8) == 0 {
				stream = append(stream, 0, 0, 0, 0, 0x0c)
			}
		}
	}
	for rest := stream; len(rest) > 0; {
		n := min(1+random.IntN(5000), len(rest))
		if _, err := p.Write(rest[:n]); err != nil {
			return nil // it was cut
		}
		rest = rest[n:]
	}
	switch random.IntN(4) {
	case 0:
		p.reset()
		return nil
	case 1:
		return nil
	case 2:
		_, _ = p.Read(make([]byte, 1+random.IntN(200)))
		return nil
	}
	if err := p.CloseWrite(); err != nil {
		return nil
	}
	said()
	answers, _ := io.ReadAll(p)
	return inOrder(answers)
}

// inOrder checks that answers are whole frames, and those of bets in order.
func inOrder(answers []byte) error {
	var decoder codec.Decoder
	last := -1
	for len(answers) > 0 {
		f, rest, ok, err := decoder.Next(answers)
		if err != nil {
			return fmt.Errorf("%w: %.50q", err, answers)
		}
		if !ok {
			return nil // it was cut
		}
		answers = rest
		var success codec.Success
		if f.Type != codec.TypeSuccess || success.Decode(f.Payload) != nil {
			continue
		}
		n, err := strconv.Atoi(success.Document)
		if err != nil || n <= last {
			return fmt.Errorf("bet %d was acknowledged after bet %d (%v)", n, last, err)
		}
		last = n
	}
	return nil
}

// finishFenced ends the betting of an agency for which several peers have sent RESUME.
func finishFenced(t *testing.T, l Lottery, agency int) {
	ended := make(chan error, 1)
	tell := func(err error) { ended <- err }
	var writer lottery.Writer
	for {
		err := l.Finish(agency, writer, lottery.Tally{}, tell)
		if err == nil {
			err = await(t, ended, "the agency's betting does not end")
		}
		if !errors.Is(err, lottery.Fenced) {
			if err != nil {
				t.Error(err)
			}
			return
		}
		if writer, err = l.Resume(agency, func(_, _ uint64, err error) { tell(err) }); err != nil {
			t.Error(err)
			return
		}
		await(t, ended, "RESUME has no answer")
	}
}

// Many connections of all kinds on several loops, spread from the start or moved,
// with a late lottery and bounds that are reached, leave nothing behind.
func TestChaos(t *testing.T) {
	for what, most := range map[string]int{"spread": -1, "moved": 0} {
		t.Run(what, func(t *testing.T) {
			before := gathered
			gathered = most
			defer func() { gathered = before }()
			chaos(t)
		})
	}
}

func chaos(t *testing.T) {
	const agencies, visitors = 5, 150
	leavesNothing(t, func(t *testing.T) {
		late, stopLate := newLateLottery(), make(chan struct{})
		go late.run(stopLate)
		t.Cleanup(func() {
			close(stopLate)
			<-late.ended
		})
		c := start(t, agencies, func(config *Config) {
			config.Loops, config.Backlog = 4, 1024
			config.WindowFrames = 30
			config.WindowBytes = 64 << 10
			config.MaxWaiting = 200 << 10
			config.MaxUnread = 20 << 10
		}, late.hooked().wrap)
		var visiting, speaking sync.WaitGroup
		come := func(seed uint64) {
			for i := range visitors {
				speaking.Add(1)
				visiting.Go(func() {
					random := rand.New(rand.NewPCG(seed, uint64(i)))
					if err := visit(c, random, 1+random.IntN(agencies), speaking.Done); err != nil {
						t.Error(err)
					}
				})
			}
		}
		come(1)
		speaking.Wait()
		come(2) // these may find the draw done, or not
		for i := range agencies {
			finishFenced(t, c.contest, i+1)
		}
		visiting.Wait()
		come(3)
		visiting.Wait()
		c.awaitSessions(0)
		c.expectIdle()
		c.expectEcho("hola\n")
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	})
}
