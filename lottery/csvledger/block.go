package csvledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"loteria/lottery"
)

// blockSize is how much of a ledger is read at once, in bytes.
const blockSize = 1 << 20

// blockReader reads a ledger in blocks of whole lines.
type blockReader struct {
	r    io.Reader
	path string
	rest []byte // after the last line feed of the last block
	done bool   // r has ended
}

var errNotARow = fmt.Errorf("no line end within the %d bytes that a row can have", lottery.MaxRow)

// next reads the next block into buf, which has room for more than lottery.MaxRow
// bytes and is filled, and returns it. After the last block the error is io.EOF,
// and what follows the last line feed of the ledger stays in rest. It is errNotARow
// when rest begins with a line too long for a row.
func (b *blockReader) next(buf []byte) ([]byte, error) {
	buf = append(buf[:0], b.rest...)
	if len(buf) > lottery.MaxRow {
		return nil, errNotARow
	}
	for !b.done && len(buf) < cap(buf) {
		n, err := b.r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			b.done = true
		} else if err != nil {
			return nil, fmt.Errorf("read %s: %w", b.path, err)
		}
	}
	end := bytes.LastIndexByte(buf, '\n') + 1
	b.rest = append(b.rest[:0], buf[end:]...)
	switch {
	case len(b.rest) > lottery.MaxRow && end == 0:
		return nil, errNotARow
	case end == 0:
		return nil, io.EOF
	}
	return buf[:end], nil
}

// cutRow cuts the first row off a block, its line ending included.
func cutRow(block []byte) (row, rest []byte) {
	end := bytes.IndexByte(block, '\n') + 1
	return block[:end], block[end:]
}
