//go:build linux

package cmd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loteria/lottery/csvledger"
)

// copyCommand returns the command with which the operators' page backs a
// contest up.
func copyCommand(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "    cp ") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatal("the operators' page has no command that copies a contest")
	return ""
}

// backUp copies the contest in a folder with the command, when its ledger has that
// many bytes.
func backUp(command, folder, backup string, size int64) error {
	for {
		info, err := os.Stat(filepath.Join(folder, csvledger.LedgerFile))
		if err == nil && info.Size() >= size {
			break
		}
		time.Sleep(time.Millisecond)
	}
	shell := exec.Command("sh", "-ec", command)
	shell.Env = append(os.Environ(), "FOLDER="+folder, "BACKUP="+backup)
	if output, err := shell.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, output)
	}
	return nil
}

// checkBackup checks a copy as the operators' page says.
func checkBackup(t *testing.T, backup string) {
	t.Helper()
	check := exec.Command(filepath.Join(binFolder, "server"), "--check", "--storage-dir", backup)
	check.Env = []string{"GORACE=atexit_sleep_ms=0"}
	output, err := check.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "nothing is damaged") {
		t.Fatalf("--check of a copy: %v\n%s", err, output)
	}
}

// TestBackup does what the operators' page says: it copies a contest again and
// again while agencies send, and goes on from the last copy, in the middle.
func TestBackup(t *testing.T) {
	const step, copies = 100_000, 15 // bytes of a ledger of 3.8 million
	in := readInput(t, "../.data")
	running := newRound(t, in, 50, 4)
	running.startCentral()
	for id := range in.counts {
		running.startAgency(id)
	}
	command, folder := copyCommand(t), t.TempDir()
	var backups []string
	copied := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < copies && err == nil; i++ {
			var backup string
			if backup, err = os.MkdirTemp(folder, ""); err == nil {
				backups = append(backups, backup)
				err = backUp(command, running.storage, backup, int64(i+1)*step)
			}
		}
		copied <- err
		running.events <- event{from: running.central} // that it is looked at
	}()
	running.until("the copies are made", func() bool { return len(copied) > 0 })
	if err := <-copied; err != nil {
		t.Fatal(err)
	}
	for _, p := range running.agencies {
		p.kill()
	}
	running.central.kill()
	for _, backup := range backups {
		checkBackup(t, backup)
	}

	restored := newRound(t, in, 100, 32)
	restored.storage = backups[copies-1]
	restored.startCentral()
	for id := range in.counts {
		restored.startAgency(id)
	}
	restored.until("all agencies know their winners", restored.over)
	if restored.tally.resumes == 0 {
		t.Error("no agency found some of its bets stored")
	}
	restored.stopCentral()
	restored.judge()
}
