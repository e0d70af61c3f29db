package natsledger

import (
	"time"

	"github.com/rs/zerolog"
	"loteria/lottery"
)

// The defaults of a Config.
const (
	DefaultReplicas = 3
	DefaultMaxBytes = 8 << 30 // of the stream: about 100 million bets
	DefaultPatience = 15 * time.Second
)

// Config says where a contest is kept, and who uses it. Servers, Contest and
// Agencies must be set.
type Config struct {
	Servers  []string // host:port of the NATS servers; one that answers is enough
	Contest  string   // its name: letters, digits, -, _ and .
	Agencies int      // that are expected
	Central  string   // the name of this central, for operators; may be empty

	Replicas int   // of the stream, when it is made: 1, 3 or 5; 0 is DefaultReplicas
	MaxBytes int64 // of the stream, when it is made; 0 is DefaultMaxBytes

	CredsFile string // credentials of NATS (JWT and seed); may be empty
	CAFile    string // PEM certificates to verify the servers'; empty is the system's, where a server wants TLS
	CertFile  string // this client's certificate, PEM; with KeyFile
	KeyFile   string

	// Patience is how long a call waits for an answer of the servers until it gets
	// lottery.ErrUnavailable; 0 is DefaultPatience. The ledger goes on trying.
	Patience time.Duration

	Committed func(lottery.Commit) // called for each message that is stored; may be nil
	Waiting   func(reason error)   // called by Open, at each try, with why it must try again; may be nil
	Log       zerolog.Logger       // of connections, leaders, and what is wrong with the stream
}

// Health is the state of the servers, as far as it is known.
type Health struct {
	Server   string    // that this central is connected to; empty when to none
	Leader   string    // of the stream; empty when there is none, or it is not known
	Replicas []Replica // of the stream, the leader among them
	Messages uint64    // in the stream
	Bytes    uint64    // likewise
	MaxBytes int64     // that it may have; 0 is without a limit
	Asked    time.Time // when the stream's leader last answered
	InFlight int       // bytes of messages that are published and not acknowledged
	Problem  error     // why nothing is taken at the moment, or nil: no quorum, a stream with holes, a full one
}

// Replica is one server's copy of the stream.
type Replica struct {
	Server  string
	Current bool          // it has all that the leader has
	Offline bool          // the leader does not hear from it
	Lag     uint64        // operations that it is behind
	Active  time.Duration // since the leader last heard from it
	Damaged bool          // as a leader it has served a stream with holes: its folder must be emptied
}

// Report is what a contest's stream holds.
type Report struct {
	Stream   string
	Terms    lottery.Terms
	Times    lottery.Times // when NATS has stored the first message, the last end of an agency's betting, and the draw
	Messages uint64
	Rows     uint64
	Bytes    uint64         // of the rows
	Agencies []AgencyReport // those with bets, or whose betting has ended
	Drawn    bool
	Damaged  []Copy // servers that turned out to lack messages, which others had
	Copies   []Copy // every server's, by Check, which reads each on its own
}

// Copy is one server's copy of a stream, as far as it was read.
type Copy struct {
	Server  string
	Missing uint64 // sequence number of the first message that it lacks; 0 is none
	Unread  error  // why it was not read to its end, or nil
}

// AgencyReport is what a stream holds of one agency.
type AgencyReport struct {
	Agency  int
	Bets    uint64
	Digest  uint64 // XXH64 of its rows, as RESUME_POINT has it
	Winners int
	Ended   lottery.Ending
}
