package natsledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	watchPeriod = time.Second
	seenFactor  = 20 // times as long as it took to look at all agencies is waited for the next time
	deadLooks   = 5  // looks in a row that must find another stream, or none
)

// troubles are the reasons why nothing is taken.
type troubles struct {
	full     error // the stream takes no more; until something is stored
	stumbled error // an answer that should not be; likewise
	foreign  error // a message that no ledger has written; for good
	draw     error // the draw that is stored is another one; for good
	holes    error // the stream is not whole
}

// damage returns why nothing that the stream holds can be believed, or nil.
func (t *troubles) damage() error { return t.holes }

func (t *troubles) first() error {
	return cmp.Or(t.holes, t.draw, t.full, t.foreign, t.stumbled)
}

// look is what the stream's leader has said.
type look struct {
	at       time.Time
	leader   string
	replicas []Replica
	messages uint64
	bytes    uint64
	maxBytes int64
	last     uint64
	err      error // of the last try
}

func (k *look) take(info *jetstream.StreamInfo) {
	k.at, k.err = time.Now(), nil
	k.messages, k.bytes, k.maxBytes, k.last = info.State.Msgs, info.State.Bytes, max(info.Config.MaxBytes, 0), info.State.LastSeq
	k.leader, k.replicas = "", nil
	if info.Cluster == nil {
		return
	}
	k.leader = info.Cluster.Leader
	if k.leader != "" {
		k.replicas = append(k.replicas, Replica{Server: k.leader, Current: true})
	}
	for _, r := range info.Cluster.Replicas {
		k.replicas = append(k.replicas, Replica{Server: r.Name, Current: r.Current, Offline: r.Offline, Lag: r.Lag, Active: r.Active})
	}
}

// Health returns how the servers are. It waits for nothing.
func (l *Ledger) Health() Health {
	connected := l.conn.IsConnected()
	l.mu.Lock()
	defer l.mu.Unlock()
	h := Health{
		Leader: l.look.leader, Replicas: append([]Replica(nil), l.look.replicas...), Messages: l.look.messages, Bytes: l.look.bytes,
		MaxBytes: l.look.maxBytes, Asked: l.look.at, InFlight: l.inFlight, Problem: cmp.Or(l.err, l.troubles.first()),
	}
	switch {
	case connected:
		h.Server = l.conn.ConnectedUrlRedacted()
	case h.Problem == nil:
		h.Problem = errors.New("no NATS server is connected")
	}
	if h.Problem == nil && l.look.err != nil {
		h.Problem = fmt.Errorf("the leader of the stream %s does not answer: %w", l.stream, l.look.err)
	}
	return h
}

// watch looks at the stream each second, and tells what other centrals have
// stored, until the ledger lets go.
func (l *Ledger) watch() {
	known := make([]seen, l.config.Agencies)
	var last uint64
	var next time.Time
	gone := 0
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-time.After(watchPeriod):
		}
		info, err := l.lookNow()
		other := errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && !info.Created.Equal(l.created)
		if gone++; !other {
			gone = 0
		}
		l.mu.Lock()
		switch {
		case gone >= deadLooks:
			l.die(fmt.Errorf("the stream %s: %w", l.stream, errOtherStream))
		case err != nil:
			l.look.err = err
		case !other:
			l.look.take(info)
		}
		l.mu.Unlock()
		if err != nil || other || info.State.LastSeq == last || time.Now().Before(next) {
			continue
		}
		begun := time.Now()
		ctx, cancel := context.WithTimeout(l.ctx, beginTime)
		if l.tellSeen(ctx, known) == nil {
			last = info.State.LastSeq
		}
		cancel()
		next = time.Now().Add(seenFactor * time.Since(begun))
	}
}

func (l *Ledger) lookNow() (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(l.ctx, attemptTime)
	defer cancel()
	s, err := l.js.Stream(ctx, l.stream)
	if err != nil {
		return nil, err
	}
	return s.CachedInfo(), nil
}
