// Package disk measures what a disk alone can take, as a yardstick for the
// central.
package disk

import (
	"errors"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
	"loteria/bench/generator"
)

// Appended is the result of a bare loop that appends blocks of rows to a file
// and syncs each.
type Appended struct {
	BlockSize  int                     // bytes
	Throughput float64                 // bytes per second
	Syncs      *hdrhistogram.Histogram // nanoseconds of each write and fdatasync
}

// Append appends blocks of size bytes of rows to a file in the folder, for the
// duration long.
func Append(folder string, size int, long time.Duration) (a Appended, err error) {
	block, err := rows(size)
	if err != nil {
		return a, err
	}
	file, err := os.CreateTemp(folder, "disk-")
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	a = Appended{BlockSize: size, Syncs: hdrhistogram.New(int64(time.Microsecond), int64(time.Minute), 3)}
	var written int
	begun := time.Now()
	for last := begun; last.Sub(begun) < long; {
		if _, err := file.Write(block); err != nil {
			return a, err
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return a, err
		}
		written += size
		now := time.Now()
		_ = a.Syncs.RecordValue(int64(now.Sub(last))) // over a minute: not recorded
		last = now
	}
	a.Throughput = float64(written) / time.Since(begun).Seconds()
	return a, nil
}

// rows returns size bytes of rows.
func rows(size int) ([]byte, error) {
	batches, err := generator.NewBatches(1, 1, 100)
	if err != nil {
		return nil, err
	}
	var block []byte
	for len(block) < size {
		block = append(block, batches[0].Rows...)
	}
	return block[:size], nil
}

// Best returns the best result of several block sizes, each measured for the
// time each.
func Best(folder string, each time.Duration) (best Appended, err error) {
	for _, mebibytes := range []int{1, 2, 4, 8, 16} {
		a, err := Append(folder, mebibytes<<20, each)
		if err != nil {
			return best, err
		}
		if a.Throughput > best.Throughput {
			best = a
		}
	}
	return best, nil
}
