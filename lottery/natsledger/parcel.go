package natsledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	attemptTime  = 1500 * time.Millisecond // for an answer, before the same is sent again
	sweepPeriod  = 50 * time.Millisecond
	againDelay   = 100 * time.Millisecond // when there is no leader, or it is not known who leads
	crowdDelay   = 250 * time.Millisecond // when too much is queued at the servers
	fullDelay    = 500 * time.Millisecond // when the stream is full
	damageDelay  = 500 * time.Millisecond // when it has holes
	silenceTime  = 2 * attemptTime        // without any answer, after which another server is tried
	forcePeriod  = 5 * time.Second        // between two such tries
	beginTime    = time.Minute
	closeTime    = 5 * time.Second
	maxAsking    = 16              // questions at once: an answer may be as long as the longest message, and a third more
	maxEnding    = 16              // ends at once: for each, nats-server makes a store on its disk, which takes some 10 ms
	writeTimeout = 2 * time.Second // of the connection's socket
)

// parcel is a message to store, or a question, that is sent until it gets a usable
// answer. Each time the same is sent, and the answer to any of them counts.
type parcel struct {
	token    string
	msgs     []*nats.Msg
	reply    func(*nats.Msg) // takes in an answer; the caller holds the lock
	batch    func(id string) // numbers msgs before they are sent; nil unless they are an atomic batch
	question *parcel         // that asks what has become of it
	asks     bool            // it is a question
	asking   bool            // the question is under way

	tries   int
	silent  int       // tries in a row without an answer
	first   time.Time // when it was first sent
	sent    time.Time // when it was last sent
	waiting bool      // for an answer
	resting bool      // until it is sent again
	queued  bool      // in the outbox
	dropped bool
}

// address gives a parcel its token and registers it. The caller holds the lock.
func (l *Ledger) address(p *parcel) {
	l.ids++
	p.token = strconv.FormatUint(l.ids, 36)
	l.parcels[p.token] = p
	p.msgs[len(p.msgs)-1].Reply = l.inbox + "." + p.token
}

// drop forgets a parcel. The caller holds the lock.
func (l *Ledger) drop(p *parcel) {
	p.dropped = true
	l.asked(p)
	delete(l.parcels, p.token)
	if p.question != nil {
		l.drop(p.question)
	}
}

// asked makes room for another question. The caller holds the lock.
func (l *Ledger) asked(p *parcel) {
	if p.asking {
		p.asking = false
		l.asking--
		l.wakeUp()
	}
}

// post has a parcel sent. The caller holds the lock.
func (l *Ledger) post(p *parcel) {
	if p.dropped || p.queued {
		return
	}
	p.queued, p.waiting, p.resting = true, false, false
	if p.asks && !p.asking {
		l.questions = append(l.questions, p)
	} else {
		l.outbox = append(l.outbox, p)
	}
	l.wakeUp()
}

// later has a parcel sent again after a while. The caller holds the lock.
func (l *Ledger) later(p *parcel, delay time.Duration) {
	if p.dropped || p.queued || p.resting { // it is as good as sent
		return
	}
	p.waiting, p.resting = false, true
	time.AfterFunc(delay, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if p.resting {
			l.post(p)
		}
	})
}

// stumble notes an unexpected answer, and tries again.
func (l *Ledger) stumble(p *parcel, err error) {
	if l.troubles.stumbled == nil || l.troubles.stumbled.Error() != err.Error() {
		l.log.Error().Str("action", "publish").Str("result", "in_progress").Str("stream", l.stream).Err(err).Send()
	}
	l.troubles.stumbled = err
	l.later(p, againDelay)
}

func (l *Ledger) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// publish sends what waits, until the ledger is closed.
func (l *Ledger) publish() {
	for {
		l.mu.Lock()
		p := l.next(time.Now())
		id := ""
		if p != nil && p.batch != nil {
			id = l.id()
		}
		l.mu.Unlock()
		if p == nil {
			select {
			case <-l.wake:
				continue
			case <-l.ctx.Done():
				return
			}
		}
		if id != "" {
			p.batch(id)
		}
		if err := l.send(p); err != nil {
			l.mu.Lock()
			if p.waiting {
				l.later(p, againDelay)
			}
			if errors.Is(err, nats.ErrMaxPayload) {
				l.troubles.stumbled = fmt.Errorf("the servers take at most %d bytes in a message (max_payload), which is too little", l.conn.MaxPayload())
			}
			l.mu.Unlock()
		}
	}
}

func (l *Ledger) send(p *parcel) error {
	for _, msg := range p.msgs {
		if err := l.conn.PublishMsg(msg); err != nil {
			return err
		}
	}
	return nil
}

// next returns what is to be sent next, or nil. The caller holds the lock.
func (l *Ledger) next(now time.Time) *parcel {
	p := l.nextParcel()
	if p == nil {
		return nil
	}
	if p.tries == 0 {
		p.first = now
	}
	p.tries++
	p.sent, p.waiting = now, true
	return p
}

func (l *Ledger) nextParcel() *parcel {
	for len(l.outbox) > 0 {
		p := l.outbox[0]
		l.outbox = l.outbox[1:]
		if p.queued = false; !p.dropped {
			return p
		}
	}
	l.outbox = nil
	for len(l.questions) > 0 && l.asking < maxAsking {
		p := l.questions[0]
		l.questions = l.questions[1:]
		if p.queued = false; !p.dropped {
			p.asking = true
			l.asking++
			return p
		}
	}
	if len(l.questions) == 0 {
		l.questions = nil
	}
	if l.watch.blockedBy() != nil {
		return nil // the sweep wakes the publisher when that is over
	}
	for n := maxEnding - l.ending; n > 0 && len(l.readyEnds) > 0; n-- {
		l.ready = append(l.ready, l.readyEnds[0])
		l.readyEnds = l.readyEnds[1:]
	}
	for len(l.ready) > 0 && l.inFlight+maxRows+headerRoom <= maxInFlight {
		c := l.ready[0]
		l.ready = l.ready[1:]
		if l.ending >= maxEnding && len(c.ops) > 0 && c.ops[0].kind == opEnd {
			l.readyEnds = append(l.readyEnds, c)
			continue
		}
		if f := l.launch(c); f != nil {
			if f.isEnd() {
				f.batch = f.number
			}
			return &f.parcel
		}
	}
	if len(l.ready) == 0 {
		l.ready = nil
	}
	if len(l.readyEnds) == 0 {
		l.readyEnds = nil
	}
	return nil
}

// receive takes in an answer of the servers.
func (l *Ledger) receive(reply *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.parcels[strings.TrimPrefix(reply.Subject, l.inbox+".")]
	if p == nil {
		return
	}
	if isNoResponders(reply) { // there is no leader
		if p.waiting {
			l.later(p, againDelay)
		}
		return
	}
	l.lastAnswer = time.Now()
	p.silent = 0
	p.reply(reply)
}

// isNoResponders reports whether a server says that nobody listens
// (https://docs.nats.io/nats-concepts/core-nats/reqreply#no-responders).
func isNoResponders(reply *nats.Msg) bool {
	return len(reply.Data) == 0 && reply.Header.Get("Status") == "503"
}

// sweep looks after what has no answer, until the ledger is closed.
func (l *Ledger) sweep() {
	ticker := time.NewTicker(sweepPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case now := <-ticker.C:
			if l.sweepOnce(now) {
				l.reconnect()
			}
		}
	}
}

// reconnect tries another server.
func (l *Ledger) reconnect() {
	l.log.Warn().Str("action", "reconnect").Str("result", "in_progress").Str("server", l.server.Load().name).Str("reason", "it does not answer").Send()
	_ = l.conn.ForceReconnect() // an error says that it is closed
}

// sweepOnce sends again what is late and gives up what is too late. It reports
// whether another server should be tried.
func (l *Ledger) sweepOnce(now time.Time) (silent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.parcels {
		late := attemptTime
		if now.Sub(l.lastAnswer) < attemptTime { // they are slow, and more to do makes them slower
			late <<= min(p.silent, 3)
		}
		if p.waiting && now.Sub(p.sent) > late {
			p.silent++
			silent = silent || p.silent >= 2
			l.post(p)
		}
	}
	for c := range l.busy {
		if o := c.head(); o != nil && now.After(o.by) {
			l.giveUp(c)
		}
	}
	if len(l.ready)+len(l.readyEnds) > 0 {
		l.wakeUp()
	}
	if !silent || now.Sub(l.lastAnswer) < silenceTime || now.Sub(l.forced) < forcePeriod {
		return false
	}
	l.forced = now
	return true
}

// head returns the call that has waited longest, or nil.
func (c *chain) head() *op {
	switch {
	case c.flight != nil && len(c.flight.ops) > 0:
		return &c.flight.ops[0]
	case len(c.ops) > 0:
		return &c.ops[0]
	}
	return nil
}

// reconnected sends again what may be lost.
func (l *Ledger) reconnected() {
	l.log.Info().Str("action", "connect_ledger").Str("result", "success").Str("server", l.conn.ConnectedUrlRedacted()).Send()
	l.noteServer()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastAnswer = time.Now()
	for _, p := range l.parcels {
		if p.waiting {
			l.post(p)
		}
	}
}

// server is what the ledger knows of the server that it is connected to. To ask the
// connection for it may take as long as a write to its socket.
type server struct {
	name       string // empty when there is none
	maxPayload int    // bytes of a message that every server so far takes
}

func (l *Ledger) noteServer() {
	now := server{name: l.conn.ConnectedServerName(), maxPayload: int(l.conn.MaxPayload())}
	if last := l.server.Load(); last != nil {
		now.maxPayload = min(now.maxPayload, last.maxPayload)
	}
	l.server.Store(&now)
}

// disconnected ends what reads from the connection: it restarts on the next one.
func (l *Ledger) disconnected(err error) {
	l.server.Store(&server{maxPayload: l.server.Load().maxPayload}) // messages made meanwhile must fit
	l.mu.Lock()
	for _, cancel := range l.consumers {
		cancel()
	}
	l.mu.Unlock()
	if l.ctx.Err() == nil {
		l.log.Warn().Str("action", "connect_ledger").Str("result", "in_progress").AnErr("reason", err).Send()
	}
}

// acknowledgement is the answer to a message
// (https://docs.nats.io/reference/reference-protocols/nats_api_reference).
type acknowledgement struct {
	Stream string       `json:"stream"`
	Seq    uint64       `json:"seq"`
	Error  *serverError `json:"error"`
}

type serverError struct {
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

func (a *acknowledgement) read(data []byte) error {
	if err := json.Unmarshal(data, a); err != nil {
		return err
	}
	if a.Error == nil && a.Seq == 0 {
		return fmt.Errorf("%.80q has neither a sequence number nor an error", data)
	}
	return nil
}

// last returns the sequence number that a wrong one was compared with.
func (e *serverError) last() (uint64, bool) {
	_, number, _ := strings.Cut(e.Description, ": ")
	last, err := strconv.ParseUint(number, 10, 64)
	return last, err == nil
}

// getRequest asks the stream's leader for a message
// (https://docs.nats.io/reference/reference-protocols/nats_api_reference#fetching-from-a-stream-by-sequence).
type getRequest struct {
	Seq     uint64 `json:"seq,omitempty"` // this one, or the first one from it on
	LastFor string `json:"last_by_subj,omitempty"`
	NextFor string `json:"next_by_subj,omitempty"`
}

// storedMessage is a message as the leader has it.
type storedMessage struct {
	seq     uint64
	subject string
	header  nats.Header
	data    []byte
}

// getResponse is the answer.
type getResponse struct {
	Error   *serverError `json:"error"`
	Message *struct {
		Subject string `json:"subject"`
		Seq     uint64 `json:"seq"`
		Header  []byte `json:"hdrs"`
		Data    []byte `json:"data"`
	} `json:"message"`
}

// read returns the message, or nil when there is none.
func (r *getResponse) read(data []byte) (*storedMessage, error) {
	if err := json.Unmarshal(data, r); err != nil {
		return nil, err
	}
	switch {
	case r.Error != nil && r.Error.Code == codeNoMessage:
		return nil, nil
	case r.Error != nil:
		return nil, fmt.Errorf("the servers answer %d: %s", r.Error.Code, r.Error.Description)
	case r.Message == nil:
		return nil, fmt.Errorf("%.80q has no message", data)
	}
	s := &storedMessage{seq: r.Message.Seq, subject: r.Message.Subject, data: r.Message.Data}
	if len(r.Message.Header) > 0 {
		var err error
		if s.header, err = nats.DecodeHeadersMsg(r.Message.Header); err != nil {
			return s, nil // decode will say that there is none of ours
		}
	}
	return s, nil
}

// withoutBody cuts the body of the message out of an answer. It may be most of the
// answer, and to parse it takes milliseconds. The servers write it after all that
// matters here (nats-server, StoredMsg), and nothing before it can contain the
// marker, as JSON escapes quotes.
func withoutBody(answer []byte) []byte {
	if i := bytes.Index(answer, []byte(`,"data":"`)); i >= 0 {
		return append(answer[:i:i], "}}"...)
	}
	return answer
}

// getSubject is where the stream's leader is asked for a message.
func (l *Ledger) getSubject() string { return "$JS.API.STREAM.MSG.GET." + l.stream }

// get asks for a message, without its body, until there is an answer or the parcel
// is dropped. The answer is nil when there is no such message. The caller holds the
// lock, and answer is called with it.
func (l *Ledger) get(request getRequest, answer func(*storedMessage, error)) *parcel {
	body, _ := json.Marshal(request) // never fails
	p := &parcel{asks: true, msgs: []*nats.Msg{{Subject: l.getSubject(), Data: body}}}
	p.reply = func(reply *nats.Msg) {
		var response getResponse
		s, err := response.read(withoutBody(reply.Data))
		if err != nil || l.watch.blockedBy() != nil {
			l.asked(p) // others may have an answer
			l.later(p, againDelay)
			return
		}
		l.drop(p)
		answer(s, nil)
	}
	l.address(p)
	l.post(p)
	return p
}
