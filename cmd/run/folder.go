package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// runsFolder holds the folder of each run; it is in the working directory.
const runsFolder = "run"

// maxSameSecond is how many runs may begin in one second.
const maxSameSecond = 100

// newFolder makes the folder of a run that begins now.
func newFolder(now time.Time) (string, error) {
	if err := os.MkdirAll(runsFolder, 0o755); err != nil {
		return "", err
	}
	name := filepath.Join(runsFolder, now.Format("2006-01-02T15-04-05"))
	dir := name
	for i := 2; ; i++ {
		err := os.Mkdir(dir, 0o755)
		if !errors.Is(err, fs.ErrExist) || i > maxSameSecond {
			return dir, err
		}
		dir = fmt.Sprintf("%s-%d", name, i)
	}
}

// program finds a program in the folder of the programs.
func program(folder, name string) (string, error) {
	path, err := filepath.Abs(filepath.Join(folder, name))
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no %s: build it first (make build)", filepath.Join(folder, name))
	case err != nil:
		return "", err
	case info.IsDir() || info.Mode()&0o111 == 0:
		return "", fmt.Errorf("%s is no program", filepath.Join(folder, name))
	}
	return path, nil
}

// dataFolder checks that there is such a folder. What is in it is the
// agencies' business.
func dataFolder(name string) (string, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no data folder %s", name)
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("the data %s is a file, expected the folder that it is in", name)
	}
	return filepath.Abs(name)
}
