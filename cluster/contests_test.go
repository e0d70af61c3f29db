package cluster_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
	"loteria/lottery/natsledger"
)

// isPassing reports whether an agency retries after an error.
func isPassing(err error) bool {
	refusal := (*lottery.Refusal)(nil) // a gap follows a batch that was unavailable
	return errors.Is(err, lottery.ErrUnavailable) || errors.As(err, &refusal) && (refusal.Code == lottery.Fenced || refusal.Code == lottery.Gap)
}

// agency is a test's agency, which resumes at a random central after each
// failure, and has several batches in flight.
type agency struct {
	t        *testing.T
	number   int
	contests []*lottery.Contest
	answered int // bets
}

func (a *agency) positioned(from, n int) *lottery.Batch {
	b := ledgertest.Batch(a.t, ledgertest.Bets(a.number, from, n)...)
	b.SetPosition(uint64(from))
	return b
}

type resumed struct {
	bets, digest uint64
	err          error
}

// bet bets until count bets are stored and the agency has finished. If it is
// ended before that, missing is true.
func (a *agency) bet(count int) (missing bool) {
	for begun := time.Now(); !a.t.Failed(); {
		if time.Since(begun) > 2*answerTime {
			a.t.Errorf("agency %d does not come to an end: %d bets are answered", a.number, a.answered)
			return false
		}
		c := a.contests[rand.IntN(len(a.contests))]
		var writer lottery.Writer
		r := await(a.t, "a RESUME", func(done func(resumed)) {
			w, err := c.Resume(a.number, func(bets, digest uint64, err error) { done(resumed{bets, digest, err}) })
			if writer = w; err != nil {
				done(resumed{err: err})
			}
		})
		if r.err != nil {
			if !isPassing(r.err) {
				a.t.Errorf("agency %d: RESUME: %v", a.number, r.err)
			}
			continue
		}
		want := ledgertest.Account(ledgertest.Bets(a.number, 0, int(r.bets))...)
		if int(r.bets) < a.answered || r.digest != want.Digest.Sum64() {
			a.t.Errorf("agency %d: RESUME tells %d bets with the digest %x, answered are %d", a.number, r.bets, r.digest, a.answered)
			return false
		}
		a.answered = int(r.bets)
		ended, failed := a.send(c, writer, count)
		if ended {
			return true
		}
		if failed {
			continue
		}
		said := lottery.Tally{Bets: uint64(count), HasBets: true, Digest: ledgertestDigest(a.number, count), HasDigest: true}
		err := await(a.t, "FINISHED", func(done func(error)) {
			if err := c.Finish(a.number, writer, said, done); err != nil {
				done(err)
			}
		})
		if err == nil {
			return false
		}
		if isOver(err) {
			return true
		}
		if !isPassing(err) {
			a.t.Errorf("agency %d: FINISHED: %v", a.number, err)
		}
	}
	return false
}

func ledgertestDigest(agency, count int) uint64 {
	account := ledgertest.Account(ledgertest.Bets(agency, 0, count)...)
	return account.Digest.Sum64()
}

func isOver(err error) bool {
	refusal := (*lottery.Refusal)(nil)
	return errors.As(err, &refusal) && (refusal.Code == lottery.AgencyFinished || refusal.Code == lottery.DrawDone)
}

// send sends what is not stored yet, three batches at a time.
func (a *agency) send(c *lottery.Contest, writer lottery.Writer, count int) (ended, failed bool) {
	const window, size = 3, 7
	type answer struct {
		upTo int
		err  error
	}
	answers := make(chan answer, window)
	sent, flying, lost := a.answered, 0, count+1
	refused := func(err error) {
		failed = true
		ended = ended || isOver(err)
		if !isPassing(err) && !isOver(err) {
			a.t.Errorf("agency %d: a batch: %v", a.number, err)
		}
	}
	for {
		for !failed && flying < window && sent < count {
			n := min(size, count-sent)
			upTo := sent + n
			if err := c.Store(a.positioned(sent, n), writer, func(err error) { answers <- answer{upTo, err} }); err != nil {
				refused(err)
				break
			}
			sent = upTo
			flying++
		}
		if flying == 0 {
			return ended, failed
		}
		select {
		case got := <-answers:
			flying--
			switch {
			case got.err != nil:
				refused(got.err)
				lost = min(lost, got.upTo)
			case got.upTo > lost:
				a.t.Errorf("agency %d: a batch is stored after one that was not", a.number)
			default:
				a.answered = got.upTo
			}
		case <-time.After(answerTime):
			a.t.Errorf("agency %d: a batch is not answered", a.number)
			return ended, true
		}
	}
}

// betPlainly bets like an agency that never says RESUME: one batch after the
// other, each at a random central, and the same again when told to retry.
func (a *agency) betPlainly(count int) (missing bool) {
	try := func(ask func(c *lottery.Contest, done func(error)) error) error {
		for begun := time.Now(); time.Since(begun) < 2*answerTime; {
			c := a.contests[rand.IntN(len(a.contests))]
			err := await(a.t, "a plain request", func(done func(error)) {
				if err := ask(c, done); err != nil {
					done(err)
				}
			})
			if !isPassing(err) {
				return err
			}
			time.Sleep(5 * time.Millisecond)
		}
		return errors.New("it is to come again for ever")
	}
	for a.answered < count {
		batch := ledgertest.Batch(a.t, ledgertest.Bets(a.number, a.answered, 1)...)
		err := try(func(c *lottery.Contest, done func(error)) error { return c.Store(batch, 0, done) })
		if isOver(err) {
			return true
		}
		if err != nil {
			a.t.Errorf("agency %d: a bet: %v", a.number, err)
			return false
		}
		a.answered++
	}
	err := try(func(c *lottery.Contest, done func(error)) error { return c.Finish(a.number, 0, lottery.Tally{}, done) })
	if err != nil && !isOver(err) {
		a.t.Errorf("agency %d: FINISHED: %v", a.number, err)
	}
	return err != nil
}

// TestContestsOfThreeCentrals lets agencies of both kinds bet at three centrals,
// whose servers often stay silent for longer than the centrals wait. Two agencies
// do not finish, and the draw is made without them.
func TestContestsOfThreeCentrals(t *testing.T) {
	t.Parallel()
	const agencies, count = 10, 300
	c := natstest.Start(t, 1)
	config := config(c, agencies)
	config.Patience = 300 * time.Millisecond
	var contests []*lottery.Contest
	for _, name := range []string{"A", "B", "C"} {
		config.Central = name
		contests = append(contests, openContest(t, config).Contest)
	}
	stop := make(chan struct{})
	var breaker, betting sync.WaitGroup
	breaker.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(50+rand.IntN(300)) * time.Millisecond):
			}
			switch rand.IntN(3) {
			case 0:
				c.DropAllClients()
			case 1:
				resume := c.StallAllClients()
				time.Sleep(time.Duration(100+rand.IntN(700)) * time.Millisecond)
				resume()
			case 2:
				heal := c.CutAllClients()
				time.Sleep(time.Duration(100+rand.IntN(700)) * time.Millisecond)
				heal()
			}
		}
	})
	all := make([]*agency, agencies)
	missing := make([]bool, agencies)
	for i := range all {
		a := &agency{t: t, number: i + 1, contests: contests}
		all[i] = a
		if i < 2 { // they do not finish
			betting.Go(func() {
				if !a.bet(1 << 20) {
					t.Errorf("agency %d has finished", a.number)
				}
				missing[i] = true
			})
		}
	}
	var ending sync.WaitGroup
	for i, a := range all[2:] {
		ending.Go(func() {
			if i%2 == 0 {
				missing[i+2] = a.bet(count)
			} else {
				missing[i+2] = a.betPlainly(count / 5)
			}
		})
	}
	ending.Wait()
	for begun := time.Now(); ; {
		err := contests[rand.IntN(3)].DrawWithout(1, 2)
		if err == nil {
			break
		}
		if !isPassing(err) || time.Since(begun) > answerTime {
			t.Errorf("the draw without two agencies: %v", err)
			break
		}
	}
	betting.Wait()
	close(stop)
	breaker.Wait()
	for i, is := range missing {
		if is != (i < 2) {
			t.Errorf("agency %d is missing: %t", i+1, is)
		}
	}
	rows := make([]string, agencies)
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	if _, err := natsledger.Read(ctx, config, func(s lottery.Stretch) error {
		rows[s.Agency-1] += string(s.Rows)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i, a := range all {
		stored := strings.SplitAfter(rows[i], "\n")
		if isPlain := i >= 2 && i%2 == 1; isPlain {
			stored = slices.Compact(stored) // a bet of unknown outcome comes twice
		}
		n := strings.Count(strings.Join(stored, ""), "\n")
		if n < a.answered || i >= 2 && n != a.answered {
			t.Errorf("agency %d: %d bets are answered, stored are %d", i+1, a.answered, n)
		}
		if strings.Join(stored, "") != ledgertest.Rows(ledgertest.Bets(i+1, 0, n)...) {
			t.Errorf("agency %d: the bets are not the agency's in their order", i+1)
		}
	}
	for i, contest := range contests {
		select {
		case <-contest.Drawn():
		case <-time.After(answerTime):
			t.Fatalf("central %d makes no draw", i)
		}
		for n := range agencies {
			var want []string
			for line := range strings.Lines(rows[n]) {
				bet, err := lottery.ParseRow(line)
				if err != nil {
					t.Fatal(err)
				}
				if bet.HasWon() {
					want = append(want, bet.Document)
				}
			}
			if got, _, err := contest.Winners(n + 1); err != nil || !slices.Equal(got, want) {
				t.Errorf("central %d tells agency %d the winners %q, %v; want %q", i, n+1, got, err, want)
			}
		}
	}
}
