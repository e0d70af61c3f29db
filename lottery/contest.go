package lottery

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

// The files of a contest, in its folder.
const (
	LedgerFile = "bets.csv"
	StateFile  = "contest.json"
)

// Contest is one lottery: the expected agencies 1 to n, their bets and the
// draw. The methods may be called from any goroutine.
//
// A bet is admitted (its place in the ledger is fixed, and whatever asks later
// sees it) before it is durable. Whoever tells the outside of it awaits the
// receipt first.
type Contest struct {
	ledger    *Ledger
	disk      disk // of the state
	statePath string
	lateDraw  bool // OpenContest has made the draw
	unsynced  bool // the ledger is not synced, so nothing is known to be on disk
	committed func(Commit)
	books     []book // of agency i+1
	drawn     chan struct{}
	isDrawn   atomic.Bool

	mu      sync.Mutex
	draw    draw
	version int // of draw: grows with each change

	saving     sync.Mutex // held while the state goes to disk
	saved      int        // the version on disk; belongs to who holds saving
	savedBytes int64      // LedgerBytes of it
}

// book is what a contest knows of one agency's bets.
type book struct {
	mu      sync.Mutex
	count   uint64
	digest  *xxhash.Digest // of the rows in order, as RESUME wants it
	winners []string       // documents, in the order of the bets
	end     Receipt        // of the last row
	closed  bool           // no more are taken
	heard   time.Time      // when the agency last asked for something
}

func (b *book) add(rows []byte, bets int) {
	b.count += uint64(bets)
	if b.digest == nil {
		b.digest = xxhash.New()
	}
	_, _ = b.digest.Write(rows) // never fails
}

// Option changes how a contest is opened.
type Option func(*Contest)

// WithoutSync leaves it to the operating system when bets go to disk: a crash
// of the machine may then take acknowledged ones.
func WithoutSync() Option { return func(c *Contest) { c.unsynced = true } }

// WithCommits has f told of every commit of the ledger; see
// LedgerOptions.Committed.
func WithCommits(f func(Commit)) Option { return func(c *Contest) { c.committed = f } }

// OpenContest opens the contest in a folder, or begins one, with its ledger
// and state. torn is the length in bytes of what a crash had left at the
// ledger's end, never acknowledged, and that was cut off.
//
// It is an error when the ledger is damaged (*DamageError) or in use by
// another process, and when the contest was begun with another number of
// agencies.
func OpenContest(folder string, agencies int, options ...Option) (c *Contest, torn int64, err error) {
	if agencies < 1 {
		return nil, 0, fmt.Errorf("%d agencies are expected, a contest needs one", agencies)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, 0, fmt.Errorf("make the contest's folder: %w", err)
	}
	c = &Contest{
		disk:      realDisk{},
		statePath: filepath.Join(folder, StateFile),
		books:     make([]book, agencies),
		drawn:     make(chan struct{}),
		draw:      newDraw(agencies),
		version:   1,
	}
	for _, option := range options {
		option(c)
	}
	// The lock is on both files: who waits for it reads the state that the one
	// before has left.
	f, err := lockLedger(filepath.Join(folder, LedgerFile))
	if err != nil {
		return nil, 0, err
	}
	saved, err := loadState(c.statePath)
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	ledger := LedgerOptions{Durable: saved.LedgerBytes, NoSync: c.unsynced, Committed: c.committed}
	c.ledger, torn, err = openLocked(f, ledger, c.recover)
	if err != nil {
		return nil, 0, err
	}
	if err := c.restore(saved); err != nil {
		return nil, 0, errors.Join(err, c.ledger.Close())
	}
	return c, torn, nil
}

// recover puts a run of the ledger into its agency's book.
func (c *Contest) recover(run Run) error {
	if run.Agency > len(c.books) {
		return fmt.Errorf("the ledger holds bets of agency %d, expected are 1 to %d", run.Agency, len(c.books))
	}
	b := &c.books[run.Agency-1]
	b.add(run.Rows, run.Bets)
	b.winners = append(b.winners, run.Winners...)
	return nil
}

// restore brings the draw to where the saved state says it was, and makes the
// draw when a crash came between the last FINISHED and it.
func (c *Contest) restore(saved state) error {
	if saved.Agencies > 0 {
		if err := c.draw.restore(saved); err != nil {
			return fmt.Errorf("%s: %w", c.statePath, err)
		}
	}
	now := time.Now()
	for i := range c.books {
		c.books[i].closed = c.draw.endings[i] != open
		c.books[i].heard = now
	}
	c.lateDraw = c.draw.phase == Drawing
	return c.settle()
}

// DrewLate reports whether OpenContest itself has made the draw, because a
// crash came between the last FINISHED and it: nobody has announced it yet.
func (c *Contest) DrewLate() bool { return c.lateDraw }

// Store admits a batch: whole, or not at all. With a position, bets that the
// contest already has are left out. The error is a *Refusal with code
// EmptyBatch, UnknownAgency, AgencyFinished, DrawDone, Gap or Storage.
func (c *Contest) Store(batch *Batch) (Receipt, error) {
	if batch.Len() == 0 {
		return 0, refuse(EmptyBatch, "the batch has no bets")
	}
	b, err := c.book(batch.agency)
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard = time.Now()
	if b.closed {
		return 0, c.tooLate(batch.agency)
	}
	known := 0 // how many bets of the batch are stored already
	if batch.positionKnown {
		if batch.position > b.count {
			return 0, refuse(Gap, "the batch begins after %d bets, stored are %d", batch.position, b.count)
		}
		known = int(min(b.count-batch.position, uint64(batch.Len())))
	}
	batch.known = known
	if known == batch.Len() {
		return b.end, nil
	}
	rows := batch.rowsFrom(known)
	end, err := c.ledger.Append(rows)
	if err != nil {
		return 0, c.storageFailure(err)
	}
	b.end = end
	b.add(rows, batch.Len()-known)
	for _, w := range batch.winners {
		if w.index >= known {
			b.winners = append(b.winners, w.document)
		}
	}
	return end, nil
}

// Await returns when everything up to the receipt is on disk. The error is a
// *Refusal with code Storage.
func (c *Contest) Await(receipt Receipt) error {
	return c.storageFailure(c.ledger.Wait(receipt))
}

// Resume returns how many bets of the agency are on disk, and the digest of
// their rows: XXH64 with seed 0, in order. The error is a *Refusal with code
// UnknownAgency or Storage.
func (c *Contest) Resume(agency int) (count, digest uint64, err error) {
	b, err := c.book(agency)
	if err != nil {
		return 0, 0, err
	}
	b.mu.Lock()
	b.heard = time.Now()
	count, end := b.count, b.end
	digest = xxhash.Sum64(nil)
	if b.digest != nil {
		digest = b.digest.Sum64()
	}
	b.mu.Unlock()
	return count, digest, c.Await(end)
}

// Winners returns the documents of the agency's winning bets, in the order of
// the bets, and whether the draw is done: before it there are none to tell.
// The slice is not to be changed. The error is a *Refusal with code
// UnknownAgency.
func (c *Contest) Winners(agency int) (documents []string, drawn bool, err error) {
	b, err := c.book(agency)
	if err != nil || !c.isDrawn.Load() {
		return nil, false, err
	}
	return b.winners, true, nil
}

// Drawn is closed when the draw is done.
func (c *Contest) Drawn() <-chan struct{} { return c.drawn }

// Phase returns where the contest stands.
func (c *Contest) Phase() Phase {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draw.phase == Drawn && !c.isDrawn.Load() {
		return Drawing // its result could not be saved yet
	}
	return c.draw.phase
}

// Bets returns how many bets of the agency were admitted.
func (c *Contest) Bets(agency int) uint64 {
	b, err := c.book(agency)
	if err != nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}

// Ledger returns the contest's ledger, for reading and for its failure.
func (c *Contest) Ledger() *Ledger { return c.ledger }

// Close writes what was admitted and closes the ledger.
func (c *Contest) Close() error {
	err := c.ledger.drain()
	if err == nil {
		err = c.Checkpoint() // while the lock is held: the next central has its own
	}
	if e := c.ledger.Close(); err == nil {
		err = e
	}
	return err
}

func (c *Contest) book(agency int) (*book, error) {
	if agency < 1 || agency > len(c.books) {
		return nil, refuse(UnknownAgency, "the agency is %d, expected are 1 to %d", agency, len(c.books))
	}
	return &c.books[agency-1], nil
}

// storageFailure gives the ledger's or the state's failure the protocol's code.
func (c *Contest) storageFailure(err error) error {
	if err == nil {
		return nil
	}
	return &Refusal{Code: Storage, Reason: err.Error()}
}
