package csvledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"loteria/lottery"
)

// tampering is what others do to bets.csv under a central.
type tampering struct {
	name string
	do   func(path string) error
	says string
}

var tamperings = []tampering{
	{"removed", os.Remove, "it was removed or renamed"},
	{"renamed", func(path string) error { return os.Rename(path, path+".1") }, "it was removed or renamed"},
	{"copied and cut", func(path string) error { return os.Truncate(path, 0) }, "it was cut to"},
	{"cut by a byte", func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, info.Size()-1)
	}, "it was cut to"},
	{"replaced by a copy", func(path string) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return errors.Join(os.WriteFile(path+".new", content, 0o644), os.Rename(path+".new", path))
	}, "another file stands in its place"},
	{"appended to", func(path string) error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(rowsOf(sample(1, 500)))
		return errors.Join(err, f.Close())
	}, "are not the central's"},
	{"its folder renamed", func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+".1") }, "its folder was removed or renamed"},
	{"its folder removed", func(path string) error { return os.RemoveAll(filepath.Dir(path)) }, "its folder was removed or renamed"},
}

// TestTampering changes bets.csv in every way while agencies bet: whatever is
// asked for next, nothing is acknowledged, and the ledger is dead.
func TestTampering(t *testing.T) {
	asks := map[string]func(*contest) error{
		"a batch":  func(c *contest) error { return c.TryStore(newBatch(t, sample(1, 10))) },
		"RESUME":   func(c *contest) error { _, _, err := c.TryResume(1); return err },
		"FINISHED": func(c *contest) error { return c.TryFinish(1, 0, false) },
		"no one":   func(c *contest) error { c.ledger.Verify(); <-c.Failed(); return c.TryFinish(1, 0, false) },
		"the last FINISHED, so the draw": func(c *contest) error {
			return c.TryFinish(2, 0, false)
		},
	}
	for _, test := range tamperings {
		for what, ask := range asks {
			for _, option := range [][]Option{nil, {WithoutSync()}} {
				t.Run(fmt.Sprintf("%s/%s/unsynced=%t", test.name, what, option != nil), func(t *testing.T) {
					folder := filepath.Join(t.TempDir(), "contest")
					path := filepath.Join(folder, LedgerFile)
					c := openContest(t, folder, 3, option...)
					c.MustFinish(3)
					c.MustStore(newBatch(t, samples(1, 0, 10)...))
					if strings.Contains(what, "last") {
						c.MustFinish(1)
					}
					c.ledger.Verify() // nothing is wrong yet
					c.MustStore(newBatch(t, samples(2, 0, 10)...))
					stored := len(rowsOf(samples(1, 0, 10)...) + rowsOf(samples(2, 0, 10)...))
					if err := test.do(path); err != nil {
						t.Fatal(err)
					}

					checkRefused(t, ask(c), lottery.Storage)
					<-c.Failed()
					for _, word := range []string{path, test.says, "docs/operators.md"} {
						if err := c.Err(); !errors.Is(err, errChanged) || !strings.Contains(err.Error(), word) {
							t.Errorf("the ledger died of %v, want %q in it", err, word)
						}
					}
					c.CheckDraw(false)
					checkBroken(t, c, errChanged)

					// The next central finds out what is missing, if anything is.
					again, err := Open(folder, 3)
					if err == nil {
						again.Close()
					}
					switch {
					case strings.Contains(test.name, "folder"): // gone with all that was known
					case test.name == "replaced by a copy", test.name == "appended to":
						if err != nil {
							t.Errorf("the next central does not start: %v", err)
						}
					case err == nil || !strings.Contains(err.Error(), fmt.Sprint(stored)) || !strings.Contains(err.Error(), "on disk"):
						t.Errorf("the next central starts with %v, want that %d bytes were on disk", err, stored)
					}
				})
			}
		}
	}
}

// TestTamperingBeforeTheDraw cuts the file between the last ending and the draw.
func TestTamperingBeforeTheDraw(t *testing.T) {
	folder := t.TempDir()
	l := openLedger(t, folder)
	begun(t, l)
	if err := storeBets(l, samples(1, 0, 5)...); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(folder, LedgerFile), 0); err != nil {
		t.Fatal(err)
	}
	if err := wait(func(done func(error)) { l.Draw(func(_ [][]string, err error) { done(err) }) }); !errors.Is(err, errChanged) {
		t.Errorf("the draw gives %v, want %v", err, errChanged)
	}
	if l.Close(); strings.Contains(readFile(t, l.state.path), "drawn") {
		t.Error("the draw is noted")
	}
}

// TestTamperingBeforeClose cuts the file after the last call: Close says so.
func TestTamperingBeforeClose(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	c.MustStore(newBatch(t, samples(1, 0, 5)...))
	if err := os.Remove(c.ledger.path); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); !errors.Is(err, errChanged) {
		t.Errorf("Close gives %v, want %v", err, errChanged)
	}
}

// TestVerifyWhileCommitting looks at the file all the time while agencies bet.
// What a commit has written by then is no tampering.
func TestVerifyWhileCommitting(t *testing.T) {
	c := openContest(t, t.TempDir(), 2)
	over := make(chan struct{})
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		for {
			select {
			case <-over:
				return
			default:
				c.ledger.Verify()
			}
		}
	}()
	for i := range 200 {
		c.MustStore(newBatch(t, samples(1+i%2, i, 3)...))
	}
	close(over)
	<-looked
	if err := c.Err(); err != nil {
		t.Error(err)
	}
	c.ledger.mu.Lock()
	waiting := len(c.ledger.waiters)
	c.ledger.mu.Unlock()
	if waiting > 1 {
		t.Errorf("%d looks are waiting", waiting)
	}
}

// TestSymbolicLinks makes the folder, and bets.csv in it, symbolic links: that is
// no tampering.
func TestSymbolicLinks(t *testing.T) {
	folder, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(filepath.Join(elsewhere, "bets"), filepath.Join(folder, LedgerFile)); err != nil {
		t.Skip(err)
	}
	link := filepath.Join(elsewhere, "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	c := openContest(t, link, 1)
	c.MustStore(newBatch(t, samples(1, 0, 5)...))
	c.MustFinish(1)
	c.CheckDraw(true, winnersOf(samples(1, 0, 5)...))
	checkFile(t, filepath.Join(elsewhere, "bets"), rowsOf(samples(1, 0, 5)...))
}

func begun(t *testing.T, l *Ledger) lottery.Stored {
	t.Helper()
	stored, err := l.Begin(lottery.Events{Ended: func(int, lottery.Ending, *lottery.Account) {}})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}
