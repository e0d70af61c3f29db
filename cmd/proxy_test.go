//go:build linux

package cmd_test

import (
	"io"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy passes the bytes between one agency and the central on, in random
// pieces and with pauses, until it cuts the connection. It changes no order, and
// no byte unless it turns bits.
type proxy struct {
	listener net.Listener
	central  string
	budget   *atomic.Int64 // cuts that are left, of all proxies
	longest  time.Duration // that a connection which is to be cut lives

	rng     *rand.Rand // of the goroutine that accepts
	started int        // connections in a row that were cut before the first answer

	mu       sync.Mutex
	answered bool // a whole answer has passed once
	turning  bool // a bit is turned where a connection would be cut
	cuts     map[string]int
	passed   int64 // bytes
	open     map[net.Conn]struct{}
	closing  bool
	running  sync.WaitGroup
}

// Sizes of frames, in bytes.
const (
	resumeSize      = 4 + 1 + 2 + 1 + 1
	resumePointSize = 4 + 1 + 8 + 8 + 1
)

// handshakeSize is more than the TLS handshake and the first answer after it take
// in either direction.
const handshakeSize = 4096

// fate is what happens to one connection. Positions count the bytes of one
// direction from the connection's beginning; a negative one is never reached.
type fate struct {
	toCentral, toAgency int64         // where it is cut
	life                time.Duration // when it is cut, 0 for never
	reset               bool          // it ends with a reset, not with an end of file
	turn                byte          // bits that are turned there, 0 for none: then it is cut
	seed                uint64        // of pieces and pauses
}

func startProxy(t *testing.T, over transport, central string, seed uint64, id int, budget *atomic.Int64, longest time.Duration) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{
		listener: listener, central: central, budget: budget, longest: longest,
		rng:  rand.New(rand.NewPCG(seed, uint64(id))),
		cuts: map[string]int{}, open: map[net.Conn]struct{}{},
		// Over TLS no central is taken for one that does not know RESUME.
		answered: over.secure(),
	}
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) close() {
	p.mu.Lock()
	p.closing = true
	p.listener.Close()
	for conn := range p.open {
		conn.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *proxy) accept() {
	for {
		agency, err := p.listener.Accept()
		if err != nil {
			return
		}
		central, err := net.Dial("tcp", p.central)
		if err != nil { // at the end of the test
			agency.Close()
			continue
		}
		f := p.draw()
		p.mu.Lock()
		p.open[agency], p.open[central] = struct{}{}, struct{}{}
		if p.closing {
			agency.Close()
			central.Close()
		}
		p.mu.Unlock()
		p.running.Go(func() { p.serve(agency, central, f) })
	}
}

// draw decides the fate of the next connection.
func (p *proxy) draw() fate {
	f := fate{toCentral: -1, toAgency: -1, reset: chance(p.rng, 2), seed: p.rng.Uint64()}
	switch p.rng.IntN(5) {
	case 0, 1:
		f.toCentral = int64(upTo(p.rng, 128<<10))
	case 2, 3:
		f.toAgency = int64(upTo(p.rng, 8<<10))
	case 4:
		f.life = time.Duration(1+upTo(p.rng, int(p.longest/time.Millisecond))) * time.Millisecond
	}
	if f.life == 0 {
		f.life = upToTime(p.rng, p.longest)
	}
	if p.budget.Load() <= 0 {
		return fate{toCentral: -1, toAgency: -1, seed: f.seed}
	}
	if p.turns() {
		// Before the first answer what comes may look like another central's.
		f.turn, f.life = 1<<p.rng.IntN(8), 0
		if f.toCentral >= 0 {
			f.toCentral += handshakeSize
		}
		if f.toAgency >= 0 {
			f.toAgency += handshakeSize
		}
	}
	// A central that closes three connections in a row on RESUME is taken for
	// one that does not know it, as long as it has never answered one: see
	// resumeClosings in package agency.
	p.mu.Lock()
	answered := p.answered
	p.mu.Unlock()
	if !answered && (f.toCentral >= 0 && f.toCentral < resumeSize || f.toAgency >= 0 && f.toAgency < resumePointSize || f.life < time.Second) {
		if p.started++; p.started > 2 {
			f.toCentral, f.toAgency, f.life = 4096, -1, 0
		}
	}
	return f
}

// serve passes bytes on until the connection ends, or is cut.
func (p *proxy) serve(agency, central net.Conn, f fate) {
	var once sync.Once
	ended := make(chan struct{})
	end := func(how string) {
		once.Do(func() {
			close(ended)
			p.mu.Lock()
			if how != "" {
				p.cuts[how]++
				p.budget.Add(-1)
			}
			delete(p.open, agency)
			delete(p.open, central)
			p.mu.Unlock()
			for _, conn := range []net.Conn{agency, central} {
				if how != "" && f.reset {
					_ = conn.(*net.TCPConn).SetLinger(0)
				}
				conn.Close()
			}
		})
	}
	var both sync.WaitGroup
	pass := func(to, from net.Conn, cut int64, way string, seed uint64) {
		n, cutOff := p.copy(to, from, cut, f.turn, rand.New(rand.NewPCG(f.seed, seed)), ended)
		if way == "to the agency" && n >= resumePointSize {
			p.mu.Lock()
			p.answered = true
			p.mu.Unlock()
		}
		if cutOff {
			end(way)
			return
		}
		// One direction has ended by itself; the other may have more to say.
		_ = to.(*net.TCPConn).CloseWrite()
	}
	both.Go(func() { pass(central, agency, f.toCentral, "to the central", 1) })
	both.Go(func() { pass(agency, central, f.toAgency, "to the agency", 2) })
	if f.life > 0 {
		timer := time.AfterFunc(f.life, func() { end("in time") })
		defer timer.Stop()
	}
	both.Wait()
	end("")
}

// copy passes bytes on in pieces, and says how many and whether it stopped at
// the position where the connection is to be cut. With bits to turn it turns them
// there, and goes on.
func (p *proxy) copy(to io.Writer, from io.Reader, cut int64, turn byte, rng *rand.Rand, ended <-chan struct{}) (n int64, cutOff bool) {
	limit := int64(math.MaxInt64)
	if cut >= 0 {
		limit = cut
	}
	defer func() {
		p.mu.Lock()
		p.passed += n
		p.mu.Unlock()
	}()
	buffer := make([]byte, 16<<10)
	for {
		size, err := from.Read(buffer)
		for rest := buffer[:size]; len(rest) > 0; {
			piece := min(1+upTo(rng, len(buffer)), len(rest))
			whole := limit - n
			if int64(piece) > whole {
				piece = int(whole)
			}
			if chance(rng, 64) {
				select {
				case <-time.After(upToTime(rng, 3*time.Millisecond)):
				case <-ended:
				}
			}
			sent, err := to.Write(rest[:piece])
			n += int64(sent)
			if err != nil {
				return n, false
			}
			if rest = rest[piece:]; n == limit && len(rest) > 0 {
				if turn == 0 {
					return n, true
				}
				p.turned()
				rest[0] ^= turn
				limit = math.MaxInt64
			}
		}
		if err != nil {
			return n, false
		}
	}
}

// turnBits has bits flipped where connections would be cut, from the next one on.
func (p *proxy) turnBits() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turning = true
}

func (p *proxy) turns() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.turning
}

// turned counts a bit that is turned.
func (p *proxy) turned() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts["a bit turned"]++
	p.budget.Add(-1)
}

// TestTurned flips bits in the TLS traffic between agencies and the central, again
// and again. Each is found before any use is made of it: the connection ends, and
// the agency goes on over another one.
func TestTurned(t *testing.T) {
	turns, perLottery := 5, int64(15)
	if long() {
		turns, perLottery = 250, 60
	}
	seed := seeded(t)
	in := readInput(t, "../.data")
	all, turned := newTally(), 0
	for n := uint64(0); turned < turns; n++ {
		rng := rand.New(rand.NewPCG(seed, n))
		over := overTLS(t, agencies)
		r := newRoundOver(t, over, in, []int{10, 50}[rng.IntN(2)], []int{4, 16}[rng.IntN(2)])
		var budget atomic.Int64
		budget.Store(perLottery)
		var proxies []*proxy
		reach := map[int]string{}
		for id := 1; id <= agencies; id++ {
			p := startProxy(t, over, r.address, rng.Uint64(), id, &budget, time.Second)
			p.turnBits()
			proxies, reach[id] = append(proxies, p), p.address()
		}
		r.reach = func(id int) string { return reach[id] }
		r.mayFail = "action: receive_frame" // the central says what has come
		// After a length that has grown, the central waits for more.
		r.startCentral("--frame-timeout", "1s", "--idle-timeout", "1s")
		r.play()
		for _, p := range proxies {
			p.close()
			turned += p.cuts["a bit turned"]
		}
		all.add(r.tally)
	}
	if all.losses == 0 {
		t.Errorf("no connection was lost: %v", all)
	}
	t.Logf("%d bits turned; %v", turned, all)
}

// TestCuts plays lotteries over the project's data with a proxy before every
// agency, or with two whose addresses it knows, until enough connections are cut.
// The central stays up.
func TestCuts(t *testing.T) { eachTransport(t, testCuts) }

func testCuts(t *testing.T, over transport) {
	cuts, perLottery, longest := 10, int64(15), time.Second
	if long() {
		cuts, perLottery, longest = 250, 60, 3*time.Second
	}
	seed := seeded(t)
	in := readInput(t, "../.data")
	begun := time.Now()
	all, kinds, total, passed := newTally(), map[string]int{}, 0, int64(0)
	for n := uint64(0); total < cuts; n++ {
		rng := rand.New(rand.NewPCG(seed, n))
		batch, window := 50, 4
		if long() {
			batch, window = []int{10, 25, 100}[rng.IntN(3)], []int{2, 8, 32}[rng.IntN(3)]
		}
		r := newRoundOver(t, over, in, batch, window)
		var budget atomic.Int64
		budget.Store(perLottery)
		var proxies []*proxy
		reach := map[int]string{}
		for id := 1; id <= agencies; id++ {
			p := startProxy(t, over, r.address, rng.Uint64(), id, &budget, longest)
			proxies, reach[id] = append(proxies, p), p.address()
			if n%2 == 0 {
				p = startProxy(t, over, r.address, rng.Uint64(), id, &budget, longest)
				proxies, reach[id] = append(proxies, p), reach[id]+","+p.address()
			}
		}
		r.reach = func(id int) string { return reach[id] }
		if over.secure() {
			renewing(r, rng)
		}
		// An agency would take a proxy without a central for a cut, and before the
		// first answer fewer than three are allowed.
		r.startCentral()
		r.until("the central listens", func() bool { return r.listening })
		r.play()
		for _, p := range proxies {
			p.close()
			passed += p.passed
			for kind, n := range p.cuts {
				kinds[kind] += n
				total += n
			}
		}
		if r.tally.total > 0 || r.tally.recoveries > 0 || r.draws != 1 {
			t.Errorf("the central did not stay up, or drew %d times: %v", r.draws, r.tally)
		}
		t.Logf("batches of %d, window %d: %d cuts until here %v, %v", r.batch, r.window, total, kinds, r.tally)
		all.add(r.tally)
	}
	t.Logf("%d cuts %v, %d bytes passed on; %v; %v", total, kinds, passed, all, time.Since(begun).Round(time.Second))
}
