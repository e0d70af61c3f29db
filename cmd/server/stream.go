package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/settings"
	"loteria/lottery"
	"loteria/lottery/natsledger"
)

// importPatience is how long an import waits for NATS: it has nobody to tell to
// come again, and begins anew when it fails.
const importPatience = 2 * time.Minute

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

func (s stream) open(ctx context.Context, agencies int, committed func(lottery.Commit), log zerolog.Logger) (ledger, error) {
	s.config.Agencies, s.config.Committed, s.config.Log = agencies, committed, log
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
// NATS would only say that it lets nobody in.
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

func (s stream) read(ctx context.Context, visit func(lottery.Stretch) error) (report, error) {
	r := report{place: "the contest on " + s.servers(), state: "none"}
	if err := s.checkFiles(); err != nil {
		return r, err
	}
	found, err := natsledger.Read(ctx, s.config, visit)
	if found.Stream != "" {
		r.place = fmt.Sprintf("%s on %s", found.Stream, s.servers())
	}
	r.terms, r.rows, r.bytes = found.Terms, found.Rows, found.Bytes
	if r.terms.Agencies == 0 {
		return r, err
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
	return r, err
}

// hold cannot keep centrals away: a stream has no lock. An import finds out by
// itself when the contest changes while it is read.
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

func (l streamLedger) hindrance() error  { return l.Health().Problem }
func (l streamLedger) durable() int64    { return int64(l.Health().Bytes) }
func (l streamLedger) look()             {} // it watches its servers itself
func (l streamLedger) checkpoint() error { return nil }

// stagedStream is the stream that an import fills. It has its name from the
// beginning, as NATS has no other way.
type stagedStream struct {
	stream
	opened *natsledger.Ledger // nil until it is there
}

func (s stream) empty() (target, error) {
	s.config.Patience = importPatience
	return &stagedStream{stream: s}, nil
}

func (s *stagedStream) open(ctx context.Context, agencies int) (lottery.Ledger, error) {
	s.config.Agencies = agencies
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
