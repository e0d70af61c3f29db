package csvledger

// MemoryFolder returns a folder on which a sync takes no time.
var MemoryFolder = memoryFolder

// Hooks are called before a ledger's disk operations, and may wait or fail.
type Hooks struct {
	Sync func() error // of the bets
	Save func() error // of contest.json
}

// WithHooks opens a ledger with hooks.
func WithHooks(h Hooks) Option {
	return func(l *Ledger) {
		l.file = hookedFile{l.file, h}
		l.state.disk = hookedDisk{l.state.disk, h}
	}
}

type hookedFile struct {
	file
	hooks Hooks
}

func (f hookedFile) Sync() error {
	if err := f.hooks.Sync(); err != nil {
		return err
	}
	return f.file.Sync()
}

type hookedDisk struct {
	disk
	hooks Hooks
}

func (d hookedDisk) create(path string) (newFile, error) {
	if err := d.hooks.Save(); err != nil {
		return nil, err
	}
	return d.disk.create(path)
}
