package admin

import (
	"context"
	"crypto/tls"
	"errors"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"loteria/lottery"
	"loteria/reactor"
)

const (
	retryPeriod   = 10 * time.Second // between two attempts to listen
	readTimeout   = 5 * time.Second  // for a request to come in
	idleTimeout   = 10 * time.Second // for the next request of a connection
	maxHeader     = 16 << 10         // bytes
	answerTimeout = 2 * time.Minute  // for an answer; a profile takes longest
	closeTimeout  = time.Second      // for answers in flight at a stop
)

// Config says what a Server shows. Agencies is required.
type Config struct {
	Address  string    // host:port to listen on; empty is nowhere, and State alone shows the central
	Contest  string    // the name of the contest; may be empty
	Central  string    // the name of this central, as a shared ledger tells it to others; may be empty
	Agencies int       // that are expected
	Deadline time.Time // when betting ends at the latest; zero is never
	Hosts    []string  // host names that it accepts, besides localhost and that of Address
	Profiles bool      // whether /debug/pprof is there
	// Token returns the token that clients must present; nil asks for none. TLS
	// returns the configuration for a new connection; nil is without TLS.
	Token   func() string
	TLS     func() *tls.Config
	Log     zerolog.Logger
	Journal Journal // of the lines that strangers can cause; may be nil
}

// Server shows a central. It runs before the central does: until Watch is called it
// says that the ledger is being recovered.
type Server struct {
	config   Config
	started  time.Time
	counters *counters
	sampler  *rateSampler
	commits  commits
	registry *prometheus.Registry
	viewers  viewers
	visits   visits

	snapshots snapshots

	watched   atomic.Pointer[watched]
	watching  chan struct{} // closed by Watch
	hindrance atomic.Pointer[func() error]
	health    atomic.Pointer[func() LedgerHealth] // nil when the ledger is a folder
	acta      atomic.Pointer[Acta]                // nil until there is one
	// certificate tells until when the central's is valid; nil without one.
	certificate atomic.Pointer[func() time.Time]
	stopping    atomic.Bool
	closing     chan struct{} // closed when streams must end
	address     net.Addr      // known when listening is closed
	listening   chan struct{} // closed by Run
	tried       chan struct{} // closed by Run

	retryPeriod, readTimeout time.Duration // the constants, except in tests
}

// watched is the central that a Server shows.
type watched struct {
	contest     *lottery.Contest
	reactor     *reactor.Server
	ledgerBytes func() int64              // on disk
	drawnAt     atomic.Pointer[time.Time] // nil unless the draw was seen
}

// New returns a Server that has nothing to show yet.
func New(config Config) *Server {
	now := time.Now()
	t := newCounters(config.Agencies)
	s := &Server{
		config:   config,
		started:  now,
		counters: t,
		sampler:  newRateSampler(t, now),
		commits:  newCommits(),
		closing:  make(chan struct{}),

		watching:  make(chan struct{}),
		listening: make(chan struct{}),
		tried:     make(chan struct{}),

		retryPeriod: retryPeriod,
		readTimeout: readTimeout,
	}
	s.registry = newRegistry(s)
	return s
}

// Observer returns what the reactor must report to.
func (s *Server) Observer() reactor.Observer { return s.counters }

// Committed counts a commit of the ledger.
func (s *Server) Committed(c lottery.Commit) { s.commits.add(c, s.health.Load() != nil) }

// Watch has the server show a contest, how much of its ledger is on disk (nil for
// one in NATS, which HealthBy tells of), and its reactor. It is called once, before
// the reactor runs.
func (s *Server) Watch(contest *lottery.Contest, ledgerBytes func() int64, reactor *reactor.Server) {
	s.sampler.begin(s.counters, contest, time.Now())
	s.watched.Store(&watched{contest: contest, ledgerBytes: ledgerBytes, reactor: reactor})
	close(s.watching)
}

// HinderedBy has /readyz say what keeps the central from its work at the moment, as
// long as hindrance returns an error: a draw that cannot be saved, for example. It
// must return at once, and is called by many goroutines.
func (s *Server) HinderedBy(hindrance func() error) { s.hindrance.Store(&hindrance) }

// Stopping has /readyz say that the central stops.
func (s *Server) Stopping() {
	s.stopping.Store(true)
	s.counters.wake()
}

// Run shows the central until ctx is done. It retries an address in use until that
// is free; the central takes bets meanwhile, which matters more. It returns when
// everything is closed.
func (s *Server) Run(ctx context.Context) {
	following := make(chan struct{})
	done := make(chan struct{})
	go func() { defer close(following); s.follow(done) }()
	defer func() { close(done); <-following }()

	tried := sync.OnceFunc(func() { close(s.tried) })
	defer tried()
	if s.config.Address == "" {
		tried()
		<-ctx.Done()
		return
	}
	listener := s.listen(ctx, tried)
	if listener == nil {
		return
	}
	s.address = listener.Addr()
	close(s.listening)
	s.logListening()
	tried()
	server := &http.Server{
		Handler:        s.handler(),
		ReadTimeout:    s.readTimeout, // not for streams: it ends when the request is read
		WriteTimeout:   answerTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       stdlog.New(complaints{s.config.Log}, "", 0),
		ConnState:      noteStage,
		ConnContext:    withVisit,
		Protocols:      new(http.Protocols),
	}
	// With HTTP/2 a connection could send hundreds of requests at a time, and a bound
	// on connections would not bound the work.
	server.Protocols.SetHTTP1(true)
	ended := make(chan error, 1)
	go func() { ended <- s.serve(server, visitors{listener, &s.visits}) }()
	select {
	case err := <-ended: // without having been asked to
		s.config.Log.Error().Str("action", "admin").Str("result", "fail").Err(err).Send()
		ended <- err
	case <-ctx.Done():
	}
	close(s.closing)
	closing, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if server.Shutdown(closing) != nil {
		_ = server.Close() // a client takes too long to read an answer
	}
	<-ended
	s.config.Log.Info().Str("action", "close_admin").Str("result", "success").Stringer("address", s.address).Send()
}

// Tried is closed when Run has logged where the server listens, or why it does not yet.
func (s *Server) Tried() <-chan struct{} { return s.tried }

// serve serves until the server is shut down, over TLS when that is configured. It
// sends no HSTS header: browsers would then use TLS with every port of the machine,
// Prometheus' and Grafana's too.
func (s *Server) serve(server *http.Server, listener net.Listener) error {
	if s.config.TLS == nil {
		return server.Serve(listener)
	}
	server.TLSConfig = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.config.TLS(), nil },
	}
	return server.ServeTLS(listener, "", "")
}

// logListening logs where the server listens, and warns when everybody who can
// reach that sees everything.
func (s *Server) logListening() {
	event := s.config.Log.Info().Str("action", "admin_listen").Str("result", "success")
	if s.config.TLS != nil {
		event.Str("scheme", "https")
	}
	event.Stringer("address", s.address).Send()
	if s.config.Token == nil && s.config.TLS == nil && !isLoopback(s.address) {
		s.config.Log.Warn().Str("action", "admin_is_open").Str("result", "success").Stringer("address", s.address).
			Str("reason", "whoever can reach this address sees all that is there: give --admin-token-file and --admin-tls, or an address of loopback").Send()
	}
}

func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// complaints logs errors of clients, which are no failure of the central, unless it
// panics.
type complaints struct{ log zerolog.Logger }

func (c complaints) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	event := c.log.Debug().Str("action", "admin").Str("result", "in_progress")
	if strings.HasPrefix(text, "http: panic") {
		event = c.log.Error().Str("action", "admin").Str("result", "fail")
	}
	event.Str("reason", text).Send()
	return len(line), nil
}

// listen returns a listener, or nil when ctx is done before it can. When it has logged
// that it must wait, it calls waits.
func (s *Server) listen(ctx context.Context, waits func()) net.Listener {
	for told := false; ; told = true {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.Address)
		if err == nil {
			return listener
		}
		if !told && ctx.Err() == nil {
			s.config.Log.Warn().Str("action", "admin_listen").Str("result", "in_progress").
				Str("address", s.config.Address).Str("reason", rootOf(err).Error()).Stringer("retry_every", s.retryPeriod).Send()
			waits()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.retryPeriod):
		}
	}
}

// rootOf returns the innermost error, as the others repeat the address.
func rootOf(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
