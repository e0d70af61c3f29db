package lottery

import (
	"errors"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Ledger is where a contest keeps its bets, and how each agency's betting has
// ended, for good. Package csvledger has one in a folder. Every ledger passes
// the suite of package ledgertest.
//
// Everything is per agency, and compared before it is written: who writes for
// an agency says after which [Mark], and the ledger refuses when the agency's
// mark is another one, because somebody else has written. So several contests
// may stand on one ledger.
//
// A ledger fails in three ways. [ErrMoved]: somebody else has written for the
// agency. [ErrUnavailable]: nothing was stored, or it is not known yet; ask
// again. Any other error is for good: the ledger is dead, and Failed is closed.
//
// What is told by a callback is told once, and never on the caller's goroutine,
// as the caller may hold a lock that the callback takes. Everybody's commits
// wait for a callback, so it must return soon; it may call what does not wait.
// Only Begin and Close wait for a disk or a network.
type Ledger interface {
	// Begin is called first and once: it returns what is stored, and has the
	// events told from then on.
	Begin(Events) (Stored, error)

	// Append takes rows of an agency, whose mark has to be after, and returns
	// its next mark at once. done is called when they are durable, with nil, or
	// when they will never be; the stretch is copied. What is appended and
	// claimed for one agency is done in the order of the calls, and after rows
	// that failed all rows fail. Without rows, also after the end, it tells when
	// what is before the mark is durable.
	Append(rows Stretch, after Mark, done func(error)) (Mark, error)

	// Claim makes the caller the agency's only writer, whoever that was, and
	// tells when that is so and everything that was appended before is durable.
	// resumed says that the agency has said RESUME, which a shared ledger keeps.
	// stored is nil when the mark is still after; else it is what the agency's
	// account has become, and the caller's own. Neither a claim nor an end
	// changes the mark.
	Claim(agency int, after Mark, resumed bool, done func(stored *Account, err error))

	// End ends the agency's betting: no rows are taken any more. The first
	// ending stands; done is called when one is durable, after ended. One that
	// was unavailable may still come.
	End(agency int, after Mark, how Ending, done func(error))

	// Draw notes that the draw is made, and tells the documents of the bets that
	// have won, of agency i+1 and in their order; nil means that the accounts have
	// them. It follows the last ending, and may be asked for again.
	Draw(done func(winners [][]string, err error))

	// Terms returns the contest's terms as they are known by now, after Begin.
	// How many agencies there are does not change.
	Terms() Terms

	// SetDeadline replaces the deadline in the terms, and tells when the new one
	// is durable. It is compared like a mark: when the deadline is neither before
	// nor the new one already, somebody else has set it, which is ErrMoved. One
	// that was unavailable may still come.
	SetDeadline(before, deadline time.Time, done func(error))

	// Failed is closed when the ledger is dead; Err says why, or nil.
	Failed() <-chan struct{}
	Err() error

	// Close makes durable what was appended, and lets go of everything. It
	// returns the ledger's failure, if there was one. What comes later gets
	// ErrClosed. To close it again does nothing.
	Close() error
}

// The failures of a ledger that are not for good.
var (
	ErrMoved       = errors.New("somebody else has written for the agency")
	ErrUnavailable = errors.New("the ledger is not available at the moment")
)

// ErrClosed is what a closed ledger answers.
var ErrClosed = errors.New("the ledger is closed")

// Events is what a ledger tells of the contest, wherever that was asked for.
type Events struct {
	// Ended is called for each agency whose betting ends, when that is durable.
	// stored is nil when the agency's mark is the one that End was called with
	// here; else it is what the agency's account has become.
	Ended func(agency int, how Ending, stored *Account)

	// Seen is called by a shared ledger, now and then, for agencies that bet: so
	// many bets are stored, the last of them by the central of that name.
	Seen func(agency int, bets uint64, central string)
}

// Mark is a place in the rows of one agency, as a ledger counts them; that of
// rows that failed is never the agency's. Only whether two marks of one agency
// are the same means something. A ledger with unknown accounts never gives 0.
type Mark uint64

// Stretch is rows of one agency that stand next to each other.
type Stretch struct {
	Agency  int
	Bets    int
	Rows    []byte   // as Bet.AppendRow writes them, one after the other
	Winners []string // documents of the bets that have won, in their order
}

// Ending is how an agency's betting has ended.
type Ending uint8

// The endings. An operator declares an agency missing, in its place.
const (
	Open     Ending = iota // it has not
	Finished               // the agency has said so
	Missing                // the draw is made without waiting for it
)

// Account is what is stored of an agency.
type Account struct {
	Bets    uint64
	Digest  xxhash.Digest // XXH64 with seed 0 of the rows, in order
	Winners []string      // documents of the bets that have won, in their order, unless Draw tells them
	Ended   Ending
	Mark    Mark // after the last row
	Resumed bool // the agency has said RESUME at some central, as far as a shared ledger knows

	// Unknown is set when the ledger has not looked yet: only Ended is right. A
	// claim tells the account.
	Unknown bool
}

// NewAccount returns the account of an agency of which nothing is stored.
func NewAccount() Account { return Account{Digest: *xxhash.New()} }

// Add puts rows into the account. Its mark stays.
func (a *Account) Add(s *Stretch) {
	a.Bets += uint64(s.Bets)
	_, _ = a.Digest.Write(s.Rows) // never fails
	a.Winners = append(a.Winners, s.Winners...)
}

// Stored is what a ledger holds.
type Stored struct {
	Accounts []Account // of agency i+1
	Drawn    bool
	Shared   bool // other centrals may write, too
	Used     bool // an agency has bet, or ended its betting, though its account may be unknown
}

// Commit is what a ledger has made durable at once.
type Commit struct {
	Bytes   int           // of its rows
	Appends int           // that they came in: of the central, batches
	Sync    time.Duration // that the sync alone has taken
}
