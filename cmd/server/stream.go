package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/admin"
	"loteria/cmd/internal/settings"
	"loteria/lottery"
	"loteria/lottery/natsledger"
)

// importPatience is how long an import waits for NATS: it has no agency to ask to
// retry, and starts over when it fails.
const importPatience = 2 * time.Minute

const (
	// reachTime bounds an attempt to connect to one server.
	reachTime = 2 * time.Second
	// readPatience is how long a read of a stream may get nothing.
	readPatience = time.Minute
	// checkPatience bounds a check, which reads the copy of each server.
	checkPatience = 30 * time.Minute
)

var errStuck = fmt.Errorf("NATS has given nothing for %v: has the stream a leader?", readPatience)

// stream keeps a contest on NATS servers.
type stream struct{ config natsledger.Config }

// streamOn returns the stream of the configured contest on some servers.
func streamOn(s servers, c config) stream {
	return stream{natsledger.Config{
		Servers:   s.addresses,
		Contest:   c.contest,
		Agencies:  c.expectedAgencies,
		Central:   c.centralName(),
		Replicas:  c.nats.replicas,
		MaxBytes:  int64(c.nats.maxBytes),
		CredsFile: c.nats.creds,
		CAFile:    c.nats.ca,
		CertFile:  c.nats.cert,
		KeyFile:   c.nats.key,
		Log:       zerolog.Nop(),
	}}
}

func (s stream) servers() string { return strings.Join(s.config.Servers, ",") }

func (s stream) describe(line *zerolog.Event) *zerolog.Event {
	return line.Str("servers", s.servers())
}

func (s stream) isFar() bool { return true }

func (s stream) open(ctx context.Context, agencies int, committed func(lottery.Commit), waiting func(error), log zerolog.Logger) (ledger, error) {
	s.config.Agencies, s.config.Committed, s.config.Waiting, s.config.Log = agencies, committed, waiting, log
	l, err := s.openLedger(ctx)
	if other := (*natsledger.TermsError)(nil); errors.As(err, &other) {
		return nil, &settings.Error{Key: "EXPECTED_AGENCIES", Problem: fmt.Sprintf("is %d, but the contest on %s was begun with %d: "+
			"give all its centrals the same, or use another --contest", other.Asked.Agencies, s.servers(), other.Stored.Agencies)}
	}
	if err != nil {
		return nil, err
	}
	return streamLedger{l, s}, nil
}

func (s stream) openLedger(ctx context.Context) (*natsledger.Ledger, error) {
	if err := s.checkFiles(); err != nil {
		return nil, err
	}
	l, err := natsledger.Open(ctx, s.config)
	if err != nil {
		return nil, fmt.Errorf("open the contest on NATS: %w", err)
	}
	return l, nil
}

// checkFiles returns an error when a file that the settings name cannot be read:
// NATS would only say that it denies access.
func (s stream) checkFiles() error {
	for key, path := range map[string]string{
		"NATS_CREDS": s.config.CredsFile, "NATS_CA": s.config.CAFile, "NATS_CERT": s.config.CertFile, "NATS_KEY": s.config.KeyFile,
	} {
		if path == "" {
			continue
		}
		if _, err := os.ReadFile(path); err != nil {
			return &settings.Error{Key: key, Problem: "cannot be used: " + err.Error()}
		}
	}
	return nil
}

// reach returns an error unless a server accepts connections. One-shot commands
// fail at once, while a central waits.
func (s stream) reach(ctx context.Context) error {
	dialer := net.Dialer{Timeout: reachTime}
	var failures []string
	for _, server := range s.config.Servers {
		conn, err := dialer.DialContext(ctx, "tcp", server)
		if err == nil {
			return conn.Close()
		}
		failures = append(failures, err.Error())
	}
	return fmt.Errorf("no NATS server can be reached: %s", strings.Join(failures, "; "))
}

func (s stream) read(ctx context.Context, visit func(lottery.Stretch) error) (report, error) {
	if err := s.ready(ctx); err != nil {
		return s.report(natsledger.Report{}), err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stuck := time.AfterFunc(readPatience, func() { cancel(errStuck) })
	defer stuck.Stop()
	found, err := natsledger.Read(ctx, s.config, func(rows lottery.Stretch) error {
		stuck.Stop() // visit may take long
		defer stuck.Reset(readPatience)
		return visit(rows)
	})
	if err != nil && errors.Is(context.Cause(ctx), errStuck) {
		err = fmt.Errorf("%w: %w", errStuck, err)
	}
	return s.report(found), err
}

func (s stream) check(ctx context.Context) (report, error) {
	if err := s.ready(ctx); err != nil {
		return s.report(natsledger.Report{}), err
	}
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	found, err := natsledger.Check(ctx, s.config)
	return s.report(found), err
}

func (s stream) isDrawn(ctx context.Context) (bool, error) {
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	return natsledger.IsDrawn(ctx, s.config)
}

// ready returns an error when it is useless to ask the servers.
func (s stream) ready(ctx context.Context) error {
	if err := s.checkFiles(); err != nil {
		return err
	}
	return s.reach(ctx)
}

// report returns what was found as the command prints it.
func (s stream) report(found natsledger.Report) report {
	r := report{place: "the contest on " + s.servers(), state: "none", terms: found.Terms, times: found.Times, rows: found.Rows, bytes: found.Bytes}
	if found.Stream != "" {
		r.place = fmt.Sprintf("%s on %s", found.Stream, s.servers())
	}
	for _, c := range append(found.Damaged, found.Copies...) {
		note := "the copy on " + c.Server + " is whole"
		switch {
		case c.Unread != nil:
			note = fmt.Sprintf("the copy on %s was not read: %v", c.Server, c.Unread)
			r.unread = true
		case c.Missing > 0:
			note = fmt.Sprintf("the copy on %s lacks message %d: see docs/cluster.md", c.Server, c.Missing)
		}
		if !slices.Contains(r.notes, note) {
			r.notes = append(r.notes, note)
		}
	}
	if r.terms.Agencies == 0 {
		return r
	}
	r.endings = make([]lottery.Ending, r.terms.Agencies)
	for _, a := range found.Agencies {
		if a.Agency <= len(r.endings) {
			r.endings[a.Agency-1] = a.Ended
		}
		if a.Bets > 0 {
			r.agencies = append(r.agencies, agencyReport{a.Agency, a.Bets, a.Digest, a.Winners})
		}
	}
	r.state = string(phaseOf(r.endings, found.Drawn))
	return r
}

// hold does nothing: a stream has no lock. An import notices by itself when the
// contest changes while it is read.
func (s stream) hold() (release func(), err error) { return func() {}, nil }

// streamLedger is the ledger of a stream.
type streamLedger struct {
	*natsledger.Ledger
	stream stream
}

func (l streamLedger) describe(line *zerolog.Event) *zerolog.Event {
	return l.stream.describe(line.Str("stream", l.Stream()))
}

func (l streamLedger) note(log zerolog.Logger) {
	if l.stream.config.Replicas == 1 {
		l.describe(log.Warn().Str("action", "open_stream").Str("result", "success")).
			Str("reason", "NATS_REPLICAS is 1: a stream that is begun so is lost with its only server").Send()
	}
}

func (l streamLedger) health() admin.LedgerHealth {
	h := l.Health()
	shown := admin.LedgerHealth{
		Server: h.Server, Leader: h.Leader, Messages: h.Messages, Bytes: h.Bytes, Limit: h.MaxBytes, InFlight: h.InFlight, Asked: h.Asked,
	}
	if h.Problem != nil {
		shown.Problem = h.Problem.Error()
	}
	for _, r := range h.Replicas {
		shown.Replicas = append(shown.Replicas, admin.LedgerReplica{
			Server: r.Server, Current: r.Current, Offline: r.Offline, Lag: r.Lag, Damaged: r.Damaged,
		})
	}
	return shown
}

func (l streamLedger) hindrance() error         { return l.Health().Problem }
func (l streamLedger) durable() func() int64    { return nil }
func (l streamLedger) lendTo(func(func()) bool) {} // a commit is a message to them
func (l streamLedger) look()                    {} // it watches its servers itself
func (l streamLedger) checkpoint() error        { return nil }

// stagedStream is the stream that an import fills. It has its name from the
// beginning, as NATS cannot rename it.
type stagedStream struct {
	stream
	opened *natsledger.Ledger // nil until it is open
}

func (s stream) empty() (target, error) {
	s.config.Patience = importPatience
	return &stagedStream{stream: s}, nil
}

// open opens the stream, whose times are those of the import.
func (s *stagedStream) open(ctx context.Context, known *report) (lottery.Ledger, error) {
	agencies := known.terms.Agencies
	s.config.Agencies = agencies
	if err := s.reach(ctx); err != nil {
		return nil, err
	}
	l, err := s.openLedger(ctx)
	if other := (*natsledger.TermsError)(nil); errors.As(err, &other) {
		return nil, fmt.Errorf("%w: it is of %d agencies, the source of %d", errNotEmpty, other.Stored.Agencies, agencies)
	}
	if err != nil {
		return nil, err
	}
	s.opened = l
	return l, nil
}

func (s *stagedStream) keep() (path string, err error) {
	return fmt.Sprintf("%s on %s", s.opened.Stream(), s.servers()), nil
}

func (s *stagedStream) drop() string {
	if s.opened == nil {
		return "nothing was imported"
	}
	name := s.opened.Stream()
	return fmt.Sprintf("the stream %s has a part of the contest, and no central may use it: "+
		"remove it (nats stream rm %s, as a user who may), and import again", name, name)
}
