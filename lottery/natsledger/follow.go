package natsledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	consumerLife = 30 * time.Second // that the servers keep a consumer nobody asks
	createTime   = 3 * time.Second
	heartbeat    = time.Second // of a consumer; two missed ones make it a lost one
	followPause  = 200 * time.Millisecond
)

// errLost says that a message on its way from a consumer was lost.
var errLost = errors.New("a message of a consumer was lost")

// consume creates a consumer and calls take for its messages: as many as first
// returns, given the number pending. It ends with an error when ctx is done, a
// message was lost, or the connection breaks: then the next consumer begins where
// this one was.
func (l *Ledger) consume(ctx context.Context, config jetstream.ConsumerConfig, first func(pending uint64) (most uint64), take func(jetstream.Msg) error) error {
	ctx, cancel := l.whileConnected(ctx)
	defer cancel()
	config.AckPolicy, config.MemoryStorage, config.Replicas, config.InactiveThreshold = jetstream.AckNonePolicy, true, 1, consumerLife
	creation, created := context.WithTimeout(ctx, createTime)
	defer created()
	consumer, err := l.js.CreateConsumer(creation, l.stream, config)
	if err != nil {
		return err
	}
	info := consumer.CachedInfo()
	defer l.forget(info.Name)
	most := first(info.NumPending)
	if most == 0 {
		return nil
	}
	messages, err := consumer.Messages(jetstream.PullHeartbeat(heartbeat), jetstream.PullExpiry(pullExpiry))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for n := range most {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Consumer != n+1 {
			return errLost
		}
		if err := take(msg); err != nil {
			return err
		}
	}
	return nil
}

// whileConnected returns a context that is also done when the connection breaks.
func (l *Ledger) whileConnected(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids++
	id := l.ids
	l.consumers[id] = cancel
	return ctx, func() {
		cancel()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.consumers, id)
	}
}

// forget has the servers delete a consumer, as they would do later anyway.
func (l *Ledger) forget(consumer string) {
	_ = l.conn.Publish("$JS.API.CONSUMER.DELETE."+l.stream+"."+consumer, nil)
}

// notices are the subjects that every central follows.
func (l *Ledger) notices() []string {
	return []string{l.stream + ".ended.>", deadlineSubject(l.stream), drawSubject(l.stream)}
}

// readNotices reads what every central must know.
func (l *Ledger) readNotices(ctx context.Context) error {
	for {
		err := l.consume(ctx, jetstream.ConsumerConfig{FilterSubjects: l.notices(), DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy},
			func(pending uint64) uint64 { return pending }, l.noticed)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("read how the contest in the stream %s stands: %w", l.stream, err)
		case <-time.After(followPause):
		}
	}
}

// follow takes in what every central must know, until the ledger is closed. After
// each interruption it goes on where it was.
func (l *Ledger) follow() {
	said := false
	for l.ctx.Err() == nil {
		config := jetstream.ConsumerConfig{FilterSubjects: l.notices(), DeliverPolicy: jetstream.DeliverAllPolicy}
		l.mu.Lock()
		if l.lastSeen > 0 {
			config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, l.lastSeen+1
		}
		l.mu.Unlock()
		err := l.consume(l.ctx, config, func(uint64) uint64 {
			if said {
				l.log.Info().Str("action", "follow_notices").Str("result", "success").Send()
			}
			said = false
			return 1 << 63
		}, l.noticed)
		if l.ctx.Err() == nil && !said {
			l.log.Warn().Str("action", "follow_notices").Str("result", "in_progress").AnErr("reason", err).Send()
			said = true
		}
		select {
		case <-l.ctx.Done():
		case <-time.After(followPause):
		}
	}
}

// noticed takes in one notice.
func (l *Ledger) noticed(msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || meta.Sequence.Stream <= l.lastSeen {
		return nil
	}
	if err := l.takeNotice(msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream); err != nil {
		l.foreign(&storedMessage{seq: meta.Sequence.Stream, subject: msg.Subject()}, err)
	}
	l.lastSeen = meta.Sequence.Stream
	return nil
}

func (l *Ledger) takeNotice(subject string, header nats.Header, body []byte, seq uint64) error {
	switch subject {
	case drawSubject(l.stream):
		l.drawn = append([]byte{}, body...)
		return nil
	case deadlineSubject(l.stream):
		deadline, err := readDeadline(body)
		if err == nil && seq > l.deadSeq {
			l.deadline, l.deadSeq = deadline, seq
		}
		return err
	}
	agency, err := l.agencyOf(subject)
	if err != nil {
		return err
	}
	m, err := decode(header, nil)
	if err != nil {
		return err
	}
	if m.kind != kindEnded {
		return fmt.Errorf("the header %s is %q, expected %q", headerKind, m.kind, kindEnded)
	}
	l.hasEnded(agency, m)
	return nil
}

// agencyOf returns the agency at the end of a subject.
func (l *Ledger) agencyOf(subject string) (int, error) {
	text := subject[strings.LastIndexByte(subject, '.')+1:]
	agency, err := strconv.Atoi(text)
	if err != nil || agency < 1 || agency > l.config.Agencies || strconv.Itoa(agency) != text {
		return 0, fmt.Errorf("there is no agency %.40q", text)
	}
	return agency, nil
}

// hasEnded notes that an agency's betting has ended, and reports it once. The
// caller holds the lock.
func (l *Ledger) hasEnded(agency int, m *message) {
	if l.ended[agency-1] != nil {
		return
	}
	account := m.account()
	l.ended[agency-1] = &account
	c := l.chains[agency-1]
	told := account
	stored := &told
	if c != nil && c.endID == m.id {
		stored = nil
	}
	if l.begun {
		ended := l.events.Ended
		l.tell(func() { ended(agency, account.Ended, stored) })
	}
	if c != nil && c.flight == nil && c.load == nil && len(c.ops) == 0 { // nothing can come any more
		c.known, c.tailKnown, c.failed = true, true, nil
		c.end = link{place: place{m.after(), m.digest}, resumed: m.resumed, ended: m.ended}
		c.tail = c.end.place
	}
}

// readDeadline reads the body of a message that sets the deadline; empty is none.
func readDeadline(body []byte) (time.Time, error) {
	if len(body) == 0 {
		return time.Time{}, nil
	}
	deadline, err := time.Parse(time.RFC3339Nano, string(body))
	if err != nil {
		return time.Time{}, fmt.Errorf("the deadline: %w", err)
	}
	return deadline, nil
}

// readUsed reports whether an agency has bet. The last message mostly shows it; if
// not, the last one of each agency does.
func (l *Ledger) readUsed(ctx context.Context) (bool, error) {
	s, err := l.getNow(ctx, getRequest{LastFor: l.stream + ".bets.*"})
	if err != nil || s == nil {
		return false, err
	}
	if m, err := decode(s.header, nil); err == nil && m.after() > 0 {
		return true, nil
	}
	used := false
	err = l.lasts(ctx, func(_ int, m *message) { used = used || m.after() > 0 })
	return used, err
}

// lasts calls take with the last message of each agency.
func (l *Ledger) lasts(ctx context.Context, take func(agency int, m *message)) error {
	config := jetstream.ConsumerConfig{
		FilterSubjects: []string{l.stream + ".bets.*"}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, HeadersOnly: true,
	}
	return l.consume(ctx, config, func(pending uint64) uint64 { return pending }, func(msg jetstream.Msg) error {
		agency, err := l.agencyOf(msg.Subject())
		var m *message
		if err == nil {
			m, err = decode(msg.Headers(), nil)
		}
		if err != nil {
			meta, _ := msg.Metadata()
			if meta == nil {
				return errors.New("a message without a sequence number")
			}
			l.mu.Lock()
			l.troubles.foreign = fmt.Errorf("message %d on %s is not of a contest: %w", meta.Sequence.Stream, msg.Subject(), err)
			l.mu.Unlock()
			return nil
		}
		take(agency, m)
		return nil
	})
}

// seen is what was last told of an agency.
type seen struct {
	bets    uint64
	central string
}

// tellSeen reports how many bets are stored of each agency that has bet since the
// last call, and returns the number of these agencies.
func (l *Ledger) tellSeen(ctx context.Context, known []seen) (int, error) {
	var news []func()
	var ends []func()
	err := l.lasts(ctx, func(agency int, m *message) {
		now := seen{m.after(), m.central}
		if m.kind == kindClosed {
			ends = append(ends, func() { l.hasEnded(agency, m) })
		}
		if now != known[agency-1] && now.bets >= known[agency-1].bets { // a copy may be behind
			known[agency-1] = now
			news = append(news, func() { l.events.Seen(agency, now.bets, now.central) })
		}
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events.Seen != nil {
		for _, f := range news {
			l.tell(f)
		}
	}
	for _, f := range ends {
		f()
	}
	return len(news), err
}
