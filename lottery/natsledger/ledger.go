package natsledger

import (
	"context"
	"crypto/rand"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"loteria/lottery"
)

// Ledger is a lottery.Ledger in a stream.
//
// One mutex guards its state; it is never held during a callback or while waiting
// for the network. Three goroutines do the work: the publisher sends messages, the
// subscription of the inbox takes in the answers, and the teller calls back. Others
// follow the notices for every central, and look after what got no answer.
type Ledger struct {
	config  Config
	stream  string
	log     zerolog.Logger
	conn    *nats.Conn
	gone    <-chan struct{} // closed when the connection is
	js      jetstream.JetStream
	reader  *reader
	watch   *watch
	server  atomic.Pointer[server]
	inbox   string // answers come to inbox.token
	answers *nats.Subscription
	prefix  string // of the ids of messages

	maxMessage int // bytes of a message that the stream takes; 0 and less are without a limit

	ctx     context.Context // done when the ledger is closed
	cancel  context.CancelFunc
	workers sync.WaitGroup // goroutines that end with ctx
	callers sync.WaitGroup // goroutines that a call has started: the draw, a deadline
	failed  chan struct{}
	closing sync.Once

	drawing   turn // of the one draw under way
	deadlines turn

	mu     sync.Mutex
	begun  bool
	closed bool
	err    error // that the ledger died of
	events lottery.Events

	chains    []*chain            // of agency i+1; nil until it is first spoken of
	busy      map[*chain]struct{} // those with anything queued or in flight
	idle      sync.Cond           // busy has become empty, or there is nothing left to tell
	ready     []*chain            // those that wait to publish, first come, first served
	readyEnds []*chain            // those of them whose turn has come with an end, while too many ends are in flight
	ending    int                 // ends under way
	ids       uint64              // given out so far, to messages and questions

	parcels   map[string]*parcel // what waits for an answer, by its token
	outbox    []*parcel          // to be sent again, or before all others
	asking    int                // questions under way
	questions []*parcel          // that wait until fewer are under way
	inFlight  int                // bytes of messages that are published and not acknowledged
	wake      chan struct{}      // the publisher has something to do

	tells  []func() // callbacks that are due, in their order
	tellUp chan struct{}
	spoken bool // the teller is in a callback
	over   bool // the ledger is closed, and its goroutines have ended

	ended    []*lottery.Account // of agency i+1, when its betting has ended
	deadline time.Time
	deadSeq  uint64 // of the message that has set the deadline
	drawn    []byte // the draw message's body, when there is one
	lastSeen uint64 // sequence number of the last notice

	consumers map[uint64]context.CancelFunc // what ends with the connection

	lastAnswer time.Time // when anything was last answered
	forced     time.Time // when the ledger last asked for another connection
	troubles   troubles
}

// limits of what a ledger keeps and asks at once.
const (
	maxRows     = 256 << 10 // bytes of rows in one message
	maxWinners  = 16 << 10  // bytes of winners in one message: all headers end at 64 KiB
	headerRoom  = maxWinners + 2<<10
	maxInFlight = 24 << 20 // bytes of messages that are published and not acknowledged
)

var _ lottery.Ledger = (*Ledger)(nil)

// Open opens the contest, or begins it when there is none. It waits for the servers
// until ctx is done; an error that waiting cannot mend, such as wrong credentials,
// is returned at once. Terms other than the contest's give a *TermsError.
func Open(ctx context.Context, c Config) (*Ledger, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	conn, gone, err := connect(ctx, &c)
	if err != nil {
		return nil, err
	}
	l, err := open(ctx, c, conn, gone)
	if err != nil {
		closeConn(conn, gone)
		return nil, err
	}
	return l, nil
}

func open(ctx context.Context, c Config, conn *nats.Conn, gone <-chan struct{}) (*Ledger, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	info, err := openStream(ctx, js, &c)
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		config: c, stream: streamName(c.Contest), log: c.Log, conn: conn, gone: gone, js: js,
		inbox: nats.NewInbox(), prefix: rand.Text(), maxMessage: int(info.Config.MaxMsgSize),
		failed: make(chan struct{}), wake: make(chan struct{}, 1), tellUp: make(chan struct{}, 1),
		chains: make([]*chain, c.Agencies), busy: map[*chain]struct{}{}, parcels: map[string]*parcel{}, consumers: map[uint64]context.CancelFunc{},
		ended: make([]*lottery.Account, c.Agencies), lastAnswer: time.Now(), drawing: make(turn, 1), deadlines: make(turn, 1),
	}
	l.idle.L = &l.mu
	l.reader = newReader(js, l.stream, c.Agencies, c.Log)
	l.watch = newWatch(l.reader, info)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if l.answers, err = conn.Subscribe(l.inbox+".*", l.receive); err != nil {
		l.cancel()
		return nil, err
	}
	l.noteServer()
	conn.SetReconnectHandler(func(*nats.Conn) { l.reconnected() })
	conn.SetDisconnectErrHandler(func(_ *nats.Conn, err error) { l.disconnected(err) })
	return l, nil
}

// Stream returns the name of the contest's stream.
func (l *Ledger) Stream() string { return l.stream }

// Begin implements lottery.Ledger.
func (l *Ledger) Begin(events lottery.Events) (lottery.Stored, error) {
	ctx, cancel := context.WithTimeout(l.ctx, beginTime)
	defer cancel()
	if err := l.readNotices(ctx); err != nil {
		return lottery.Stored{}, err
	}
	used, err := l.readUsed(ctx)
	if err != nil {
		return lottery.Stored{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return lottery.Stored{}, lottery.ErrClosed
	}
	stored := lottery.Stored{Accounts: make([]lottery.Account, l.config.Agencies), Shared: true, Drawn: l.drawn != nil, Used: used}
	for i := range stored.Accounts {
		stored.Accounts[i].Unknown = true
		if e := l.ended[i]; e != nil {
			stored.Accounts[i].Ended, stored.Used = e.Ended, true
		}
	}
	l.begun, l.events = true, events
	for _, work := range []func(){l.publish, l.callBack, l.sweep, l.follow, l.observe, func() { l.watch.run(l.ctx) }} {
		l.workers.Go(work)
	}
	return stored, nil
}

// refusal returns why nothing is taken any more, or nil. The caller holds the
// lock.
func (l *Ledger) refusal() error {
	if l.err == nil && l.closed {
		return lottery.ErrClosed
	}
	return l.err
}

// chainOf returns the agency's chain. The caller holds the lock.
func (l *Ledger) chainOf(agency int) *chain {
	c := l.chains[agency-1]
	if c == nil {
		c = &chain{agency: agency, subject: betsSubject(l.stream, agency)}
		l.chains[agency-1] = c
	}
	return c
}

// Append implements lottery.Ledger. Rows that do not fit one message are split into
// several.
func (l *Ledger) Append(rows lottery.Stretch, after lottery.Mark, done func(error)) (lottery.Mark, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refusal(); err != nil {
		return 0, err
	}
	c := l.chainOf(rows.Agency)
	switch {
	case c.failed != nil:
		return 0, c.failed
	case !c.tailKnown || after != c.tail.mark():
		return 0, lottery.ErrMoved
	}
	by := time.Now().Add(l.config.Patience)
	if rows.Bets == 0 {
		l.push(c, op{kind: opSync, after: after, by: by, done: done})
		return after, nil
	}
	parts, err := split(rows, l.maxRows())
	if err != nil {
		return 0, err
	}
	for i := range parts {
		part := &parts[i]
		o := op{kind: opAppend, after: c.tail.mark(), by: by, bets: part.Bets, bytes: len(part.Rows), winners: part.Winners}
		if i == len(parts)-1 {
			o.done = done
		}
		c.copy(part)
		o.mark = c.tail.mark()
		c.ops = append(c.ops, o)
	}
	l.start(c)
	return c.tail.mark(), nil
}

// Claim implements lottery.Ledger.
func (l *Ledger) Claim(agency int, after lottery.Mark, resumed bool, done func(*lottery.Account, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refusal(); err != nil {
		l.tell(func() { done(nil, err) })
		return
	}
	l.push(l.chainOf(agency), op{kind: opClaim, after: after, by: time.Now().Add(l.config.Patience), resumed: resumed, claimed: done})
}

// End implements lottery.Ledger.
func (l *Ledger) End(agency int, after lottery.Mark, how lottery.Ending, done func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.refusal()
	c := l.chainOf(agency)
	if err == nil && l.ended[agency-1] == nil {
		err = c.failed
	}
	if err != nil {
		l.tell(func() { done(err) })
		return
	}
	l.push(c, op{kind: opEnd, after: after, by: time.Now().Add(l.config.Patience), how: how, done: done})
}

// Failed implements lottery.Ledger.
func (l *Ledger) Failed() <-chan struct{} { return l.failed }

// Err implements lottery.Ledger.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// die makes the ledger fail for good. The caller holds the lock.
func (l *Ledger) die(err error) {
	if l.err != nil {
		return
	}
	l.err = err
	close(l.failed)
	l.log.Error().Str("action", "ledger_failed").Str("result", "fail").Str("stream", l.stream).Err(err).Send()
	for c := range l.busy {
		if c.flight != nil {
			l.endFlight(c.flight)
		}
		l.refuseAll(c, err)
	}
}

// Close implements lottery.Ledger. What was appended becomes durable, or is
// answered when its patience is over.
func (l *Ledger) Close() error {
	l.closing.Do(func() {
		l.mu.Lock()
		l.closed = true
		begun := l.begun
		for begun && l.waited() {
			l.idle.Wait()
		}
		l.mu.Unlock()
		l.callers.Wait()
		l.mu.Lock()
		for begun && len(l.tells) > 0 || l.spoken {
			l.idle.Wait()
		}
		l.mu.Unlock()
		l.cancel()
		l.workers.Wait()
		_ = l.answers.Unsubscribe() // the connection goes anyway
		closeConn(l.conn, l.gone)
		l.callRest()
	})
	return l.Err()
}

// waited reports whether anybody still waits for an answer. The caller holds
// the lock.
func (l *Ledger) waited() bool {
	for c := range l.busy {
		if len(c.ops) > 0 || c.flight != nil && len(c.flight.ops) > 0 {
			return true
		}
	}
	return false
}

// id returns a new id. The caller holds the lock.
func (l *Ledger) id() string {
	l.ids++
	return l.prefix + "-" + strconv.FormatUint(l.ids, 36)
}
