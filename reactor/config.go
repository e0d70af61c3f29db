package reactor

import (
	"time"

	"github.com/rs/zerolog"
	"loteria/lottery"
)

// Lottery is what the reactor needs of a contest. *lottery.Contest is one.
// Store, Await, Resume and Finish may block: only workers call them.
type Lottery interface {
	// Store admits a batch, whole or not at all.
	Store(*lottery.Batch) (lottery.Receipt, error)
	// Await returns when everything up to the receipt is durable.
	Await(lottery.Receipt) error
	// Resume returns how many bets of the agency are durable, and their digest.
	Resume(agency int) (count, digest uint64, err error)
	// Finish closes the agency's betting.
	Finish(agency int, total uint64, totalKnown bool) error
	// Winners returns the agency's winners once the draw is done.
	Winners(agency int) (documents []string, drawn bool, err error)
	// Drawn is closed when the draw is done.
	Drawn() <-chan struct{}
}

// Config is what a Server is made of. Every bound has to be given; the command
// has the defaults.
type Config struct {
	Address string // host:port to listen on; port 0 is any free one
	Backlog int    // connections that may wait to be accepted
	Echo    bool   // whether connections that are no agency's get their line back

	Workers        int // batches of how many connections are stored at a time
	MaxConnections int // open ones; more are told RETRY and closed at once
	MaxPerAddress  int // open ones from one IP address
	WindowFrames   int // frames of one connection that may wait for their answer
	WindowBytes    int // bytes of payload in them
	MaxUnread      int // bytes of answers that a peer may leave unread
	// MaxWaiting is how many bytes of payload may wait in the whole server;
	// beyond it the answer is RETRY. So many bytes of answers may be unread,
	// too; beyond it a peer that leaves any is closed.
	MaxWaiting int

	MaxLine int // bytes of an echo connection's line, without its line break

	// FrameTimeout is how long a frame, or an echo connection's line, may take
	// from its first byte to its last. IdleTimeout is how long a connection
	// may say nothing while it waits for no answer. Both are kept to about a
	// second, and the peer is told RETRY.
	FrameTimeout time.Duration
	IdleTimeout  time.Duration
	StopTimeout  time.Duration // how long a stop waits for work in flight

	Log zerolog.Logger // for the workers: may wait for a slow reader
	// LoopLog is for the event loop. Its writer must never block.
	LoopLog zerolog.Logger

	Observer Observer // is told what happens; may be nil
}
