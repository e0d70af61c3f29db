package reactor

import (
	"crypto/tls"
	"time"

	"github.com/rs/zerolog"
	"loteria/lottery"
)

// Lottery is what the reactor needs of a contest. *lottery.Contest is one. No method
// may wait for a disk or the network: the event loops call them. done is called
// once, unless an error is returned: never within the call, as the caller may hold a
// lock, but maybe on the loop that made it, see Server.Lead. When a batch of an agency
// fails, so do all that were admitted after it.
type Lottery interface {
	// Store admits a batch of a writer, whole or not at all.
	Store(batch *lottery.Batch, from lottery.Writer, done func(error)) error
	// Resume makes the caller the agency's writer, and tells done how many of its bets
	// are durable, and their digest.
	Resume(agency int, done func(bets, digest uint64, err error)) (lottery.Writer, error)
	// Finish closes the agency's betting, as its writer asks.
	Finish(agency int, from lottery.Writer, said lottery.Tally, done func(error)) error
	// Winners returns the agency's winners once the draw is done.
	Winners(agency int) (documents []string, drawn bool, err error)
	// Phase tells whether a draw is in progress.
	Phase() lottery.Phase
	// Agencies returns how many are expected.
	Agencies() int
	// Drawn is closed when the draw is done.
	Drawn() <-chan struct{}
}

// Journal takes the log lines that come with every request. The Append methods
// render one line, or nothing when its level is not logged; the Write methods put
// whole lines into the log, in the order of the calls. Negative bets, and an empty
// code, are left out. A refusal or an echo that is repeated may append nothing.
type Journal interface {
	EachBet() bool // whether each bet of a batch is logged
	AppendBet(dst []byte, document, number string, ofBatch bool) []byte
	AppendBatch(dst []byte, bets int) []byte
	AppendRefusal(dst []byte, action string, bets int, code, ip string, err error) []byte
	AppendEcho(dst []byte, ip string, message []byte) []byte
	Write(lines []byte)    // may wait for a slow reader
	TryWrite(lines []byte) // never waits; what has no room is counted
	HasRoom() bool         // for the lines of a commit of a few jobs: Write will not wait
}

// Config configures a Server. Every bound must be set; the command has the defaults.
type Config struct {
	Address string // host:port to listen on without TLS; port 0 is any free one; empty is none
	TLS     *TLS   // the port on which agencies prove who they are, or nil
	Backlog int    // connections that may wait to be accepted
	Echo    bool   // whether connections that are not an agency's get their line back

	// Loops is how many event loops there are. Each reads, judges and answers
	// what its connections send, on one goroutine.
	Loops          int
	MaxConnections int // open ones; more are told RETRY and closed at once
	MaxPerAddress  int // open ones from one IPv4 address, or one IPv6 network of 64 bits
	WindowFrames   int // frames of one connection that may wait for their answer
	WindowBytes    int // bytes of payload in them
	MaxUnread      int // bytes of answers that a peer may leave unread; winners are not buffered
	// MaxWaiting is how many bytes of requests may wait for their answer in the whole
	// server; one frame of each connection is always taken. Beyond it the answer is
	// RETRY, and beyond twice as many the connection is then closed. It also bounds the
	// unread answers; beyond it one of the peers that leave most is disconnected.
	MaxWaiting int

	MaxLine int // bytes of an echo connection's line, without its line break

	// FrameTimeout is how long a frame, or an echo connection's line, may take from its
	// first byte to its last. IdleTimeout is how long a connection that waits for no
	// answer may be silent. Both are accurate to about a second, and an agency is told
	// RETRY.
	FrameTimeout time.Duration
	IdleTimeout  time.Duration
	StopTimeout  time.Duration // how long a stop waits for work in flight

	Journal Journal        // may be nil
	Log     zerolog.Logger // may wait for a slow reader
	// LoopLog is for the event loops. Its writer must never block.
	LoopLog zerolog.Logger

	Observer Observer // is told what happens; may be nil
	// Announced says that the draw was logged, or known, before: it is not logged again.
	Announced bool
}

// TLS is the port on which agencies prove who they are. Files and certificates are
// left to the command.
type TLS struct {
	Address string // host:port to listen on; port 0 is any free one

	// Config returns the configuration of a new connection. It must require TLS 1.3 and
	// a peer certificate, and give no session tickets. The server does not modify it.
	Config func() *tls.Config
	// Identify returns the agency to which the peer's verified certificate belongs, or
	// why there is none: the connection is then closed. It is called in the handshake,
	// after it, and by Server.IdentifyAgain: a certificate may have been revoked. Event
	// loops call it, so it must not block.
	Identify func(tls.ConnectionState) (agency int, err error)

	HandshakeTimeout time.Duration // of a handshake, from the accept on
	// MaxHandshakes is how many there may be at a time. One more closes the oldest that
	// waits for its peer and has had a grace of a quarter of a second; until there is
	// one, new connections wait.
	MaxHandshakes int
}
