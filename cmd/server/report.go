package main

import (
	"fmt"
	"io"
	"time"

	"loteria/lottery"
)

// report is what was found in a place.
type report struct {
	place    string           // the path of bets.csv, or the stream and its servers
	state    string           // the phase of the contest, or "none" when that is not known
	terms    lottery.Terms    // no agencies when the state is "none"
	times    lottery.Times    // when it was opened, closed and drawn, as far as that is known
	endings  []lottery.Ending // of agency i+1, of all that are expected; nil when the state is "none"
	rows     uint64
	bytes    uint64         // of the rows
	agencies []agencyReport // those with bets, ascending
	torn     int64          // bytes after the rows
	unread   bool           // a copy of it was not read
	notes    []string       // further remarks, a line each
}

// agencyReport is what was found of one agency.
type agencyReport struct {
	agency  int
	bets    uint64
	digest  uint64 // XXH64 of its rows, as RESUME_POINT has it
	winners int    // bets on the winning number
}

// phaseOf returns the phase of a contest with these endings.
func phaseOf(endings []lottery.Ending, drawn bool) lottery.Phase {
	for _, how := range endings {
		if how == lottery.Open {
			return lottery.Betting
		}
	}
	if drawn {
		return lottery.Drawn
	}
	return lottery.Drawing
}

// print writes the report for people.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %d rows, %d bytes; state: %s\n", r.place, r.rows, r.bytes, r.state)
	if !r.terms.Deadline.IsZero() {
		fmt.Fprintf(w, "deadline: %s\n", r.terms.Deadline.Local().Format(time.RFC3339))
	}
	for _, t := range []struct {
		what string
		at   time.Time
	}{{"opened", r.times.Opened}, {"closed", r.times.Closed}, {"drawn", r.times.Drawn}} {
		if !t.at.IsZero() {
			fmt.Fprintf(w, "%s: %s\n", t.what, t.at.Local().Format(time.RFC3339))
		}
	}
	for _, a := range r.agencies {
		fmt.Fprintf(w, "agency %d: %d bets, digest %016x, %d on the winning number\n", a.agency, a.bets, a.digest, a.winners)
	}
	for _, note := range r.notes {
		fmt.Fprintln(w, note)
	}
}

// judge prints the report, and without err that nothing is damaged. It returns err.
func (r *report) judge(w io.Writer, err error) error {
	r.print(w)
	switch {
	case err != nil:
	case r.unread:
		fmt.Fprintln(w, "nothing is damaged in what was read")
	default:
		fmt.Fprintln(w, "nothing is damaged")
	}
	return err
}

// differsFrom returns the first thing in which two reports of one contest differ,
// or "".
func (r *report) differsFrom(other *report) string {
	if r.terms.Agencies != other.terms.Agencies {
		return fmt.Sprintf("%d expected agencies and %d", r.terms.Agencies, other.terms.Agencies)
	}
	if !r.terms.Deadline.Equal(other.terms.Deadline) {
		return fmt.Sprintf("the deadlines %s and %s", r.terms.Deadline.Format(time.RFC3339Nano), other.terms.Deadline.Format(time.RFC3339Nano))
	}
	mine, others := r.byAgency(), other.byAgency()
	for i := range mine {
		if a, b := mine[i], others[i]; a != b {
			return fmt.Sprintf("agency %d with %d bets, digest %016x, %d on the winning number, and with %d, %016x, %d",
				i+1, a.bets, a.digest, a.winners, b.bets, b.digest, b.winners)
		}
		if a, b := r.endings[i], other.endings[i]; a != b {
			return fmt.Sprintf("agency %d, whose betting has ended in different ways (%s and %s)", i+1, endingName(a), endingName(b))
		}
	}
	if r.rows != other.rows || r.bytes != other.bytes {
		return fmt.Sprintf("%d rows of %d bytes and %d of %d", r.rows, r.bytes, other.rows, other.bytes)
	}
	if r.state != other.state {
		return fmt.Sprintf("the states %s and %s", r.state, other.state)
	}
	return ""
}

// byAgency returns the reports of all expected agencies, of i+1 at index i.
func (r *report) byAgency() []agencyReport {
	all := make([]agencyReport, r.terms.Agencies)
	for _, a := range r.agencies {
		if a.agency <= len(all) {
			all[a.agency-1] = a
		}
	}
	return all
}

func endingName(how lottery.Ending) string {
	switch how {
	case lottery.Finished:
		return "finished"
	case lottery.Missing:
		return "missing"
	}
	return "open"
}
