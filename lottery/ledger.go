package lottery

import (
	"errors"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Ledger is durable storage for a contest's bets and for how each agency's betting
// has ended. Package csvledger has one in a folder. Every ledger passes the suite
// of package ledgertest.
//
// Every write is for one agency, and is compared first: the caller says after which
// [Mark] to write, and the ledger refuses when the agency's mark is another one,
// because somebody else has written. So several Contests may share one ledger.
//
// A ledger fails in three ways. [ErrMoved]: somebody else has written for the
// agency. [ErrUnavailable]: nothing was stored, or that is not known yet; try
// again. Any other error is permanent: the ledger is dead, and Failed is closed.
//
// Each callback is called once, and never within a call of a method, as the caller
// may hold a lock that the callback takes. It may be called on the goroutine that made
// the call, once that holds no lock. All commits wait for a callback, so it must
// return soon; it may call any method that does not block. Only Begin and Close wait
// for a disk or a network.
type Ledger interface {
	// Begin is called once, before anything else: it returns what is stored. From
	// then on the ledger reports events.
	Begin(Events) (Stored, error)

	// Append takes rows of an agency, whose mark must be after, and returns its
	// next mark at once. It copies the rows. done is called with nil when they are
	// durable, or with the reason why not. Appends and claims of one agency are
	// done in the order of the calls; once rows have failed, all rows after them
	// fail. An append without rows, allowed also after the end, tells when
	// everything before the mark is durable.
	Append(rows Stretch, after Mark, done func(error)) (Mark, error)

	// Claim makes the caller the agency's only writer, whoever was before. done is
	// called when that is so and everything appended before is durable. resumed
	// says that the agency has said RESUME, which a shared ledger keeps. stored is
	// nil when the agency's mark is still after; else it is the agency's account,
	// and the caller owns it. Neither a claim nor an end changes the mark.
	Claim(agency int, after Mark, resumed bool, done func(stored *Account, err error))

	// End ends the agency's betting: no more rows are taken. The first ending
	// stands; done is called when it is durable, after Events.Ended. An end that
	// got ErrUnavailable may still take effect.
	End(agency int, after Mark, how Ending, done func(error))

	// Draw records that the draw is made. winners[i] are the documents of agency
	// i+1's winning bets, in order; nil means that the accounts have them. It
	// follows the last ending, and may be repeated.
	Draw(done func(winners [][]string, err error))

	// Terms returns the contest's terms as far as known. Call it after Begin. The
	// number of agencies never changes.
	Terms() Terms

	// SetDeadline replaces the deadline; done is called when the new one is
	// durable. It is compared like a mark: when the stored deadline is neither
	// before nor the new one, somebody else has set it, and the error is ErrMoved.
	// A change that got ErrUnavailable may still take effect.
	SetDeadline(before, deadline time.Time, done func(error))

	// Failed is closed when the ledger is dead; Err says why, or nil.
	Failed() <-chan struct{}
	Err() error

	// Close makes durable what was appended and releases all resources. It returns
	// the ledger's failure, if there was one. Later calls get ErrClosed. Closing
	// again does nothing.
	Close() error
}

// The failures of a ledger that are not permanent.
var (
	ErrMoved       = errors.New("somebody else has written for the agency")
	ErrUnavailable = errors.New("the ledger is not available at the moment")
)

// ErrClosed is what a closed ledger answers.
var ErrClosed = errors.New("the ledger is closed")

// Events are the callbacks by which a ledger reports what happens at any central.
type Events struct {
	// Ended is called for each agency whose betting ends, when that is durable.
	// stored is nil when the agency's mark is the one that End was called with
	// here; else it is the agency's account.
	Ended func(agency int, how Ending, stored *Account)

	// Seen is called by a shared ledger, now and then, for agencies that bet: with
	// the number of bets stored, and the name of the central that stored the last.
	Seen func(agency int, bets uint64, central string)
}

// Mark is a place in the rows of one agency. Two marks of one agency can only be
// compared for equality; the mark of rows that failed is never the agency's. A
// ledger with unknown accounts never gives 0.
type Mark uint64

// Stretch is consecutive rows of one agency.
type Stretch struct {
	Agency  int
	Bets    int
	Rows    []byte   // as Bet.AppendRow writes them, one after the other
	Winners []string // documents of the bets that have won, in their order
}

// Ending is how an agency's betting has ended.
type Ending uint8

// The endings. An operator, not the agency, declares it missing.
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

	// Unknown is set when the ledger has not read the account yet: only Ended is
	// valid. A claim returns the account.
	Unknown bool
}

// NewAccount returns the account of an agency of which nothing is stored.
func NewAccount() Account { return Account{Digest: *xxhash.New()} }

// Add adds rows to the account. It does not change the mark.
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

// Commit is what a ledger has made durable in one step.
type Commit struct {
	Bytes   int           // of its rows
	Appends int           // in which they came: the central's batches
	Sync    time.Duration // of the sync alone
}
