// Package reactor is the central's side of the wire: one gnet event loop
// handles all connections and never waits; whole batches go to a pool of
// workers that have the lottery store them; queries for winners are parked
// until the draw. It knows nothing of how a row is written or a bet is judged.
package reactor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/rs/zerolog"
)

const (
	keepAlive     = time.Minute // until a silent peer is asked whether it lives
	sweepInterval = time.Second // between looks for what has taken too long
	workersTime   = time.Second // for workers that have nothing to do to end

	// readBuffer is how many bytes the loop reads at once: with gnet's 64 KiB,
	// an agency with a window costs one system call for 11 batches.
	readBuffer = 256 << 10
)

// Server is the central's reactor. A Server is run once.
//
// What is the loop's belongs to the goroutine of gnet's one event loop. Others
// hand work to it with post.
type Server struct {
	gnet.BuiltinEventEngine
	config  Config
	lottery Lottery
	log     zerolog.Logger // the loop's

	booted  error         // why OnBoot failed
	engine  gnet.Engine   // set by OnBoot
	ready   chan struct{} // closed by OnBoot
	address net.Addr      // set by OnBoot

	queue     chan *burst // has room for one burst of each session, so enqueue never waits
	announced atomic.Bool // the draw is done and logged: winners may be told
	stopping  atomic.Bool

	gate sync.RWMutex // held for reading in post, for writing to shut it
	shut bool
	loop atomic.Pointer[gnet.EventLoop] // known from the first connection on

	counts

	// The loop's.
	sessions  map[*session]struct{} // whose connection is open or whose burst is out
	addresses map[string]int        // open connections from each
	parked    map[*session]struct{} // whose burst waits for the draw
	lingering map[*session]struct{}
	quiet     chan struct{}  // closed when stopping and busy is 0
	winners   map[int][]byte // answer to each agency's query, once the draw is announced
}

// New returns a Server for the lottery. A draw that is done already was logged by
// whoever opened it; one that comes from now on is logged by Run.
func New(config Config, lottery Lottery) *Server {
	if config.Observer == nil {
		config.Observer = nobody{}
	}
	s := &Server{
		config:    config,
		lottery:   lottery,
		log:       config.LoopLog,
		ready:     make(chan struct{}),
		queue:     make(chan *burst, config.MaxConnections),
		sessions:  make(map[*session]struct{}),
		addresses: make(map[string]int),
		parked:    make(map[*session]struct{}),
		lingering: make(map[*session]struct{}),
		quiet:     make(chan struct{}),
		winners:   make(map[int][]byte),
	}
	s.announced.Store(s.isDrawn())
	return s
}

// Run serves until ctx is done, and then stops: nothing new is accepted, what
// the workers have is finished and answered within the stop timeout, and every
// connection, the listener and the workers are closed. It returns an error
// when the server cannot listen, when it fails, or when work in flight does not
// end in time.
func (s *Server) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range s.config.Workers {
		workers.Go(s.work)
	}
	ended := make(chan error, 1)
	go func() {
		if err := isFree(s.config.Address); err != nil {
			ended <- err
			return
		}
		ended <- gnet.Run(s, "tcp://"+s.config.Address,
			gnet.WithNumEventLoop(1),
			gnet.WithReuseAddr(true),
			// This has the one loop accept connections itself. With a loop for
			// that alone, which gnet makes otherwise, connections are accepted
			// faster than a busy loop can refuse them, until descriptors run
			// out; and that ends gnet.
			gnet.WithReusePort(true),
			gnet.WithReadBufferCap(readBuffer),
			gnet.WithLogger(gnetLog{s.config.Log}))
	}()

	err := s.serve(ctx, ended)
	close(s.queue)
	if !s.closeWorkers(&workers) {
		err = errors.Join(err, errors.New("some workers are stuck in the lottery"))
	}
	s.logDraw() // the last FINISHED may have come while stopping
	return err
}

// serve returns when the event loop has ended.
func (s *Server) serve(ctx context.Context, ended <-chan error) error {
	select {
	case err := <-ended: // before it was ready: it cannot listen
		return fmt.Errorf("listen on %s: %w", s.config.Address, errors.Join(err, s.booted))
	case <-s.ready:
	}
	watching, stopWatching := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	watchers.Go(func() { s.announce(watching) })
	watchers.Go(func() { s.sweepRegularly(watching) })
	defer watchers.Wait()
	defer stopWatching()

	select {
	case err := <-ended:
		s.shutGate()
		if err == nil {
			err = errors.New("the event loop has ended by itself")
		}
		return err
	case <-ctx.Done():
	}
	s.config.Log.Info().Str("action", "shutdown").Str("result", "in_progress").Send()
	err := s.settle()
	s.shutGate()
	// Stop starts the shutdown at once and would then poll for its end every
	// half second; the end of gnet.Run tells sooner.
	done, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.engine.Stop(done)
	err = errors.Join(err, <-ended)
	s.config.Log.Info().Str("action", "close_listener").Str("result", "success").Stringer("address", s.address).Send()
	return err
}

// settle stops taking requests and waits until the workers have none.
func (s *Server) settle() error {
	s.stopping.Store(true)
	if !s.post(runnable(s.closeIdle)) {
		return nil // there was never a connection
	}
	timeout := time.NewTimer(s.config.StopTimeout)
	defer timeout.Stop()
	select {
	case <-s.quiet:
		return nil
	case <-timeout.C:
		return fmt.Errorf("work in flight has not ended within %v", s.config.StopTimeout)
	}
}

// closeWorkers ends the workers and reports whether all have. Those that had
// the stop timeout already, and are still stuck, get a moment only.
func (s *Server) closeWorkers(workers *sync.WaitGroup) bool {
	ended := make(chan struct{})
	go func() {
		workers.Wait()
		close(ended)
	}()
	timeout := time.NewTimer(workersTime)
	defer timeout.Stop()
	select {
	case <-ended:
		s.config.Log.Info().Str("action", "close_workers").Str("result", "success").Int("workers", s.config.Workers).Send()
		return true
	case <-timeout.C:
		s.config.Log.Error().Str("action", "close_workers").Str("result", "fail").Int("workers", s.config.Workers).Send()
		return false
	}
}

// work is the goroutine of one worker.
func (s *Server) work() {
	w := worker{lottery: s.lottery, log: s.config.Log, observer: s.config.Observer}
	for b := range s.queue {
		w.work(b)
		if !b.bets {
			w.finish(b)
			s.post(b)
			continue
		}
		session := b.session
		wanted, settle := session.pipeline.admit(b)
		if wanted {
			s.post(runnable(session.dispatch))
		}
		if settle {
			s.settleBursts(&w, session)
		}
	}
}

// settleBursts has the worker settle the session's bursts, as long as there
// are any.
func (s *Server) settleBursts(w *worker, session *session) {
	for {
		b, ok := session.pipeline.next()
		if !ok {
			return
		}
		w.finish(b)
		s.post(b)
	}
}

// announce logs the draw when it is done, and then lets the winners be told.
func (s *Server) announce(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-s.lottery.Drawn():
		s.logDraw()
		s.post(runnable(s.tellParked))
	}
}

// logDraw logs the draw if it is done and was not logged.
func (s *Server) logDraw() {
	if s.isDrawn() && !s.announced.Load() {
		s.config.Log.Info().Str("action", "sorteo").Str("result", "success").Send()
		s.announced.Store(true)
	}
}

func (s *Server) isDrawn() bool {
	select {
	case <-s.lottery.Drawn():
		return true
	default:
		return false
	}
}

func (s *Server) sweepRegularly(ctx context.Context) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.post(runnable(s.sweep))
		}
	}
}

// runnable is something to do on the event loop (gnet.Runnable).
type runnable func()

func (r runnable) Run(context.Context) error {
	r()
	return nil
}

// post hands r to the event loop. It reports false when there is none yet or
// any more. After the engine has stopped, gnet would write its wake-up call to
// a descriptor that may by then be another file's; the gate keeps late workers
// from that.
func (s *Server) post(r gnet.Runnable) bool {
	s.gate.RLock()
	defer s.gate.RUnlock()
	loop := s.loop.Load()
	return loop != nil && !s.shut && (*loop).Execute(context.Background(), r) == nil
}

func (s *Server) shutGate() {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.shut = true
}

// Ready is closed when the server listens.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Address returns where the server listens. It is known when Ready is closed.
func (s *Server) Address() net.Addr { return s.address }
