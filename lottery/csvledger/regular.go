package csvledger

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// openRegular opens a file for reading. Anything but a regular file is an error: a
// pipe without a writer blocks, a device has no end, and no signal stops that.
func openRegular(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// readRegular returns the content of a file of at most most bytes, which is only
// nil with an error, and the file's info.
func readRegular(path string, most int64) (content []byte, info fs.FileInfo, err error) {
	f, info, err := openRegular(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if info.Size() > most {
		return nil, nil, fmt.Errorf("%s has %d bytes, expected are at most %d", path, info.Size(), most)
	}
	content = make([]byte, info.Size()) // at once, as it may be long
	if _, err := io.ReadFull(f, content); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return content, info, nil
}
