package csvledger_test

import (
	"errors"
	"sync"
	"testing"

	"loteria/lottery"
	"loteria/lottery/csvledger"
	"loteria/lottery/ledgertest"
)

// weather makes a ledger's disk stall or fail.
type weather struct {
	mu      sync.Mutex
	stalled chan struct{} // or nil
	sync    error
	save    error
}

func (w *weather) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// hook returns a hook that waits while stalled, and gives the error in fails.
func (w *weather) hook(fails *error) func() error {
	return func() error {
		w.mu.Lock()
		stalled := w.stalled
		w.mu.Unlock()
		if stalled != nil {
			<-stalled
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return *fails
	}
}

// storage returns a folder as the suite wants it.
func storage(folder string, options ...csvledger.Option) *ledgertest.Storage {
	w := new(weather)
	options = append(options, csvledger.WithHooks(csvledger.Hooks{Sync: w.hook(&w.sync), Save: w.hook(&w.save)}))
	return &ledgertest.Storage{
		Open: func(agencies int) (lottery.Ledger, error) {
			w.set(func() { w.sync, w.save = nil, nil })
			return csvledger.Open(folder, agencies, options...)
		},
		Stall: func() (resume func()) {
			stalled := make(chan struct{})
			w.set(func() { w.stalled = stalled })
			return func() { close(stalled) }
		},
		Interrupt: func() (restore func()) {
			w.set(func() { w.save = errors.New("the disk is full") })
			return func() { w.set(func() { w.save = nil }) }
		},
		Break: func() { w.set(func() { w.sync = errors.New("the disk is broken") }) },
	}
}

func TestConformance(t *testing.T) {
	for name, folder := range map[string]func(testing.TB) string{"on disk": testing.TB.TempDir, "in memory": csvledger.MemoryFolder} {
		t.Run(name, func(t *testing.T) {
			ledgertest.Run(t, func(t *testing.T) *ledgertest.Storage { return storage(folder(t)) })
		})
	}
}

// Every commit is lent.
func TestConformanceWhileLending(t *testing.T) {
	for _, how := range []string{"at once", "late", "at random"} {
		t.Run(how, func(t *testing.T) {
			ledgertest.Run(t, func(t *testing.T) *ledgertest.Storage {
				return storage(csvledger.MemoryFolder(t), csvledger.Lending(t, how, 1))
			})
		})
	}
}
