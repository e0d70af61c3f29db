package natsledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"loteria/lottery"
)

// Draw implements lottery.Ledger. Each central works out the winners by itself, and
// the first one stores the result.
func (l *Ledger) Draw(done func([][]string, error)) {
	l.call(l.drawing, func(ctx context.Context) func(error) {
		winners, err := l.draw(ctx)
		if err != nil {
			l.log.Warn().Str("action", "draw").Str("result", "in_progress").Str("stream", l.stream).Err(err).Send()
			err = lottery.ErrUnavailable
		}
		return func(refused error) {
			if err := cmpErrors(refused, err); err != nil {
				done(nil, err)
				return
			}
			done(winners, nil)
		}
	}, func(err error) { done(nil, err) })
}

// SetDeadline implements lottery.Ledger.
func (l *Ledger) SetDeadline(before, deadline time.Time, done func(error)) {
	l.call(l.deadlines, func(ctx context.Context) func(error) {
		err := l.setDeadline(ctx, before, deadline)
		if err != nil && !errors.Is(err, lottery.ErrMoved) {
			l.log.Warn().Str("action", "draw_deadline").Str("result", "in_progress").Str("stream", l.stream).Err(err).Send()
			err = lottery.ErrUnavailable
		}
		return func(refused error) { done(cmpErrors(refused, err)) }
	}, done)
}

// Terms implements lottery.Ledger.
func (l *Ledger) Terms() lottery.Terms {
	l.mu.Lock()
	defer l.mu.Unlock()
	return lottery.Terms{Agencies: l.config.Agencies, Deadline: l.deadline}
}

// cmpErrors returns why the ledger is dead, or else what a call has found.
func cmpErrors(refused, err error) error {
	if refused != nil {
		return refused
	}
	return err
}

// turn is a mutex that can be waited for with a context.
type turn chan struct{}

// call runs a rare call on a goroutine of its own, one of a kind at a time. do
// returns the callback to make, which gets why the ledger is dead, or nil.
func (l *Ledger) call(one turn, do func(context.Context) func(error), refuse func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refusal(); err != nil {
		l.tell(func() { refuse(err) })
		return
	}
	l.callers.Add(1)
	go func() {
		defer l.callers.Done()
		ctx, cancel := context.WithTimeout(l.ctx, l.config.Patience)
		defer cancel()
		var tell func(error)
		select {
		case one <- struct{}{}:
			tell = do(ctx)
			<-one
		case <-ctx.Done():
			tell = func(err error) { refuse(cmpErrors(err, lottery.ErrUnavailable)) }
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		err := l.err
		l.tell(func() { tell(err) })
	}()
}

// draw returns the winners, once the draw is stored.
func (l *Ledger) draw(ctx context.Context) ([][]string, error) {
	r, err := l.watch.reader.pass(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.watch.blockedBy(); err != nil {
		return nil, err
	}
	for {
		s, err := l.getNow(ctx, getRequest{LastFor: drawSubject(l.stream)})
		switch {
		case err != nil:
			return nil, err
		case s != nil && bytes.Equal(s.data, r.body):
			return r.winners, nil
		case s != nil:
			err := fmt.Errorf("the draw of the stream %s that is stored is another one: %.200q, from its bets it would be %.200q", l.stream, s.data, r.body)
			l.mu.Lock()
			l.troubles.draw = err
			l.mu.Unlock()
			return nil, err
		}
		if err := l.put(ctx, drawSubject(l.stream), 0, r.body); err != nil && ctx.Err() != nil {
			return nil, err
		}
	}
}

// setDeadline sets the deadline. It looks first, and again after each try: so an
// unknown outcome becomes known.
func (l *Ledger) setDeadline(ctx context.Context, before, deadline time.Time) error {
	var body []byte
	if !deadline.IsZero() {
		body = deadline.UTC().AppendFormat(nil, time.RFC3339Nano)
	}
	for {
		s, err := l.getNow(ctx, getRequest{LastFor: deadlineSubject(l.stream)})
		if err != nil {
			return err
		}
		var stored time.Time
		var seq uint64
		if s != nil {
			seq = s.seq
			if stored, err = readDeadline(s.data); err != nil {
				return err
			}
		}
		l.mu.Lock()
		isOld := seq < l.deadSeq // the leader is behind
		if seq > l.deadSeq {
			l.deadline, l.deadSeq = stored, seq
		}
		l.mu.Unlock()
		switch {
		case isOld:
			if err := pause(ctx, againDelay); err != nil {
				return err
			}
			continue
		case stored.Equal(deadline):
			return nil
		case !stored.Equal(before):
			return lottery.ErrMoved
		}
		if err := l.put(ctx, deadlineSubject(l.stream), seq, body); err != nil && ctx.Err() != nil {
			return err
		}
	}
}

// put publishes a message after another one of its subject, once. Whatever the
// error, the caller must look whether it was stored.
func (l *Ledger) put(ctx context.Context, subject string, after uint64, body []byte) error {
	msg := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{
		jetstream.ExpectedStreamHeader:      {l.stream},
		jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(after, 10)},
		headerCentral:                       {l.config.Central},
	}}
	attempt, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	reply, err := l.conn.RequestMsgWithContext(attempt, msg)
	if err == nil {
		var ack acknowledgement
		if err = ack.read(reply.Data); err == nil && ack.Error == nil {
			return nil
		}
	}
	return cmpErrors(pause(ctx, againDelay), err)
}

// getNow asks for a message until there is an answer, or ctx is done.
func (l *Ledger) getNow(ctx context.Context, request getRequest) (*storedMessage, error) {
	body, _ := json.Marshal(request) // never fails
	for {
		attempt, cancel := context.WithTimeout(ctx, attemptTime)
		reply, err := l.conn.RequestWithContext(attempt, l.getSubject(), body)
		cancel()
		if err == nil {
			var response getResponse
			s, err := response.read(reply.Data)
			if err == nil {
				return s, nil
			}
		}
		if pause(ctx, againDelay) != nil {
			return nil, fmt.Errorf("the leader of the stream %s does not answer: %w", l.stream, cmpErrors(err, ctx.Err()))
		}
	}
}

// pause waits for a while, unless ctx is done before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
