package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
	"loteria/bench/generator"
)

// appended is what a bare loop has reached that appends blocks to a file and
// syncs each.
type appended struct {
	bytesPerSecond float64
	syncs          *hdrhistogram.Histogram // nanoseconds of write and fdatasync
}

// appendBlocks appends rows of so many bytes at a time to a file in the folder,
// for so long.
func appendBlocks(folder string, size int, long time.Duration) (appended, error) {
	batch, err := generator.NewBatches(1, 1, batchSize)
	if err != nil {
		return appended{}, err
	}
	block := make([]byte, 0, size+len(batch[0].Rows))
	for len(block) < size {
		block = append(block, batch[0].Rows...)
	}
	block = block[:size]
	file, err := os.Create(filepath.Join(folder, "disk"))
	if err != nil {
		return appended{}, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	result := appended{syncs: hdrhistogram.New(int64(time.Microsecond), int64(time.Minute), 3)}
	var written int
	begun := time.Now()
	for last := begun; last.Sub(begun) < long; {
		if _, err := file.Write(block); err != nil {
			return appended{}, err
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return appended{}, err
		}
		written += size
		now := time.Now()
		_ = result.syncs.RecordValue(int64(now.Sub(last)))
		last = now
	}
	result.bytesPerSecond = float64(written) / time.Since(begun).Seconds()
	return result, nil
}

// bestAppend returns the fastest of several block sizes, and that size.
func bestAppend(folder string, each time.Duration) (best appended, size int, err error) {
	for _, mebibytes := range []int{1, 2, 4, 8, 16} {
		a, err := appendBlocks(folder, mebibytes<<20, each)
		if err != nil {
			return best, 0, err
		}
		if a.bytesPerSecond > best.bytesPerSecond {
			best, size = a, mebibytes<<20
		}
	}
	return best, size, nil
}
