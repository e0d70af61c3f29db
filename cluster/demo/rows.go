package main

import (
	"archive/zip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// betFields is how many fields a row of a ledger has; the first one is the
// agency.
const betFields = 6

// readRows yields the rows of a CSV file, read with encoding/csv and not with the
// code that wrote them. A row is valid until the next one.
func readRows(from io.Reader, fields int) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		r := csv.NewReader(from)
		r.FieldsPerRecord = fields
		r.ReuseRecord = true
		for {
			row, err := r.Read()
			if err == io.EOF || !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// rowReader reads an agency's file.
type rowReader struct {
	name string
	file io.Closer
	pull func() ([]string, error, bool)
	stop func()
}

// openRows opens agency-N.csv in a folder, or in the first zip there that has
// it.
func openRows(folder string, agency int) (*rowReader, error) {
	name := fmt.Sprintf("agency-%d.csv", agency)
	file, err := os.Open(filepath.Join(folder, name))
	if err == nil {
		return newRowReader(name, file, file), nil
	}
	archives, _ := filepath.Glob(filepath.Join(folder, "*.zip")) // the pattern is valid
	for _, path := range archives {
		archive, zipErr := zip.OpenReader(path)
		if zipErr != nil {
			return nil, fmt.Errorf("%s: %w", path, zipErr)
		}
		entry, zipErr := archive.Open(name)
		if zipErr == nil {
			return newRowReader(name, entry, archive), nil
		}
		archive.Close()
		if !errors.Is(zipErr, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", path, zipErr)
		}
	}
	return nil, err
}

func newRowReader(name string, rows io.Reader, file io.Closer) *rowReader {
	r := &rowReader{name: name, file: file}
	r.pull, r.stop = iter.Pull2(readRows(rows, betFields-1))
	return r
}

// next returns the next row as in a ledger, with the number as an integer, or
// nil at the end.
func (r *rowReader) next() ([]string, error) {
	row, err, more := r.pull()
	if !more {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", r.name, err)
	}
	number, err := strconv.Atoi(row[len(row)-1])
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", r.name, err)
	}
	row[len(row)-1] = strconv.Itoa(number)
	return row, nil
}

// Close closes the file.
func (r *rowReader) Close() error {
	r.stop()
	return r.file.Close()
}

// compareFiles checks that an export has all rows of each agency's file, once
// and in order. It returns the number of rows.
func compareFiles(export, data string, agencies int) (n int, err error) {
	files := make(map[string]*rowReader)
	for id := 1; id <= agencies; id++ {
		file, err := openRows(data, id)
		if err != nil {
			return 0, err
		}
		defer file.Close()
		files[strconv.Itoa(id)] = file
	}
	stored, err := os.Open(export)
	if err != nil {
		return n, err
	}
	defer stored.Close()
	name := filepath.Base(export)
	for row, err := range readRows(stored, betFields) {
		if err != nil {
			return n, fmt.Errorf("reading %s: %w", export, err)
		}
		n++
		file := files[row[0]]
		if file == nil {
			return n, fmt.Errorf("%s, row %d: agency %q has no file", name, n, row[0])
		}
		want, err := file.next()
		if err != nil {
			return n, err
		}
		if !slices.Equal(want, row[1:]) {
			return n, fmt.Errorf("%s, row %d: agency %s's next bet is %q, and here is %q", name, n, row[0], want, row[1:])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(files)) {
		if row, err := files[id].next(); err != nil || row != nil {
			return n, errors.Join(err, fmt.Errorf("%s lacks the bet %q of agency %s", name, row, id))
		}
	}
	return n, nil
}
