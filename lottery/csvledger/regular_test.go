package csvledger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoRegularFile puts something else in the place of a contest's file: the error
// names the path, and nothing is waited for or read without an end.
func TestNoRegularFile(t *testing.T) {
	kinds := map[string]func(path string) error{
		"a pipe":            func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a folder":          func(path string) error { return os.Mkdir(path, 0o755) },
		"a device":          func(path string) error { return os.Symlink("/dev/zero", path) },
		"a link to nowhere": func(path string) error { return os.Symlink("nowhere", path) },
	}
	for _, file := range []string{ActaFile, StateFile, LedgerFile} {
		for kind, make := range kinds {
			if file == StateFile && kind == "a pipe" {
				continue // is waited for
			}
			t.Run(file+" is "+kind, func(t *testing.T) {
				folder := t.TempDir()
				writeFile(t, filepath.Join(folder, LedgerFile), rowsOf(sample(1, 0)))
				path := filepath.Join(folder, file)
				if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				if err := make(path); err != nil {
					t.Fatal(err)
				}
				_, _, err := LoadActa(folder)
				if file != ActaFile {
					_, err = check(folder)
				}
				if file == StateFile && kind == "a link to nowhere" {
					return // as without one
				}
				if err == nil || !strings.Contains(err.Error(), path) {
					t.Errorf("the error is %v", err)
				}
			})
		}
	}
}

// TestStateOfTooMany is damage, and takes no memory.
func TestStateOfTooMany(t *testing.T) {
	for _, content := range []string{
		`{"agencies":4000000000000000000,"finished":[],"phase":"betting"}`,
		`{"agencies":40000000000,"finished":[],"phase":"betting"}`,
	} {
		folder := t.TempDir()
		writeFile(t, filepath.Join(folder, LedgerFile), rowsOf(sample(1, 0)))
		writeFile(t, filepath.Join(folder, StateFile), content)
		if _, err := check(folder); err == nil || !strings.Contains(err.Error(), "is cut or damaged") {
			t.Errorf("%s: %v", content, err)
		}
	}
}
