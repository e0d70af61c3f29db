package agency

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"loteria/lottery"
)

// bets are the bets that an agency sends, in their order.
type bets interface {
	// next returns the next bet, valid until the next call, or io.EOF.
	next() (*entry, error)
	close()
}

// entry is a valid bet: as it was written, which is how it is sent, and as it
// was judged, which is how it is stored.
type entry struct {
	slip lottery.Slip
	bet  lottery.Bet
}

// counted are bets that are counted as they are taken, with the digest of their
// rows: XXH64 with seed 0, in order.
type counted struct {
	bets
	count uint64
	rows  *xxhash.Digest
	row   []byte
}

func newCounted(bets bets) *counted { return &counted{bets: bets, rows: xxhash.New()} }

func (c *counted) next() (*entry, error) {
	e, err := c.bets.next()
	if err == nil {
		c.count++
		c.row = e.bet.AppendRow(c.row[:0])
		_, _ = c.rows.Write(c.row) // never fails
	}
	return e, err
}

// take takes bets off, so many in all. The error is io.EOF when there are less.
func (c *counted) take(count uint64) error {
	for c.count < count {
		if _, err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

func (c *counted) digest() uint64 { return c.rows.Sum64() }

// RowError says which row of a file is no valid bet.
type RowError struct {
	File string // with the zip that it is in
	Line int    // on which the row begins, from 1
	Err  error  // a *lottery.Refusal when it is a row, but breaks a rule
}

// Error names file, line and reason.
func (e *RowError) Error() string { return fmt.Sprintf("%s: line %d: %v", e.File, e.Line, e.Err) }

// Unwrap returns the reason.
func (e *RowError) Unwrap() error { return e.Err }

// maxReported bounds how many of the rows that are left out get a line of
// their own in the log.
const maxReported = 20

// skips is what a run knows of the rows that it leaves out. A file may be read
// several times in a run; each row is reported once.
type skips struct {
	line  int  // the last one that was counted
	rows  int  // how many were counted
	total bool // the total was reported
}

// fileBets are the bets of an agency's file.
type fileBets struct {
	agency *agency
	ctx    context.Context // of the run, for the log line on closing
	name   string
	file   io.Closer
	rows   *rows
	row    row
	entry  entry
}

func (a *agency) openFile(ctx context.Context, s source) (*fileBets, error) {
	file, err := s.open()
	if err != nil {
		return nil, failed("open_file", err)
	}
	f := &fileBets{agency: a, ctx: ctx, name: s.String(), file: file, rows: newRows(file)}
	f.entry.slip.Agency = strconv.Itoa(a.config.ID)
	return f, nil
}

func (f *fileBets) next() (*entry, error) {
	for {
		err := f.rows.next(&f.row)
		if err == io.EOF {
			f.agency.reportSkips(f.name)
			return nil, io.EOF
		}
		if _, bad := err.(badRow); err != nil && !bad {
			return nil, failed("read_file", fmt.Errorf("read %s: %w", f.name, err))
		}
		if err == nil {
			slip := &f.entry.slip
			slip.FirstName, slip.LastName = f.row.fields[0], f.row.fields[1]
			slip.Document, slip.Birthdate, slip.Number = f.row.fields[2], f.row.fields[3], f.row.fields[4]
			if f.entry.bet, err = slip.Bet(); err == nil {
				return &f.entry, nil
			}
		}
		bad := &RowError{File: f.name, Line: f.row.line, Err: err}
		if !f.agency.config.SkipInvalid {
			return nil, failed("read_file", bad)
		}
		f.agency.skip(bad)
	}
}

func (f *fileBets) close() {
	_ = f.file.Close() // it was only read
	f.agency.logClosing(f.ctx, "close_file").Str("file", f.name).Send()
}

// skip counts and reports a row that is left out.
func (a *agency) skip(bad *RowError) {
	if bad.Line <= a.skips.line {
		return // seen when the file was read before
	}
	a.skips.line = bad.Line
	if a.skips.rows++; a.skips.rows > maxReported {
		return
	}
	a.step(a.log.Warn(), "invalid_row", "fail").Str("file", bad.File).Int("line", bad.Line).
		Str("reason", bad.Err.Error()).Send()
}

// reportSkips reports how many rows were left out of the whole file.
func (a *agency) reportSkips(file string) {
	if a.skips.rows == 0 || a.skips.total {
		return
	}
	a.skips.total = true
	a.step(a.log.Warn(), "skip_invalid", "success").Str("file", file).Int("skipped", a.skips.rows).Send()
}

// repeated are so many copies of one bet.
type repeated struct {
	entry entry
	left  int
}

func newRepeated(slip lottery.Slip, amount int) (*repeated, error) {
	bet, err := slip.Bet()
	if err != nil {
		return nil, err
	}
	return &repeated{entry{slip, bet}, amount}, nil
}

func (r *repeated) next() (*entry, error) {
	if r.left == 0 {
		return nil, io.EOF
	}
	r.left--
	return &r.entry, nil
}

func (r *repeated) close() {}
