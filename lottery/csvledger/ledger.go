package csvledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"loteria/lottery"
)

// file is what a commit needs of the operating system. Tests put one that fails
// in its place.
type file interface {
	io.Writer
	Sync() error // returns when all that was written is on disk
	Truncate(size int64) error
	// Verify returns an error unless the file is where it was opened, and has
	// size bytes.
	Verify(size int64) error
	Close() error
}

// Ledger is a lottery.Ledger in a folder. It only ever appends to bets.csv.
type Ledger struct {
	path      string
	torn      int64
	readOnly  error          // why nothing can be written, or nil
	reopens   bool           // bets without a state are no error
	origin    *lottery.Times // of the contest that this one is a copy of, or nil
	stored    lottery.Stored // until Begin
	unsynced  bool           // nothing is known to be on disk
	committed func(lottery.Commit)
	close     func() error // its own method shut, once
	state     keeper

	// Only the leader uses these.
	file  file
	ready []waiter

	mu       sync.Mutex
	idle     sync.Cond // leading has become false
	places   []place   // of agency i+1
	pending  buffer    // rows that are not with the leader yet
	taken    [][]byte  // scratch of the leader
	appends  int       // that pending consists of
	appended int64     // where the last row ends
	durable  int64     // how many bytes are on disk
	waiters  []waiter  // in the order in which they came
	leading  bool      // a leader commits, or completes, or is about to
	loan     loan
	regroup  regroup
	waiting  bool        // others are waited for, until the timer ends
	timer    *time.Timer // nil until first needed
	closing  bool
	err      error         // why the ledger is dead
	failed   chan struct{} // closed when err is set
}

var _ lottery.Ledger = (*Ledger)(nil)

// place is what the ledger knows of one agency. The mark is its number of bets.
type place struct {
	mark  lottery.Mark
	end   int64 // of its last row in the file, or after it
	ended lottery.Ending

	joined commitNumber // the last commit in which it had rows
}

// newLedger returns a ledger whose file has size bytes, all of them on disk.
func newLedger(path string, f file, size int64, places []place) *Ledger {
	l := &Ledger{
		path:      path,
		committed: func(lottery.Commit) {},
		file:      f,
		places:    places,
		appended:  size,
		durable:   size,
		failed:    make(chan struct{}),
		loan:      loan{longest: maxLoan},
		regroup:   newRegroup(),
	}
	l.close = sync.OnceValue(l.shut)
	l.idle.L = &l.mu
	l.state.ledger = l
	l.state.disk = realDisk{}
	l.state.clock = time.Now
	l.state.idle.L = &l.state.mu
	l.state.warn = func(error) {}
	return l
}

// Begin implements lottery.Ledger.
func (l *Ledger) Begin(events lottery.Events) (lottery.Stored, error) {
	l.state.ended = events.Ended
	stored := l.stored
	l.stored = lottery.Stored{} // it is the contest's
	return stored, nil
}

// Append implements lottery.Ledger. The caller bounds how much may wait.
func (l *Ledger) Append(rows lottery.Stretch, after lottery.Mark, done func(error)) (lottery.Mark, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.unusable(); err != nil {
		return 0, err
	}
	p := &l.places[rows.Agency-1]
	if p.mark != after || p.ended != lottery.Open && rows.Bets > 0 {
		return 0, lottery.ErrMoved
	}
	if rows.Bets > 0 {
		l.pending.append(rows.Rows)
		l.appends++
		l.regroup.join(&p.joined)
		l.appended += int64(len(rows.Rows))
		p.mark += lottery.Mark(rows.Bets)
		p.end = l.appended
	}
	l.await(p.end, nil, nil, done)
	return p.mark, nil
}

// unusable returns why nothing can be asked of the ledger, or nil.
func (l *Ledger) unusable() error {
	if l.err == nil && l.closing {
		return lottery.ErrClosed
	}
	return l.err
}

// Claim implements lottery.Ledger. There is no other writer, as the folder is
// locked. For a wrong mark the agency's rows are read again, and all other calls
// wait for that.
func (l *Ledger) Claim(agency int, after lottery.Mark, _ bool, done func(*lottery.Account, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.places[agency-1]
	l.await(p.end, nil, nil, func(err error) {
		if err != nil || p.mark == after {
			done(nil, err)
			return
		}
		done(l.account(agency, p))
	})
}

// account reads what is stored of an agency up to p.
func (l *Ledger) account(agency int, p place) (*lottery.Account, error) {
	a := lottery.NewAccount()
	a.Mark, a.Ended = p.mark, p.ended
	f, err := os.Open(l.path)
	if err == nil {
		defer f.Close()
		_, err = recoverLedger(f, p.end, p.end, func(s lottery.Stretch) error {
			if s.Agency == agency {
				a.Add(&s)
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", lottery.ErrUnavailable, err)
	}
	return &a, nil
}

// End implements lottery.Ledger.
func (l *Ledger) End(agency int, after lottery.Mark, how lottery.Ending, done func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.places[agency-1]
	var err error
	if p.ended == lottery.Open {
		if err = lottery.ErrMoved; p.mark == after {
			p.ended, err = how, nil
		}
	}
	how = p.ended
	l.await(p.end, err, func(done func(error)) { l.state.end(agency, how, done) }, done)
}

// Draw implements lottery.Ledger.
func (l *Ledger) Draw(done func([][]string, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.await(0, nil, l.state.draw, func(err error) { done(nil, err) })
}

// Terms implements lottery.Ledger.
func (l *Ledger) Terms() lottery.Terms {
	k := &l.state
	k.mu.Lock()
	defer k.mu.Unlock()
	return lottery.Terms{Agencies: len(k.endings), Deadline: k.deadline}
}

// SetDeadline implements lottery.Ledger.
func (l *Ledger) SetDeadline(before, deadline time.Time, done func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.await(0, nil, func(done func(error)) { l.state.setDeadline(before, deadline, done) }, done)
}

// Checkpoint records how much of the ledger is on disk: a later start takes nothing
// of that for torn. Call it now and then: it is cheap when there is nothing new. It
// blocks, so no callback may call it.
func (l *Ledger) Checkpoint() error {
	return wait(func(done func(error)) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.await(0, nil, l.state.checkpoint, done)
	})
}

// Unsaved returns why contest.json could not be saved, or nil. The save is tried
// again each second.
func (l *Ledger) Unsaved() error {
	l.state.mu.Lock()
	defer l.state.mu.Unlock()
	return l.state.failure
}

// wait calls f and waits for its callback.
func wait(f func(done func(error))) error {
	ended := make(chan error, 1)
	f(func(err error) { ended <- err })
	return <-ended
}

// Durable returns how many bytes of the ledger are on disk.
func (l *Ledger) Durable() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

// Failed implements lottery.Ledger.
func (l *Ledger) Failed() <-chan struct{} { return l.failed }

// Err implements lottery.Ledger.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Close implements lottery.Ledger. The folder stays locked until the state is on
// disk, as the next central writes its own.
func (l *Ledger) Close() error { return l.close() }

func (l *Ledger) shut() error {
	l.mu.Lock()
	l.closing = true
	l.wake()
	for l.leading {
		l.idle.Wait()
	}
	if l.err == nil {
		l.verify()
	}
	err := l.err
	l.mu.Unlock()
	switch {
	case errors.Is(err, errChanged):
		_ = wait(l.state.loss) // it may be the folder that is gone
	case err == nil:
		err = wait(l.state.checkpoint)
	}
	l.state.close()
	if e := l.file.Close(); err == nil {
		err = e
	}
	return err
}
