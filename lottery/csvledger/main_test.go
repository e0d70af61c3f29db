package csvledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"loteria/internal/leaktest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// holdFolder is the environment variable by which a test starts this program as
// a second process: it opens the contest in the folder of that name, says "open"
// or why not, and holds it until its standard input ends.
const holdFolder = "LOTERIA_TEST_HOLD_FOLDER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(holdFolder); folder != "" {
		l, err := Open(folder, manyAgencies)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("open")
		_, _ = io.Copy(io.Discard, os.Stdin)
		if err := l.Close(); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(leaktest.Run(m))
}

var (
	sample       = ledgertest.Bet
	samples      = ledgertest.Bets
	anyBets      = ledgertest.AnyBets
	rowsOf       = ledgertest.Rows
	winnersOf    = ledgertest.Winners
	newBatch     = ledgertest.Batch
	at           = ledgertest.At
	checkRefused = ledgertest.CheckRefused
)

// otherRows returns bad rows; package lottery tests these, too.
func otherRows(t testing.TB) (rows []string) {
	t.Helper()
	for line := range strings.Lines(readFile(t, "../testdata/not-rows.txt")) {
		row, err := strconv.Unquote(strings.TrimSuffix(line, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// manyAgencies is how many a ledger has when it does not matter.
const manyAgencies = 8

// openLedger opens the ledger in the folder, whole, for the time of the test.
func openLedger(t testing.TB, folder string, options ...Option) *Ledger {
	t.Helper()
	l, err := Open(folder, manyAgencies, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if l.Torn() != 0 {
		t.Fatalf("the ledger had a torn row of %d bytes", l.Torn())
	}
	return l
}

// storeBets appends the bets, those of one agency that stand together at once,
// and returns when they are durable. Nobody else may append for the agencies.
func storeBets(l *Ledger, bets ...lottery.Bet) error {
	var done []chan error
	for n := 0; len(bets) > 0; bets = bets[n:] {
		agency := bets[0].Agency
		for n = 1; n < len(bets) && bets[n].Agency == agency; n++ {
		}
		stored := make(chan error, 1)
		if _, err := l.Append(ledgertest.Stretch(bets[:n]...), l.mark(agency), func(err error) { stored <- err }); err != nil {
			return err
		}
		done = append(done, stored)
	}
	var failure error
	for _, stored := range done {
		failure = errors.Join(failure, <-stored)
	}
	return failure
}

func (l *Ledger) mark(agency int) lottery.Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.places[agency-1].mark
}

// scan reads the first size bytes of the ledger at path, or all of it when size
// is negative.
func scan(path string, size int64, visit func(lottery.Stretch) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if size < 0 {
		if size, err = f.Seek(0, io.SeekEnd); err != nil {
			return err
		}
	}
	_, err = recoverLedger(f, size, size, visit)
	return err
}

// loadRows returns the rows that are on disk.
func loadRows(l *Ledger) (rows string, err error) {
	var b strings.Builder
	err = scan(l.path, l.Durable(), func(s lottery.Stretch) error {
		b.Write(s.Rows)
		return nil
	})
	return b.String(), err
}

func checkBets(t testing.TB, l *Ledger, want []lottery.Bet) {
	t.Helper()
	got, err := loadRows(l)
	if err != nil {
		t.Fatal(err)
	}
	if want := rowsOf(want...); got != want {
		t.Fatalf("%d bytes were loaded, want %d:\n%.300q, want\n%.300q", len(got), len(want), got, want)
	}
}

// contest is one in a folder.
type contest struct {
	*ledgertest.Contest
	ledger *Ledger
}

// openContest opens the contest for the time of the test.
func openContest(t testing.TB, folder string, agencies int, options ...Option) *contest {
	t.Helper()
	l, err := Open(folder, agencies, options...)
	if err != nil {
		t.Fatal(err)
	}
	if l.Torn() != 0 {
		t.Errorf("the ledger had a torn row of %d bytes", l.Torn())
	}
	return &contest{ledgertest.NewContest(t, l), l}
}

func (c *contest) folder() string { return filepath.Dir(c.ledger.path) }

// reopen closes the contest and opens it as the next process would.
func (c *contest) reopen(t testing.TB) *contest {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return openContest(t, c.folder(), c.Agencies())
}

// crash opens the contest as it would be after a crash of the process now.
func (c *contest) crash(t testing.TB) *contest {
	t.Helper()
	folder := t.TempDir()
	writeFolder(t, folder, readFolder(t, c.folder()))
	return openContest(t, folder, c.Agencies())
}

// keptTimes are those that a contest keeps in its state.
var keptTimes = regexp.MustCompile(`,"(opened|closed|drawn)":"[^"]*"`)

// checkState checks the state on disk, without the times that it has.
func (c *contest) checkState(t testing.TB, want string) {
	t.Helper()
	bytes := fmt.Sprintf(`,"ledger_bytes":%d}`, c.ledger.Durable())
	got := strings.TrimSpace(readFile(t, c.ledger.state.path))
	got = keptTimes.ReplaceAllString(got, "")
	if strings.Replace(got, bytes, "}", 1) != want {
		t.Errorf("the state on disk is %s, want %s with %s", got, want, bytes)
	}
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// checkFile checks what a file holds, and shows where it differs.
func checkFile(t testing.TB, path, want string) {
	t.Helper()
	got := readFile(t, path)
	if got == want {
		return
	}
	same := 0
	for same < min(len(got), len(want)) && got[same] == want[same] {
		same++
	}
	t.Fatalf("%s has %d bytes, want %d; from byte %d on it has\n%.100q, want\n%.100q",
		path, len(got), len(want), same, got[same:], want[same:])
}

func readFolder(t testing.TB, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{LedgerFile, StateFile, StateFile + ".new", ActaFile, ActaFile + ".new"} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err == nil {
			files[name] = string(content)
		} else if !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return files
}

func writeFolder(t testing.TB, folder string, files map[string]string) {
	t.Helper()
	for _, name := range []string{LedgerFile, StateFile, StateFile + ".new", ActaFile, ActaFile + ".new"} {
		path := filepath.Join(folder, name)
		if content, ok := files[name]; ok {
			writeFile(t, path, content)
		} else if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// openDescriptors returns how many descriptors of this process are open on the
// file.
func openDescriptors(t *testing.T, path string) (n int) {
	t.Helper()
	const descriptors = "/proc/self/fd"
	entries, err := os.ReadDir(descriptors)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("skipped: there is no " + descriptors + " here to count open files")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if target, err := os.Readlink(filepath.Join(descriptors, entry.Name())); err == nil && target == path {
			n++
		}
	}
	return n
}
