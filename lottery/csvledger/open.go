package csvledger

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"loteria/lottery"
)

// The files of a contest, in its folder.
const (
	LedgerFile = "bets.csv"
	StateFile  = "contest.json"
)

// Option changes how a ledger is opened.
type Option func(*Ledger)

// WithoutSync leaves it to the operating system when bets go to disk: a crash
// of the machine may then take acknowledged ones.
func WithoutSync() Option {
	return func(l *Ledger) { l.unsynced, l.file = true, unsyncedFile{l.file} }
}

// WithCommits has f told of every commit. Everybody waits for it meanwhile, so
// it has to return at once.
func WithCommits(f func(lottery.Commit)) Option { return func(l *Ledger) { l.committed = f } }

// WithWarnings has f told of what failed, is no loss, and is tried again: to
// save how an agency's betting has ended.
func WithWarnings(f func(error)) Option { return func(l *Ledger) { l.state.warn = f } }

// WithWriter has a goroutine of its own make the commits, instead of one that
// is begun when rows come to an idle ledger. It is here to be compared.
func WithWriter() Option {
	return func(l *Ledger) {
		work := make(chan struct{}, 1)
		go func() {
			for range work {
				l.lead()
			}
		}()
		alone := l.start
		l.start = func() { work <- struct{}{} }
		l.stop = func() { close(work); l.start = alone }
	}
}

// Open opens the contest in a folder, or begins one, and locks it against other
// processes. What a crash has left at the end of the bets and was never
// acknowledged is cut off; Torn tells its length.
//
// It is an error when the bets are damaged (*DamageError) or in use by another
// process, and when the contest was begun with another number of agencies.
func Open(folder string, agencies int, options ...Option) (*Ledger, error) {
	if agencies < 1 {
		return nil, fmt.Errorf("%d agencies are expected, a contest needs one", agencies)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("make the contest's folder: %w", err)
	}
	// The lock is on both files: who waits for it reads the state that the one
	// before has left.
	f, err := lock(filepath.Join(folder, LedgerFile))
	if err != nil {
		return nil, err
	}
	l, err := open(f, filepath.Join(folder, StateFile), agencies, options)
	if err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// lock opens or creates the file at path and locks it. Closing it unlocks it.
func lock(path string) (*os.File, error) {
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

// open is Open from the lock on.
func open(f *os.File, statePath string, agencies int, options []Option) (*Ledger, error) {
	saved, err := loadState(statePath)
	if err != nil {
		return nil, err
	}
	isNew := saved.Agencies == 0
	if isNew {
		saved = newState(make([]lottery.Ending, agencies), false)
	}
	endings, err := saved.endings(agencies)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", statePath, err)
	}
	accounts, found, err := readAccounts(f, saved.LedgerBytes, agencies)
	if err != nil {
		return nil, err
	}
	places := make([]place, agencies)
	for i, how := range endings {
		if i == len(accounts) {
			accounts = append(accounts, lottery.NewAccount())
		}
		accounts[i].Ended = how
		places[i] = place{accounts[i].Mark, found.whole, how}
	}
	if found.torn > 0 {
		if err := f.Truncate(found.whole); err != nil {
			return nil, fmt.Errorf("cut the torn end off the ledger: %w", err)
		}
	}
	// The rows just read may never have been synced; from here on they count.
	if err := f.Sync(); err != nil {
		return nil, fmt.Errorf("sync the ledger: %w", err)
	}
	if err := syncFolder(filepath.Dir(f.Name())); err != nil {
		return nil, err
	}
	l := newLedger(f.Name(), diskFile{f}, found.whole, places)
	l.torn = found.torn
	l.stored = lottery.Stored{Accounts: accounts, Drawn: saved.Phase == lottery.Drawn}
	l.state.path, l.state.endings = statePath, endings
	l.state.drawn, l.state.savedBytes = l.stored.Drawn, saved.LedgerBytes
	for _, option := range options {
		option(l)
	}
	if isNew { // no bet is taken before the terms are on disk
		if err := saveState(l.state.disk, statePath, saved); err != nil {
			l.stop()
			return nil, err
		}
	}
	return l, nil
}

// Torn returns how many bytes a crash had left at the ledger's end, never
// acknowledged, that Open has cut off.
func (l *Ledger) Torn() int64 { return l.torn }

// Path returns where the bets are.
func (l *Ledger) Path() string { return l.path }
