package csvledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"loteria/lottery"
)

// The files of a contest, in its folder.
const (
	LedgerFile = "bets.csv"
	StateFile  = "contest.json"
	ActaFile   = "acta.json" // the record of the draw, which the ledger only keeps: see package acta
)

// Option changes how a ledger is opened.
type Option func(*Ledger)

// WithoutSync leaves it to the operating system when bets go to disk: a crash of
// the machine may then take acknowledged ones. It works in folders that cannot be
// synced.
func WithoutSync() Option {
	return func(l *Ledger) {
		l.unsynced = true
		l.file, l.state.disk = unsyncedFile{l.file}, unsyncedDisk{l.state.disk}
	}
}

// WithReopen opens bets that have no contest.json beside them, because it was lost
// or only the bets were restored: no agency counts as finished.
func WithReopen() Option { return func(l *Ledger) { l.reopens = true } }

// WithCommits calls f for every commit. All callers wait for f, so it must return
// at once.
func WithCommits(f func(lottery.Commit)) Option { return func(l *Ledger) { l.committed = f } }

// WithWarnings calls f when contest.json, with an ending or the draw, could not be
// saved. Nothing is lost, and the save is tried again each second; when it
// succeeds, f is called with nil.
func WithWarnings(f func(error)) Option { return func(l *Ledger) { l.state.warn = f } }

// WithTimes gives a new contest the times of the one that it is a copy of, instead
// of the clock's.
func WithTimes(times lottery.Times) Option { return func(l *Ledger) { l.origin = &times } }

// Open opens the contest in a folder, or begins one, and locks it against other
// processes. A torn end that a crash has left, never acknowledged, is cut off; Torn
// tells its length. A drawn contest that cannot be written is opened read-only;
// ReadOnly tells why.
//
// It is an error when the bets are damaged (*DamageError) or in use by another
// process, and when the contest was begun with another number of agencies and has
// bets or endings.
func Open(folder string, agencies int, options ...Option) (*Ledger, error) {
	if agencies < 1 {
		return nil, fmt.Errorf("%d agencies are expected, a contest needs one", agencies)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, explained(fmt.Errorf("make the contest's folder: %w", err), folder)
	}
	path, statePath := filepath.Join(folder, LedgerFile), filepath.Join(folder, StateFile)
	f, readOnly, err := openFile(path, statePath)
	if err != nil {
		return nil, explained(err, folder)
	}
	// The lock covers the state, too: it is read after the last process has saved
	// it.
	if err := lock(f, readOnly != nil); err != nil {
		if readOnly == nil {
			f.Close()
			return nil, err
		}
		readOnly = fmt.Errorf("%w; %w", readOnly, err) // nobody changes a contest that is drawn
	}
	l := newLedger(path, diskFile{f}, 0, nil)
	if l.readOnly = readOnly; readOnly != nil {
		l.file = readOnlyFile{f}
	}
	l.state.path = statePath
	for _, option := range options {
		option(l)
	}
	if err := l.load(f, agencies); err != nil {
		f.Close()
		return nil, explained(err, folder)
	}
	return l, nil
}

// openFile opens or creates the bets at path. If those of a drawn contest cannot be
// written, they are opened for reading, and readOnly says why.
func openFile(path, statePath string) (f *os.File, readOnly, err error) {
	const flags = os.O_RDWR | os.O_APPEND
	f, err = os.OpenFile(path, flags, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// What is wrong with the state is told when the bets are locked.
		switch saved, _ := loadState(statePath); {
		case saved.LedgerBytes > 0:
			return nil, nil, fmt.Errorf("the ledger %s is missing, %d bytes of it were on disk: restore it as docs/operators.md says", path, saved.LedgerBytes)
		case saved.hasEndings(): // how much was on disk is not known without syncs
			return nil, nil, fmt.Errorf("the ledger %s is missing, and agencies have finished: restore it as docs/operators.md says", path)
		}
		f, err = os.OpenFile(path, flags|os.O_CREATE, 0o644)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		if saved, _ := loadState(statePath); saved.Phase == lottery.Drawn {
			readOnly = err
			f, err = os.Open(path)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open the ledger: %w", err)
	}
	return f, readOnly, nil
}

// lock locks the bets; if shared, others may lock them for reading, too. Closing
// the file unlocks them.
func lock(f *os.File, shared bool) error {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	return lockFailure(f.Name(), unix.Flock(int(f.Fd()), how|unix.LOCK_NB))
}

func lockFailure(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return fmt.Errorf("lock the ledger %s: another central has it: end that one, or use another --contest", path)
	}
	return fmt.Errorf("lock the ledger %s: %w: without a lock two centrals could write to it: put the folder on a file system that has locks "+
		"(NFS: with its lock service running, or mounted with local_lock=flock where no other machine uses it)", path, err)
}

// load reads the folder, and begins the contest when there is none.
func (l *Ledger) load(f *os.File, agencies int) error {
	saved, err := loadState(l.state.path)
	if err != nil {
		return err
	}
	isNew := saved.Agencies == 0
	most := agencies
	if !isNew {
		most = saved.Agencies
	}
	accounts, found, err := readAccounts(f, saved.LedgerBytes, most, func(lottery.Stretch) error { return nil })
	switch {
	case err != nil:
		return err
	case isNew && found.rows > 0 && !l.reopens:
		return fmt.Errorf("the contest's state %s is missing, and %s has %d bets: "+withoutState, l.state.path, l.path, found.rows, "")
	case found.rows == 0 && !saved.hasEndings() && saved.Agencies != agencies:
		isNew = true // it is unused: its terms may change
	}
	if err := saved.checkDrawn(l.path, found.whole); err != nil {
		return err
	}
	hasActa, err := l.hasActa(saved.Phase)
	if err != nil {
		return err
	}
	if hasActa && found.torn > 0 {
		return &DamageError{l.path, found.rows + 1, found.whole, "the row is not finished, and the draw is made: the file was changed later"}
	}
	if isNew {
		deadline := saved.Deadline
		saved = newState(make([]lottery.Ending, agencies), false)
		saved.Deadline = deadline
		saved.Opened = now(l.state.clock)
		if l.origin != nil {
			saved.setTimes(*l.origin)
		}
	}
	endings, err := saved.endings(agencies)
	if err != nil {
		return fmt.Errorf("%s: %w", l.state.path, err)
	}
	for i := len(accounts); i < agencies; i++ {
		accounts = append(accounts, lottery.NewAccount())
	}
	l.places = make([]place, agencies)
	for i, how := range endings {
		accounts[i].Ended = how
		l.places[i] = place{mark: accounts[i].Mark, end: found.whole, ended: how}
	}
	l.stored = lottery.Stored{Accounts: accounts, Drawn: saved.Phase == lottery.Drawn}
	l.appended, l.durable = found.whole, found.whole
	l.state.endings, l.state.deadline, l.state.times = endings, saved.Deadline, saved.times()
	l.state.drawn, l.state.savedBytes = l.stored.Drawn, saved.LedgerBytes
	if l.readOnly != nil {
		return nil
	}
	if l.torn = found.torn; l.torn > 0 {
		if err := f.Truncate(found.whole); err != nil {
			return fmt.Errorf("cut the torn end off the ledger: %w", err)
		}
	}
	// The rows just read may never have been synced; from here on they count.
	if !l.unsynced {
		if err := f.Sync(); err != nil {
			return fmt.Errorf("sync the ledger %s: %w", l.path, err)
		}
		if err := l.state.disk.syncFolder(filepath.Dir(l.path)); err != nil {
			return err
		}
	}
	if isNew { // no bet is taken before the terms are on disk
		return saveState(l.state.disk, l.state.path, saved)
	}
	return nil
}

// explained adds to an error about the folder what an operator can do.
func explained(err error, folder string) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		for _, missing := os.Stat(folder); errors.Is(missing, fs.ErrNotExist); _, missing = os.Stat(folder) {
			folder = filepath.Dir(folder) // the one in which it would be made
		}
		user, group := os.Geteuid(), os.Getegid()
		return fmt.Errorf("%w: the central runs as user %d, group %d, who must be able to write to %s and what is in it: chown -R %d:%d %s, or run the central as its owner%s",
			err, user, group, folder, user, group, folder, immutable(err))
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: mount it to be written; only a contest that is drawn can be served from there", err)
	}
	return err
}

func immutable(err error) string {
	if errors.Is(err, unix.EPERM) {
		return "; chattr may have made it immutable, see lsattr"
	}
	return ""
}

// ReadOnly returns why a drawn contest was opened read-only, or nil.
func (l *Ledger) ReadOnly() error { return l.readOnly }

// Torn returns the length in bytes of the torn end that Open has cut off.
func (l *Ledger) Torn() int64 { return l.torn }

// Path returns where the bets are.
func (l *Ledger) Path() string { return l.path }
