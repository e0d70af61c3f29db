package csvledger

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReadOnlyMount serves a contest that is drawn from a disk that is mounted
// to be read. One that is not drawn does not open there, and says why.
func TestReadOnlyMount(t *testing.T) {
	if !hasOwnMounts(t) {
		return
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("skipped: no disk can be mounted here: %v", err)
	}
	defer func() { _ = unix.Unmount(disk, 0) }()
	drawn, betting := filepath.Join(disk, "drawn"), filepath.Join(disk, "betting")
	winners := writeDrawn(t, drawn)
	c := openContest(t, betting, 2)
	c.MustStore(newBatch(t, sample(1, 0)))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("skipped: no disk can be mounted to be read: %v", err)
	}
	checkServed(t, drawn, winners)
	for _, folder := range []string{betting, filepath.Join(disk, "new")} {
		if l, err := Open(folder, 2); err == nil || !strings.Contains(err.Error(), "mount it to be written") {
			t.Errorf("%s gives %v, %v", folder, l, err)
		}
	}
}
