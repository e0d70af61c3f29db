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
// is stored.
type entry struct {
	raw lottery.RawBet
	row []byte
}

// counted are bets that are counted as they are taken, with the digest of their
// rows: XXH64 with seed 0, in order.
type counted struct {
	bets
	count uint64
	rows  *xxhash.Digest
}

func newCounted(bets bets) *counted { return &counted{bets: bets, rows: xxhash.New()} }

func (c *counted) next() (*entry, error) {
	e, err := c.bets.next()
	if err == nil {
		c.count++
		_, _ = c.rows.Write(e.row) // never fails
	}
	return e, err
}

// take takes bets, up to count in all. The error is io.EOF when there are fewer.
func (c *counted) take(count uint64) error {
	for c.count < count {
		if _, err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

func (c *counted) digest() uint64 { return c.rows.Sum64() }

// fileBets are the valid bets of an agency's file. Other rows are left out and
// noted.
type fileBets struct {
	agency  *agency
	ctx     context.Context // of the run, for the log line on closing
	source  source
	file    io.Closer
	rows    *rows
	row     row
	entry   entry
	invalid invalidRows
}

func (a *agency) openFile(ctx context.Context, s source) (*fileBets, error) {
	file, err := s.open(ctx)
	if err != nil {
		return nil, failed("open_file", err)
	}
	f := &fileBets{agency: a, ctx: ctx, source: s, file: file, rows: newRows(file)}
	f.entry.raw.Agency = strconv.Itoa(a.config.ID)
	return f, nil
}

func (f *fileBets) next() (*entry, error) {
	for {
		err := f.rows.next(&f.row)
		if err == io.EOF {
			return nil, io.EOF
		}
		if _, bad := err.(badRow); err != nil && !bad {
			return nil, failed("read_file", fmt.Errorf("read %s: %w", f.source, err))
		}
		if err == nil {
			raw := &f.entry.raw
			raw.FirstName, raw.LastName = f.row.fields[0], f.row.fields[1]
			raw.Document, raw.Birthdate, raw.Number = f.row.fields[2], f.row.fields[3], f.row.fields[4]
			if f.entry.row, err = raw.AppendRow(f.entry.row[:0]); err == nil {
				return &f.entry, nil
			}
		}
		if err = f.note(err); err != nil {
			return nil, err
		}
	}
}

// note notes that the row is not a valid bet. It fails if no row of such a file can
// be one.
func (f *fileBets) note(reason error) error {
	if f.invalid.count == 0 {
		if found := fileFormat(f.rows.head); found != "" {
			return failed("read_file", fmt.Errorf("%s %s", f.source, found))
		}
	}
	f.invalid.count++
	if len(f.invalid.first) < maxReported {
		f.invalid.first = append(f.invalid.first, &RowError{File: f.source.String(), Line: f.row.line, Err: explain(&f.row, reason)})
	}
	return nil
}

func (f *fileBets) close() {
	_ = f.file.Close() // it was only read
	f.agency.logClosing(f.ctx, "close_file").Str("file", f.source.String()).Send()
}

// repeated are copies of one bet.
type repeated struct {
	entry entry
	left  int
}

func newRepeated(raw lottery.RawBet, amount int) (*repeated, error) {
	row, err := raw.AppendRow(nil)
	if err != nil {
		return nil, err
	}
	return &repeated{entry{raw, row}, amount}, nil
}

func (r *repeated) next() (*entry, error) {
	if r.left == 0 {
		return nil, io.EOF
	}
	r.left--
	return &r.entry, nil
}

func (r *repeated) close() {}
