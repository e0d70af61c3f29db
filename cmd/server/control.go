package main

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/admin"
	"loteria/lottery"
)

const (
	// maxControls bounds the socket's connections; more wait to be accepted.
	maxControls = 16
	// maxControlBody bounds a request, in bytes: room for the numbers of 100,000
	// agencies.
	maxControlBody = 1 << 20

	controlRetry    = time.Second      // between two attempts to listen
	controlRead     = 5 * time.Second  // for a request to come in
	controlWrite    = 5 * time.Second  // for a part of an answer to be taken
	controlClose    = time.Second      // for answers in flight at the end
	controlPatience = 30 * time.Second // for a change to be durable, until the answer is an error
)

// control is the socket in the contest's folder through which operators control a
// running central. It exists from before the ledger is read until after that is
// closed; operate sets what it can change.
//
// A central takes bets also when no socket can be made in the folder (read-only, or
// some that are shared with a virtual machine): it logs that, and tries again each
// second.
type control struct {
	shown    *admin.Server
	drain    func()          // as SIGTERM
	stopping context.Context // done when the central stops
	log      zerolog.Logger
	patience time.Duration // controlPatience, except in tests

	operated atomic.Pointer[operated]
	changing chan struct{} // a semaphore: one change at a time

	mu      sync.Mutex
	closed  bool
	answers sync.WaitGroup // in flight
	ended   chan struct{}  // closed when the central has ended
	err     error          // its result; set when ended is closed

	leave   context.CancelFunc // makes run return
	running sync.WaitGroup
}

// operated is what control acts on.
type operated struct {
	contest   *lottery.Contest
	missing   *missingLog
	hindrance func() error // what keeps the ledger from its work, or nil
}

// startControl serves the socket of that name in a folder until close. ctx ends
// when the central stops, which drain asks for.
func startControl(ctx context.Context, folder, name string, shown *admin.Server, drain func(), log zerolog.Logger) *control {
	c := newControl(ctx, shown, drain, log)
	socket, err := listenControl(folder, name)
	if err != nil {
		c.log.Warn().Str("action", "control_listen").Str("result", "in_progress").Str("file", filepath.Join(folder, name)).
			Str("reason", err.Error()).Stringer("retry_every", controlRetry).Send()
	}
	ctx, c.leave = context.WithCancel(context.Background())
	c.running.Go(func() { c.run(ctx, folder, name, socket) })
	return c
}

func newControl(ctx context.Context, shown *admin.Server, drain func(), log zerolog.Logger) *control {
	return &control{
		shown: shown, drain: drain, stopping: ctx, log: log, patience: controlPatience,
		changing: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// operate sets what control acts on.
func (c *control) operate(o operated) { c.operated.Store(&o) }

// run answers until ctx is done. Without a socket it tries to make one first.
func (c *control) run(ctx context.Context, folder, name string, socket *controlSocket) {
	for socket == nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(controlRetry):
			socket, _ = listenControl(folder, name) // the log has the first reason
		}
	}
	defer socket.close()
	c.log.Info().Str("action", "control_listen").Str("result", "success").Str("file", socket.path).Send()
	server := &http.Server{
		Handler:        c.handler(),
		ReadTimeout:    controlRead,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       stdlog.New(controlPanics{c.log}, "", 0),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, conn.RemoteAddr())
		},
	}
	server.SetKeepAlivesEnabled(false)
	// Connections stay open at the end: a drain keeps its own until the process exits.
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(socket) }()
	select {
	case err := <-ended: // without having been asked to
		c.log.Error().Str("action", "control").Str("result", "fail").Err(err).Send()
	case <-ctx.Done():
	}
}

// controlPanics logs panics, which are the central's fault. It drops errors of
// peers.
type controlPanics struct{ log zerolog.Logger }

func (p controlPanics) Write(line []byte) (int, error) {
	if text := strings.TrimSpace(string(line)); strings.HasPrefix(text, "http: panic") {
		p.log.Error().Str("action", "control").Str("result", "fail").Str("reason", text).Send()
	}
	return len(line), nil
}

// close tells waiting clients how the central has ended, and removes the socket.
// Answers in flight have a second.
func (c *control) close(err error) {
	c.mu.Lock()
	c.closed, c.err = true, err
	close(c.ended)
	c.mu.Unlock()
	c.leave()
	c.running.Wait()
	answered := make(chan struct{})
	go func() { c.answers.Wait(); close(answered) }()
	select {
	case <-answered:
	case <-time.After(controlClose):
	}
}

// peerKey is the context key of a request's peer.
type peerKey struct{}

// peerOfRequest returns the client.
func peerOfRequest(r *http.Request) peer {
	if p, ok := r.Context().Value(peerKey{}).(peer); ok {
		return p
	}
	return peer{-1, -1}
}

// refused is why a request was refused, with its answer's status.
type refused struct {
	status int
	reason string
}

func (r *refused) Error() string { return r.reason }

func refusal(status int, format string, args ...any) error {
	return &refused{status, fmt.Sprintf(format, args...)}
}

var (
	errStarting = &refused{http.StatusServiceUnavailable, "the central is starting, its ledger is not open yet: ask for the status, and come again"}
	errStopping = &refused{http.StatusServiceUnavailable, "the central stops: ask it again when it has been started, to see what is done"}
)

// now returns what control acts on, unless the central is starting or stopping.
func (c *control) now() (*operated, error) {
	o := c.operated.Load()
	switch {
	case o == nil:
		return nil, errStarting
	case c.stopping.Err() != nil:
		return nil, errStopping
	}
	return o, nil
}

// change calls do, which changes the contest, one change at a time, and returns
// when that is durable. As at the deadline, do is retried each second while the
// ledger is unavailable.
func (c *control) change(o *operated, do func() error) error {
	ctx, cancel := context.WithTimeout(c.stopping, c.patience)
	defer cancel()
	select {
	case c.changing <- struct{}{}:
	case <-ctx.Done():
		return c.late(http.StatusConflict, "nothing was done, what was asked for before is not durable yet", o.hindrance())
	}
	ended := make(chan error, 1)
	go func() { // the ledger may hang
		err := again(ctx, do)
		<-c.changing
		ended <- err
	}()
	select {
	case err := <-ended:
		return c.explained(err)
	case <-ctx.Done():
		return c.late(http.StatusGatewayTimeout, "it is not durable", o.hindrance())
	}
}

// again retries do until it succeeds, fails for good, or ctx is done.
func again(ctx context.Context, do func() error) error {
	for {
		err := do()
		if !isPassing(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(controlRetry):
		}
	}
}

// late is the error of what took too long; reason may be nil.
func (c *control) late(status int, what string, reason error) error {
	if c.stopping.Err() != nil {
		return errStopping
	}
	if reason != nil {
		what += " (" + reason.Error() + ")"
	}
	return refusal(status, "%s after %v: see the status, and ask again", what, c.patience)
}

// explained adds a status to an error of the contest.
func (c *control) explained(err error) error {
	switch known := (*refused)(nil); {
	case err == nil || errors.As(err, &known):
		return err
	case c.stopping.Err() != nil:
		return errStopping // the ledger is closed, or about to be
	case errors.Is(err, lottery.UnknownAgency):
		return &refused{http.StatusBadRequest, err.Error()}
	case errors.Is(err, lottery.ErrDeadline):
		return &refused{http.StatusConflict, err.Error()}
	case isPassing(err):
		return c.late(http.StatusGatewayTimeout, "it is not durable", err)
	}
	return &refused{http.StatusInternalServerError, err.Error()}
}

// awaitDraw waits for a draw in progress, for c.patience at most, and returns the
// phase.
func (c *control) awaitDraw(contest *lottery.Contest) lottery.Phase {
	if contest.Phase() == lottery.Drawing {
		select {
		case <-contest.Drawn():
		case <-contest.Failed():
		case <-c.stopping.Done():
		case <-time.After(c.patience):
		}
	}
	return contest.Phase()
}
