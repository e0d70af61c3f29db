package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	folderMode      = 0o700
	keyMode         = 0o600
	certificateMode = 0o644
)

// folder is where the certificates and keys of a lottery are.
type folder string

// certificate and key return the paths of somebody's files.
func (f folder) certificate(name string) string { return filepath.Join(string(f), name+".pem") }
func (f folder) key(name string) string         { return filepath.Join(string(f), name+"-key.pem") }

// make makes the folder, if it is missing.
func (f folder) make() error {
	if err := os.MkdirAll(string(f), folderMode); err != nil {
		return err
	}
	info, err := os.Stat(string(f))
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder", f)
	}
	return err
}

// sync makes the names of the files durable, too.
func (f folder) sync() error {
	d, err := os.Open(string(f))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// has reports whether a file is there, whatever it is.
func has(path string) (bool, error) {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, err
	}
}

// writeKey writes a key to a new file. It never overwrites one, and leaves nothing
// behind when it fails.
func writeKey(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, keyMode)
	if err != nil {
		return err
	}
	if err := writeAll(file, content); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// writeCertificate replaces a certificate atomically: a central that reads it
// meanwhile sees the old one or the new one.
func writeCertificate(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // nothing is there after a rename
	err = file.Chmod(certificateMode)
	if e := writeAll(file, content); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	return err
}

// writeAll writes the content to disk, and closes the file.
func writeAll(file *os.File, content []byte) error {
	_, err := file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
