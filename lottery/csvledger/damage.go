package csvledger

import (
	"bytes"
	"fmt"

	"loteria/lottery"
)

// DamageError says where a ledger holds something that is not a row.
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

// sectorSize is the smallest unit, in bytes, that a disk in use writes whole or not
// at all (https://en.wikipedia.org/wiki/Disk_sector). Larger ones are multiples of
// it.
const sectorSize = 512

// tornReason judges tail, the bytes at offset, which begin with the first bad row.
// It returns "" when a crash explains them, so that they were never acknowledged
// and may be cut off; else it returns why none does.
//
// The ledger is only appended to. So a crash leaves all bytes that were synced, and
// of the others each sector whole or not at all: a lost one reads as zeros within
// the file, or is missing at its end. So a row may be unfinished at the end, or
// have zeros up to the end of a sector; the rows after it were not synced either.
// Any other bad row was damaged later. The first durable bytes, known to have been
// on disk, are never cut.
func tornReason(tail []byte, offset, durable int64) string {
	if offset < durable {
		return fmt.Sprintf("no crash did that, as the first %d bytes were on disk: the file was changed later", durable)
	}
	row, _ := cutRow(tail)
	if len(row) == 0 {
		row = tail
		if len(row) <= lottery.MaxRow && bytes.IndexByte(row, 0) < 0 {
			return "" // the beginning of a row
		}
	}
	begin := bytes.IndexByte(row, 0)
	if begin < 0 {
		return "no crash leaves such a row"
	}
	zeros := len(tail[begin:]) - len(bytes.TrimLeft(tail[begin:], "\x00"))
	end := begin + zeros
	if end < len(tail) && (offset+int64(end))%sectorSize != 0 {
		return "its zeros do not end where a sector does, as those that a crash leaves"
	}
	return ""
}
