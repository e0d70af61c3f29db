//go:build linux

package cmd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"loteria/docs/markdown"
	"loteria/lottery/csvledger"
)

// backUp copies the contest in a folder, when its ledger has that many bytes.
func backUp(folder, backup string, size int64) error {
	for {
		info, err := os.Stat(filepath.Join(folder, csvledger.LedgerFile))
		if err == nil && info.Size() >= size {
			break
		}
		time.Sleep(time.Millisecond)
	}
	shell := exec.Command("sh", "-ec", markdown.Quoted(`cp "$FOLDER/contest.json" "$FOLDER/bets.csv" "$BACKUP/"`))
	shell.Env = append(os.Environ(), "FOLDER="+folder, "BACKUP="+backup)
	if output, err := shell.CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w\n%s", folder, err, output)
	}
	return nil
}

// check runs a command, in a place with the programs, that finds no damage in a copy.
func check(t *testing.T, place, command, backup string) {
	t.Helper()
	shell := exec.Command("sh", "-ec", command)
	shell.Dir = place
	shell.Env = []string{"GORACE=atexit_sleep_ms=0", "BACKUP=" + backup}
	output, err := shell.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "nothing is damaged") {
		t.Fatalf("%s: %v\n%s", command, err, output)
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
	folder := t.TempDir()
	var backups []string
	copied := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < copies && err == nil; i++ {
			var backup string
			if backup, err = os.MkdirTemp(folder, ""); err == nil {
				backups = append(backups, backup)
				err = backUp(running.storage, backup, int64(i+1)*step)
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
		p.Signal(syscall.SIGKILL)
	}
	running.central.Signal(syscall.SIGKILL)
	place := besidePrograms(t)
	for _, backup := range backups {
		check(t, place, markdown.Quoted(`bin/server --check --storage-dir "$BACKUP"`), backup)
	}
	last := backups[copies-1]
	check(t, place, strings.Replace(markdown.Quoted("bin/server --check --storage-dir FOLDER"), "FOLDER", last, 1), last)

	restored := newRound(t, in, 100, 32)
	restored.storage = last
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
