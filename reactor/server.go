// Package reactor is the central's side of the wire: gnet event loops handle all
// connections, and wait for nobody. What agencies send is judged and admitted on the loop
// that reads it, and answered once it is durable. Queries for winners are parked
// until the draw. The package knows nothing of how a row is written or a bet is
// judged.
package reactor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"loteria/codec"
	"loteria/lottery"
)

const (
	sweepInterval = time.Second // between checks for what has taken too long
	maxLoopEnd    = time.Second // after all else, that a stop waits for the event loops to end
)

// Server is the central's reactor. A Server can run only once.
type Server struct {
	config  Config
	lottery Lottery
	shards  []*shard
	made    time.Time
	listen  func(address string, backlog int) (net.Listener, error)
	ready   chan struct{} // closed when it listens

	sweepEvery  time.Duration // sweepInterval, except in tests
	loopEnd     time.Duration // maxLoopEnd, likewise
	maxGathered int           // likewise
	stopLinger  time.Duration // likewise
	ports       []*port       // known when ready is closed

	finished []atomic.Bool // whether that of agency i+1 was logged

	limits     connectionLimits
	poller     writePoller
	debts      debts
	handshakes *handshakes
	derived    atomic.Pointer[derived] // the last TLS configuration
	enrolling  chan struct{}           // has an element for each connection that waits for its loop

	// replies are the frames that answer each agency's query, once the draw is
	// done and logged: from then on winners may be told.
	replies  atomic.Pointer[[][]byte]
	stopping atomic.Bool
	quiet    chan struct{} // has room for one call of wakeStop

	reading atomic.Pointer[shard] // that has read last, when there was little to do
	gauges
}

// New returns a Server for the lottery. Run logs the draw, unless config.Announced
// says that it was logged.
func New(config Config, l Lottery) *Server {
	if config.Observer == nil {
		config.Observer = nobody{}
	}
	if config.Journal == nil {
		config.Journal = nobody{}
	}
	s := &Server{
		config:      config,
		lottery:     l,
		made:        time.Now(),
		listen:      listen,
		sweepEvery:  sweepInterval,
		loopEnd:     maxLoopEnd,
		maxGathered: maxGathered,
		stopLinger:  maxStopLinger,
		ready:       make(chan struct{}),
		finished:    make([]atomic.Bool, l.Agencies()),
		limits:      connectionLimits{addresses: make(map[string]int)},
		handshakes:  newHandshakes(config.TLS),
		enrolling:   make(chan struct{}, maxEnrolling),
		quiet:       make(chan struct{}, 1),
	}
	for range max(config.Loops, 1) {
		s.shards = append(s.shards, newShard(s))
	}
	if s.isDrawn() && config.Announced {
		s.encodeWinners()
	}
	return s
}

// Run serves until ctx is done, and then stops: nothing new is accepted, what is in
// flight is finished and answered within the stop timeout, and every connection, the
// listener and the event loops are closed. It returns an error when the server
// cannot listen, or when work in flight does not end in time.
func (s *Server) Run(ctx context.Context) error {
	if err := s.openPorts(); err != nil {
		return err
	}
	if err := s.poller.open(); err != nil {
		s.closePorts()
		return fmt.Errorf("start the event loops: %w", err)
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		if err := s.poller.run(); err != nil {
			s.config.Log.Error().Str("action", "send_answer").Str("result", "fail").Err(err).Send()
		}
	})
	defer writing.Wait()
	defer s.poller.close()
	enrolled := make(chan struct{}) // closed when no connection is on its way to its loop any more
	for i, shard := range s.shards {
		if err := shard.start(); err != nil {
			s.closePorts()
			close(enrolled)
			return errors.Join(fmt.Errorf("start the event loops: %w", err), s.stopShards(s.shards[:i], enrolled))
		}
	}
	s.logPorts("listen")
	close(s.ready)

	var watchers, accepting sync.WaitGroup
	watching, stopWatching := context.WithCancel(ctx)
	for _, p := range s.ports {
		accepting.Go(p.acceptor.run)
	}
	watchers.Go(func() { s.announce(watching) })
	for _, shard := range s.shards {
		watchers.Go(func() { s.sweepRegularly(watching, shard) })
	}
	<-ctx.Done()
	stopWatching()
	watchers.Wait()

	s.config.Log.Info().Str("action", "shutdown").Str("result", "in_progress").Send()
	s.stopping.Store(true)
	s.closePorts()
	s.handshakes.close()
	go func() {
		defer close(enrolled)
		accepting.Wait()
		s.handshakes.running.Wait()
		for range maxEnrolling { // all are with their loop when there is room for as many
			s.enrolling <- struct{}{}
		}
		s.logPorts("close_listener")
	}()
	err := s.drain(enrolled)
	ended := s.stopShards(s.shards, enrolled)
	if ended == nil {
		s.config.Log.Info().Str("action", "close_workers").Str("result", "success").Int("workers", len(s.shards)).Send()
	}
	s.logDraw() // the last FINISHED may have come while stopping
	return errors.Join(err, ended)
}

// stopShards ends event loops, all at once. A loop may be stuck in a commit that it
// makes: it ends when that does, and until then it keeps its connections. One that
// ended with a connection on its way would leave it open, and who hands it over
// waiting.
func (s *Server) stopShards(shards []*shard, enrolled <-chan struct{}) (err error) {
	ended := make(chan error, len(shards))
	for _, shard := range shards {
		go func() {
			<-enrolled
			ended <- shard.stop()
		}()
	}
	late := time.NewTimer(s.loopEnd)
	defer late.Stop()
	for left := len(shards); left > 0; left-- {
		select {
		case e := <-ended:
			err = errors.Join(err, e)
		case <-late.C:
			return errors.Join(err, fmt.Errorf("event loops that do not end: %d; the disk or the log may hang", left))
		}
	}
	return err
}

// drain stops taking requests and waits until those that were taken have their
// answers, and until the draw is made if the last FINISHED was among them:
// nobody would log it later. Before that, all connections must be with their loop.
func (s *Server) drain(enrolled <-chan struct{}) error {
	timeout := time.NewTimer(s.config.StopTimeout)
	defer timeout.Stop()
	inTime := func(event <-chan struct{}) bool {
		select {
		case <-event:
			return true
		default:
		}
		select {
		case <-event:
			return true
		case <-timeout.C:
			return false
		}
	}
	if !inTime(enrolled) {
		return s.late("an event loop takes no connection")
	}
	closing, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	closed := make(chan struct{}, len(s.shards))
	for _, shard := range s.shards { // all at once: one may be stuck in a commit
		go func() {
			inPieces(closing, shard, shard.closer())
			closed <- struct{}{}
		}()
	}
	for range s.shards {
		if !inTime(closed) {
			return s.late("an event loop does not answer")
		}
	}
	for s.busy.get() > 0 {
		if !inTime(s.quiet) {
			return s.late(fmt.Sprintf("requests without an answer: %d, which their agencies send again", s.frames.get()))
		}
	}
	if s.lottery.Phase() == lottery.Drawing && !inTime(s.lottery.Drawn()) {
		return s.late("the draw is not made")
	}
	// Each peer that was told something lately gets the time to read it.
	lingering := time.NewTimer(s.stopLinger)
	defer lingering.Stop()
	for s.limits.count() > 0 {
		select {
		case <-s.quiet:
		case <-lingering.C:
			return nil
		case <-timeout.C:
			return nil
		}
	}
	return nil
}

// late is the error of a stop that has taken too long.
func (s *Server) late(what string) error {
	return fmt.Errorf("the work in flight has not ended within %v: %s; what was acknowledged is on disk", s.config.StopTimeout, what)
}

// done counts a job whose replies were written, or that nobody waits for.
func (s *Server) done() {
	s.busy.add(-1)
	s.wakeStop()
}

// wakeStop lets a stop check again what it waits for.
func (s *Server) wakeStop() {
	if s.stopping.Load() {
		select {
		case s.quiet <- struct{}{}:
		default:
		}
	}
}

// announce logs the draw when it is done, and then lets the winners be told.
func (s *Server) announce(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.lottery.Drawn():
	}
	// A loop that has just handed the last bets to the lottery may still have to
	// log them.
	for _, shard := range s.shards {
		select {
		case <-ctx.Done():
			return
		case <-shard.mail.do(func() {}):
		}
	}
	s.logDraw()
	var telling sync.WaitGroup
	for _, shard := range s.shards {
		telling.Go(func() { inPieces(ctx, shard, shard.tellParked) })
	}
	telling.Wait()
}

// inPieces runs something on a loop piece by piece, so that other work gets its turn
// in between.
func inPieces(ctx context.Context, sh *shard, piece func() (more bool)) {
	for more := true; more; {
		more = false
		select {
		case <-ctx.Done():
			return
		case <-sh.mail.do(func() { more = piece() }):
		}
	}
}

// logDraw logs the draw if it is done and was not logged.
func (s *Server) logDraw() {
	if s.isDrawn() && !s.announced() {
		if !s.config.Announced {
			s.config.Log.Info().Str("action", "sorteo").Str("result", "success").Send()
		}
		s.encodeWinners()
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

// encodeWinners encodes the replies to all possible queries, once.
func (s *Server) encodeWinners() {
	replies := make([][]byte, s.lottery.Agencies())
	for i := range replies {
		documents, _, err := s.lottery.Winners(i + 1)
		if err != nil {
			_, m := refusal(err)
			replies[i] = appendReply(nil, m)
			continue
		}
		if replies[i], err = codec.AppendWinners(nil, documents); err != nil {
			panic("reactor: winners do not fit a frame: " + err.Error()) // valid documents do
		}
	}
	s.replies.Store(&replies)
}

// announced reports whether winners may be told.
func (s *Server) announced() bool { return s.replies.Load() != nil }

// winners returns the frames that answer the query of an agency.
func (s *Server) winners(agency int) []byte { return (*s.replies.Load())[agency-1] }

func (s *Server) sweepRegularly(ctx context.Context, shard *shard) {
	ticker := time.NewTicker(s.sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			inPieces(ctx, shard, shard.newSweeper().sweep)
		}
	}
}

// logFailure logs a failure that concerns a peer but no request.
func (s *Server) logFailure(action, peer string, err error) {
	journal := s.config.Journal
	journal.TryWrite(journal.AppendRefusal(nil, action, -1, "", peer, err))
}

// Ready is closed when the server listens.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Address returns where the server listens without TLS, or nil. It is known when
// Ready is closed.
func (s *Server) Address() net.Addr { return s.addressOf(false) }

// TLSAddress returns where the server listens for TLS, or nil. It is known when
// Ready is closed.
func (s *Server) TLSAddress() net.Addr { return s.addressOf(true) }
