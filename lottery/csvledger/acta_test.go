package csvledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loteria/lottery"
)

// withClock takes the times that the contest keeps from clock.
func withClock(clock func() time.Time) Option { return func(l *Ledger) { l.state.clock = clock } }

// TestTimes begins a contest, ends it and draws, and looks when each is noted: once,
// by the clock, also when it is opened again in between.
func TestTimes(t *testing.T) {
	day := time.Date(2026, 12, 24, 18, 0, 0, 987_654_321, time.FixedZone("", -3*60*60))
	minutes := func(n int) time.Time { return day.Add(time.Duration(n) * time.Minute) }
	kept := func(n int) time.Time { return minutes(n).UTC().Truncate(time.Millisecond) }
	var passed atomic.Int32
	clock := withClock(func() time.Time { return minutes(int(passed.Load())) })
	folder := t.TempDir()
	open := func() *contest {
		t.Helper()
		passed.Add(1)
		return openContest(t, folder, 2, clock)
	}
	check := func(want lottery.Times) {
		t.Helper()
		report, err := check(folder)
		if err != nil || report.Times != want {
			t.Errorf("the times are %+v, %v; want %+v", report.Times, err, want)
		}
	}
	want := lottery.Times{Opened: kept(1)}
	c := open()
	check(want)
	c.MustFinish(2)
	check(want)
	c.Close()
	c = open() // two minutes have passed
	check(want)
	c.MustFinish(1, 1, 2)
	want.Closed, want.Drawn = kept(2), kept(2)
	<-c.Drawn()
	check(want)
	c.Close()
	c = open()
	c.MustFinish(1)
	c.Close()
	check(want)
}

// TestTimesOfFormer goes on with a contest that has none: it keeps none, byte for
// byte as before.
func TestTimesOfFormer(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, StateFile), `{"agencies":1,"finished":[],"phase":"betting","more":{"of":"a later version"}}`)
	writeFile(t, filepath.Join(folder, LedgerFile), rowsOf(sample(1, 0)))
	c := openContest(t, folder, 1)
	c.MustFinish(1)
	<-c.Drawn()
	c.Close()
	checkFile(t, filepath.Join(folder, StateFile), fmt.Sprintf(`{"agencies":1,"finished":[1],"phase":"drawn","ledger_bytes":%d}`+"\n", len(rowsOf(sample(1, 0)))))
}

// TestTimesOfAnother gives a new contest the times of the one that it is copied from.
func TestTimesOfAnother(t *testing.T) {
	at := time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC)
	for name, times := range map[string]lottery.Times{
		"drawn":   {Opened: at, Closed: at.Add(1), Drawn: at.Add(2)},
		"betting": {Opened: at},
		"former":  {},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			c := openContest(t, folder, 1, WithTimes(times))
			if times.Closed.IsZero() {
				if report, err := check(folder); err != nil || report.Times != times {
					t.Errorf("the times are %+v, %v", report.Times, err)
				}
				return
			}
			c.MustFinish(1)
			<-c.Drawn()
			c.Close()
			if report, err := check(folder); err != nil || report.Times != times {
				t.Errorf("the times are %+v, %v", report.Times, err)
			}
		})
	}
}

// TestDeadlineAfterTheDraw sets one: the deadline that was in force stays, as in
// the acta of the draw.
func TestDeadlineAfterTheDraw(t *testing.T) {
	folder := t.TempDir()
	c := openContest(t, folder, 1)
	c.MustFinish(1)
	<-c.Drawn()
	before := readFile(t, filepath.Join(folder, StateFile))
	if err := wait(func(done func(error)) {
		c.ledger.SetDeadline(time.Time{}, time.Date(2099, 12, 24, 18, 0, 0, 0, time.UTC), done)
	}); err != nil {
		t.Error(err)
	}
	c.Close()
	checkFile(t, filepath.Join(folder, StateFile), before)
}

// TestKeepActa keeps one, once, whatever is in its way from before.
func TestKeepActa(t *testing.T) {
	for _, unsynced := range []bool{false, true} {
		folder := filepath.Join(t.TempDir(), "not", "there")
		if content, _, err := LoadActa(folder); content != nil || err != nil {
			t.Errorf("%q, %v", content, err)
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(folder, ActaFile+".new"), "what a kill has left, and is longer") // and is written over
		if err := KeepActa(folder, []byte("acta\n"), unsynced); err != nil {
			t.Fatal(err)
		}
		if err := KeepActa(folder, []byte("another\n"), unsynced); !errors.Is(err, fs.ErrExist) {
			t.Errorf("another one: %v", err)
		}
		if files, err := os.ReadDir(folder); len(files) != 1 {
			t.Errorf("there are %v, %v", files, err)
		}
		content, made, err := LoadActa(folder)
		if string(content) != "acta\n" || err != nil || time.Since(made) > time.Hour {
			t.Errorf("it is %q of %v, %v", content, made, err)
		}
	}
}

// TestKeepActaTogether has many centrals keep an acta in one folder at once: one of
// them is there, whole.
func TestKeepActaTogether(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "navidad")
	var all sync.WaitGroup
	var kept atomic.Int32
	for i := range 8 {
		all.Go(func() {
			content := []byte(strings.Repeat(fmt.Sprint(i), 1<<16))
			switch err := KeepActa(folder, content, true); {
			case err == nil:
				kept.Add(1)
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	all.Wait()
	content, _, err := LoadActa(folder)
	if kept.Load() != 1 || len(content) != 1<<16 || strings.Count(string(content), string(content[:1])) != len(content) || err != nil {
		t.Errorf("%d have kept theirs, %d bytes, %v", kept.Load(), len(content), err)
	}
}

// TestActaFaults makes each call that keeps an acta fail: there is none, or the
// whole one, and the next try keeps it.
func TestActaFaults(t *testing.T) {
	const calls = 6
	for at := 1; at <= calls; at++ {
		folder := t.TempDir()
		d := &faultyDisk{at: at}
		if err := keepActa(d, folder, []byte("acta\n")); err == nil {
			t.Errorf("call %d fails, and the error is %v", at, err)
		}
		content, _, err := LoadActa(folder)
		if err != nil || content != nil && string(content) != "acta\n" || (content != nil) != (d.last == folderSync) {
			t.Errorf("after a failed %s there is %q, %v", d.last, content, err)
		}
		if err := keepActa(d, folder, []byte("acta\n")); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Error(err)
		}
		checkFile(t, filepath.Join(folder, ActaFile), "acta\n")
	}
}

// TestRenameNew renames to a free name, also where the file system cannot refuse to
// replace.
func TestRenameNew(t *testing.T) {
	for name, rename := range map[string]func(from, to string) error{"at once": realDisk{}.renameNew, "after a look": renameUnlessThere} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			from, to := filepath.Join(folder, "from"), filepath.Join(folder, "to")
			for _, content := range []string{"first", "second"} {
				writeFile(t, from, content)
				if err := rename(from, to); (content == "second") != errors.Is(err, fs.ErrExist) {
					t.Errorf("the %s: %v", content, err)
				}
			}
			checkFile(t, to, "first")
			checkFile(t, from, "second")
			if err := rename(to, filepath.Join(folder, "none", "to")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("into no folder: %v", err)
			}
		})
	}
}

// TestActaThatIsNone loads an empty acta, and one that is too long.
func TestActaThatIsNone(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, ActaFile)
	writeFile(t, path, "")
	if content, _, err := LoadActa(folder); content == nil || err != nil {
		t.Errorf("an empty file: %v, %v", content, err)
	}
	if err := os.Truncate(path, maxActa+1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadActa(folder); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a long file: %v", err)
	}
}
