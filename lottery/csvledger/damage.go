package csvledger

import (
	"bytes"
	"fmt"

	"loteria/lottery"
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

// sectorSize is what a disk writes whole or not at all, in bytes: the smallest
// that is in use (https://en.wikipedia.org/wiki/Disk_sector). Larger ones are
// multiples of it.
const sectorSize = 512

// tornReason judges what follows the last whole row before the first one that
// is none: tail, at the offset in the ledger. It returns "" when a crash
// explains it, so that it was never acknowledged and may be cut off, or why it
// cannot.
//
// The ledger is only appended to. So a crash leaves the bytes that were synced,
// and of those that were not, each sector or else nothing: what reads as zeros
// within the file, or is missing at its end. A row can be unfinished at the
// end, or have zeros up to the end of a sector; rows after it are not synced
// either. Whatever else is no row was damaged later. And nothing of what is
// known to have been on disk, the first durable bytes, is ever cut.
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
