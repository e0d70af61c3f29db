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
