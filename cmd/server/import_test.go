package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"loteria/lottery"
	"loteria/lottery/csvledger"
	"loteria/lottery/ledgertest"
)

// sampled is a contest of three agencies in a folder. Agency 3 has no bets.
type sampled struct {
	bets     int // of agency 1; agency 2 has half of them
	endings  []lottery.Ending
	deadline time.Time
	drawn    bool
}

// write makes the contest in a new folder, with the agencies' bets interleaved.
func (s sampled) write(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	l, err := csvledger.Open(folder, 3)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Begin(lottery.Events{Ended: func(int, lottery.Ending, *lottery.Account) {}})
	var marks [3]lottery.Mark
	waited := make(chan error, 1)
	wait := func(what string) {
		if err := <-waited; err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	done := func(err error) { waited <- err }
	const piece = 7
	for i := 0; i < s.bets && err == nil; i += piece {
		for _, agency := range []int{2, 1} {
			first, n := i/agency, (min(i+piece, s.bets))/agency-i/agency
			if n == 0 {
				continue
			}
			mark := &marks[agency-1]
			*mark, err = l.Append(ledgertest.Stretch(ledgertest.Bets(agency, first, n)...), *mark, done)
			if err != nil {
				break
			}
			wait("append")
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if !s.deadline.IsZero() {
		l.SetDeadline(time.Time{}, s.deadline, done)
		wait("deadline")
	}
	for i, how := range s.endings {
		if how != lottery.Open {
			l.End(i+1, marks[i], how, done)
			wait("end")
		}
	}
	if s.drawn {
		l.Draw(func(_ [][]string, err error) { done(err) })
		wait("draw")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return folder
}

var (
	deadline    = time.Date(2099, 12, 24, 18, 0, 0, 123, time.UTC)
	allFinished = []lottery.Ending{lottery.Finished, lottery.Missing, lottery.Finished}
)

func contentOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = string(content)
	}
	return files
}

func sameFiles(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s has %d bytes, want %d: %.300s\nwant %.300s", name, len(got[name]), len(content), got[name], content)
		}
	}
	for name := range got {
		if _, wanted := want[name]; !wanted {
			t.Errorf("there is also %s", name)
		}
	}
}

// A contest is copied from one folder into another as it is.
func TestImportFolder(t *testing.T) {
	for name, contest := range map[string]sampled{
		"empty":          {endings: make([]lottery.Ending, 3)},
		"betting":        {bets: 40, endings: make([]lottery.Ending, 3), deadline: deadline},
		"some finished":  {bets: 40, endings: []lottery.Ending{lottery.Open, lottery.Missing, lottery.Finished}},
		"to be drawn":    {bets: 41, endings: allFinished},
		"drawn":          {bets: 3000, endings: allFinished, deadline: deadline, drawn: true},
		"drawn, no bets": {endings: allFinished, drawn: true},
	} {
		t.Run(name, func(t *testing.T) {
			source, storage := contest.write(t), t.TempDir()
			target := filepath.Join(storage, "navidad")
			before := contentOf(t, source)
			var said, problems bytes.Buffer
			args := []string{"--storage-dir", storage, "--contest", "navidad", "--import", source}
			if code := run(args, nil, &said, &problems); code != 0 || problems.Len() > 0 {
				t.Fatalf("exit code %d: %s%s", code, &said, &problems)
			}
			sameFiles(t, contentOf(t, source), before)
			sameFiles(t, contentOf(t, target), before)
			for _, want := range []string{"from " + source, "to " + filepath.Join(target, csvledger.LedgerFile) + ": ", "both are the same"} {
				if !strings.Contains(said.String(), want) {
					t.Errorf("%q is not said:\n%s", want, &said)
				}
			}
			problems.Reset()
			if code := run(args, nil, io.Discard, &problems); code != 1 || !strings.Contains(problems.String(), "nothing was imported: "+filepath.Join(target, csvledger.StateFile)+" is there") {
				t.Errorf("again: exit code %d: %s", code, &problems)
			}
			sameFiles(t, contentOf(t, target), before)
		})
	}
}

// A failed import leaves nothing behind.
func TestImportRefused(t *testing.T) {
	whole := func(t *testing.T) string { return sampled{bets: 9, endings: allFinished, drawn: true}.write(t) }
	for name, test := range map[string]struct {
		source func(t *testing.T) string
		says   string
	}{
		"no folder": {func(t *testing.T) string { return filepath.Join(t.TempDir(), "none") }, "no such file"},
		"no bets":   {func(t *testing.T) string { return t.TempDir() }, "no such file"},
		"no state": {func(t *testing.T) string {
			folder := whole(t)
			if err := os.Remove(filepath.Join(folder, csvledger.StateFile)); err != nil {
				t.Fatal(err)
			}
			return folder
		}, "it is not known how many agencies are expected"},
		"damaged": {func(t *testing.T) string {
			folder := whole(t)
			path := filepath.Join(folder, csvledger.LedgerFile)
			content, err := os.ReadFile(path)
			if err == nil {
				content[20] = 'x'
				content[50] = '\n'
				err = os.WriteFile(path, content, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			return folder
		}, "line 1, byte 0"},
		"a stranger": {func(t *testing.T) string {
			folder := sampled{bets: 9, endings: make([]lottery.Ending, 3)}.write(t)
			f, err := os.OpenFile(filepath.Join(folder, csvledger.LedgerFile), os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString(ledgertest.Rows(ledgertest.Bets(4, 0, 1)...))
			}
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			return folder
		}, "it holds bets of agency 4, expected are 1 to 3"},
		"in use": {func(t *testing.T) string {
			folder := whole(t)
			l, err := csvledger.Open(folder, 3)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			return folder
		}, "another central has it"},
	} {
		t.Run(name, func(t *testing.T) {
			storage := t.TempDir()
			var said, problems bytes.Buffer
			if code := run([]string{"--storage-dir", storage, "--import", test.source(t)}, nil, &said, &problems); code != 1 || !strings.Contains(problems.String(), test.says) {
				t.Errorf("exit code %d: %s, want %q", code, &problems, test.says)
			}
			if strings.Count(problems.String(), "\n") != 1 {
				t.Errorf("stderr has more than a line: %s", &problems)
			}
			sameFiles(t, contentOf(t, storage), nil)
		})
	}
}

// Any empty ledger can be filled, also one whose accounts are only known when they
// are claimed, and whose draw tells the winners.
func TestFill(t *testing.T) {
	contest := sampled{bets: 2500, endings: allFinished, deadline: deadline, drawn: true}
	source := folder{path: contest.write(t)}
	known, err := source.read(t.Context(), func(lottery.Stretch) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, lazy := range []bool{false, true} {
		t.Run(fmt.Sprintf("lazy %t", lazy), func(t *testing.T) {
			memory := &ledgertest.Memory{Lazy: lazy}
			fill := func() (bets uint64, err error) {
				l, err := memory.Open(3)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = l.Close() }()
				f := newFilling(l, &known)
				err = f.fill(t.Context(), source)
				if terms := l.Terms(); !terms.Deadline.Equal(deadline) {
					t.Errorf("the deadline is %v, want %v", terms.Deadline, deadline)
				}
				return f.durable.Load(), err
			}
			if bets, err := fill(); err != nil || bets != known.rows {
				t.Fatalf("%d bets are durable, want %d; %v", bets, known.rows, err)
			}
			for agency, n := range []int{2500, 1250, 0} {
				if want := ledgertest.Rows(ledgertest.Bets(agency+1, 0, n)...); memory.Rows(agency+1) != want {
					t.Errorf("agency %d has %d bytes, want %d", agency+1, len(memory.Rows(agency+1)), len(want))
				}
			}
			if _, err := fill(); !errors.Is(err, errNotEmpty) {
				t.Errorf("it is filled again: %v", err)
			}
		})
	}
}

// A ledger that gets somebody else's bet, or fails, ends the import with the
// reason.
func TestFillFails(t *testing.T) {
	contest := sampled{bets: 2500, endings: allFinished, drawn: true}
	source := folder{path: contest.write(t)}
	known, err := source.read(t.Context(), func(lottery.Stretch) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	changed := known
	changed.agencies = slices.Clone(known.agencies)
	changed.agencies[0].digest++
	for name, test := range map[string]struct {
		known *report
		spoil func(*ledgertest.Memory) (mend func())
		want  error
	}{
		"not available": {&known, func(m *ledgertest.Memory) func() { return m.Interrupt(false) }, lottery.ErrUnavailable},
		"broken":        {&known, func(m *ledgertest.Memory) func() { m.Break(); return func() {} }, nil},
		"another one":   {&changed, func(m *ledgertest.Memory) func() { return func() {} }, errChanged},
	} {
		t.Run(name, func(t *testing.T) {
			memory := &ledgertest.Memory{Lazy: true}
			l, err := memory.Open(3)
			if err != nil {
				t.Fatal(err)
			}
			defer test.spoil(memory)()
			err = newFilling(l, test.known).fill(t.Context(), source)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("the error is %v, want %v", err, test.want)
			}
			_ = l.Close()
		})
	}
	t.Run("stopped", func(t *testing.T) {
		memory := &ledgertest.Memory{Lazy: true}
		l, err := memory.Open(3)
		if err != nil {
			t.Fatal(err)
		}
		resume := memory.Stall()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- newFilling(l, &known).fill(ctx, source) }()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v, want that of the context", err)
		}
		resume()
		_ = l.Close()
	})
}

// A target that fails in the middle of an import leaves nothing in a folder, and
// the error says how far it is.
func TestImportFails(t *testing.T) {
	contest := sampled{bets: 2500, endings: allFinished, drawn: true}
	known, err := folder{path: contest.write(t)}.read(t.Context(), func(lottery.Stretch) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	storage := t.TempDir()
	target, err := folder{path: storage}.empty()
	if err != nil {
		t.Fatal(err)
	}
	other := sampled{bets: 40, endings: allFinished, drawn: true}.write(t) // in place of the source, between the two passes
	i := &importing{source: folder{path: other}, known: &known, target: target, timeout: time.Minute}
	if _, err := i.run(t.Context()); !errors.Is(err, errChanged) || i.durable != 60 {
		t.Errorf("the error is %v after %d bets, want that the source has changed, after 60", err, i.durable)
	}
	if advice := target.drop(); !strings.Contains(advice, "import again") {
		t.Errorf("the advice is %q", advice)
	}
	sameFiles(t, contentOf(t, storage), nil)
}

// A stretch is cut between rows, and its winners with it.
func TestEachPiece(t *testing.T) {
	bets := ledgertest.Bets(1, 0, 100)
	whole := ledgertest.Stretch(bets...)
	row := len(ledgertest.Rows(bets[0]))
	for _, most := range []int{1, row, row + 1, 10 * row, len(whole.Rows), len(whole.Rows) + 1} {
		at := 0
		err := eachPiece(whole, most, func(piece lottery.Stretch) error {
			want := ledgertest.Stretch(bets[at : at+piece.Bets]...)
			if piece.Agency != 1 || !bytes.Equal(piece.Rows, want.Rows) || !slices.Equal(piece.Winners, want.Winners) {
				t.Fatalf("of at most %d bytes: the piece of %d bets after %d has %d bytes and %d winners, want %d and %d",
					most, piece.Bets, at, len(piece.Rows), len(piece.Winners), len(want.Rows), len(want.Winners))
			}
			if len(piece.Rows) > most && piece.Bets > 1 {
				t.Errorf("a piece has %d bytes, at most are %d", len(piece.Rows), most)
			}
			at += piece.Bets
			return nil
		})
		if err != nil || at != len(bets) {
			t.Errorf("of at most %d bytes: %d bets, want %d; %v", most, at, len(bets), err)
		}
	}
}

// Two reports of one contest differ in the first thing that differs.
func TestDiffersFrom(t *testing.T) {
	base := func() report {
		return report{place: "a", state: "betting", terms: lottery.Terms{Agencies: 2}, endings: make([]lottery.Ending, 2), rows: 3, bytes: 90,
			agencies: []agencyReport{{1, 3, 7, 1}}}
	}
	for want, change := range map[string]func(*report){
		"":                  func(r *report) { r.place, r.notes = "b", []string{"x"} },
		"expected agencies": func(r *report) { r.terms.Agencies = 3 },
		"deadlines":         func(r *report) { r.terms.Deadline = deadline },
		"digest":            func(r *report) { r.agencies[0].digest = 8 },
		"winning number":    func(r *report) { r.agencies[0].winners = 2 },
		"agency 2 with":     func(r *report) { r.agencies = append(r.agencies, agencyReport{2, 1, 1, 0}) },
		"agency 1 with":     func(r *report) { r.agencies = nil },
		"agency 2, whose":   func(r *report) { r.endings = []lottery.Ending{lottery.Open, lottery.Missing} },
		"rows":              func(r *report) { r.rows = 4 },
		"states":            func(r *report) { r.state = "drawn" },
	} {
		a, b := base(), base()
		change(&b)
		if got := a.differsFrom(&b); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("the difference is %q, want %q", got, want)
		}
	}
}

// An imported contest goes on at a central, and a signal ends an import.
func TestImportedContestGoesOn(t *testing.T) {
	source := sampled{bets: 40, endings: []lottery.Ending{lottery.Open, lottery.Finished, lottery.Finished}}.write(t)
	storage := t.TempDir()
	p := begin(t, "--storage-dir", storage, "--import", source)
	if code := p.End(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.Stderr())
	}
	p = launch(t, "--storage-dir", storage, "--expected-agencies", "3")
	if line := p.line("action: open_contest"); !strings.Contains(line, "bets: 60") {
		t.Errorf("the contest is opened with %q", line)
	}
	p.Signal(syscall.SIGTERM)
	if code := p.End(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
