package csvledger

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// deed is one thing that happened to a disk, or that an agency was told, in a run.
type deed struct {
	kind   deedKind
	file   string // of those that are put in their place whole: the state, the acta
	data   []byte // that was written
	size   int    // that the ledger was cut to
	agency int    // that was told something
	bets   int    // that it was told are stored
}

type deedKind string

const (
	ledgerWrite    deedKind = "write to the ledger"
	ledgerSync     deedKind = "sync of the ledger"
	ledgerBadSync  deedKind = "failed sync of the ledger"
	ledgerTruncate deedKind = "truncate of the ledger"

	// And of the acta, once the draw is told.
	stateCreate deedKind = "create of the state"
	stateWrite  deedKind = "write to the state"
	stateSync   deedKind = "sync of the state"
	stateRename deedKind = "rename of the state"
	folderSync  deedKind = "sync of the folder"

	toldStored   deedKind = "bets stored"
	toldFinished deedKind = "finished"
	toldMissing  deedKind = "missing"
	toldDrawn    deedKind = "drawn"
	toldActa     deedKind = "acta"
)

// wreck is what a power cut leaves: what is on the platter, what was on its
// way there, and what was told to the agencies by then.
type wreck struct {
	synced  []byte // of the ledger
	written []byte // as the system had it
	most    []byte // like written, but before it was cut

	names    map[string]*inode // in the folder, beside the ledger
	renames  []deed            // and creates, on their way there
	creating *inode            // by the last create in renames

	stored   []int // bets of agency i+1, told
	finished []bool
	missing  []bool
	drawn    bool
	acta     string // that is known to be kept
}

// inode is a file's content, whatever its name. It is only appended to.
type inode struct {
	synced, written []byte
}

func newWreck(agencies int, files map[string]string) *wreck {
	ledger := []byte(files[LedgerFile])
	w := &wreck{
		synced: ledger, written: ledger, most: ledger,
		stored:   make([]int, agencies),
		finished: make([]bool, agencies),
		missing:  make([]bool, agencies),
		names:    map[string]*inode{},
	}
	for name, content := range files {
		if name != LedgerFile {
			w.names[name] = &inode{[]byte(content), []byte(content)}
		}
	}
	return w
}

// after returns the wreck of a cut after one deed more, of which only the first
// bytes are done when it is a write and bytes are not negative. It may be
// called again and again.
func (w *wreck) after(d deed, bytes int) *wreck {
	next := *w
	data := d.data
	if bytes >= 0 {
		data = data[:bytes]
	}
	switch d.kind {
	case ledgerWrite:
		next.written = slices.Concat(w.written, data)
		next.most = next.written
	case ledgerSync:
		next.synced, next.most = w.written, w.written
	case ledgerTruncate:
		next.written = w.written[:d.size]
	case stateCreate:
		next.creating = new(inode)
		next.renames = slices.Concat(w.renames, []deed{d})
	case stateWrite:
		next.creating = &inode{w.creating.synced, slices.Concat(w.creating.written, data)}
	case stateSync:
		next.creating = &inode{w.creating.written, w.creating.written}
	case stateRename:
		next.renames = slices.Concat(w.renames, []deed{d})
	case folderSync:
		next.names = w.folder(len(w.renames))
		next.renames, next.creating = nil, nil
	case toldStored:
		next.stored = slices.Clone(w.stored)
		next.stored[d.agency-1] = d.bets
	case toldFinished:
		next.finished = slices.Clone(w.finished)
		next.finished[d.agency-1] = true
	case toldMissing:
		next.missing = slices.Clone(w.missing)
		next.missing[d.agency-1] = true
	case toldDrawn:
		next.drawn = true
	case toldActa:
		next.acta = string(d.data)
	}
	return &next
}

// folder returns what the names stand for after the first n of the changes
// that were on their way.
func (w *wreck) folder(n int) map[string]*inode {
	names := maps.Clone(w.names)
	for _, change := range w.renames[:n] {
		temporary := change.file + ".new"
		if change.kind == stateCreate {
			names[temporary] = w.creating
		} else {
			names[change.file] = names[temporary]
			delete(names, temporary)
		}
	}
	return names
}

// luck is what becomes of bytes that were written and not synced.
type luck int

const (
	nothing    luck = iota // of them is there
	everything             // is there
	zeros                  // are in their place
	mixed                  // any sectors, up to any size of the file; else zeros
)

// files returns what is in the folder when the power is back.
func (w *wreck) files(luck luck, r *rand.Rand) map[string]string {
	written := w.written
	if luck == zeros || luck == mixed && r.IntN(2) == 0 {
		written = w.most // cutting it has not reached the platter
	}
	files := map[string]string{LedgerFile: string(survive(w.synced, written, luck, r))}
	changes := len(w.renames)
	switch luck {
	case nothing:
		changes = 0
	case mixed:
		changes = r.IntN(changes + 1)
	}
	names := w.folder(changes)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		files[name] = string(survive(names[name].synced, names[name].written, luck, r))
	}
	return files
}

// survive returns what remains of a file whose beginning was synced.
func survive(synced, written []byte, luck luck, r *rand.Rand) []byte {
	switch luck {
	case nothing:
		return synced
	case everything:
		return written
	}
	size := len(written)
	if luck == mixed {
		size = len(synced) + r.IntN(len(written)-len(synced)+1)
	}
	content := make([]byte, size)
	copy(content, synced)
	if luck == zeros {
		return content
	}
	likely := r.IntN(4) // of 4 sectors
	const sector = 512  // bytes
	for begin := len(synced) / sector * sector; begin < size; begin += sector {
		if end := min(begin+sector, size); r.IntN(4) < likely {
			copy(content[begin:end], written[begin:end])
		}
	}
	return content
}

// notedDisk is the disk of a contest's run: it keeps a note of all that happens
// to it. The calls of the ledger's leader hang until they get their turn.
type notedDisk struct {
	real file // which it closes

	mu      sync.Mutex
	deeds   []deed
	hanging bool
	ending  bool // some agency's betting is: one at a time, so that a seed gives one run
	turn    chan struct{}

	calls  int // of the ledger's leader
	fails  int // the call that does, counted from 1, or 0
	broken error
}

func newNotedDisk(real file, fails int, broken error) *notedDisk {
	return &notedDisk{real: real, turn: make(chan struct{}), fails: fails, broken: broken}
}

func (d *notedDisk) note(deed deed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	deed.data = slices.Clone(deed.data)
	d.deeds = append(d.deeds, deed)
}

// await hangs until the call gets its turn, and reports whether it is to fail.
func (d *notedDisk) await() (fails bool) {
	d.mu.Lock()
	d.hanging = true
	d.calls++
	fails = d.calls == d.fails
	d.mu.Unlock()
	<-d.turn
	return fails
}

func (d *notedDisk) isHanging() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hanging
}

// proceed gives the call that hangs its turn.
func (d *notedDisk) proceed() {
	d.mu.Lock()
	d.hanging = false
	d.mu.Unlock()
	d.turn <- struct{}{}
}

func (d *notedDisk) Write(rows []byte) (int, error) {
	if d.await() {
		n := len(rows) / 2
		d.note(deed{kind: ledgerWrite, data: rows[:n]})
		return n, d.broken
	}
	d.note(deed{kind: ledgerWrite, data: rows})
	return len(rows), nil
}

func (d *notedDisk) Sync() error {
	if d.await() {
		d.note(deed{kind: ledgerBadSync})
		return d.broken
	}
	d.note(deed{kind: ledgerSync})
	return nil
}

func (d *notedDisk) Truncate(size int64) error {
	d.note(deed{kind: ledgerTruncate, size: int(size)})
	return nil
}

func (d *notedDisk) Verify(int64) error { return nil } // nothing is written to the real one

func (d *notedDisk) Close() error { return d.real.Close() }

func (d *notedDisk) create(path string) (newFile, error) {
	file := strings.TrimSuffix(filepath.Base(path), ".new")
	if file != StateFile && file != ActaFile || file == filepath.Base(path) {
		panic("written is " + path)
	}
	d.note(deed{kind: stateCreate, file: file})
	return notedState{d, file}, nil
}

func (d *notedDisk) rename(from, to string) error {
	if from != to+".new" || filepath.Base(to) != StateFile {
		panic("renamed is " + from + " to " + to)
	}
	d.note(deed{kind: stateRename, file: StateFile})
	return nil
}

// renameNew is only used where there is nothing yet.
func (d *notedDisk) renameNew(from, to string) error {
	if from != to+".new" || filepath.Base(to) != ActaFile {
		panic("renamed is " + from + " to " + to)
	}
	d.note(deed{kind: stateRename, file: ActaFile})
	return nil
}

func (d *notedDisk) syncFolder(string) error {
	d.note(deed{kind: folderSync})
	return nil
}

// notedState is the state, or the acta, while it is written.
type notedState struct {
	disk *notedDisk
	file string
}

func (s notedState) Write(content []byte) (int, error) {
	s.disk.note(deed{kind: stateWrite, file: s.file, data: content})
	return len(content), nil
}

func (s notedState) Sync() error  { s.disk.note(deed{kind: stateSync}); return nil }
func (s notedState) Close() error { return nil }
