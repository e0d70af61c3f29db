package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"loteria/cmd/internal/admin"
	"loteria/lottery"
)

// printStatus writes a status for people. Times are in the local zone.
func printStatus(w io.Writer, s *statusAnswer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	if s.Contest != "" {
		line("contest", "%s", s.Contest)
	}
	central := string(s.Status)
	if s.Reason != "" {
		central += ": " + s.Reason
	}
	if s.Central != "" {
		central = s.Central + ", " + central
	}
	line("central", "%s; started %s, %s ago", central, shownTime(s.Started), shownSpan(s.Now.Sub(s.Started)))
	line("phase", "%s", phaseFor(s))
	if s.Deadline != nil {
		left := s.Deadline.Sub(s.Now)
		switch {
		case left < 0:
			line("deadline", "%s, has passed", shownTime(*s.Deadline))
		case s.Phase == lottery.Betting || s.Phase == admin.Starting:
			line("deadline", "%s, %s left", shownTime(*s.Deadline), shownSpan(left))
		default:
			line("deadline", "%s", shownTime(*s.Deadline))
		}
	}
	if s.Phase != admin.Starting {
		line("agencies", "betting has ended of %d of %d", s.Finished, s.Expected)
		if len(s.Missing) > 0 {
			line("missing", "%s", shownAgencies(s.Missing, s.MoreMissing))
		}
		line("bets", "%d stored", s.Bets)
		line("connections", "%d of %d", s.Connections, s.MaxConnections)
		if s.Winners != nil {
			line("winners", "%d", *s.Winners)
		}
		if s.Acta != nil {
			signed := "not signed"
			if s.Acta.Signed {
				signed = "signed"
			}
			line("acta", "made %s, %s, SHA-256 %s", shownTime(s.Acta.Made), signed, s.Acta.SHA256)
		}
	}
	if s.Ledger.LedgerHealth != nil && s.Ledger.Problem != "" {
		line("ledger", "%s", s.Ledger.Problem)
	}
	table.Flush()
	if len(s.Waiting) == 0 {
		return
	}
	fmt.Fprintln(w, "\nthe draw waits for")
	table = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "agency\tbets\tsilent for\t")
	for _, a := range s.Waiting {
		fmt.Fprintf(table, "%d\t%d\t%s\t\n", a.Agency, a.Bets, shownSpan(time.Duration(a.Silent*float64(time.Second))))
	}
	table.Flush()
	if s.MoreWaiting > 0 {
		fmt.Fprintf(w, "and %d more\n", s.MoreWaiting)
	}
}

// phaseFor returns the phase, and since when, if that is known.
func phaseFor(s *statusAnswer) string {
	switch {
	case s.Phase == lottery.Drawn && s.DrawnAt != nil:
		return fmt.Sprintf("%s, since %s", s.Phase, shownTime(*s.DrawnAt))
	case s.Phase == lottery.Drawn:
		return fmt.Sprintf("%s, before the central was started", s.Phase)
	case s.Phase == lottery.Drawing:
		return fmt.Sprintf("%s: the draw is being made", s.Phase)
	}
	return string(s.Phase)
}

// shownAgencies returns agencies' numbers, and how many more there are.
func shownAgencies(agencies []int, more int) string {
	text := strings.Trim(fmt.Sprint(agencies), "[]")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func shownTime(t time.Time) string { return t.Local().Format(time.RFC3339) }

// shownSpan returns a span to the second.
func shownSpan(d time.Duration) string { return max(0, d.Round(time.Second)).String() }

// printEnd writes what has become of the agencies.
func printEnd(w io.Writer, e *endAnswer) {
	for _, a := range e.Agencies {
		switch a.Result {
		case endedNow:
			fmt.Fprintf(w, "agency %d: its betting is ended, with %d bets\n", a.Agency, a.Bets)
		case hadFinished:
			fmt.Fprintf(w, "agency %d: it had finished already, with %d bets\n", a.Agency, a.Bets)
		case hadEnded:
			fmt.Fprintf(w, "agency %d: its betting had been ended before, with %d bets\n", a.Agency, a.Bets)
		}
	}
	printPhase(w, e.Phase, e.Awaited)
}

// printPhase writes how far the draw is.
func printPhase(w io.Writer, phase lottery.Phase, awaited int) {
	switch phase {
	case lottery.Drawn:
		fmt.Fprintln(w, "the draw is made")
	case lottery.Drawing:
		fmt.Fprintln(w, "the draw is being made: see the status")
	default:
		fmt.Fprintf(w, "agencies that the draw waits for: %d\n", awaited)
	}
}

// printDeadline writes the deadline as the central has it, in its zone.
func printDeadline(w io.Writer, d *deadlineAnswer) {
	before := "before, there was none"
	if d.Replaces != nil {
		before = "before, it was " + d.Replaces.Format(time.RFC3339)
		if d.Replaces.Equal(d.Deadline) {
			before = "as before"
		}
	}
	fmt.Fprintf(w, "deadline: %s (%s); %s\n", d.Deadline.Format(time.RFC3339), d.Zone, before)
	if d.Phase != lottery.Betting {
		printPhase(w, d.Phase, 0)
	}
}
