package csvledger

const (
	// chunkSize is how much is written at once, in bytes. Most commits are less.
	chunkSize = 256 << 10
	// maxSpare bounds the empty chunks that are kept for later: 16 MiB. To allocate
	// them anew for each commit costs a third of the throughput, so it is more
	// than five agencies with windows of 128 full batches need.
	maxSpare = 64
)

// buffer is where rows wait for their commit. It grows by chunks, without
// copying what it has.
type buffer struct {
	chunks [][]byte
	size   int // bytes in them
	spare  [][]byte
}

func (b *buffer) append(rows []byte) {
	b.size += len(rows)
	for len(rows) > 0 {
		last := len(b.chunks) - 1
		if last < 0 || len(b.chunks[last]) == chunkSize {
			b.grow()
			last++
		}
		chunk := b.chunks[last]
		n := min(len(rows), chunkSize-len(chunk))
		b.chunks[last] = append(chunk, rows[:n]...)
		rows = rows[n:]
	}
}

func (b *buffer) grow() {
	if n := len(b.spare); n > 0 {
		b.chunks = append(b.chunks, b.spare[n-1])
		b.spare[n-1] = nil
		b.spare = b.spare[:n-1]
		return
	}
	b.chunks = append(b.chunks, make([]byte, 0, chunkSize))
}

// take empties the buffer and returns its chunks; it reuses into for the next ones.
func (b *buffer) take(into [][]byte) (chunks [][]byte, size int) {
	chunks, size = b.chunks, b.size
	b.chunks, b.size = into[:0], 0
	return chunks, size
}

// release takes chunks back that are not needed any more.
func (b *buffer) release(chunks [][]byte) {
	for i, chunk := range chunks {
		if len(b.spare) < maxSpare {
			b.spare = append(b.spare, chunk[:0])
		}
		chunks[i] = nil
	}
}
