package reactor

import (
	"crypto/tls"
	"time"

	"github.com/rs/zerolog"
	"loteria/lottery"
)

// Lottery is what the reactor needs of a contest. *lottery.Contest is one. No
// method may wait for a disk or a network: the event loops call them. done is
// called once, on another goroutine, unless an error is returned. When a batch
// of an agency fails, so do all that were admitted after it.
type Lottery interface {
	// Store admits a batch of a writer, whole or not at all.
	Store(batch *lottery.Batch, from lottery.Writer, done func(error)) error
	// Resume makes the caller the agency's writer, and tells how many bets of it
	// are durable, and their digest.
	Resume(agency int, done func(bets, digest uint64, err error)) (lottery.Writer, error)
	// Finish closes the agency's betting, as its writer asks.
	Finish(agency int, from lottery.Writer, said lottery.Tally, done func(error)) error
	// Winners returns the agency's winners once the draw is done.
	Winners(agency int) (documents []string, drawn bool, err error)
	// Phase tells whether a draw is on its way.
	Phase() lottery.Phase
	// Agencies returns how many are expected.
	Agencies() int
	// Drawn is closed when the draw is done.
	Drawn() <-chan struct{}
}

// Journal takes the lines of the log that come with every request. Those that
// append render one line, or nothing when its level is not logged; those that
// write put whole lines into the log, in the order of the calls. Negative bets,
// and an empty code, are left out. A refusal or an echo that comes again and again
// may append nothing.
type Journal interface {
	EachBet() bool // whether each bet of a batch is logged
	AppendBet(dst []byte, document, number string, ofBatch bool) []byte
	AppendBatch(dst []byte, bets int) []byte
	AppendRefusal(dst []byte, action string, bets int, code, ip string, err error) []byte
	AppendEcho(dst []byte, ip string, message []byte) []byte
	Write(lines []byte)    // may wait for a slow reader
	TryWrite(lines []byte) // never waits; what has no room is counted
}

// Config is what a Server is made of. Every bound has to be given; the command
// has the defaults.
type Config struct {
	Address string // host:port to listen on; port 0 is any free one; empty is no port without TLS
	TLS     *TLS   // the port on which agencies prove who they are, or nil
	Backlog int    // connections that may wait to be accepted
	Echo    bool   // whether connections that are no agency's get their line back

	// Loops is how many event loops there are. Each reads, judges and answers
	// what its connections send, on one goroutine.
	Loops          int
	MaxConnections int // open ones; more are told RETRY and closed at once
	MaxPerAddress  int // open ones from one IPv4 address, or one IPv6 network of 64 bits
	WindowFrames   int // frames of one connection that may wait for their answer
	WindowBytes    int // bytes of payload in them
	MaxUnread      int // bytes of answers that a peer may leave unread; winners are not kept for it
	// MaxWaiting is how many bytes of requests may wait for their answer in the
	// whole server, except that each connection has one frame. Beyond it the
	// answer is RETRY, and when twice as many wait the connection is closed after
	// it. So many bytes of answers may be unread, too; beyond it one of the peers
	// that leave most is closed.
	MaxWaiting int

	MaxLine int // bytes of an echo connection's line, without its line break

	// FrameTimeout is how long a frame, or an echo connection's line, may take
	// from its first byte to its last. IdleTimeout is how long a connection
	// may say nothing while it waits for no answer. Both are kept to about a
	// second, and the peer is told RETRY.
	FrameTimeout time.Duration
	IdleTimeout  time.Duration
	StopTimeout  time.Duration // how long a stop waits for work in flight

	Journal Journal        // may be nil
	Log     zerolog.Logger // may wait for a slow reader
	// LoopLog is for the event loops. Its writer must never block.
	LoopLog zerolog.Logger

	Observer Observer // is told what happens; may be nil
	// Announced says that the draw was logged, or known, before: it gets no line.
	Announced bool
}

// TLS is the port on which agencies prove who they are. What it says of files and
// of certificates is the command's.
type TLS struct {
	Address string // host:port to listen on; port 0 is any free one

	// Config returns the configuration of a connection that begins. It demands TLS
	// 1.3 and a certificate of the peer, and gives no session tickets. It is
	// not changed.
	Config func() *tls.Config
	// Identify returns the agency that the peer of a connection is, whose certificate
	// is verified, or why it is none: the connection is closed then. It is asked in
	// the handshake, when that is done, and after Server.IdentifyAgain: a certificate
	// may have been revoked. Event loops call it, so it must not wait.
	Identify func(tls.ConnectionState) (agency int, err error)

	HandshakeTimeout time.Duration // that a handshake may take, from the accepted connection on
	// MaxHandshakes is how many there may be at a time. For one more, the one is
	// closed that has taken longest of those that wait for their peer, after a grace
	// of a quarter of a second, for which new connections wait.
	MaxHandshakes int
}
