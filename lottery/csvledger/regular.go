package csvledger

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// openRegular opens a file to be read. What is no file is an error: a pipe that
// nobody writes to would be waited for, a device has no end, and no signal stops
// that.
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

// readRegular returns what is in a file of most bytes at most, never nil without an
// error, and what the file is.
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
