package natsledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"loteria/lottery"
)

const (
	metadataContest = "loteria-contest" // key of the contest's name in a stream's metadata

	streamPause  = 250 * time.Millisecond
	leastPayload = 32 << 10 // bytes that the servers must take in a message: what one batch of an agency needs, with headers
)

// TermsError says that a contest was begun with other terms.
type TermsError struct {
	Stream        string
	Stored, Asked lottery.Terms
}

func (e *TermsError) Error() string {
	return fmt.Sprintf("the contest in the stream %s was begun with %d expected agencies, not with %d: give it the same number, or begin another contest",
		e.Stream, e.Stored.Agencies, e.Asked.Agencies)
}

// streamConfig returns the configuration that a contest's stream must have.
func streamConfig(c *Config) jetstream.StreamConfig {
	name := streamName(c.Contest)
	return jetstream.StreamConfig{
		Name:        name,
		Description: "the bets of the contest " + c.Contest,
		Subjects:    []string{name + ".>"},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		MaxBytes:    c.MaxBytes,
		Replicas:    c.Replicas,
		// With S2, nats-server 2.15.2 leaves blocks that it cannot read when it is
		// killed: a block that is cut at the recovery is compressed in part.
		Compression:        jetstream.NoCompression,
		Duplicates:         100 * time.Millisecond, // of ids of NATS, which are not used: a server reads that long back at its start
		DenyDelete:         true,
		DenyPurge:          true,
		AllowAtomicPublish: true,
		Metadata:           map[string]string{metadataAgencies: strconv.Itoa(c.Agencies), metadataContest: c.Contest},
	}
}

// openStream returns the contest's stream, or makes it when there is none. It tries
// until ctx is done: servers that have no leader yet do not answer.
func openStream(ctx context.Context, js jetstream.JetStream, c *Config) (*jetstream.StreamInfo, error) {
	want := streamConfig(c)
	for {
		info, err := tryStream(ctx, js, want)
		if err == nil {
			return info, checkStream(c, js, info)
		}
		if isHopeless(err) {
			return nil, fmt.Errorf("make the stream %s: %w", want.Name, err)
		}
		if c.Waiting != nil {
			c.Waiting(fmt.Errorf("open the stream %s: %w", want.Name, explain(err, c)))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("open the stream %s at %s: %w (%w)", want.Name, js.Conn().ConnectedUrlRedacted(), explain(err, c), ctx.Err())
		case <-time.After(streamPause):
		}
	}
}

func tryStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	attempt, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	s, err := js.Stream(attempt, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		creation, cancel := context.WithTimeout(ctx, 2*attemptTime)
		defer cancel()
		s, err = js.CreateStream(creation, want)
	}
	if err != nil {
		return nil, err
	}
	return s.CachedInfo(), nil
}

// explain says what an error means that may pass.
func explain(err error, c *Config) error {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api) && api.ErrorCode == 10005: // no peers for placement
		return fmt.Errorf("%w: it needs %d servers that run, each with room for %d bytes more than its other streams may have (max_file_store)", err, c.Replicas, c.MaxBytes)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer: most of the servers have to run, with JetStream, and reach each other (%w)", err)
	}
	return err
}

// isHopeless reports whether the servers will never make the stream.
func isHopeless(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case 10052, // a configuration that they do not take
		10065, // subjects that another stream has
		10074, // more replicas than one server can have
		10028, // more memory than the account has
		10047: // more storage than a server has
		return true
	}
	return false
}

// checkStream compares a stream with what it must be.
func checkStream(c *Config, js jetstream.JetStream, info *jetstream.StreamInfo) error {
	want, got := streamConfig(c), &info.Config
	wrong := func(what, mend string) error {
		return fmt.Errorf("the stream %s %s: %s", want.Name, what, mend)
	}
	text, found := got.Metadata[metadataAgencies]
	agencies, err := strconv.Atoi(text)
	switch {
	case !found || err != nil:
		return wrong("was not made by a central", "give the contest another name, or delete that stream")
	case agencies != c.Agencies:
		stored := lottery.Terms{Agencies: agencies}
		return &TermsError{Stream: want.Name, Stored: stored, Asked: lottery.Terms{Agencies: c.Agencies}}
	case len(got.Subjects) != 1 || got.Subjects[0] != want.Subjects[0]:
		return wrong("has the subjects "+strings.Join(got.Subjects, ", "), "it must have "+want.Subjects[0]+" alone (nats stream edit --subjects)")
	case got.Retention != want.Retention || got.MaxAge != 0 || got.MaxMsgs > 0 || got.MaxMsgsPerSubject > 0 || got.Discard != want.Discard:
		return wrong("may delete messages by itself", "it must keep all (retention limits, discard new, no limit of age or number of messages)")
	case got.Storage != want.Storage:
		return wrong("is kept in memory", "it must be on disk, which cannot be changed: begin another contest")
	case got.AllowDirect || got.MirrorDirect:
		return wrong("allows direct gets, which answer from a replica that may be behind", "nats stream edit --no-allow-direct")
	case !got.AllowAtomicPublish:
		return wrong("takes no atomic batches", "nats stream edit --allow-batch; it needs nats-server 2.12 or later")
	case got.Sealed:
		return wrong("is sealed", "begin another contest")
	case got.MaxMsgSize > 0 && got.MaxMsgSize < leastPayload:
		return wrong(fmt.Sprintf("takes at most %d bytes in a message", got.MaxMsgSize), "remove that limit (nats stream edit --max-msg-size=-1)")
	}
	if most := js.Conn().MaxPayload(); most < leastPayload {
		return fmt.Errorf("the NATS server %s takes at most %d bytes in a message: max_payload must be %d or more", js.Conn().ConnectedUrlRedacted(), most, leastPayload)
	}
	if got.Replicas < c.Replicas {
		c.Log.Warn().Str("action", "open_stream").Str("result", "success").Str("stream", want.Name).
			Int("replicas", got.Replicas).Int("asked", c.Replicas).Msg("the stream has fewer replicas than asked for (nats stream edit --replicas)")
	}
	return nil
}
