package csvledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// errChanged is why a ledger dies when somebody else has changed its file.
var errChanged = errors.New("somebody else has changed the ledger")

// Verify returns errChanged, with what has happened, unless the path still
// names this file, and the file is size bytes long.
//
// What is written to a removed file is gone when it is closed; what is written to
// one that was cut (logrotate's copytruncate) does not bring back the rows before
// it. No write or sync fails because of either.
func (f diskFile) Verify(size int64) error {
	path := f.Name()
	var open, named unix.Stat_t // each commit waits for this: no os.FileInfo is made
	if err := retried(func() error { return unix.Fstat(int(f.Fd()), &open) }); err != nil {
		return fmt.Errorf("look at the ledger %s: %w", path, err)
	}
	var what string
	err := retried(func() error { return unix.Stat(path, &named) })
	switch {
	case errors.Is(err, fs.ErrNotExist):
		what = "it was removed or renamed"
		if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
			what = "its folder was removed or renamed"
		}
	case err != nil:
		what = fmt.Sprintf("it cannot be looked at (%v)", err)
	case open.Dev != named.Dev || open.Ino != named.Ino:
		what = "another file stands in its place"
	case open.Size < size:
		what = fmt.Sprintf("it was cut to %d bytes, stored are %d", open.Size, size)
	case open.Size > size:
		what = fmt.Sprintf("it has %d bytes, of which %d are not the central's", open.Size, open.Size-size)
	default:
		return nil
	}
	return fmt.Errorf("%w %s: %s; nothing is acknowledged any more: stop what does that (a rotation of logs?), "+
		"restore the file as docs/operators.md says, and start the central again", errChanged, path, what)
}

// Verify has the file verified soon, as each commit does, even when there is
// nothing to commit. The ledger dies when somebody else has changed it.
func (l *Ledger) Verify() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiters) == 0 && l.unusable() == nil { // else it is looked at before they are told
		l.await(0, nil, nil, func(error) {})
	}
}
