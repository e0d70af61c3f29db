package ledgertest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"loteria/lottery"
)

// Memory keeps a contest in memory. Several ledgers may use it at once, as those of
// several centrals would. It is the reference for the rules of a ledger, and a base
// for tests of code that uses one. The zero value is empty.
type Memory struct {
	// Lazy makes ledgers know an account only when it is claimed, and the winners
	// only with the draw.
	Lazy bool

	mu       sync.Mutex
	agencies []memoryAgency
	drawn    bool
	deadline time.Time
	marks    lottery.Mark // the last one given away
	ledgers  []*MemoryLedger

	stalled     chan struct{} // nothing becomes durable until it is closed; may be nil
	unavailable bool
	keeps       bool // calls take effect although it is unavailable
	broken      bool
}

// memoryAgency is what is stored of one agency.
type memoryAgency struct {
	account lottery.Account
	rows    []byte
	claims  int // so far; a ledger that does not know of the last one is fenced off
}

// errBroken is what a ledger dies of after Break.
var errBroken = errors.New("the memory is broken")

// Open opens a ledger on the memory. It is an error when the contest was begun
// with another number of agencies, and is used or open.
func (m *Memory) Open(agencies int) (*MemoryLedger, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	isUsed := slices.ContainsFunc(m.agencies, func(a memoryAgency) bool { return a.isUsed() })
	if !isUsed && len(m.ledgers) == 0 && len(m.agencies) != agencies {
		m.agencies = make([]memoryAgency, agencies)
		for i := range m.agencies {
			m.agencies[i].account = lottery.NewAccount()
			m.marks++
			m.agencies[i].account.Mark = m.marks
		}
	}
	if len(m.agencies) != agencies {
		return nil, fmt.Errorf("the contest was begun with %d expected agencies, not with %d", len(m.agencies), agencies)
	}
	l := &MemoryLedger{memory: m, failed: make(chan struct{})}
	l.idle.L = &l.mu
	return l, nil
}

// Rows returns the rows of an agency that are stored.
func (m *Memory) Rows(agency int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.agencies[agency-1].rows)
}

// Stall lets nothing become durable until resume is called.
func (m *Memory) Stall() (resume func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stalled := make(chan struct{})
	m.stalled = stalled
	return func() { close(stalled) }
}

// Interrupt makes every call fail with ErrUnavailable until restore is called. If
// keeps, calls take effect nevertheless.
func (m *Memory) Interrupt(keeps bool) (restore func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unavailable, m.keeps = true, keeps
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.unavailable = false
	}
}

// Break makes every ledger die when it next stores rows.
func (m *Memory) Break() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = true
}

// Storage returns the memory as the suite wants it.
func (m *Memory) Storage() *Storage {
	return &Storage{
		Open:      func(agencies int) (lottery.Ledger, error) { return m.Open(agencies) },
		Shared:    true,
		Lazy:      m.Lazy,
		Stall:     m.Stall,
		Interrupt: func() func() { return m.Interrupt(false) },
		Break:     m.Break,
	}
}

// await returns when what is asked for may become durable.
func (m *Memory) await() {
	m.mu.Lock()
	stalled := m.stalled
	m.mu.Unlock()
	if stalled != nil {
		<-stalled
	}
}

// MemoryLedger is a ledger on a Memory. One goroutine at a time does what was
// asked for, in that order.
type MemoryLedger struct {
	memory *Memory
	events lottery.Events

	claims []int // of agency i+1, as known here

	mu      sync.Mutex
	idle    sync.Cond // running has become false
	queue   []func(error)
	running bool
	closed  bool
	err     error
	failed  chan struct{}
}

var _ lottery.Ledger = (*MemoryLedger)(nil)

// Begin implements lottery.Ledger.
func (l *MemoryLedger) Begin(events lottery.Events) (lottery.Stored, error) {
	m := l.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	l.events = events
	m.ledgers = append(m.ledgers, l)
	stored := lottery.Stored{Accounts: make([]lottery.Account, len(m.agencies)), Drawn: m.drawn, Shared: true}
	l.claims = make([]int, len(m.agencies))
	for i := range m.agencies {
		a := &m.agencies[i]
		stored.Used = stored.Used || a.isUsed()
		if m.Lazy {
			stored.Accounts[i], l.claims[i] = lottery.Account{Ended: a.account.Ended, Unknown: true}, -1
		} else {
			stored.Accounts[i], l.claims[i] = *m.copy(a), a.claims
		}
	}
	return stored, nil
}

// copy returns a copy of the account for the caller to keep.
func (m *Memory) copy(a *memoryAgency) *lottery.Account {
	account := a.account
	if account.Winners = slices.Clone(account.Winners); m.Lazy {
		account.Winners = nil
	}
	return &account
}

func (a *memoryAgency) isUsed() bool { return a.account.Bets > 0 || a.account.Ended != lottery.Open }

// enqueue calls f after the calls before it, with the reason why nothing can be
// done any more, or nil.
func (l *MemoryLedger) enqueue(f func(err error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		open := f
		f = func(error) { open(lottery.ErrClosed) }
	}
	l.queue = append(l.queue, f)
	if !l.running {
		l.running = true
		go l.run()
	}
}

func (l *MemoryLedger) run() {
	l.mu.Lock()
	for len(l.queue) > 0 {
		next := l.queue[0]
		l.queue = l.queue[1:]
		l.mu.Unlock()
		l.memory.await()
		next(l.Err())
		l.mu.Lock()
	}
	l.running = false
	l.idle.Broadcast()
	l.mu.Unlock()
}

// do calls change with the agency, to compare and to store, and gives done its
// error.
func (l *MemoryLedger) do(agency int, change func(*memoryAgency) error, done func(error)) {
	m := l.memory
	l.enqueue(func(err error) {
		if err == nil {
			m.mu.Lock()
			if m.unavailable {
				err = lottery.ErrUnavailable
			}
			if err == nil || m.keeps {
				if e := change(&m.agencies[agency-1]); err == nil {
					err = e
				}
			}
			m.mu.Unlock()
		}
		done(err)
	})
}

// compare returns an error unless the ledger may write for the agency.
func (l *MemoryLedger) compare(agency int, a *memoryAgency, after lottery.Mark) error {
	if a.account.Mark != after || a.account.Ended != lottery.Open || a.claims != l.claims[agency-1] {
		return lottery.ErrMoved
	}
	return nil
}

// Append implements lottery.Ledger.
func (l *MemoryLedger) Append(rows lottery.Stretch, after lottery.Mark, done func(error)) (lottery.Mark, error) {
	l.mu.Lock()
	err := l.err
	if err == nil && l.closed {
		err = lottery.ErrClosed
	}
	l.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if rows.Bets == 0 {
		l.do(rows.Agency, func(a *memoryAgency) error {
			if a.account.Mark != after {
				return lottery.ErrMoved
			}
			return nil
		}, done)
		return after, nil
	}
	rows.Rows, rows.Winners = slices.Clone(rows.Rows), slices.Clone(rows.Winners)
	m := l.memory
	m.mu.Lock()
	m.marks++
	mark := m.marks
	m.mu.Unlock()
	l.do(rows.Agency, func(a *memoryAgency) error {
		if m.broken {
			return l.die()
		}
		if err := l.compare(rows.Agency, a, after); err != nil {
			return err
		}
		a.account.Add(&rows)
		a.account.Mark = mark
		a.rows = append(a.rows, rows.Rows...)
		return nil
	}, done)
	return mark, nil
}

func (l *MemoryLedger) die() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errBroken
	close(l.failed)
	return l.err
}

// Claim implements lottery.Ledger.
func (l *MemoryLedger) Claim(agency int, after lottery.Mark, resumed bool, done func(*lottery.Account, error)) {
	var stored *lottery.Account
	l.do(agency, func(a *memoryAgency) error {
		a.claims++
		a.account.Resumed = a.account.Resumed || resumed
		l.claims[agency-1] = a.claims
		if a.account.Mark != after {
			stored = l.memory.copy(a)
		}
		return nil
	}, func(err error) {
		if err != nil {
			stored = nil
		}
		done(stored, err)
	})
}

// End implements lottery.Ledger.
func (l *MemoryLedger) End(agency int, after lottery.Mark, how lottery.Ending, done func(error)) {
	m, news := l.memory, false
	l.do(agency, func(a *memoryAgency) error {
		if a.account.Ended != lottery.Open {
			return nil
		}
		if err := l.compare(agency, a, after); err != nil {
			return err
		}
		a.account.Ended, news = how, true
		for _, other := range m.ledgers {
			if stored := m.copy(a); other != l {
				other.enqueue(func(err error) {
					if err == nil {
						other.events.Ended(agency, how, stored)
					}
				})
			}
		}
		return nil
	}, func(err error) {
		if news {
			l.events.Ended(agency, how, nil)
		}
		done(err)
	})
}

// Draw implements lottery.Ledger.
func (l *MemoryLedger) Draw(done func([][]string, error)) {
	m := l.memory
	var winners [][]string
	l.do(1, func(*memoryAgency) error {
		m.drawn = true
		if m.Lazy {
			for i := range m.agencies {
				winners = append(winners, slices.Clone(m.agencies[i].account.Winners))
			}
		}
		return nil
	}, func(err error) { done(winners, err) })
}

// Terms implements lottery.Ledger.
func (l *MemoryLedger) Terms() lottery.Terms {
	m := l.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	return lottery.Terms{Agencies: len(m.agencies), Deadline: m.deadline}
}

// SetDeadline implements lottery.Ledger.
func (l *MemoryLedger) SetDeadline(before, deadline time.Time, done func(error)) {
	l.do(1, func(*memoryAgency) error {
		if m := l.memory; m.deadline.Equal(before) {
			m.deadline = deadline
		} else if !m.deadline.Equal(deadline) {
			return lottery.ErrMoved
		}
		return nil
	}, done)
}

// Failed implements lottery.Ledger.
func (l *MemoryLedger) Failed() <-chan struct{} { return l.failed }

// Err implements lottery.Ledger.
func (l *MemoryLedger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Close implements lottery.Ledger.
func (l *MemoryLedger) Close() error {
	m := l.memory
	m.mu.Lock()
	m.ledgers = slices.DeleteFunc(m.ledgers, func(other *MemoryLedger) bool { return other == l })
	m.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for l.running {
		l.idle.Wait()
	}
	return l.err
}
