package lottery_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"loteria/lottery"
)

// store stores a batch for a writer.
func (c *contest) store(from lottery.Writer, b *lottery.Batch) error {
	told := make(chan error, 1)
	if err := c.Store(b, from, func(err error) { told <- err }); err != nil {
		return err
	}
	return <-told
}

// finish says FINISHED for a writer.
func (c *contest) finish(from lottery.Writer, agency int, said lottery.Tally) error {
	told := make(chan error, 1)
	if err := c.Finish(agency, from, said, func(err error) { told <- err }); err != nil {
		return err
	}
	return <-told
}

// resume makes another writer.
func (c *contest) resume(t testing.TB, agency int) (from lottery.Writer, bets, digest uint64) {
	t.Helper()
	if _, _, err := c.TryResume(agency); err != nil { // the one before is done
		t.Fatal(err)
	}
	told := make(chan error, 1)
	from, err := c.Resume(agency, func(b, d uint64, err error) {
		bets, digest = b, d
		told <- err
	})
	if err == nil {
		err = <-told
	}
	if err != nil {
		t.Fatal(err)
	}
	return from, bets, digest
}

// From an agency's first RESUME on, nothing is taken except from its writer:
// neither from the one before nor from one that has never said RESUME.
func TestOnlyTheWriterWrites(t *testing.T) {
	c := openContest(t, t.TempDir(), 2)
	var stored []lottery.Bet
	next := func(agency int) *lottery.Batch { return newBatch(t, sample(agency, len(stored))) }
	take := func(from lottery.Writer, b *lottery.Batch) {
		t.Helper()
		if err := c.store(from, b); err != nil {
			t.Fatal(err)
		}
		stored = append(stored, sample(b.Agency(), len(stored)))
	}

	take(0, next(1)) // as long as nobody has said RESUME
	checkRefused(t, c.store(0, at(1, next(1))), lottery.Fenced)
	old, _, _ := c.resume(t, 1)
	take(old, next(1))
	take(old, at(2, next(1)))
	writer, bets, _ := c.resume(t, 1)
	if bets != 3 {
		t.Errorf("RESUME tells %d bets, want 3", bets)
	}
	take(0, newBatch(t, sample(2, len(stored)))) // another agency is another matter

	for name, from := range map[string]lottery.Writer{"the writer before": old, "one who has not resumed": 0, "one who does not exist": writer + 1} {
		t.Run(name, func(t *testing.T) {
			checkRefused(t, c.store(from, next(1)), lottery.Fenced)
			checkRefused(t, c.store(from, at(0, newBatch(t, sample(1, 0)))), lottery.Fenced) // though it is stored
			checkRefused(t, c.store(from, at(9, next(1))), lottery.Fenced)                   // though it is a gap
			checkRefused(t, c.finish(from, 1, lottery.Tally{}), lottery.Fenced)
		})
	}
	take(writer, at(3, next(1)))
	if err := c.finish(writer, 1, lottery.Tally{}); err != nil {
		t.Fatal(err)
	}
	checkRefused(t, c.finish(old, 1, lottery.Tally{}), lottery.Fenced)
	c.checkRows(t, stored...)

	c = c.reopen(t) // all connections are gone, and with them the writer
	if err := c.finish(0, 1, lottery.Tally{}); err != nil {
		t.Error(err)
	}
}

// RESUME fences before it is answered: what the old writer sends meanwhile is not
// stored.
func TestResumeFencesAtOnce(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	old, _, _ := c.resume(t, 1)
	const batches = 100
	var admitted uint64
	var wg sync.WaitGroup
	for i := range batches {
		wg.Add(1)
		if err := c.Store(at(admitted, newBatch(t, sample(1, i))), old, func(err error) {
			if err != nil {
				t.Error(err)
			}
			wg.Done()
		}); err != nil {
			t.Fatal(err)
		}
		admitted++
	}
	told := make(chan uint64, 1)
	writer, err := c.Resume(1, func(bets, _ uint64, err error) { told <- bets })
	if err != nil {
		t.Fatal(err)
	}
	checkRefused(t, c.Store(at(admitted, newBatch(t, sample(1, batches))), old, func(error) { t.Error("it was admitted") }), lottery.Fenced)
	if bets := <-told; bets != batches {
		t.Errorf("RESUME tells %d bets, admitted were %d", bets, batches)
	}
	wg.Wait()
	if err := c.store(writer, at(batches, newBatch(t, sample(1, batches)))); err != nil {
		t.Error(err)
	}
}

// FINISHED says how many bets there are, and which.
func TestFinishCompares(t *testing.T) {
	bets := samples(1, 0, 3)
	for name, test := range map[string]struct {
		said func(bets, digest uint64) lottery.Tally
		code lottery.Code
	}{
		"nothing":      {func(bets, digest uint64) lottery.Tally { return lottery.Tally{Bets: 9, Digest: 9} }, ""},
		"bets":         {func(bets, digest uint64) lottery.Tally { return lottery.Tally{Bets: bets, HasBets: true, Digest: 9} }, ""},
		"both":         {func(bets, digest uint64) lottery.Tally { return lottery.Tally{bets, digest, true, true} }, ""},
		"fewer":        {func(bets, digest uint64) lottery.Tally { return lottery.Tally{bets - 1, digest, true, true} }, lottery.Incomplete},
		"more":         {func(bets, digest uint64) lottery.Tally { return lottery.Tally{bets + 1, digest, true, true} }, lottery.Incomplete},
		"other bets":   {func(bets, digest uint64) lottery.Tally { return lottery.Tally{bets, digest + 1, true, true} }, lottery.OtherBets},
		"other digest": {func(bets, digest uint64) lottery.Tally { return lottery.Tally{bets, 0, true, true} }, lottery.OtherBets},
	} {
		t.Run(name, func(t *testing.T) {
			c := openContest(t, t.TempDir(), 2)
			c.MustStore(newBatch(t, bets...))
			writer, n, digest := c.resume(t, 1)
			said := test.said(n, digest)
			for range 2 { // also when it has finished
				if err := c.finish(writer, 1, said); test.code == "" && err != nil || test.code != "" && !errors.Is(err, test.code) {
					t.Errorf("the error is %v, want %q", err, test.code)
				}
			}
			if ended := c.Standings()[0].Ended == lottery.Finished; ended != (test.code == "") {
				t.Errorf("the agency has finished: %v", ended)
			}
			if err := c.finish(writer, 1, lottery.Tally{n, digest, true, true}); err != nil {
				t.Error(err)
			}
			if test.code != "" { // the same when it has finished
				checkRefused(t, c.finish(writer, 1, said), test.code)
			}
		})
	}
}

// Two processes of one agency send different bets, each as long as it is the
// writer. Whatever they do, what is acknowledged to one is stored, and once
// one has stored something the other can see that these are not its own.
func TestTwoWriters(t *testing.T) {
	c := openContest(t, t.TempDir(), 1)
	var wg sync.WaitGroup
	acked := make([][]lottery.Bet, 2)
	for side := range acked {
		wg.Go(func() {
			for round := range 50 {
				told := make(chan uint64, 1)
				writer, err := c.Resume(1, func(bets, _ uint64, err error) { told <- bets })
				if err != nil {
					t.Error(err)
					return
				}
				for position := <-told; ; position++ {
					bet := sample(1, side*100_000+round*1000+int(position))
					err := c.store(writer, at(position, newBatch(t, bet)))
					if errors.Is(err, lottery.Fenced) {
						break
					}
					if err != nil {
						t.Error(err)
						return
					}
					if acked[side] = append(acked[side], bet); position > 300 {
						return
					}
				}
			}
		})
	}
	wg.Wait()
	on := make(map[string]int)
	for _, bet := range c.stored(t) {
		on[fmt.Sprint(bet)]++
	}
	for side := range acked {
		for _, bet := range acked[side] {
			if on[fmt.Sprint(bet)] != 1 {
				t.Fatalf("%v is acknowledged, and stored %d times", bet, on[fmt.Sprint(bet)])
			}
		}
	}
	if got, want := len(on), len(acked[0])+len(acked[1]); got != want {
		t.Errorf("%d bets are stored, %d acknowledged", got, want)
	}
}
