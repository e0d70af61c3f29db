package csvledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"loteria/lottery/acta"
)

// actaIn returns the acta of the drawn contest in a folder.
func actaIn(folder string) ([]byte, error) {
	rows := acta.NewBuilder()
	found, err := Read(folder, rows.Add)
	if err != nil {
		return nil, err
	}
	if found.State != "drawn" {
		return nil, fmt.Errorf("the contest is not drawn: %s", found.State)
	}
	made, err := rows.Acta(acta.Contest{Times: found.Times, Endings: found.Endings})
	if err != nil {
		return nil, err
	}
	return made.Seal(nil), nil
}

// actaOfDeeds returns the acta of the contest that is on the noted disk by now.
func (d *notedDisk) actaOfDeeds(start *wreck) ([]byte, error) {
	d.mu.Lock()
	deeds := slices.Clone(d.deeds)
	d.mu.Unlock()
	w := start
	for _, deed := range deeds {
		w = w.after(deed, -1)
	}
	folder, err := os.MkdirTemp("", "acta")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	for name, content := range w.files(everything, nil) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	return actaIn(folder)
}

// checkActa checks what a power cut has left of the acta of a contest that is drawn
// by now, and makes it, as a central does. There is the one that was kept, or none,
// and in the end the one of the ledger.
func checkActa(w *wreck, folder string) error {
	kept, _, err := LoadActa(folder)
	if err != nil {
		return err
	}
	if w.acta != "" && string(kept) != w.acta {
		return fmt.Errorf("the acta that was kept is lost: %q", kept)
	}
	want, err := actaIn(folder)
	if err != nil {
		return err
	}
	err = KeepActa(folder, want, false)
	if kept == nil && err != nil || kept != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("to keep an acta, where there are %d bytes of one, gives %v", len(kept), err)
	}
	if kept, _, err = LoadActa(folder); err != nil || !bytes.Equal(kept, want) {
		return fmt.Errorf("the acta is %s, %v; want %s", kept, err, want)
	}
	if _, err := check(folder); err != nil {
		return err
	}
	return nil
}
