package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"loteria/lottery"
)

// exportBuffer is how much is written at once, in bytes.
const exportBuffer = 1 << 20

// checkLedger prints what the contest's ledger holds, and what is wrong with it, or
// with the acta of its draw.
func checkLedger(ctx context.Context, c config, stdout io.Writer) error {
	at := c.place()
	kept, _, err := loadActa(c.folder())
	if err != nil {
		return err
	}
	var found report
	if kept == nil || at.isFar() { // which has several copies to be read
		if found, err = at.check(ctx); err != nil || kept == nil {
			return found.judge(stdout, err)
		}
	}
	compared, note, err := checkActa(ctx, c, at, kept)
	if !at.isFar() {
		found = compared.found
	}
	if note != "" {
		found.notes = append(found.notes, note)
	}
	return found.judge(stdout, err)
}

// exportLedger writes the rows of the contest to a new file, or to standard
// output, and prints what checkLedger prints; beside the rows, on stderr.
func exportLedger(ctx context.Context, c config, stdout, stderr io.Writer) error {
	if c.export == "-" {
		return writeRows(ctx, c, stdout, stderr)
	}
	if err := isNew(c.export); err != nil {
		return err
	}
	// It has its name when it is whole and on disk.
	f, err := os.CreateTemp(filepath.Dir(c.export), "."+filepath.Base(c.export)+".")
	if err != nil {
		return fmt.Errorf("make the file to export to: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	err = writeRows(ctx, c, f, stdout)
	if err == nil {
		err = f.Chmod(0o644) // as bets.csv; a temporary file is its owner's alone
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = moveNew(f.Name(), c.export)
	}
	if err != nil {
		return fmt.Errorf("export to %s: %w", c.export, err)
	}
	return nil
}

// writeRows writes the rows to w, and what was found to report.
func writeRows(ctx context.Context, c config, w, report io.Writer) error {
	rows := bufio.NewWriterSize(w, exportBuffer)
	found, err := c.place().read(ctx, func(s lottery.Stretch) error {
		_, err := rows.Write(s.Rows)
		return err
	})
	return errors.Join(found.judge(report, err), rows.Flush())
}

// isNew returns an error unless there is nothing at path.
func isNew(path string) error {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%s is there already: nothing is overwritten, name a new file", path)
	}
	return err
}

// moveNew gives a file that is on disk another name, which nothing may have, and
// returns when that is on disk.
func moveNew(from, to string) error {
	err := os.Link(from, to) // unlike a rename, it replaces nothing
	if err == nil {
		err = os.Remove(from)
	} else if !errors.Is(err, fs.ErrExist) { // file systems may have no links
		if err = isNew(to); err == nil {
			err = os.Rename(from, to)
		}
	}
	if err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
