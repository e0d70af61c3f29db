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

// maxActa is how long an acta can be, in bytes: it is in memory as a whole. One with
// ten million bets that have won is not as long, and no lottery is like that.
const maxActa = 256 << 20

const (
	lockTries = 100                   // to lock the folder
	lockPause = 10 * time.Millisecond // between them
)

// KeepActa puts the acta of the draw into a folder, once: the error is
// fs.ErrExist when there is one, which stays. After a crash at any moment there is
// none, or a whole one. unsynced leaves it to the operating system when that is on
// disk.
//
// It is written beside its place first, under a name that is always the same, so
// that kills leave no pile of files. Two centrals in one folder do not write at
// the same time: the second one waits for a second, which is longer than that takes,
// and may come again when it gets an error then.
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
	// Where a folder has no locks, the central alone has its lock on the bets.
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

// keepActa is KeepActa on some disk. The caller is the only one who does that.
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
	case errors.Is(err, fs.ErrNotExist) && !exists(path): // a link to nowhere is there, and hides one
		return nil, made, nil
	case err != nil:
		return nil, made, fmt.Errorf("read the acta: %w", err)
	}
	return content, info.ModTime(), nil
}

// hasActa reports whether an acta is beside the ledger. It is an error when one
// tells of a draw that the state does not know: whoever goes on then makes another
// draw of a contest that has one.
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
