package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	"loteria/bench/generator"
	"loteria/lottery"
)

// filling is what a contest is filled with: bets of the generator.
type filling struct {
	agencies, batches, size int  // batches of each agency, and bets of each batch
	oneByOne                bool // each batch is a message of its own
	ended                   bool // each agency finishes
}

const writers = 500 // agencies that are written at the same time

// fill fills the contest.
func (c *contest) fill(f filling) error {
	ledger, err := c.open()
	if err != nil {
		return err
	}
	defer ledger.Close()
	if _, err := ledger.Begin(lottery.Events{Ended: func(int, lottery.Ending, *lottery.Account) {}, Seen: func(int, uint64, string) {}}); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(c.lab.Ctx)
	group.SetLimit(writers)
	for agency := 1; agency <= f.agencies && ctx.Err() == nil; agency++ {
		group.Go(func() error {
			if err := f.write(ctx, ledger, agency); err != nil {
				return fmt.Errorf("agency %d: %w", agency, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (f *filling) write(ctx context.Context, ledger lottery.Ledger, agency int) error {
	bets := generator.Bets(agency, f.batches*f.size)
	mark, err := claim(ctx, ledger, agency)
	if err != nil {
		return err
	}
	for i := range f.batches {
		rows := lottery.Stretch{Agency: agency, Bets: f.size}
		for j := range bets[i*f.size : (i+1)*f.size] {
			bet := &bets[i*f.size+j]
			rows.Rows = bet.AppendRow(rows.Rows)
			if bet.HasWon() {
				rows.Winners = append(rows.Winners, bet.Document)
			}
		}
		done := make(chan error, 1)
		if mark, err = ledger.Append(rows, mark, func(err error) { done <- err }); err != nil {
			return err
		}
		if f.oneByOne || i == f.batches-1 { // rows are durable in their order
			if err := await(ctx, done); err != nil {
				return err
			}
		}
	}
	if !f.ended {
		return nil
	}
	done := make(chan error, 1)
	ledger.End(agency, mark, lottery.Finished, func(err error) { done <- err })
	return await(ctx, done)
}

// claim returns the agency's mark.
func claim(ctx context.Context, ledger lottery.Ledger, agency int) (mark lottery.Mark, err error) {
	done := make(chan error, 1)
	ledger.Claim(agency, 0, false, func(stored *lottery.Account, err error) {
		if stored != nil {
			mark = stored.Mark
		}
		done <- err
	})
	err = await(ctx, done)
	if err != nil {
		return 0, err
	}
	return mark, nil
}

func await(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
