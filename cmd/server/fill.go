package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"loteria/lottery"
)

// filling imports a contest into an empty ledger of any kind, with a bound on what
// is in flight.
type filling struct {
	ledger  lottery.Ledger
	known   *report        // what the contest has
	marks   []lottery.Mark // of agency i+1
	durable atomic.Uint64  // bets

	inFlight chan struct{} // has an element for each unanswered call
	failed   chan struct{} // closed when err is set
	once     sync.Once
	err      error
}

func newFilling(l lottery.Ledger, known *report) *filling {
	return &filling{ledger: l, known: known, inFlight: make(chan struct{}, importedInFlight), failed: make(chan struct{})}
}

// fill copies the contest at the source into the ledger, and returns when all of it
// is durable.
func (f *filling) fill(ctx context.Context, source place) error {
	for _, step := range []func(context.Context) error{
		f.begin,
		func(ctx context.Context) error { return f.takeBets(ctx, source) },
		f.setDeadline,
		f.end,
		f.draw,
	} {
		err := step(ctx)
		if e := f.drain(ctx); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begin checks that the ledger is empty, and makes the import each agency's only
// writer.
func (f *filling) begin(ctx context.Context) error {
	stored, err := f.ledger.Begin(lottery.Events{
		Ended: func(int, lottery.Ending, *lottery.Account) {},
		Seen:  func(int, uint64, string) {},
	})
	switch {
	case err != nil:
		return err
	case stored.Used || stored.Drawn:
		return errNotEmpty
	case len(stored.Accounts) != f.known.terms.Agencies:
		return fmt.Errorf("the target is of %d agencies, expected are %d", len(stored.Accounts), f.known.terms.Agencies)
	}
	f.marks = make([]lottery.Mark, len(stored.Accounts))
	for i := range stored.Accounts {
		a := &stored.Accounts[i]
		if a.Bets > 0 || a.Ended != lottery.Open {
			return errNotEmpty
		}
		f.marks[i] = a.Mark
	}
	agencies := f.known.byAgency()
	for i := range f.marks {
		if agencies[i].bets == 0 && f.known.endings[i] == lottery.Open {
			continue
		}
		err := f.call(ctx, func(done func(error)) {
			f.ledger.Claim(i+1, f.marks[i], false, func(stored *lottery.Account, err error) {
				if err == nil && stored != nil {
					f.marks[i] = stored.Mark // read when all are answered
					if stored.Bets > 0 || stored.Ended != lottery.Open {
						err = errNotEmpty
					}
				}
				done(err)
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// takeBets reads the source and appends its rows, each agency's in their order.
func (f *filling) takeBets(ctx context.Context, source place) error {
	now, err := source.read(ctx, func(s lottery.Stretch) error {
		return eachPiece(s, importedAtOnce, func(piece lottery.Stretch) error { return f.append(ctx, piece) })
	})
	if err != nil {
		return err
	}
	if difference := f.known.differsFrom(&now); difference != "" {
		return fmt.Errorf("%w (%s)", errChanged, difference)
	}
	return nil
}

func (f *filling) append(ctx context.Context, rows lottery.Stretch) error {
	if rows.Agency > len(f.marks) {
		return errChanged
	}
	mark := &f.marks[rows.Agency-1]
	bets := uint64(rows.Bets)
	return f.call(ctx, func(done func(error)) {
		next, err := f.ledger.Append(rows, *mark, func(err error) {
			if err == nil {
				f.durable.Add(bets)
			}
			done(err)
		})
		if err != nil { // then the callback is not called
			done(err)
			return
		}
		*mark = next
	})
}

func (f *filling) setDeadline(ctx context.Context) error {
	before, deadline := f.ledger.Terms().Deadline, f.known.terms.Deadline
	if deadline.Equal(before) {
		return nil
	}
	return f.call(ctx, func(done func(error)) { f.ledger.SetDeadline(before, deadline, done) })
}

func (f *filling) end(ctx context.Context) error {
	for i, how := range f.known.endings {
		if how == lottery.Open {
			continue
		}
		if err := f.call(ctx, func(done func(error)) { f.ledger.End(i+1, f.marks[i], how, done) }); err != nil {
			return err
		}
	}
	return nil
}

// draw repeats the draw of a drawn contest, and compares the winners.
func (f *filling) draw(ctx context.Context) error {
	if f.known.state != string(lottery.Drawn) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, drawPatience)
	defer cancel()
	for {
		told := make(chan error, 1)
		f.ledger.Draw(func(winners [][]string, err error) {
			if err == nil {
				err = f.compareWinners(winners)
			}
			told <- err
		})
		select {
		case err := <-told:
			if !errors.Is(err, lottery.ErrUnavailable) {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// compareWinners returns an error unless every agency has as many winners as in the
// source. Nil winners are in the accounts, which are compared later.
func (f *filling) compareWinners(winners [][]string) error {
	if winners == nil {
		return nil
	}
	for i, a := range f.known.byAgency() {
		if i >= len(winners) || len(winners[i]) != a.winners {
			return fmt.Errorf("the draw has another number of winners of agency %d than the source, which has %d", i+1, a.winners)
		}
	}
	return nil
}

// call calls ask when there is room in flight, and returns the first error that any
// call was answered with so far.
func (f *filling) call(ctx context.Context, ask func(done func(error))) error {
	select {
	case <-f.failed:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	case f.inFlight <- struct{}{}:
	}
	ask(func(err error) {
		if err != nil {
			f.once.Do(func() {
				f.err = err
				close(f.failed)
			})
		}
		<-f.inFlight
	})
	return nil
}

// drain returns when every call is answered, or when one has failed.
func (f *filling) drain(ctx context.Context) error {
	for range cap(f.inFlight) {
		select {
		case <-f.failed:
			return f.err
		case <-ctx.Done():
			return ctx.Err()
		case f.inFlight <- struct{}{}:
		}
	}
	for range cap(f.inFlight) {
		<-f.inFlight
	}
	select {
	case <-f.failed:
		return f.err
	default:
		return nil
	}
}

// eachPiece calls visit for a stretch in pieces of whole rows, each of up to most
// bytes or one row.
func eachPiece(s lottery.Stretch, most int, visit func(lottery.Stretch) error) error {
	for len(s.Rows) > most {
		piece := lottery.Stretch{Agency: s.Agency}
		size, won := 0, 0
		for size < len(s.Rows) {
			end := size + bytes.IndexByte(s.Rows[size:], '\n') + 1 // which only ends rows
			if end == size || end > most && piece.Bets > 0 {
				break
			}
			if len(s.Winners) > 0 {
				bet, err := lottery.ParseRow(string(s.Rows[size:end]))
				if err != nil {
					return err
				}
				if bet.HasWon() {
					won++
				}
			}
			size = end
			piece.Bets++
		}
		if piece.Bets == 0 || won > len(s.Winners) || piece.Bets > s.Bets {
			return errors.New("rows and their number do not agree")
		}
		piece.Rows, piece.Winners = s.Rows[:size], s.Winners[:won]
		s.Rows, s.Winners, s.Bets = s.Rows[size:], s.Winners[won:], s.Bets-piece.Bets
		if err := visit(piece); err != nil {
			return err
		}
	}
	if s.Bets == 0 {
		return nil
	}
	return visit(s)
}
