package cluster_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// TestRivals lets two centrals claim one agency again and again, each with
// appends of the other in flight.
func TestRivals(t *testing.T) {
	const turns = 300
	c := natstest.Start(t, 1)
	config := config(c, 1)
	config.Patience = answerTime // or one may be stored and not answered
	centrals := [2]*central{openCentral(t, config), openCentral(t, config)}
	answered := 0
	type answer struct {
		bets int
		err  error
	}
	var flying []chan answer
	for turn := range turns {
		s := centrals[turn%2]
		account := s.account(1)
		moved := false
		for _, a := range flying { // the claim has decided each one
			select {
			case a := <-a:
				if a.err == nil && moved {
					t.Fatalf("turn %d: rows are durable after others failed", turn)
				}
				if a.err == nil {
					answered = a.bets
				}
				moved = moved || a.err != nil
			case <-time.After(answerTime):
				t.Fatalf("turn %d: an append is not answered", turn)
			}
		}
		if int(account.Bets) != answered {
			t.Fatalf("turn %d: answered are %d bets, the claim tells %d", turn, answered, account.Bets)
		}
		flying = flying[:0]
		mark, sent := account.Mark, int(account.Bets)
		for range 5 {
			done := make(chan answer, 1)
			upTo := sent + 2
			next, err := s.Append(ledgertest.Stretch(ledgertest.Bets(1, sent, 2)...), mark, func(err error) { done <- answer{upTo, err} })
			if err != nil {
				t.Fatalf("turn %d: %v", turn, err)
			}
			mark, sent = next, upTo
			flying = append(flying, done)
		}
		if turn%3 > 0 { // at times some of them are stored
			time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
		}
	}
	account := centrals[0].account(1)
	if account.Bets == 0 {
		t.Error("nothing was ever stored")
	}
	checkStream(t, config, ledgertest.Bets(1, 0, int(account.Bets)))
}

// TestEndedElsewhere ends the betting of an agency at one central while rows of
// it are in flight at another.
func TestEndedElsewhere(t *testing.T) {
	c := natstest.Start(t, 1)
	config := config(c, 1)
	config.Patience = answerTime // however many are in flight
	a, b := openCentral(t, config), openCentral(t, config)
	account := a.account(1)
	mark := account.Mark
	var answers []chan error
	send := func(n int) bool {
		done := make(chan error, 1)
		next, err := a.Append(ledgertest.Stretch(ledgertest.Bets(1, n, 1)...), mark, func(err error) { done <- err })
		if err != nil {
			if !errors.Is(err, lottery.ErrMoved) {
				t.Error(err)
			}
			return false
		}
		mark = next
		answers = append(answers, done)
		return true
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for n := 0; send(n); n++ {
			select {
			case <-stop:
				return
			default:
				time.Sleep(100 * time.Microsecond)
			}
		}
	})
	time.Sleep(20 * time.Millisecond)
	b.mustEnd(1)
	close(stop)
	wg.Wait()
	stored := 0
	for _, done := range answers {
		if err := <-done; err == nil {
			stored++
		} else if !errors.Is(err, lottery.ErrMoved) {
			t.Error(err)
		}
	}
	if last := b.account(1); int(last.Bets) != stored || last.Ended != lottery.Finished {
		t.Errorf("answered are %d bets, the agency ended as %d with %d", stored, last.Ended, last.Bets)
	}
	bets := ledgertest.Bets(1, 0, stored)
	a.mustDraw(bets)
	b.mustDraw(bets)
	checkStream(t, config, bets)
	a.expectEnds(1)
	b.expectEnds(1)
}
