package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"loteria/internal/durable"
	"loteria/lottery"
)

// exportBuffer is how much is written at once, in bytes.
const exportBuffer = 1 << 20

// checkLedger prints what the contest's ledger holds, and what is wrong with it, or
// with the acta of its draw.
func checkLedger(ctx context.Context, c config, stdout io.Writer) error {
	signer, err := c.acta.signer()
	if err != nil {
		return err
	}
	at := c.place()
	kept, _, err := loadActa(c.folder())
	if err != nil {
		return err
	}
	var found report
	if kept == nil || at.isFar() { // a remote place may have several copies
		if found, err = at.check(ctx); err != nil || kept == nil {
			return found.judge(stdout, err)
		}
	}
	compared, note, err := checkActa(ctx, at, kept, c.contest, signer)
	if !at.isFar() {
		found = compared.found
	}
	if note != "" {
		found.notes = append(found.notes, note)
	}
	return found.judge(stdout, err)
}

// exportLedger writes the bets of the contest to a new file, or to standard output,
// and prints what checkLedger prints; in the latter case to stderr.
func exportLedger(ctx context.Context, c config, stdout, stderr io.Writer) error {
	if c.export == "-" {
		return writeBets(ctx, c, stdout, stderr)
	}
	switch err := durable.CheckFree(c.export); {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is there already: nothing is overwritten, name a new file", c.export)
	case err != nil:
		return err
	}
	// As bets.csv, it can be read by everybody.
	err := durable.CreateWith(c.export, 0o644, func(w io.Writer) error { return writeBets(ctx, c, w, stdout) })
	if err == nil {
		err = durable.SyncFolder(filepath.Dir(c.export))
	}
	if err != nil {
		return fmt.Errorf("export to %s: %w", c.export, err)
	}
	return nil
}

// betWriter writes a contest that it gets in order.
type betWriter interface {
	add(rows lottery.Stretch) error
	flush() error
}

// writeBets writes the bets to w, and what was found to report.
func writeBets(ctx context.Context, c config, w, report io.Writer) error {
	buffer := bufio.NewWriterSize(w, exportBuffer)
	var bets betWriter = rowWriter{buffer}
	if c.output.formatOf(c.export) == asJSON {
		bets = betsAsJSON{buffer, newObjects(buffer)}
	}
	return writeContest(ctx, c, bets, report)
}

// writeContest gives a contest to a writer, and writes the findings to report.
// Before the draw it fails and writes nothing, unless --so-far is given.
func writeContest(ctx context.Context, c config, bets betWriter, report io.Writer) error {
	place := c.place()
	drawn, err := place.isDrawn(ctx)
	if err != nil {
		return err
	}
	if !drawn && !c.output.soFar {
		return errors.New("the contest is not drawn, so its bets and winners are not final: wait for the draw, or add --so-far")
	}
	found, err := place.read(ctx, bets.add)
	if !drawn {
		found.notes = append(found.notes, "the contest was not drawn when this began: it is not final")
	}
	return errors.Join(found.judge(report, err), bets.flush())
}

// rowWriter writes rows as they are.
type rowWriter struct{ *bufio.Writer }

func (w rowWriter) add(s lottery.Stretch) error {
	_, err := w.Write(s.Rows)
	return err
}

func (w rowWriter) flush() error { return w.Flush() }

// betObject is a bet as JSON.
type betObject struct {
	Agency    int    `json:"agency"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Document  string `json:"document"` // digits as written, leading zeros matter
	Birthdate string `json:"birthdate"`
	Number    int    `json:"number"`
}

// betsAsJSON writes each bet as an object on a line of its own.
type betsAsJSON struct {
	buffer  *bufio.Writer
	objects *json.Encoder
}

func (w betsAsJSON) add(s lottery.Stretch) error {
	var failed error
	err := lottery.ParseRows(s.Rows, func(bet lottery.Bet, _ int) {
		if failed == nil {
			failed = w.objects.Encode(betObject(bet))
		}
	})
	return errors.Join(err, failed)
}

func (w betsAsJSON) flush() error { return w.buffer.Flush() }

// newObjects returns an encoder of one object per line. Names keep their < and &,
// as they are not for a web page.
func newObjects(w io.Writer) *json.Encoder {
	objects := json.NewEncoder(w)
	objects.SetEscapeHTML(false)
	return objects
}
