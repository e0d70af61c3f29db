package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"loteria/cmd/internal/progress"
)

// maxTails is of how many processes that failed the log is shown.
const maxTails = 3

// showProgress puts together the line of progress, for a screen without bars.
func (r *round) showProgress(now time.Time) {
	if len(r.agencies) == 0 || r.screen.terminal != nil {
		return
	}
	bets := 0
	var each strings.Builder
	for _, a := range r.agencies {
		bets += a.bets
		fmt.Fprintf(&each, "  %d: %d", a.id, a.bets)
		if a.complete {
			each.WriteString(" ✓")
		}
	}
	r.screen.report(fmt.Sprintf("%d bets in %.1f s  %s", bets, now.Sub(r.begun).Seconds(), each.String()), now)
}

// showTable shows the result of a run in which every agency did what it should.
func (r *round) showTable() {
	var last time.Time
	for _, a := range r.agencies {
		if a.answeredAt.After(last) {
			last = a.answeredAt
		}
	}
	r.screen.print("\n" + table(r.agencies, last.Sub(r.begun)) + "\n" +
		"seconds: from an agency's start until its last bet was on disk;\n" +
		"in total: from the first start until the last agency knew its winners.\n")
}

// check looks for what went wrong in silence, and compares what the agencies
// told with what is on disk.
func (r *round) check() error {
	for _, p := range r.processes() {
		if p.fails > 0 {
			return fmt.Errorf("%s logged %s with result: fail, see %s",
				p.who, plural(p.fails, "line", "lines"), filepath.Join(r.dir, p.logName))
		}
	}
	bets := 0
	for _, a := range r.agencies {
		bets += a.bets
	}
	ledger, found := filepath.Join(r.dir, ledgerName), "as many as it sent"
	if r.cluster != nil {
		ledger, found = filepath.Join(r.dir, exportName), "those of its file, in their order"
		if err := compareFiles(ledger, r.data, r.agencies); err != nil {
			return err
		}
	}
	rows, err := countRows(ledger)
	if err == nil {
		err = compareRows(filepath.Base(ledger), r.agencies, rows)
	}
	if err != nil {
		return err
	}
	r.screen.print(r.screen.coloured(green, fmt.Sprintf("%s has %d rows, each agency's %s.", ledger, bets, found)) + "\n" +
		"The logs are beside it.")
	return nil
}

// explain shows the log of each process that failed, and says in one line what
// the run ended with.
func (r *round) explain(err error) error {
	if !errors.Is(err, errFailed) {
		return err // an interruption, or a process that could not be started
	}
	// What the central did explains what the agencies did.
	failures := make([]failure, 0, len(r.failures))
	for _, p := range r.processes() {
		for _, f := range r.failures {
			if f.from == p {
				failures = append(failures, f)
				break
			}
		}
	}
	summary := make([]string, len(failures))
	for i, f := range failures {
		summary[i] = progress.Printable(f.from.who + " " + f.what)
		if i < maxTails {
			r.showTail(f.from)
		}
	}
	return errors.New(strings.Join(summary, "; "))
}

func (r *round) showTail(p *process) {
	name := filepath.Join(r.dir, p.logName)
	if len(p.tail) == 0 {
		r.screen.print(fmt.Sprintf("\nLog of %s: nothing, %s is empty.", p.who, name))
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nLog of %s, the last lines (all of it is in %s):\n", p.who, name)
	for _, line := range p.tail {
		fmt.Fprintf(&b, "    %s\n", progress.Printable(line))
	}
	r.screen.print(strings.TrimSuffix(b.String(), "\n"))
}
