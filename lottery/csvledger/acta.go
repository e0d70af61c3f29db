package csvledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"loteria/lottery"
)

// maxActa is the longest that an acta can be, in bytes: all of it is in memory. One
// with ten million winning bets is shorter, and no lottery has that many.
const maxActa = 256 << 20

const (
	lockTries = 100                   // to lock the folder
	lockPause = 10 * time.Millisecond // between them
)

// KeepActa writes the acta of the draw into a folder, once: the error is
// fs.ErrExist when there is one already, which stays. After a crash at any moment
// there is none, or a whole one. unsynced leaves it to the operating system when it
// goes to disk.
//
// It is first written to a temporary file whose name is always the same, so that
// kills leave no pile of files. Two centrals do not write to one folder at the same
// time: the second waits for up to a second, longer than a write takes. If it then
// gets an error it may try again.
func KeepActa(folder string, content []byte, unsynced bool) error {
	if len(content) > maxActa {
		return fmt.Errorf("the acta has %d bytes, at most %d are kept", len(content), maxActa)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder of the acta: %w", err)
	}
	f, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("open the folder of the acta: %w", err)
	}
	defer f.Close() // which unlocks it
	// Where a folder cannot be locked, the central's lock on the bets must do.
	for tries := 1; errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK); tries++ {
		if tries == lockTries {
			return fmt.Errorf("keep the acta: another central is writing to %s", folder)
		}
		time.Sleep(lockPause)
	}
	if path := filepath.Join(folder, ActaFile); exists(path) {
		return &fs.PathError{Op: "keep the acta", Path: path, Err: fs.ErrExist}
	}
	d := disk(realDisk{})
	if unsynced {
		d = unsyncedDisk{d}
	}
	return keepActa(d, folder, content)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// keepActa is KeepActa on a given disk. The caller must be the only writer.
func keepActa(d disk, folder string, content []byte) error {
	if err := writeOnce(d, filepath.Join(folder, ActaFile), content); err != nil {
		return fmt.Errorf("keep the acta: %w", err)
	}
	return nil
}

// LoadActa returns the acta in a folder, and when it was written there; nil when
// there is none.
func LoadActa(folder string) (content []byte, made time.Time, err error) {
	path := filepath.Join(folder, ActaFile)
	content, info, err := readRegular(path, maxActa)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !exists(path): // a dangling link hides an acta
		return nil, made, nil
	case err != nil:
		return nil, made, fmt.Errorf("read the acta: %w", err)
	}
	return content, info.ModTime(), nil
}

// hasActa reports whether an acta is beside the ledger. It is an error when the
// state knows of no draw: to go on would make another draw of a drawn contest.
func (l *Ledger) hasActa(phase lottery.Phase) (bool, error) {
	path := filepath.Join(filepath.Dir(l.path), ActaFile)
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for the acta: %w", err)
	case phase != lottery.Drawn:
		return false, fmt.Errorf("%s says that the draw of this contest is made, and %s does not: put back the %s and %s of that draw "+
			"(docs/operators.md, Restore), or move %s away when another contest is to begin here", path, l.state.path, StateFile, LedgerFile, ActaFile)
	}
	return true, nil
}
