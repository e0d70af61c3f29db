package agency

import (
	"context"
	"fmt"
	"io"
	"time"
)

// survey is the result of the first reading of an agency's file: which bets will be
// sent.
type survey struct {
	source source // to be read again
	bets   uint64
	digest uint64 // as in counted
}

// survey reads the whole file before the first bet is sent, and reports what is
// wrong with it. Otherwise thousands of bets would be sent before damage to the file
// is noticed, and they can never be taken back.
func (a *agency) survey(ctx context.Context, s source) (survey, error) {
	file, err := a.openFile(ctx, s)
	if err != nil {
		return survey{}, err
	}
	defer file.close()
	var keep keeper
	if s.entry != "" && s.unpacked <= maxKept {
		// Package zip reads no more of an entry than its declared size.
		keep = keeper{file.rows.source, make([]byte, 0, s.unpacked)}
		file.rows.source = &keep
	}
	bets := newCounted(file)
	for err == nil {
		_, err = bets.next()
	}
	if err != io.EOF {
		return survey{}, fmt.Errorf("%w; nothing was sent", err)
	}
	s.kept = keep.kept
	found := survey{s, bets.count, bets.digest()}
	invalid := &file.invalid
	if a.config.SkipInvalid && (found.bets > 0 || a.config.AllowEmpty) {
		a.reportInvalid(invalid)
		if invalid.count > 0 {
			a.step(a.log.Warn(), "skip_invalid", "success").Str("file", s.String()).Uint64("skipped", invalid.count).Send()
		}
		invalid = &invalidRows{}
	}
	switch {
	case invalid.count > 0:
		if invalid.count > 1 {
			a.reportInvalid(invalid)
		}
		err = invalid
		if a.config.SkipInvalid {
			err = fmt.Errorf("no row is a valid bet: %w", invalid)
		}
	case found.bets == 0 && !a.config.AllowEmpty:
		err = fmt.Errorf("%s has no row, expected one for each bet: wait until it is copied, "+
			"or start with --allow-empty if the agency has no bets", s)
	default:
		a.step(a.log.Debug(), "read_file", "success").Str("file", s.String()).Uint64("bets", found.bets).Send()
		return found, nil
	}
	return survey{}, failed("read_file", fmt.Errorf("%w; nothing was sent", err))
}

// A file that was written a moment ago may still be being copied: it counts as
// complete when nothing was written for settleTime, which is more than the coarsest
// file times (FAT, 2 s). It is checked every settlePoll.
const (
	settleTime = 2500 * time.Millisecond
	settlePoll = 50 * time.Millisecond
)

// awaitSettled waits until the file was not written for a while, and fails if it
// changes.
func (a *agency) awaitSettled(ctx context.Context, s source) error {
	// Never longer, even where the clock of the file is ahead.
	wait := min(a.settle-time.Since(s.modified), a.settle)
	if wait <= 0 {
		return nil
	}
	a.step(a.log.Info(), "read_file", "in_progress").Str("file", s.String()).
		Str("reason", fmt.Sprintf("it was just written: waiting %v to see whether it is still being copied", wait.Round(time.Millisecond))).Send()
	for end := time.Now().Add(wait); time.Now().Before(end); {
		if err := sleep(ctx, settlePoll); err != nil {
			return err
		}
		if err := s.unchanged(); err != nil {
			return failed("read_file", fmt.Errorf("%w; nothing was sent", err))
		}
	}
	return nil
}

// reportInvalid logs the first rows that are no valid bets.
func (a *agency) reportInvalid(rows *invalidRows) {
	for _, row := range rows.first {
		a.step(a.log.Warn(), "invalid_row", "fail").Str("file", row.File).Int("line", row.Line).
			Str("reason", row.Err.Error()).Send()
	}
}

// verify fails unless the file is still what it was when it was surveyed, and
// just those bets were sent.
func (sv *survey) verify(sent *counted) error {
	err := sv.source.unchanged()
	if err == nil && (sent.count != sv.bets || sent.digest() != sv.digest) {
		err = fmt.Errorf("%s has changed: %d bets were read from it with digest %016x, and then %d with digest %016x; %s",
			sv.source, sv.bets, sv.digest, sent.count, sent.digest(), afterChange)
	}
	if err != nil {
		return failed("read_file", err)
	}
	return nil
}

// RowError says which row of a file is no valid bet.
type RowError struct {
	File string // with the zip that it is in
	Line int    // on which the row begins, from 1
	Err  error  // errors.As finds a *lottery.Refusal when it is a row, but breaks a rule
}

// Error names file, line and reason.
func (e *RowError) Error() string { return fmt.Sprintf("%s: line %d: %v", e.File, e.Line, e.Err) }

// Unwrap returns the reason.
func (e *RowError) Unwrap() error { return e.Err }

// maxReported bounds how many invalid rows are reported one by one; others are
// counted.
const maxReported = 10

// invalidRows are the rows of a file that are no valid bets.
type invalidRows struct {
	count uint64
	first []*RowError // at most maxReported
}

func (r *invalidRows) Error() string {
	if r.count == 1 {
		return r.first[0].Error()
	}
	text := fmt.Sprintf("%d rows are no valid bets, the first is %v", r.count, r.first[0])
	if more := r.count - uint64(len(r.first)); more > 0 {
		text += fmt.Sprintf("; the log has the first %d, and there are %d more", len(r.first), more)
	}
	return text
}

func (r *invalidRows) Unwrap() error { return r.first[0] }
