//go:build linux

package cmd_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAgain starts all agencies again when their lottery is over, with the same
// central and with one that has been stopped and started.
func TestAgain(t *testing.T) {
	r := newRound(t, readInput(t, "../.data"), 100, 32)
	r.startCentral()
	var ledger []byte
	for run := 1; run <= 3; run++ {
		if run == 3 {
			r.stopCentral()
			r.inspectLedger()
			r.startCentral()
		}
		for id := range r.in.counts {
			r.startAgency(id)
		}
		r.until("all agencies know their winners", r.over)
		now, err := os.ReadFile(r.ledger())
		if err != nil {
			t.Fatal(err)
		}
		if run > 1 && !bytes.Equal(now, ledger) {
			t.Errorf("run %d has changed the ledger", run)
		}
		ledger = now
		for id, told := range r.told {
			if len(told) != winners[id] {
				t.Errorf("run %d tells agency %d of %d winners, expected %d", run, id, len(told), winners[id])
			}
		}
		if run > 1 && r.tally.resumes != (run-1)*agencies {
			t.Errorf("after run %d there were %d resumes, expected %d", run, r.tally.resumes, (run-1)*agencies)
		}
	}
	r.stopCentral()
	r.judge()
}

var hasBets = regexp.MustCompile(`the central has (\d+) bets of this agency`)

// TestOtherBets changes the file of an agency of which bets are stored already.
func TestOtherBets(t *testing.T) {
	const rows = 300
	change := func(lines []string) []string {
		lines[7] = strings.Replace(lines[7], ",", "x,", 1)
		return lines
	}
	for name, test := range map[string]struct {
		early bool // it is killed while it sends, not started again at the end
		file  func(lines []string) []string
		says  string
	}{
		"another row, while it sends":    {true, change, `the central has \d+ bets of this agency, and they are not the first \d+ of .*agency-1.csv \(digest .*nothing is sent to it`},
		"fewer rows, while it sends":     {true, func(lines []string) []string { return lines[:3] }, `the central has \d+ bets of this agency, .* has only 3; nothing is sent to it`},
		"another row, when all is over":  {false, change, `they are not the first 300 of .*agency-1.csv \(digest .*nothing is sent to it`},
		"rows swapped, when all is over": {false, func(l []string) []string { l[3], l[4] = l[4], l[3]; return l }, `they are not the first 300`},
		"fewer rows, when all is over":   {false, func(lines []string) []string { return lines[:rows-1] }, `has only 299; nothing is sent to it`},
		"more rows, when all is over":    {false, func(lines []string) []string { return append(lines, lines[0]) }, `refused bets 301-301: draw_done: .*; its winners, .*, are known: \d+`},
	} {
		t.Run(name, func(t *testing.T) {
			in, file := someInput(t, rows)
			r := newRound(t, in, 10, 4)
			r.startCentral()
			for id := range in.counts {
				if !test.early || id > 1 {
					r.startAgency(id)
				}
			}
			if test.early {
				r.someOf(1, 100)
			} else {
				r.until("all agencies know their winners", r.over)
			}
			right, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines := test.file(slices.Collect(strings.Lines(string(right))))
			if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o644); err != nil {
				t.Fatal(err)
			}
			r.mayFail = "code: draw_done"
			said := r.refused(1)
			if strings.Count(said, "\n") != 1 || !regexp.MustCompile(test.says).MatchString(said) {
				t.Fatalf("the agency says %q, expected one line like %q", said, test.says)
			}
			before := rows
			if test.early { // its batches in flight may have been stored after the kill
				before, _ = strconv.Atoi(hasBets.FindStringSubmatch(said)[1])
			}
			after, err := in.inspect(r.ledger())
			if err != nil || after.counts[1] != before || test.early == (before == rows) {
				t.Errorf("stored of agency 1 are %d bets and %v, before there were %d", after.counts[1], err, before)
			}
			// With its own file it goes on.
			if err := os.WriteFile(file, right, 0o644); err != nil {
				t.Fatal(err)
			}
			r.startAgency(1)
			r.until("all agencies know their winners", r.over)
			r.stopCentral()
			r.judge()
		})
	}
}

// TestDeclaredMissing has an agency come back that was declared missing while it
// was away: its bets are refused, and it is told the winners of what is stored.
func TestDeclaredMissing(t *testing.T) {
	const rows, some = 300, 100
	in, _ := someInput(t, rows)
	r := newRound(t, in, 10, 4)
	r.reach = func(int) string { return r.twoAddresses() }
	r.startCentral()
	for id := range in.counts {
		if id > 1 {
			r.startAgency(id)
		}
	}
	r.someOf(1, some)
	r.stopCentral()
	r.startCentral("--draw-without", "1")
	r.until("the other agencies know their winners", func() bool { return len(r.done) == agencies-1 })
	r.mayFail = "code: draw_done"
	said := r.refused(1)
	want := fmt.Sprintf(`^client: the central refused bets \d+-\d+: draw_done: .*; its winners, .*, are known: %d\n$`, len(in.winners[1]))
	if !regexp.MustCompile(want).MatchString(said) {
		t.Errorf("the agency says %q, expected %s", said, want)
	}
	r.stopCentral()
	if after, err := in.inspect(r.ledger()); err != nil || after.counts[1] < some || after.counts[1] >= rows {
		t.Errorf("stored of agency 1 are %d bets and %v", after.counts[1], err)
	}
}

// someInput is some rows of each agency's data, with its winners, in a folder of
// its own, and the file of agency 1 there.
func someInput(t *testing.T, rows int) (in *input, first string) {
	t.Helper()
	folder := t.TempDir()
	all := rowsOf(t, "../.data")
	slices.SortStableFunc(all, func(a, b []string) int { return rank(a) - rank(b) })
	var some [][]string
	counts := map[string]int{}
	files := map[string]*bytes.Buffer{}
	for _, row := range all {
		id := row[0]
		if counts[id]++; counts[id] > rows {
			continue
		}
		some = append(some, row)
		if files[id] == nil {
			files[id] = new(bytes.Buffer)
		}
		w := csv.NewWriter(files[id])
		_ = w.Write(row[1:]) // to memory
		w.Flush()
	}
	for id, text := range files {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("agency-%s.csv", id)), text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return newInput(t, folder, some), filepath.Join(folder, "agency-1.csv")
}

// rank sorts the winners to the front.
func rank(row []string) int {
	if row[5] == "7574" {
		return 0
	}
	return 1
}

// someOf has the agency store some of its bets, and kills it. The pause between
// two batches makes sure that it does not come to its end.
func (r *round) someOf(id, bets int) {
	r.t.Helper()
	p := r.startAgencyWith(id, "--loop-period", "300ms")
	r.until("some bets are stored", func() bool { return r.acked[id] >= bets })
	p.Signal(syscall.SIGKILL)
	r.endOf(p)
}

// refused starts an agency that must exit with 1, and returns its stderr.
func (r *round) refused(id int) string {
	r.t.Helper()
	p := r.startAgencyWith(id)
	r.endOf(p)
	if p.ExitCode() != 1 {
		r.fail("agency %d exits with %d, expected 1", id, p.ExitCode())
	}
	return p.stderr.String()
}

// endOf takes events until the process has ended in any way.
func (r *round) endOf(p *process) {
	r.t.Helper()
	stuck := time.NewTimer(stuckTime)
	defer stuck.Stop()
	for !p.ended {
		select {
		case e := <-r.events:
			switch {
			case e.from != p && e.end:
				r.end(e.from)
			case e.from != p:
				r.hear(e.from, e.line)
			case e.end:
				p.ended = true
			default:
				p.take(e.line)
			}
		case <-stuck.C:
			r.fail("agency %d does not end", p.id)
		}
	}
}
