package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/admin"
	"loteria/internal/durable"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

// actaFile is the acta of the draw. It is in a folder even if the contest is not.
const actaFile = csvledger.ActaFile

func loadActa(folder string) (content []byte, made time.Time, err error) {
	return csvledger.LoadActa(folder)
}

func keepActa(folder string, content []byte, unsynced bool) error {
	return csvledger.KeepActa(folder, content, unsynced)
}

// folder keeps a contest in files.
type folder struct {
	path     string
	unsynced bool // the operating system decides when to sync
	reopens  bool // accept bets without a contest.json
}

func (f folder) file() string { return filepath.Join(f.path, csvledger.LedgerFile) }

func (f folder) describe(line *zerolog.Event) *zerolog.Event { return line.Str("file", f.file()) }

func (f folder) isFar() bool { return false }

func (f folder) open(_ context.Context, agencies int, committed func(lottery.Commit), _ func(error), log zerolog.Logger) (ledger, error) {
	saves := unsaved{log: log}
	options := []csvledger.Option{csvledger.WithCommits(committed), csvledger.WithWarnings(saves.note)}
	if f.unsynced {
		options = append(options, csvledger.WithoutSync())
	}
	if f.reopens {
		options = append(options, csvledger.WithReopen())
	}
	l, err := csvledger.Open(f.path, agencies, options...)
	if err != nil {
		return nil, err
	}
	return folderLedger{l}, nil
}

func (f folder) read(ctx context.Context, visit func(lottery.Stretch) error) (report, error) {
	found, err := csvledger.Read(f.path, func(s lottery.Stretch) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return visit(s)
	})
	r := report{
		place:   found.Path,
		state:   found.State,
		terms:   lottery.Terms{Agencies: len(found.Endings), Deadline: found.Deadline},
		times:   found.Times,
		endings: found.Endings,
		rows:    uint64(found.Rows),
		bytes:   uint64(found.Bytes),
	}
	if found.State == "none" && found.Rows > 0 {
		r.notes = append(r.notes, csvledger.StateFile+" is missing: a start needs it, or --reopen")
	}
	if r.torn = found.Torn; found.Torn > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%d bytes at the end are a row that was never finished; a start cuts them off", found.Torn))
	}
	for _, a := range found.Agencies {
		r.agencies = append(r.agencies, agencyReport{a.Agency, a.Bets, a.Digest, a.Winners})
	}
	return r, err
}

func (f folder) check(ctx context.Context) (report, error) {
	return f.read(ctx, func(lottery.Stretch) error { return nil })
}

func (f folder) isDrawn(context.Context) (bool, error) { return csvledger.IsDrawn(f.path) }

func (f folder) hold() (release func(), err error) { return csvledger.Lock(f.path) }

// folderLedger is the ledger of a folder.
type folderLedger struct{ *csvledger.Ledger }

func (l folderLedger) describe(line *zerolog.Event) *zerolog.Event {
	return line.Str("file", l.Path())
}

func (l folderLedger) note(log zerolog.Logger) {
	if torn := l.Torn(); torn > 0 {
		l.describe(log.Warn().Str("action", "recover_ledger").Str("result", "success")).Int64("torn_bytes", torn).Send()
	}
	if reason := l.ReadOnly(); reason != nil {
		l.describe(log.Warn().Str("action", "open_read_only").Str("result", "success")).Str("reason", reason.Error()).Send()
	}
}

func (l folderLedger) hindrance() error              { return l.Unsaved() }
func (l folderLedger) health() admin.LedgerHealth    { return admin.LedgerHealth{} }
func (l folderLedger) durable() func() int64         { return l.Durable }
func (l folderLedger) lendTo(lead func(func()) bool) { l.LendTo(lead) }
func (l folderLedger) look()                         { l.Verify() }
func (l folderLedger) checkpoint() error             { return l.Checkpoint() }

// stagedFolder is a folder within the contest's in which an import is prepared, so
// that a central never sees half a contest.
type stagedFolder struct {
	folder        // of the import
	within string // the contest's
}

func (f folder) empty() (target, error) {
	for _, file := range []string{csvledger.StateFile, csvledger.LedgerFile, csvledger.ActaFile} {
		path := filepath.Join(f.path, file)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			if err == nil {
				err = fmt.Errorf("%s is there: an import begins a contest, it adds to none; "+
					"use another --contest, or remove %s, %s and %s if nobody needs them", path, csvledger.StateFile, csvledger.LedgerFile, csvledger.ActaFile)
			}
			return nil, err
		}
	}
	if err := os.MkdirAll(f.path, 0o755); err != nil {
		return nil, fmt.Errorf("make the contest's folder: %w", err)
	}
	path, err := os.MkdirTemp(f.path, ".import-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the import: %w", err)
	}
	return stagedFolder{folder{path: path}, f.path}, nil
}

func (s stagedFolder) open(_ context.Context, known *report) (lottery.Ledger, error) {
	return csvledger.Open(s.path, known.terms.Agencies, csvledger.WithTimes(known.times))
}

// keep moves the state first: without its bets, no central would open it.
func (s stagedFolder) keep() (path string, err error) {
	for _, file := range []string{csvledger.StateFile, csvledger.LedgerFile} {
		err := durable.Move(filepath.Join(s.path, file), filepath.Join(s.within, file))
		if err == nil {
			err = durable.SyncFolder(s.within)
		}
		if err != nil {
			return "", fmt.Errorf("move the import to its place: %w", err)
		}
	}
	_ = os.Remove(s.path)
	return filepath.Join(s.within, csvledger.LedgerFile), nil
}

func (s stagedFolder) drop() string {
	if err := os.RemoveAll(s.path); err != nil {
		return fmt.Sprintf("remove %s (%v), and import again", s.path, err)
	}
	return "nothing of it is left: import again"
}
