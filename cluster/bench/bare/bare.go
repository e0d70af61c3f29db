// Package bare publishes bets into a contest's stream as a central would, and
// does nothing else: it shows what JetStream itself can do with such messages.
package bare

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"loteria/bench/generator"
)

const (
	// JetStream's error while it still processes the previous message, which it
	// may have acknowledged; and the pause before the next attempt.
	codeInProcess  = 10164
	inProcessPause = 2 * time.Millisecond

	maxRows  = 256 << 10 // bytes of rows of one message
	ackTime  = 30 * time.Second
	maxQueue = 4096 // batches of a connection that wait to be published
)

// Publisher is a generator.Target. Its connections are agencies, each with at
// most one message in flight: batches sent meanwhile go into the next one.
type Publisher struct {
	conn   *nats.Conn
	stream string
	inbox  string

	mu     sync.Mutex
	chains map[string]*chain // by the token of their inbox
}

// link is what the next message of an agency needs to know.
type link struct {
	seq    uint64 // of the last message
	bets   uint64
	digest *xxhash.Digest
}

// New connects to the servers that keep the stream. A central's ledger must have
// made it, and nothing else may write to it.
func New(urls []string, stream string) (*Publisher, error) {
	conn, err := nats.Connect(strings.Join(urls, ","))
	if err != nil {
		return nil, err
	}
	p := &Publisher{conn: conn, stream: stream, inbox: nats.NewInbox(), chains: map[string]*chain{}}
	if _, err := conn.Subscribe(p.inbox+".*", p.acknowledged); err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

// Close ends the connection to the servers.
func (p *Publisher) Close() { p.conn.Close() }

// chain is the messages of an agency, and its generator.Conn.
type chain struct {
	last      *nats.Msg // that was published
	publisher *Publisher
	agency    int
	subject   string
	reply     string

	mu     sync.Mutex
	link   link
	queue  []*generator.Batch // not published yet
	flight int                // batches of the message in flight, or 0
	sent   uint64             // messages; part of their ids
	left   bool

	done chan int // batches that are acknowledged
	err  chan error
	end  chan struct{}
}

// Dial implements generator.Target. Each agency can be dialed once.
func (p *Publisher) Dial(_ context.Context, agency int) (generator.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	token := strconv.Itoa(agency)
	if p.chains[token] != nil {
		return nil, fmt.Errorf("agency %d has had its connection", agency)
	}
	c := &chain{
		publisher: p, agency: agency, subject: p.stream + ".bets." + token, reply: p.inbox + "." + token,
		link: link{digest: xxhash.New()},
		done: make(chan int, maxQueue), err: make(chan error, 1), end: make(chan struct{}),
	}
	p.chains[token] = c
	return c, nil
}

// Send implements generator.Conn.
func (c *chain) Send(batches []*generator.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue)+len(batches) > maxQueue {
		return fmt.Errorf("%d batches wait, expected at most %d", len(c.queue)+len(batches), maxQueue)
	}
	c.queue = append(c.queue, batches...)
	if c.flight > 0 {
		return nil
	}
	return c.publish()
}

// publish sends as much of the queue as fits one message. The caller holds the
// lock.
func (c *chain) publish() error {
	size, bets := 0, 0
	for ; c.flight < len(c.queue); c.flight++ {
		b := c.queue[c.flight]
		if c.flight > 0 && size+len(b.Rows) > maxRows {
			break
		}
		size += len(b.Rows)
		bets += len(b.Bets)
	}
	rows := make([]byte, 0, size)
	var winners []string
	for _, b := range c.queue[:c.flight] {
		rows = append(rows, b.Rows...)
		for i := range b.Bets {
			if b.Bets[i].HasWon() {
				winners = append(winners, b.Bets[i].Document)
			}
		}
	}
	c.queue = c.queue[c.flight:]
	_, _ = c.link.digest.Write(rows) // never fails
	msg := c.message(rows, bets, winners)
	c.link.bets += uint64(bets)
	c.sent++
	c.last = msg
	return c.publisher.conn.PublishMsg(msg)
}

// message returns a message with natsledger's headers and length.
func (c *chain) message(rows []byte, bets int, winners []string) *nats.Msg {
	state, _ := c.link.digest.MarshalBinary() // never fails
	msg := &nats.Msg{Subject: c.subject, Reply: c.reply, Data: rows, Header: nats.Header{
		jetstream.ExpectedStreamHeader:      {c.publisher.stream},
		jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(c.link.seq, 10)},
		"Id":                                {fmt.Sprintf("%016x-%d", c.agency, c.sent)},
		"Kind":                              {"bets"},
		"Before":                            {strconv.FormatUint(c.link.bets, 10)},
		"Bets":                              {strconv.Itoa(bets)},
		"Digest":                            {base64.StdEncoding.EncodeToString(state)},
		"Central":                           {"bare"},
	}}
	if len(winners) > 0 {
		msg.Header["Winners"] = []string{strings.Join(winners, ",")}
	}
	return msg
}

// acknowledged handles the servers' reply to a message, and publishes the
// agency's next one. Every error is final: none is expected here.
func (p *Publisher) acknowledged(reply *nats.Msg) {
	p.mu.Lock()
	c := p.chains[strings.TrimPrefix(reply.Subject, p.inbox+".")]
	p.mu.Unlock()
	if c == nil { // it was never published
		return
	}
	if err := c.acknowledged(reply.Data); err != nil {
		select {
		case c.err <- fmt.Errorf("a message of agency %d: %w", c.agency, err):
		default:
		}
	}
}

func (c *chain) acknowledged(answer []byte) error {
	var ack struct {
		Seq   uint64              `json:"seq"`
		Error *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(answer, &ack); {
	case len(answer) == 0:
		return errors.New("no server has the stream")
	case err != nil:
		return err
	case ack.Error != nil && ack.Error.ErrorCode == codeInProcess:
		time.AfterFunc(inProcessPause, c.again)
		return nil
	case ack.Error != nil:
		return ack.Error
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link.seq = ack.Seq
	landed := c.flight
	c.flight = 0
	select {
	case c.done <- landed:
	default:
		return errors.New("nobody takes the acknowledgements")
	}
	if len(c.queue) == 0 || c.left {
		return nil
	}
	return c.publish()
}

// again publishes the last message once more.
func (c *chain) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return
	}
	if err := c.publisher.conn.PublishMsg(c.last); err != nil {
		select {
		case c.err <- err:
		default:
		}
	}
}

// Receive implements generator.Conn.
func (c *chain) Receive() (int, error) {
	timeout := time.NewTimer(ackTime)
	defer timeout.Stop()
	select {
	case n := <-c.done:
		return n, nil
	case err := <-c.err:
		return 0, err
	case <-c.end:
		return 0, errors.New("the connection is closed")
	case <-timeout.C:
		return 0, fmt.Errorf("no acknowledgement within %v", ackTime)
	}
}

// Close implements generator.Conn.
func (c *chain) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return nil
	}
	c.left = true
	close(c.end)
	return nil
}
