package lottery

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrClosed is what an append to a closed ledger gives.
var ErrClosed = errors.New("the ledger is closed")

// maxIdleBuffer is how much memory, in bytes, a ledger keeps for its next
// commit; what one unusually large commit needed beyond that is let go. To grow
// a buffer anew for each commit costs a third of the throughput, so it is more
// than 50 agencies with windows of 64 full batches need.
const maxIdleBuffer = 32 << 20

// file is what the ledger's writer needs of the operating system. Tests put
// one that fails in its place.
type file interface {
	io.Writer
	Sync() error // returns when all that was written is on disk
	Truncate(size int64) error
	Close() error
}

// Receipt is a place in the ledger: everything up to it is durable once
// Wait(receipt) has returned nil. Receipts grow as the ledger does.
type Receipt int64

// Ledger is the file of all bets, one row per bet, only ever appended to.
//
// One goroutine writes it. Whatever rows are waiting when it is ready go to
// disk with one write and one fdatasync (group commit); rows that come during
// that time make up the next commit. A lone batch waits for nothing but its own
// sync; those of several agencies may wait a moment for each other, see
// regroup.
//
// A failed write or sync is fatal: after a failed fsync nothing is known about
// what the page cache still holds (https://lwn.net/Articles/752063/). Every
// waiting and every later append gets the error.
//
// The methods may be called from any goroutine.
type Ledger struct {
	path string

	work chan struct{} // wakes the writer; has room for one call

	mu       sync.Mutex
	settled  sync.Cond // for those who wait: durable or err have changed
	pending  []byte    // appended, not yet with the writer
	appends  int       // that pending consists of
	wanted   int       // appends that the writer waits for, or 0
	appended Receipt   // end of the last row appended
	durable  Receipt   // end of the last row on disk
	err      error     // why the ledger has failed
	closing  bool

	failed  chan struct{} // closed when err is set
	stopped chan struct{} // closed when the writer has ended
	file    file          // the writer's
	regroup regroup       // the writer's

	committed func(Commit) // called by the writer
}

// LedgerOptions is how a ledger is opened. The zero value is good.
type LedgerOptions struct {
	// Durable is how many bytes of the ledger are known to have been on disk.
	// Of these none is cut off as torn, and it is damage if they are missing.
	Durable int64
	// NoSync leaves it to the operating system when rows go to disk. A crash of
	// the machine may then take acknowledged bets.
	NoSync bool
	// Committed, when set, is told of every commit by the ledger's writer,
	// which everybody waits for meanwhile: it has to return at once.
	Committed func(Commit)
}

// Commit is one write to the ledger and its sync.
type Commit struct {
	Bytes   int           // of its rows
	Appends int           // that they came in: of the central, batches
	Sync    time.Duration // that the sync alone has taken
}

// OpenLedger opens or creates the ledger at path and locks it against other
// processes. It reads all rows and calls visit for them, in order; an error
// from visit is returned. What a crash has left at the file's end and was never
// acknowledged is cut off; torn is its length in bytes. Any other damage is
// returned as a *DamageError, and nothing is changed.
func OpenLedger(path string, options LedgerOptions, visit func(Run) error) (l *Ledger, torn int64, err error) {
	f, err := lockLedger(path)
	if err != nil {
		return nil, 0, err
	}
	return openLocked(f, options, visit)
}

// lockLedger opens or creates the file at path and locks it. Closing it
// unlocks it.
func lockLedger(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the ledger %s, is another central using it? %w", path, err)
	}
	return f, nil
}

// openLocked is OpenLedger from the lock on. The file is the ledger's then, or
// closed when there is an error.
func openLocked(f *os.File, options LedgerOptions, visit func(Run) error) (l *Ledger, torn int64, err error) {
	path := f.Name()
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	found, err := recoverLedger(f, path, options.Durable, visit)
	if err != nil {
		return nil, 0, err
	}
	if found.torn > 0 {
		if err := f.Truncate(found.whole); err != nil {
			return nil, 0, fmt.Errorf("cut the torn end off the ledger: %w", err)
		}
	}
	// The rows just read may never have been synced; from here on they count.
	if err := f.Sync(); err != nil {
		return nil, 0, fmt.Errorf("sync the ledger: %w", err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, 0, err
	}
	var disk file = diskFile{f}
	if options.NoSync {
		disk = unsyncedFile{f}
	}
	return newLedger(path, disk, found.whole, options.Committed), found.torn, nil
}

// newLedger returns a ledger of so many bytes, with its writer at work.
func newLedger(path string, f file, size int64, committed func(Commit)) *Ledger {
	if committed == nil {
		committed = func(Commit) {}
	}
	l := &Ledger{
		path:      path,
		work:      make(chan struct{}, 1),
		file:      f,
		appended:  Receipt(size),
		durable:   Receipt(size),
		failed:    make(chan struct{}),
		stopped:   make(chan struct{}),
		committed: committed,
	}
	l.settled.L = &l.mu
	go l.write()
	return l
}

// StoreBets appends the bets, all or none, and returns when they are on disk.
func (l *Ledger) StoreBets(bets []Bet) error {
	var rows []byte
	for i := range bets {
		rows = bets[i].AppendRow(rows)
	}
	receipt, err := l.Append(rows)
	if err != nil {
		return err
	}
	return l.Wait(receipt)
}

// Append hands whole rows to the writer and returns at once. The rows are
// copied. How much may wait is bounded by who calls: each of the central's
// workers appends what one connection's window holds, and waits.
func (l *Ledger) Append(rows []byte) (Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	if l.closing {
		return 0, ErrClosed
	}
	l.pending = append(l.pending, rows...)
	l.appends++
	l.appended += Receipt(len(rows))
	if l.wanted > 0 && l.enough() {
		l.wakeWriter()
	}
	return l.appended, nil
}

// enough reports whether the writer has waited long enough.
func (l *Ledger) enough() bool {
	return l.appends >= l.wanted || len(l.pending) >= maxRegrouped || l.closing
}

func (l *Ledger) wakeWriter() {
	select {
	case l.work <- struct{}{}:
	default: // it is called already
	}
}

// Wait returns nil when everything up to the receipt is on disk, or the error
// that makes this impossible.
func (l *Ledger) Wait(receipt Receipt) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.durable < receipt && l.err == nil {
		l.settled.Wait()
	}
	if l.durable >= receipt {
		return nil
	}
	return l.err
}

// drain returns when everything appended so far is on disk.
func (l *Ledger) drain() error {
	l.mu.Lock()
	receipt := l.appended
	l.mu.Unlock()
	return l.Wait(receipt)
}

// Durable returns how many bytes of the ledger are on disk.
func (l *Ledger) Durable() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(l.durable)
}

// Failed is closed when the ledger has failed for good; Err says why.
func (l *Ledger) Failed() <-chan struct{} { return l.failed }

// Err returns why the ledger has failed, or nil.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Close writes what was appended, then closes and unlocks the file. It returns
// the ledger's failure, if there was one. Later appends get ErrClosed.
func (l *Ledger) Close() error {
	l.mu.Lock()
	l.closing = true
	l.wakeWriter()
	l.mu.Unlock()
	<-l.stopped
	return l.Err()
}

// write is the writer's goroutine: it owns the file.
func (l *Ledger) write() {
	defer close(l.stopped)
	defer l.file.Close()
	timer := time.NewTimer(0) // of take; it may be late, and only that costs anything
	defer timer.Stop()
	var rows []byte
	for {
		var appends int
		if rows, appends = l.take(rows[:0], timer); appends == 0 {
			return
		}
		begun := time.Now()
		sync, err := l.commit(rows)
		l.mu.Lock()
		if err == nil {
			l.durable += Receipt(len(rows))
		} else {
			l.err = err
			close(l.failed)
		}
		l.regroup.committed(appends, l.appends, time.Since(begun))
		l.settled.Broadcast()
		l.mu.Unlock()
		if err != nil {
			// What is left of the commit must not stand in front of later
			// rows. Should this fail too, the next start cuts a torn row.
			_ = l.file.Truncate(int64(l.durable))
			return
		}
		l.committed(Commit{Bytes: len(rows), Appends: appends, Sync: sync})
	}
}

// take waits for rows and swaps them for the empty buffer. It returns how many
// appends they are, or 0 when the ledger is closing and everything is written.
func (l *Ledger) take(empty []byte, timer *time.Timer) (rows []byte, appends int) {
	if cap(empty) > maxIdleBuffer {
		empty = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.await(1, nil)
	if expected, remaining := l.regroup.wait(l.appends, len(l.pending)); remaining > 0 {
		timer.Reset(remaining)
		l.regroup.waited(l.await(expected, timer.C))
	}
	rows, appends = l.pending, l.appends
	l.pending, l.appends = empty, 0
	return rows, appends
}

// await waits for so many appends, or as much as is worth a commit anyway, or
// until the ledger is closing. It reports false when the time was over before.
func (l *Ledger) await(appends int, timeout <-chan time.Time) bool {
	l.wanted = appends
	defer func() { l.wanted = 0 }()
	for !l.enough() {
		l.mu.Unlock()
		var over bool
		select {
		case <-l.work:
		case <-timeout:
			over = true
		}
		l.mu.Lock()
		if over {
			return l.enough()
		}
	}
	return true
}

// commit returns how long the sync took.
func (l *Ledger) commit(rows []byte) (sync time.Duration, err error) {
	if _, err := l.file.Write(rows); err != nil {
		return 0, fmt.Errorf("write to the ledger: %w", err)
	}
	begun := time.Now()
	if err := l.file.Sync(); err != nil {
		return 0, fmt.Errorf("sync the ledger: %w", err)
	}
	return time.Since(begun), nil
}

// LoadBets reads the bets that are on disk at the time of the call, in the
// order of the file and in constant memory. An error ends the sequence; a
// damaged row gives a *DamageError.
func (l *Ledger) LoadBets() iter.Seq2[Bet, error] {
	l.mu.Lock()
	size := l.durable
	l.mu.Unlock()
	return loadBets(l.path, int64(size))
}

func loadBets(path string, size int64) iter.Seq2[Bet, error] {
	return func(yield func(Bet, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Bet{}, fmt.Errorf("open the ledger: %w", err))
			return
		}
		defer f.Close()
		rows := blockReader{r: io.LimitReader(f, size), path: path}
		buffer := make([]byte, 0, blockSize)
		var whole int64
		for line := 1; ; {
			block, err := rows.next(buffer)
			switch {
			case err == io.EOF && whole == size:
				return
			case err == io.EOF:
				yield(Bet{}, fmt.Errorf("%s: %d of its %d bytes are whole rows, something else has cut it", path, whole, size))
				return
			case errors.Is(err, errNotARow):
				err = &DamageError{path, line, whole, err.Error()}
				fallthrough
			case err != nil:
				yield(Bet{}, err)
				return
			}
			for len(block) > 0 {
				var row []byte
				row, block = cutRow(block)
				bet, err := parseRow(string(row))
				if err != nil {
					err = &DamageError{path, line, whole, err.Error()}
				}
				if !yield(bet, err) || err != nil {
					return
				}
				line, whole = line+1, whole+int64(len(row))
			}
		}
	}
}
