package csvledger

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"loteria/lottery"
)

// ownMounts is the environment variable by which a test starts itself as a
// process that sees mounts of its own.
const ownMounts = "LOTERIA_TEST_OWN_MOUNTS"

// hasOwnMounts reports whether the test is in a process that may mount. If not, it
// first runs the test in one that may.
func hasOwnMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownMounts) != "" {
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("skipped: only root can mount")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), ownMounts+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	output, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("skipped: no mounts of its own are allowed here")
	}
	t.Logf("%s", output)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// TestFullDisk lets agencies store on a disk that is full before they are
// done. After making room the next contest goes on.
func TestFullDisk(t *testing.T) {
	if !hasOwnMounts(t) {
		return
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=128k"); err != nil {
		t.Skipf("skipped: no small disk can be mounted here: %v", err)
	}
	defer func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err) // something of it is still open
		}
	}()
	folder := filepath.Join(disk, "contest")
	filler := filepath.Join(disk, "filler")
	writeFile(t, filler, string(make([]byte, 100<<10)))

	s := newScript(2, 4, 120) // more than twice of what there is room for
	c := openContest(t, folder, 4)
	stored, refusals := s.sendAll(t, c)
	for i, err := range refusals {
		if stored[i] < len(s.bets[i]) {
			checkRefused(t, err, lottery.Storage)
		}
	}
	checkBroken(t, c, syscall.ENOSPC)
	t.Logf("stored before the disk was full: %v of 120 each", stored)

	// Still full: it starts and fails again, or does not start; nothing is lost.
	if again, err := openQuietly(folder, 4); err == nil {
		if torn := again.ledger.Torn(); torn != 0 {
			t.Errorf("%d bytes of a row were left", torn)
		}
		more, _ := s.sendAll(t, again)
		checkBroken(t, again, syscall.ENOSPC)
		for i := range stored {
			stored[i] = max(stored[i], more[i])
		}
	} else if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk it does not start: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.checkSurvives(t, folder, stored, true)
}
