package natsledger

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

const (
	pullBytes    = 16 << 20         // that a consumer sends ahead
	pullExpiry   = 10 * time.Second // of one request for them
	pullBeat     = time.Second      // of a consumer that has nothing to send
	stallTime    = 3 * time.Second  // without a message that the leader has
	consumerTime = 10 * time.Second // until a consumer that nobody reads is removed
	askTime      = 2 * time.Second  // for one question to the servers
	copyTime     = 20 * time.Second // until a server whose copy alone is wanted is given up
	readPatience = 30 * time.Second // until a single read gives up on a stream without a leader; an election takes up to 10 s
	askAgain     = 100 * time.Millisecond
	placements   = 40 // tries to get a consumer on a certain one of three servers: one in 10 million fails
)

// reader reads a stream.
type reader struct {
	js       jetstream.JetStream
	stream   string
	agencies int
	log      zerolog.Logger
	missed   func(server string, sequence uint64) // is told of servers that lack messages; may be nil
	least    uint64                               // messages that there are at least, whatever a server says

	patience time.Duration // until a leader that does not answer is an error; 0 is as long as the context

	passing chan struct{} // one pass at a time
	passed  *verifier     // what the passes have verified by now
}

func newReader(js jetstream.JetStream, stream string, agencies int, log zerolog.Logger) *reader {
	return &reader{js: js, stream: stream, agencies: agencies, log: log, passing: make(chan struct{}, 1)}
}

// scan reads a stream once, from a given message to the one that is last when it
// begins.
//
// A consumer reads the copy of the server that it is on, and silently skips what
// that copy lacks, or stops there. So a missing message is looked for on the other
// servers, too: most of them have acknowledged it.
type scan struct {
	*reader
	headersOnly bool
	server      string // the only one whose copy is read; empty is any
	// visit is called for the messages in order, with what ahead has returned. ahead may
	// be nil; else goroutines of their own call it for the next few messages.
	visit func(sequence uint64, msg jetstream.Msg, read *rowsRead) error
	ahead func(msg jetstream.Msg) *rowsRead

	next    uint64            // message to come from a server
	last    uint64            // the last message to read
	lacking []string          // servers that do not have the next one
	behind  []string          // servers that may not have it yet
	damaged map[string]uint64 // the first message that a server lacks
}

// errLag says that a server is not as far as the leader.
var errLag = errors.New("no server that answers is as far as the leader")

// errUnconfirmed says that a leader may no longer be the leader.
var errUnconfirmed = errors.New("it does not hear from most of the servers")

// errAway says that a certain server does not answer.
var errAway = errors.New("it does not answer")

// run reads to the end. The error is a *DamageError when no server has a message,
// else it is visit's or ctx's, or says that there is no such stream.
func (s *scan) run(ctx context.Context) error {
	s.damaged = make(map[string]uint64)
	info, err := s.info(ctx)
	if err != nil {
		return err
	}
	s.last = max(info.State.LastSeq, s.least)
	for s.next <= s.last {
		if err := s.walk(ctx); err != nil {
			return err
		}
	}
	return nil
}

// walk reads on with one consumer, as far as that gets.
func (s *scan) walk(ctx context.Context) error {
	consumer, server, err := s.consumer(ctx)
	if err != nil {
		return err
	}
	if consumer == nil {
		return s.nowhere(ctx)
	}
	defer s.remove(consumer)
	line := &line{scan: s, from: server}
	err = s.fetch(ctx, consumer, server, line)
	if e := line.advance(0); e != nil {
		return e
	}
	return err
}

// line are messages that have come and are still to be visited.
type line struct {
	*scan
	from    string // the server that has sent them
	waiting []inLine
}

type inLine struct {
	sequence uint64
	msg      jetstream.Msg
	read     chan *rowsRead // by ahead
}

// add adds a message.
func (l *line) add(sequence uint64, msg jetstream.Msg) error {
	m := inLine{sequence, msg, make(chan *rowsRead, 1)}
	l.waiting = append(l.waiting, m)
	if l.ahead == nil {
		m.read <- nil
		return l.advance(0)
	}
	go func() { m.read <- l.ahead(msg) }()
	return l.advance(2 * runtime.GOMAXPROCS(0))
}

// advance visits messages until at most that many wait.
func (l *line) advance(most int) error {
	for len(l.waiting) > most {
		m := l.waiting[0]
		l.waiting = l.waiting[1:]
		if err := l.visit(m.sequence, m.msg, <-m.read); err != nil {
			l.waiting = nil
			if damage, ok := err.(*DamageError); ok {
				damage.Server = l.from
			}
			return err
		}
	}
	return nil
}

// fetch gives a consumer's messages to the line, as far as that gets.
func (s *scan) fetch(ctx context.Context, consumer jetstream.Consumer, server string, line *line) error {
	messages, err := consumer.Messages(jetstream.PullMaxBytes(pullBytes), jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(pullBeat))
	if err != nil {
		return s.pause(ctx, err)
	}
	defer messages.Stop()
	sent := uint64(0) // by this consumer
	for s.next <= s.last {
		msg, err := messages.Next(jetstream.NextMaxWait(stallTime))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return s.stalled(ctx, consumer, server, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		sent++
		switch sequence := meta.Sequence.Stream; {
		case meta.Sequence.Consumer != sent:
			return nil // a message was lost on its way: that says nothing of the copy
		case sequence < s.next:
			continue
		case sequence > s.next:
			s.lacks(server)
			return nil
		}
		if err := line.add(s.next, msg); err != nil {
			return err
		}
		s.next++
		s.lacking, s.behind = nil, nil
	}
	return nil
}

// lacks notes that a server does not have the next message.
func (s *scan) lacks(server string) {
	s.lacking = append(s.lacking, server)
	if _, known := s.damaged[server]; !known {
		s.damaged[server] = s.next
		if s.missed != nil {
			s.missed(server, s.next)
		}
	}
}

// stalled is called when a consumer falls silent although messages are to come. Its
// server may be gone, behind, or damaged.
func (s *scan) stalled(ctx context.Context, consumer jetstream.Consumer, server string, cause error) error {
	asking, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	state, err := consumer.Info(asking)
	if err == nil && state.Delivered.Stream >= s.next {
		return nil // it has sent the message, which was lost on its way
	}
	if err != nil {
		cause = err // nobody knows what the consumer has sent
	}
	info, err := s.info(ctx)
	if err != nil {
		return err
	}
	if !errors.Is(cause, nats.ErrTimeout) || !s.isCurrent(info, server) {
		s.behind = append(s.behind, server)
		return nil
	}
	s.lacks(server)
	return nil
}

// isCurrent reports whether, as the leader says, a server has all of the stream.
func (s *scan) isCurrent(info *jetstream.StreamInfo, server string) bool {
	if info.Cluster == nil || info.Cluster.Leader == server {
		return true
	}
	return slices.ContainsFunc(info.Cluster.Replicas, func(p *jetstream.PeerInfo) bool {
		return p.Name == server && p.Current && !p.Offline && p.Lag == 0
	})
}

// nowhere is called when no server that runs has the next message.
func (s *scan) nowhere(ctx context.Context) error {
	if len(s.lacking) == 0 || len(s.behind) > 0 {
		s.behind = nil
		if s.server != "" {
			return fmt.Errorf("read stream %s from %s: %w", s.stream, s.server, errLag)
		}
		return s.pause(ctx, errLag)
	}
	slices.Sort(s.lacking)
	return &DamageError{Stream: s.stream, Sequence: s.next, Server: strings.Join(s.lacking, ", "), Found: "no such message",
		Expected: fmt.Sprintf("every message from 1 to %d", s.last), missing: true}
}

// pause waits before something is tried again; the error is nil unless ctx ends.
func (s *scan) pause(ctx context.Context, cause error) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("read stream %s: %w (%w)", s.stream, cause, ctx.Err())
	case <-time.After(askAgain):
		return nil
	}
}

// consumer returns a consumer from the next message on, and the server that it is
// on; nil if no running server is left to ask. The servers place a consumer by
// chance, so it is made again until it is on a wanted one.
func (s *scan) consumer(ctx context.Context) (jetstream.Consumer, string, error) {
	cause := errors.New("no consumer on a server that has not been asked yet")
	for begun := time.Now(); ; {
		if s.server != "" && time.Since(begun) > copyTime {
			return nil, "", fmt.Errorf("read stream %s from %s: %w", s.stream, s.server, errAway)
		}
		if s.patience > 0 && time.Since(begun) > s.patience {
			return nil, "", s.leaderless(cause)
		}
		info, err := s.info(ctx)
		if err != nil {
			return nil, "", err
		}
		if !slices.ContainsFunc(s.serversOf(info), s.mayServe) {
			return nil, "", nil
		}
		for range placements {
			consumer, err := s.createConsumer(ctx)
			if err != nil {
				cause = err
				break
			}
			server := s.js.Conn().ConnectedServerName()
			if cluster := consumer.CachedInfo().Cluster; cluster != nil && cluster.Leader != "" {
				server = cluster.Leader
			}
			if s.mayServe(server) {
				return consumer, server, nil
			}
			s.remove(consumer)
		}
		if err := s.pause(ctx, cause); err != nil {
			return nil, "", err
		}
	}
}

func (s *scan) createConsumer(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return s.js.CreateConsumer(ctx, s.stream, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.next, AckPolicy: jetstream.AckNonePolicy,
		HeadersOnly: s.headersOnly, MemoryStorage: true, Replicas: 1, InactiveThreshold: consumerTime,
	})
}

// serversOf returns the servers that have the stream and are not offline.
func (r *reader) serversOf(info *jetstream.StreamInfo) []string {
	if info.Cluster == nil || info.Cluster.Leader == "" {
		return []string{r.js.Conn().ConnectedServerName()}
	}
	servers := []string{info.Cluster.Leader}
	for _, p := range info.Cluster.Replicas {
		if !p.Offline {
			servers = append(servers, p.Name)
		}
	}
	return servers
}

func (s *scan) mayServe(server string) bool {
	return (s.server == "" || s.server == server) && !slices.Contains(s.lacking, server) && !slices.Contains(s.behind, server)
}

// remove removes a consumer. If that fails the servers do so, after consumerTime.
func (s *scan) remove(consumer jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	_ = s.js.DeleteConsumer(ctx, s.stream, consumer.CachedInfo().Name)
}

// info asks the stream's leader until it answers. The error is that ctx or patience
// has ended, or that there is no such stream.
func (r *reader) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	begun := time.Now()
	for {
		info, err := r.ask(ctx)
		if err == nil || errors.Is(err, jetstream.ErrStreamNotFound) {
			return info, err
		}
		if r.patience > 0 && time.Since(begun) > r.patience {
			return nil, r.leaderless(err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("ask for stream %s: %w (%w)", r.stream, ctx.Err(), err)
		case <-time.After(askAgain):
		}
	}
}

// leaderless says that patience has ended.
func (r *reader) leaderless(cause error) error {
	return fmt.Errorf("read stream %s: its leader has not answered for %v: most of its servers have to run and reach each other (%w)", r.stream, r.patience, cause)
}

// confirm sets least to a count that includes all messages acknowledged before the
// call. A leader that was cut off from the others answers as before for some 20 s,
// and for a moment when it is back. So only a leader that has heard from most of
// the servers since the call counts (as in Raft's ReadIndex: Ongaro, "Consensus:
// Bridging Theory and Practice", 6.4). It is asked twice: what it hears first may
// have been sent before it was cut off. A leader hears from each server every
// second.
func (r *reader) confirm(ctx context.Context) error {
	for range 2 {
		begun := time.Now()
		for {
			asked := time.Now()
			info, err := r.info(ctx)
			if err != nil {
				return err
			}
			if isConfirmed(info, asked.Sub(begun)) {
				r.least = max(r.least, info.State.LastSeq)
				break
			}
			if r.patience > 0 && time.Since(begun) > r.patience {
				return r.leaderless(errUnconfirmed)
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("read stream %s: its leader does not hear from most of the servers: %w", r.stream, ctx.Err())
			case <-time.After(askAgain):
			}
		}
	}
	return nil
}

// isConfirmed reports whether a stream's leader has heard, within that time before
// it answered, from enough servers to be a majority with itself.
func isConfirmed(info *jetstream.StreamInfo, within time.Duration) bool {
	if info.Cluster == nil || info.Config.Replicas <= 1 {
		return true
	}
	heard := 1
	for _, replica := range info.Cluster.Replicas {
		// 0 is a server that it has never heard from.
		if !replica.Offline && replica.Active > 0 && replica.Active < within {
			heard++
		}
	}
	return heard > info.Config.Replicas/2
}

// ask asks the stream's leader once.
func (r *reader) ask(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	stream, err := r.js.Stream(ctx, r.stream)
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}
