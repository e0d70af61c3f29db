package agency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// source is where an agency's bets are: a file, or an entry of a zip, as it
// was when it was found.
type source struct {
	path     string
	entry    string // in the zip, or empty
	size     int64  // of the file, or the zip
	modified time.Time
	unpacked uint64 // bytes of the entry
	kept     []byte // the entry, once it was read, if it is small; see maxKept

	passed []error // why zips that come before or after it are not used
}

// String names the file, and the zip around it.
func (s source) String() string {
	if s.entry == "" {
		return s.path
	}
	return s.entry + " in " + s.path
}

// findSource finds the file of an agency in a folder: agency-N.csv itself, or
// else the first zip, by name, that has one.
func findSource(folder string, agency int) (source, error) {
	name := fmt.Sprintf("agency-%d.csv", agency)
	plain := filepath.Join(folder, name)
	s, err := newSource(plain)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	// A broken link does not stand for the zip beside it.
	if target, err := os.Readlink(plain); err == nil {
		return source{}, fmt.Errorf("%s is a link to %s, which does not exist: put the file there, or take the link away", plain, target)
	}
	return findZipped(folder, name)
}

// newSource returns the regular file at path. It is read several times, which
// a pipe cannot be.
func newSource(path string) (source, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return source{}, err
	case info.IsDir():
		return source{}, fmt.Errorf("%s is a folder, expected a file", path)
	case !info.Mode().IsRegular():
		return source{}, fmt.Errorf("%s is no regular file (%v), expected one: it is read more than once", path, info.Mode())
	}
	return source{path: path, size: info.Size(), modified: info.ModTime()}, nil
}

const afterChange = "wait until it is copied whole, and start the agency again"

// unchanged returns an error when the file has changed since it was found.
func (s source) unchanged() error {
	switch now, err := newSource(s.path); {
	case err != nil:
		return fmt.Errorf("%s has changed since the agency began to read it: %w", s.path, err)
	case now.size != s.size:
		return fmt.Errorf("%s has changed since the agency began to read it, from %d bytes to %d: %s", s.path, s.size, now.size, afterChange)
	case !now.modified.Equal(s.modified):
		return fmt.Errorf("%s has changed since the agency began to read it, it was written at %s: %s",
			s.path, now.modified.Format(time.RFC3339Nano), afterChange)
	}
	return nil
}

// open opens the source for reading from its beginning, until ctx ends.
func (s source) open(ctx context.Context) (file io.ReadCloser, err error) {
	switch {
	case s.entry == "":
		file, err = os.Open(s.path)
	case s.kept != nil:
		file = io.NopCloser(bytes.NewReader(s.kept))
	default:
		file, err = openZipped(s.path, s.entry)
	}
	if err != nil {
		return nil, errors.Join(s.unchanged(), err)
	}
	return &guarded{file, ctx, s}, nil
}

// guarded is an open source that fails once the file has changed, or the
// context ended.
type guarded struct {
	io.ReadCloser
	ctx    context.Context
	source source
}

func (g *guarded) Read(b []byte) (int, error) {
	if err := g.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := g.ReadCloser.Read(b)
	// After the read, so that what was read is of the unchanged file.
	if changed := g.source.unchanged(); changed != nil {
		return 0, changed
	}
	return n, err
}
