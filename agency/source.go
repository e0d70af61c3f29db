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
	"strings"
)

// source is where an agency's bets are: a file, or an entry of a zip.
type source struct {
	path  string
	entry string // in the zip, or empty
}

// String names the file, and the zip around it.
func (s source) String() string {
	if s.entry == "" {
		return s.path
	}
	return s.entry + " in " + s.path
}

// findSource finds the file of an agency in a folder: agency-N.csv itself, or
// else the first zip, by name, that holds one. Folders within a zip do not
// matter.
func findSource(folder string, agency int) (source, error) {
	name := fmt.Sprintf("agency-%d.csv", agency)
	plain := filepath.Join(folder, name)
	switch info, err := os.Stat(plain); {
	case err == nil && !info.IsDir():
		return source{path: plain}, nil
	case err == nil:
		return source{}, fmt.Errorf("%s is a folder, expected a file", plain)
	case !errors.Is(err, fs.ErrNotExist):
		return source{}, err
	}
	files, err := os.ReadDir(folder) // in the order of their names
	if err != nil {
		return source{}, fmt.Errorf("look for %s: %w", name, err)
	}
	for _, file := range files {
		if file.IsDir() || !strings.EqualFold(filepath.Ext(file.Name()), ".zip") {
			continue
		}
		s := source{path: filepath.Join(folder, file.Name())}
		if s.entry, err = findEntry(s.path, name); err != nil {
			return source{}, fmt.Errorf("look for %s in %s: %w", name, s.path, err)
		}
		if s.entry != "" {
			return s, nil
		}
	}
	return source{}, fmt.Errorf("no %s in the folder %s, and none in a .zip there", name, folder)
}

// findEntry returns the first entry of the zip that has the name in whatever
// folder, or an empty text.
func findEntry(archive, name string) (string, error) {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return "", err
	}
	defer r.Close()
	for _, f := range r.File {
		if path.Base(f.Name) == name && !f.FileInfo().IsDir() {
			return f.Name, nil
		}
	}
	return "", nil
}

// open opens the source for reading from its beginning.
func (s source) open() (io.ReadCloser, error) {
	if s.entry == "" {
		return os.Open(s.path)
	}
	archive, err := zip.OpenReader(s.path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", s.path, err)
	}
	file, err := archive.Open(s.entry)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", s, err), archive.Close())
	}
	return zipped{file, archive}, nil
}

// zipped is an open entry of a zip.
type zipped struct {
	fs.File
	archive *zip.ReadCloser
}

func (z zipped) Close() error { return errors.Join(z.File.Close(), z.archive.Close()) }
