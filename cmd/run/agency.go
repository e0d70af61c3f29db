package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// agency is a client's process and what it has told.
type agency struct {
	process
	id int

	bets, batches int           // acknowledged so far
	complete      bool          // all of them are
	took          time.Duration // from its start until they were
	winners       int
	answeredAt    time.Time // when they were known; zero until then
	announced     bool      // the screen has said how many
}

func newAgency(opts options, bin, data, address string, id int) *agency {
	a := &agency{id: id, process: process{
		who:     agencyName(id),
		path:    bin,
		logName: fmt.Sprintf("agency-%d.log", id),
		args: append(opts.tls.agency(id),
			"--id", strconv.Itoa(id),
			"--server-address", address,
			"--data-dir", data,
			"--batch-max-amount", strconv.Itoa(opts.batch),
			"--log-level", opts.logLevel,
			// The environment may change the rest, but not what the run reads.
			"--log-format", "text",
			"--mode", "batch",
			"--loop-period", opts.period.String(),
		),
	}}
	a.read = a.hear
	a.judge = a.incomplete
	return a
}

func agencyName(id int) string { return fmt.Sprintf("agency %d", id) }

// hear takes in a line of the agency and says what is new in it.
func (a *agency) hear(rec record, ev event) (news string, err error) {
	if rec.result != "success" {
		return "", nil
	}
	switch rec.action {
	case "batch_processed":
		n, err := count(rec, "cantidad")
		if err != nil {
			return "", err
		}
		a.batches++
		a.bets += n
	case "batch_processing_complete":
		// A second line of its own says how many there were: it must agree
		// with the batches.
		if want := fmt.Sprintf("%d/%d", a.bets, a.bets); rec.fields["processed"] != want {
			return "", fmt.Errorf("says processed: %s, but its batches make %s", rec.fields["processed"], want)
		}
		a.complete = true
		a.took = ev.at.Sub(a.started)
		return fmt.Sprintf("%s in %s on disk after %.2f s",
			plural(a.bets, "bet", "bets"), plural(a.batches, "batch", "batches"), a.took.Seconds()), nil
	case "consulta_ganadores":
		n, err := count(rec, "cant_ganadores")
		if err != nil {
			return "", err
		}
		a.winners, a.answeredAt = n, ev.at // announced once the draw has been
	}
	return "", nil
}

// incomplete says what is wrong with the end of an agency: how it ended, or
// what it should have told and has not.
func (a *agency) incomplete() string {
	if a.err != nil {
		return a.how()
	}
	var missing []string
	if !a.complete {
		missing = append(missing, "batch_processing_complete")
	}
	if a.answeredAt.IsZero() {
		missing = append(missing, "consulta_ganadores")
	}
	if len(missing) == 0 {
		return ""
	}
	return a.how() + " and logged no " + strings.Join(missing, " and no ")
}

// count reads a field that is a number of things.
func count(rec record, field string) (int, error) {
	n, err := strconv.ParseUint(rec.fields[field], 10, 31)
	if err != nil {
		return 0, fmt.Errorf("says %s: %q in %s, expected a number", field, rec.fields[field], rec.action)
	}
	return int(n), nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
