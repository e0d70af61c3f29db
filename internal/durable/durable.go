// Package durable writes files that are there as a whole or not at all, whatever
// ends the program or the machine meanwhile. Package csvledger does the same by
// itself, on a disk that tests can put another one in the place of.
package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes the content to a file at path, in place of what is there: who opens
// it at any moment, even after a crash, gets the old content or the new one. The
// name is sure to survive a crash only after SyncFolder.
func Replace(path string, mode fs.FileMode, content []byte) error {
	return write(path, mode, bytesOf(content), os.Rename)
}

// Create writes the content to a new file at path. The error is an fs.ErrExist if
// anything is there, even a link that leads nowhere: that stays as it is. The name
// is sure to survive a crash only after SyncFolder.
func Create(path string, mode fs.FileMode, content []byte) error {
	return CreateWith(path, mode, bytesOf(content))
}

// CreateWith is Create for what fill writes. If that fails, there is no file.
func CreateWith(path string, mode fs.FileMode, fill func(io.Writer) error) error {
	return write(path, mode, fill, Move)
}

func bytesOf(content []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}
}

// write fills a file beside path, which gets its name when it is whole and on disk.
// After an error nothing of it is left; a kill leaves a hidden file.
func write(path string, mode fs.FileMode, fill func(io.Writer) error, place func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return about(path, err)
	}
	defer os.Remove(f.Name()) // nothing is there once it has its name
	defer f.Close()
	if err := fill(writer{f, path}); err != nil {
		return err
	}
	err = f.Chmod(mode) // a temporary file is its owner's alone
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = place(f.Name(), path)
	}
	return about(path, err)
}

// writer writes the file that is to be at path.
type writer struct {
	file *os.File
	path string
}

func (w writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	return n, about(w.path, err)
}

// about returns an error of the file beside path as one of path, the only name that
// who asked for it knows.
func about(path string, err error) error {
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return &fs.PathError{Op: file.Op, Path: path, Err: file.Err}
	}
	if files := (*os.LinkError)(nil); errors.As(err, &files) {
		return &fs.PathError{Op: files.Op, Path: path, Err: files.Err}
	}
	return err
}

// Move gives a file a name that must be free: the error is an fs.ErrExist if anything
// is there.
func Move(from, to string) error {
	err := os.Link(from, to) // unlike a rename, it replaces nothing
	switch {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, fs.ErrExist):
		return err
	}
	// File systems may have no links.
	if err := CheckFree(to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// CheckFree returns an fs.ErrExist if anything is at path.
func CheckFree(path string) error {
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// SyncFolder makes the names in a folder survive a crash: those of files just created
// or renamed.
func SyncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
