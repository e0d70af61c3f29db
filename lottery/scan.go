package lottery

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// DamageError says where a ledger holds something that is no row.
type DamageError struct {
	Path   string
	Line   int   // of the damaged row, from 1
	Offset int64 // of the damaged row's first byte
	Reason string
}

// Error names file, line, byte and reason.
func (e *DamageError) Error() string {
	return fmt.Sprintf("%s: line %d, byte %d: %s", e.Path, e.Line, e.Offset, e.Reason)
}

// scanRows reads the ledger's rows one after the other in constant memory.
// bet and row are valid during the call of visit, whose error stops the scan.
// scanRows returns how many bytes hold whole rows, and how many follow that are
// the beginning of a row that was never finished. The error is a *DamageError,
// or what the reader or visit gave.
func scanRows(r io.Reader, path string, visit func(bet *Bet, row []byte) error) (whole, torn int64, err error) {
	rows := bufio.NewReaderSize(r, 1<<20)
	var bet Bet // one for all rows: visit makes it escape
	for line := 1; ; line++ {
		row, err := readRow(rows)
		switch {
		case err == io.EOF:
			return whole, int64(len(row)), nil
		case errors.Is(err, errNotARow):
			return whole, 0, &DamageError{path, line, whole, err.Error()}
		case err != nil:
			return whole, 0, fmt.Errorf("read %s: %w", path, err)
		}
		if bet, err = parseRow(row); err != nil {
			return whole, 0, &DamageError{path, line, whole, err.Error()}
		}
		if err := visit(&bet, row); err != nil {
			return whole, 0, err
		}
		whole += int64(len(row))
	}
}

var errNotARow = fmt.Errorf("no line end within the %d bytes that a row can have", MaxRow)

// readRow returns the next line with its line feed, or io.EOF with the bytes
// that remain when there is no line feed any more.
func readRow(r *bufio.Reader) ([]byte, error) {
	row, err := r.ReadSlice('\n')
	if err == bufio.ErrBufferFull || len(row) > MaxRow {
		return nil, errNotARow
	}
	return row, err
}
