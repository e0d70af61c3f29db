package agency

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// appleDouble begins the names of the files in which macOS keeps what other
// file systems have no place for; in a zip they are below appleFolder.
const (
	appleDouble = "._"
	appleFolder = "__MACOSX"
)

// entryError says why the agency's file in a zip cannot be used. Another zip is
// no substitute: this one was meant.
type entryError string

func (e entryError) Error() string { return string(e) }

// findZipped finds the file with the name in the first zip of a folder, by
// name, that has it. Zips that cannot be read are passed over.
func findZipped(folder, name string) (source, error) {
	files, err := os.ReadDir(folder) // in the order of their names
	if err != nil {
		return source{}, fmt.Errorf("look for %s: %w", name, err)
	}
	var found source
	var passed []error
	for _, file := range files {
		if file.IsDir() || strings.HasPrefix(file.Name(), appleDouble) || !strings.EqualFold(filepath.Ext(file.Name()), ".zip") {
			continue
		}
		s, err := newSource(filepath.Join(folder, file.Name()))
		if err == nil {
			err = s.findEntry(name)
		}
		switch {
		case err != nil && found.path == "" && errors.As(err, new(entryError)):
			return source{}, err
		case err != nil:
			err = fmt.Errorf("%s is not used: look for %s in %s: %w", file.Name(), name, filepath.Join(folder, file.Name()), err)
		case s.entry != "" && found.path != "":
			err = fmt.Errorf("%s is not used: %s comes first", s, found.path)
		case s.entry != "":
			found = s
		}
		if err != nil && len(passed) < maxReported {
			passed = append(passed, err)
		}
	}
	if found.path == "" {
		err := fmt.Errorf("no %s in the folder %s, and none in a .zip there", name, folder)
		for _, reason := range passed {
			err = fmt.Errorf("%w; %w", err, reason)
		}
		return source{}, err
	}
	found.passed = passed
	return found, nil
}

// findEntry finds the entry of the zip that has the name, in whatever folder. If
// there is none, s.entry stays empty.
func (s *source) findEntry(name string) error {
	r, err := zip.OpenReader(s.path)
	if err != nil {
		return err
	}
	defer r.Close()
	var found []*zip.File
	for _, f := range r.File {
		// Some programs for Windows separate folders as Windows does.
		folder, base := path.Split(strings.ReplaceAll(f.Name, `\`, "/"))
		if base == name && !slices.Contains(strings.Split(folder, "/"), appleFolder) {
			found = append(found, f)
		}
	}
	switch {
	case len(found) == 0:
		return nil
	case len(found) > 1:
		return severalEntries(s.path, name, found)
	}
	s.entry, s.unpacked = found[0].Name, found[0].UncompressedSize64
	return checkEntry(s.path, found[0])
}

func severalEntries(archive, name string, found []*zip.File) error {
	var names []string
	for _, f := range found[:min(len(found), maxReported)] {
		names = append(names, fmt.Sprintf("%q", f.Name))
	}
	text := fmt.Sprintf("%s has %d files %s, expected one: %s", archive, len(found), name, strings.Join(names, ", "))
	if more := len(found) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return entryError(text + "; take the others out of the zip")
}

// encryptedFlag is a general purpose bit of a zip (PKWARE's APPNOTE, 4.4.4).
const encryptedFlag = 1

// checkEntry returns an error for an entry that cannot be read.
func checkEntry(archive string, f *zip.File) error {
	what := f.Name + " in " + archive
	switch {
	case f.Flags&encryptedFlag != 0:
		return entryError(what + " is encrypted, expected a zip without a password: make it again without one, or unpack the file")
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return entryError(fmt.Sprintf("%s is compressed with method %d, expected Deflate (%d): make the zip again with it, or unpack the file",
			what, f.Method, zip.Deflate))
	}
	return nil
}

// openZipped opens an entry of a zip.
func openZipped(archive, entry string) (io.ReadCloser, error) {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", archive, err)
	}
	for _, f := range r.File {
		// Not by Open, which knows only the names that package fs allows.
		if f.Name != entry {
			continue
		}
		file, err := f.Open()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open %s in %s: %w", entry, archive, err), r.Close())
		}
		return zipped{file, r}, nil
	}
	return nil, errors.Join(fmt.Errorf("open %s in %s: it is not there any more", entry, archive), r.Close())
}

// zipped is an open entry of a zip.
type zipped struct {
	io.ReadCloser
	archive *zip.ReadCloser
}

func (z zipped) Read(b []byte) (int, error) {
	n, err := z.ReadCloser.Read(b)
	if err != nil && err != io.EOF && !errors.As(err, new(*fs.PathError)) {
		err = fmt.Errorf("%w: the zip is damaged, copy it again", err)
	}
	return n, err
}

func (z zipped) Close() error { return errors.Join(z.ReadCloser.Close(), z.archive.Close()) }

// maxKept is the largest entry, in bytes, that is kept between its two readings:
// unpacking it costs as much as reading its rows.
const maxKept = 4 << 20

// keeper is a reader of an entry that keeps what it has read.
type keeper struct {
	io.Reader
	kept []byte
}

func (k *keeper) Read(b []byte) (int, error) {
	n, err := k.Reader.Read(b)
	k.kept = append(k.kept, b[:n]...)
	return n, err
}
