package csvledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"loteria/lottery"
)

// refusesToOpen checks that a contest does not open, says the words in one line,
// and is left as it was.
func refusesToOpen(t *testing.T, folder string, words []string, options ...Option) {
	t.Helper()
	before := readFolder(t, folder)
	l, err := Open(folder, 2, options...)
	if err == nil {
		l.Close()
		t.Fatal("it was opened")
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not speak of %q: %v", word, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has several lines: %v", err)
	}
	checkFolder(t, folder, before)
}

// TestStateIsMissing removes contest.json: bets without one are only opened on
// request.
func TestStateIsMissing(t *testing.T) {
	folder := t.TempDir()
	c := openContest(t, folder, 2)
	c.MustStore(newBatch(t, samples(1, 0, 6)...))
	c.MustFinish(1)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(folder, StateFile)
	for _, content := range []string{"", " \n", `{"agencies":2,"fin`, "null", "none"} {
		words := []string{state, "cut or damaged", "put back a copy", "remove it", "--reopen"}
		if content = strings.TrimPrefix(content, "none"); content == "" {
			words = append(words, "empty")
		}
		writeFile(t, state, content)
		refusesToOpen(t, folder, words)
		refusesToOpen(t, folder, words, WithReopen()) // what it has may be worth mending
	}
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	refusesToOpen(t, folder, []string{state, "is missing", LedgerFile + " has 6 bets", "put back a copy", "--reopen"})
	c = openContest(t, folder, 2, WithReopen())
	c.MustStore(newBatch(t, sample(1, 6))) // nobody counts as finished
	c = c.reopen(t)
	c.MustFinish(1, 2)
	c.CheckDraw(true, winnersOf(samples(1, 0, 7)...), nil)
}

// TestBetsAreMissing takes bets.csv away between two centrals. It is not begun
// anew.
func TestBetsAreMissing(t *testing.T) {
	folder := t.TempDir()
	c := openContest(t, folder, 2)
	c.MustStore(newBatch(t, samples(1, 0, 6)...))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, LedgerFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	size := fmt.Sprint(len(rowsOf(samples(1, 0, 6)...)))
	refusesToOpen(t, folder, []string{path, "is missing", size, "docs/operators.md"}, WithReopen())
	writeFile(t, path, "")
	refusesToOpen(t, folder, []string{path, "rows are missing", size, "docs/operators.md"})
	writeFile(t, path, rowsOf(samples(1, 0, 6)...))
	openContest(t, folder, 2)
}

// TestBetsOfFinishedAgenciesAreMissing takes bets.csv away where contest.json
// does not say how long it was. Agencies that have finished would not bet again.
func TestBetsOfFinishedAgenciesAreMissing(t *testing.T) {
	for _, state := range []string{
		`{"agencies":2,"finished":[1],"phase":"betting"}`,
		`{"agencies":2,"finished":[],"missing":[2],"phase":"betting"}`,
		`{"agencies":2,"finished":[1,2],"phase":"drawing"}`,
		`{"agencies":2,"finished":[1,2],"phase":"drawn"}`,
	} {
		folder := t.TempDir()
		files := map[string]string{StateFile: state}
		writeFolder(t, folder, files)
		for _, option := range []Option{WithReopen(), WithoutSync()} {
			refusesToOpen(t, folder, []string{filepath.Join(folder, LedgerFile), "is missing", "docs/operators.md"}, option)
		}
		checkFolder(t, folder, files)
	}
}

// TestBetsAddedAfterTheDraw adds a row to the bets of a contest that is drawn.
// Nobody wins with it.
func TestBetsAddedAfterTheDraw(t *testing.T) {
	folder := t.TempDir()
	c := openContest(t, folder, 2)
	c.MustStore(newBatch(t, samples(1, 0, 6)...))
	c.MustFinish(1, 2)
	c.CheckDraw(true, winnersOf(samples(1, 0, 6)...), nil)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, LedgerFile)
	rows := readFile(t, path)
	writeFile(t, path, rows+rowsOf(sample(2, 0)))
	words := []string{path, "draw", fmt.Sprint(len(rows)), "docs/operators.md"}
	refusesToOpen(t, folder, words)
	if _, err := check(folder); err == nil || !strings.Contains(err.Error(), "draw") {
		t.Errorf("a check says %v", err)
	}
	writeFile(t, path, rows)
	openContest(t, folder, 2).CheckDraw(true, winnersOf(samples(1, 0, 6)...), nil)
}

// TestDeadlineIsInTheState sets a deadline, which stays, and opens a state from
// before there were any.
func TestDeadlineIsInTheState(t *testing.T) {
	folder := t.TempDir()
	c := openContest(t, folder, 2)
	c.checkState(t, `{"agencies":2,"finished":[],"phase":"betting"}`)
	deadline := time.Date(2099, 12, 24, 18, 0, 0, 0, time.FixedZone("", -3*60*60))
	if err := c.SetDeadline(deadline, time.Now()); err != nil {
		t.Fatal(err)
	}
	want := `{"agencies":2,"finished":[],"phase":"betting","deadline":"2099-12-24T21:00:00Z"`
	c.checkState(t, want+"}")
	c.MustStore(newBatch(t, samples(1, 0, 6)...))
	c = c.reopen(t)
	c.checkState(t, want+"}")
	c.MustFinish(1, 2)
	c.CheckDraw(true, winnersOf(samples(1, 0, 6)...), nil)
	if !c.Deadline().Equal(deadline) {
		t.Errorf("the deadline is %v, want %v", c.Deadline(), deadline)
	}
}

// TestBegunAgain begins an empty contest with another number of agencies: its
// deadline stays, until another is set.
func TestBegunAgain(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, LedgerFile), "1,Ana") // torn, so no bet
	writeFile(t, filepath.Join(folder, StateFile), `{"agencies":5,"finished":[],"phase":"betting","deadline":"2099-12-24T21:00:00Z"}`)
	l, err := Open(folder, 3, withClock(func() time.Time { return time.Date(2099, 12, 1, 9, 0, 0, 999, time.UTC) }))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if stored := begun(t, l); len(stored.Accounts) != 3 || l.Terms().Agencies != 3 || l.Terms().Deadline.Year() != 2099 {
		t.Errorf("there are %d accounts, the terms are %+v", len(stored.Accounts), l.Terms())
	}
	checkFile(t, l.state.path, `{"agencies":3,"finished":[],"phase":"betting","deadline":"2099-12-24T21:00:00Z","opened":"2099-12-01T09:00:00Z"}`+"\n")
}

// noFolderSync is a disk that cannot sync a folder, as some are.
type noFolderSync struct {
	realDisk
	err error
}

func (d noFolderSync) syncFolder(path string) error { return folderSyncFailure(path, d.err) }

// TestFolderThatCannotBeSynced opens one, as on CIFS before Linux 4.17 or some
// FUSE: it is taken without syncs only.
func TestFolderThatCannotBeSynced(t *testing.T) {
	for _, cause := range []error{unix.EINVAL, unix.ENOSYS, unix.ENOTSUP, unix.EIO} {
		folder := t.TempDir()
		on := func(l *Ledger) { l.state.disk = noFolderSync{err: cause} }
		words := []string{folder, cause.Error()}
		if cause != unix.EIO {
			words = append(words, "cannot do that", "--fsync=never")
		}
		l, err := Open(folder, 2, on)
		if err == nil {
			l.Close()
			t.Fatal("it was opened")
		}
		for _, word := range words {
			if !errors.Is(err, cause) || !strings.Contains(err.Error(), word) {
				t.Errorf("the error does not speak of %q: %v", word, err)
			}
		}
		c := openContest(t, folder, 2, on, WithoutSync())
		c.MustStore(newBatch(t, samples(1, 0, 6)...))
		c.MustFinish(1, 2) // it saves, too
		c.CheckDraw(true, winnersOf(samples(1, 0, 6)...), nil)
		c.Close()
	}
}

// TestAdvice checks that each failure of the system names its cause and what to do.
func TestAdvice(t *testing.T) {
	user := fmt.Sprintf("runs as user %d, group %d", os.Geteuid(), os.Getegid())
	folder := t.TempDir()
	missing := filepath.Join(folder, "a", "b")
	open := func(errno error) error { return &fs.PathError{Op: "open", Path: folder, Err: errno} }
	for name, test := range map[string]struct {
		err  error
		says []string
		not  string
	}{
		"in use":            {lockFailure("/x/bets.csv", unix.EWOULDBLOCK), []string{"/x/bets.csv", "another central has it", "--contest"}, "file system"},
		"no lock daemon":    {lockFailure("/x/bets.csv", unix.ENOLCK), []string{"/x/bets.csv", unix.ENOLCK.Error(), "file system that has locks", "NFS"}, "another central has"},
		"no locks":          {lockFailure("/x/bets.csv", unix.EOPNOTSUPP), []string{unix.EOPNOTSUPP.Error(), "file system that has locks"}, "another central has"},
		"no call":           {lockFailure("/x/bets.csv", unix.ENOSYS), []string{unix.ENOSYS.Error(), "file system that has locks"}, "another central has"},
		"no right":          {explained(open(unix.EACCES), folder), []string{"permission denied", user, "chown -R", folder}, "lsattr"},
		"no folder":         {explained(open(unix.EACCES), missing), []string{"permission denied", user, "to " + folder + " and"}, missing},
		"immutable":         {explained(open(unix.EPERM), folder), []string{user, "lsattr"}, "mount"},
		"read-only":         {explained(open(unix.EROFS), folder), []string{"read-only file system", "mount it"}, "chown"},
		"something else":    {explained(open(unix.EIO), folder), []string{"input/output error"}, "chown"},
		"folder not synced": {folderSyncFailure(folder, unix.EINVAL), []string{"invalid argument", "--fsync=never"}, "chown"},
	} {
		for _, word := range test.says {
			if !strings.Contains(test.err.Error(), word) {
				t.Errorf("%s: it does not say %q: %v", name, word, test.err)
			}
		}
		if strings.Contains(test.err.Error(), test.not) {
			t.Errorf("%s: it says %q: %v", name, test.not, test.err)
		}
	}
}

// TestFolderOfSomebodyElse opens one without permission.
func TestFolderOfSomebodyElse(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o555); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Create(filepath.Join(folder, "probe")); err == nil {
		f.Close()
		t.Skip("skipped: whoever runs this may write anywhere")
	}
	for _, path := range []string{folder, filepath.Join(folder, "contest")} {
		_, err := Open(path, 1)
		if err == nil || !strings.Contains(err.Error(), "permission denied") || !strings.Contains(err.Error(), fmt.Sprintf("user %d", os.Geteuid())) {
			t.Errorf("the error is %v", err)
		}
	}
}

// writeDrawn writes a contest that is drawn, of two agencies.
func writeDrawn(t *testing.T, folder string) (winners []string) {
	t.Helper()
	c := openContest(t, folder, 2, WithoutSync()) // so that there would be something to note
	c.MustStore(newBatch(t, samples(1, 0, 6)...))
	c.MustFinish(1, 2)
	winners = winnersOf(samples(1, 0, 6)...)
	c.CheckDraw(true, winners, nil)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return winners
}

// checkServed checks that the contest, which is drawn, tells its winners, and
// that nothing is written.
func checkServed(t *testing.T, folder string, winners []string) {
	t.Helper()
	before := readFolder(t, folder)
	c := openContest(t, folder, 2)
	other := openContest(t, folder, 2) // nobody is disturbed
	for _, c := range []*contest{c, other} {
		if c.ledger.ReadOnly() == nil {
			t.Error("it is not read-only")
		}
		c.CheckDraw(true, winners, nil)
		c.MustFinish(1)
		c.CheckStoreRefused(newBatch(t, sample(1, 6)), lottery.DrawDone)
		if err := errors.Join(c.DrawWithout(1, 2), c.ledger.Checkpoint()); err != nil {
			t.Error(err)
		}
		c.ledger.Verify()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	checkFolder(t, folder, before)
}

// TestReadOnlyFiles serves a contest that is drawn from files that cannot be
// written.
func TestReadOnlyFiles(t *testing.T) {
	folder := t.TempDir()
	winners := writeDrawn(t, folder)
	for path, mode := range map[string]os.FileMode{filepath.Join(folder, LedgerFile): 0o444, filepath.Join(folder, StateFile): 0o444, folder: 0o555} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(folder, 0o755) })
	if f, err := os.OpenFile(filepath.Join(folder, LedgerFile), os.O_RDWR, 0); err == nil {
		f.Close()
		t.Skip("skipped: whoever runs this may write anything")
	}
	checkServed(t, folder, winners)
}
