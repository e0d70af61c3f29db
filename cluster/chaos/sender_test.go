package chaos_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// refusedPause is how long a sender waits after a refusal.
const refusedPause = 5 * time.Millisecond

// crowd is the agencies of a contest, which bet until they are told to finish.
type crowd struct {
	t       *testing.T
	storage *storage
	senders []*sender
	running sync.WaitGroup
	finish  chan struct{} // closed to make them finish
	given   chan struct{} // closed to make them give up

	mu    sync.Mutex
	moved *sync.Cond // a sender has got an answer
	stuck bool
}

// sender is one agency, or one of two that share its number.
type sender struct {
	crowd    *crowd
	agency   int
	centrals []*slot // that it goes to
	rng      *rand.Rand
	bets     []lottery.Bet
	sums     []uint64 // digests: sums[n] of the first n bets
	digest   *xxhash.Digest
	total    int                // bets of its file; 0: no limit until it must finish
	change   func(*lottery.Bet) // makes its bets differ from others; may be nil
	isRival  bool

	// Guarded by crowd.mu.
	acked    int  // bets
	answers  int  // good ones
	refusals int  // the other answers
	finished bool // FINISHED was acknowledged
	beaten   bool // a rival's bets are stored
}

var (
	errDied   = errors.New("the central has died")
	errBeaten = errors.New("the central has other bets")
)

func newCrowd(t *testing.T, s *storage, rng *rand.Rand) *crowd {
	c := emptyCrowd(t, s)
	for i := range s.agencies {
		c.join(&sender{agency: i + 1, centrals: s.centrals}, rng.Uint64())
	}
	return c
}

func emptyCrowd(t *testing.T, s *storage) *crowd {
	c := &crowd{t: t, storage: s, finish: make(chan struct{}), given: make(chan struct{})}
	c.moved = sync.NewCond(&c.mu)
	t.Cleanup(func() {
		c.giveUp()
		c.running.Wait()
	})
	return c
}

// join starts a sender.
func (c *crowd) join(a *sender, seed uint64) {
	a.crowd, a.rng, a.digest = c, rand.New(rand.NewPCG(seed, uint64(len(c.senders)))), xxhash.New()
	a.sums = []uint64{a.digest.Sum64()}
	c.senders = append(c.senders, a)
	c.running.Go(a.run)
}

func (c *crowd) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.given:
	default:
		close(c.given)
	}
}

// await waits until a condition holds, which is checked after each answer.
func (c *crowd) await(what string, holds func() bool) {
	c.t.Helper()
	timer := time.AfterFunc(stuckTime, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stuck = true
		c.moved.Broadcast()
	})
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck = false
	for !holds() {
		if c.stuck {
			c.t.Fatalf("waiting for %s: nothing for %v", what, stuckTime)
		}
		c.moved.Wait()
	}
}

// awaitAnswers waits until each agency has had n more good answers.
func (c *crowd) awaitAnswers(what string, n int) {
	c.t.Helper()
	c.mu.Lock()
	before := make([]int, len(c.senders))
	for i, a := range c.senders {
		before[i] = a.answers
	}
	c.mu.Unlock()
	c.await(what, func() bool {
		for i, a := range c.senders {
			if a.answers < before[i]+n && !a.finished && !a.beaten {
				return false
			}
		}
		return true
	})
}

// awaitEnd waits until all agencies have finished, after finish was closed.
func (c *crowd) awaitEnd() {
	c.t.Helper()
	c.await("all agencies to finish", func() bool {
		for _, a := range c.senders {
			if !a.finished && !a.beaten {
				return false
			}
		}
		return true
	})
	c.running.Wait()
}

func (a *sender) run() {
	for {
		select {
		case <-a.crowd.given:
			return
		default:
		}
		l := a.centrals[a.rng.IntN(len(a.centrals))].now()
		done, err := a.visit(l)
		a.note(func() {
			a.finished, a.beaten = done, err == errBeaten
			if err != nil {
				a.refusals++
			}
		})
		if done || err == errBeaten {
			return
		}
		if err != nil {
			a.judgeRefusal(err)
			time.Sleep(refusedPause)
		}
	}
}

// note makes a change and wakes the waiters.
func (a *sender) note(change func()) {
	a.crowd.mu.Lock()
	defer a.crowd.mu.Unlock()
	change()
	a.crowd.moved.Broadcast()
}

// judgeRefusal fails the test if an agency must not get that error.
func (a *sender) judgeRefusal(err error) {
	switch {
	case errors.Is(err, errDied), errors.Is(err, lottery.ErrUnavailable), errors.Is(err, lottery.Fenced):
	case errors.Is(err, lottery.Gap): // after a batch that was refused at once
	case errors.Is(err, lottery.Incomplete): // likewise
	default:
		a.crowd.t.Errorf("agency %d: %v", a.agency, err)
		a.crowd.giveUp()
	}
}

// visit is an agency at one central: it resumes, and sends batches in a window.
// It returns true when the agency has finished there.
func (a *sender) visit(l *life) (bool, error) {
	stored, writer, err := a.resume(l)
	if err != nil {
		return false, err
	}
	end := a.end()
	if stored < end {
		return false, a.send(l, writer, stored, end)
	}
	said := lottery.Tally{Bets: uint64(stored), HasBets: true, Digest: a.sums[stored], HasDigest: true}
	err = l.wait(func(done func(error)) error { return l.contest.Finish(a.agency, writer, said, done) })
	return err == nil, err
}

// end returns how many bets the agency's file has.
func (a *sender) end() int {
	select {
	case <-a.crowd.finish:
		return len(a.bets)
	default:
	}
	if a.total > 0 {
		return a.total
	}
	return math.MaxInt
}

// resume resumes, and compares the answer with what the agency knows.
func (a *sender) resume(l *life) (stored int, writer lottery.Writer, err error) {
	var bets, digest uint64
	err = l.wait(func(done func(error)) (err error) {
		writer, err = l.contest.Resume(a.agency, func(b, d uint64, err error) {
			bets, digest = b, d
			done(err)
		})
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	stored = int(bets)
	if a.isRival {
		a.make(stored)
	}
	switch {
	case a.isRival && digest != a.sums[stored]:
		return 0, 0, errBeaten
	case stored < a.acked:
		a.crowd.t.Errorf("agency %d: RESUME tells %d bets, %d are acknowledged", a.agency, stored, a.acked)
		a.crowd.giveUp()
	case stored > len(a.bets):
		a.crowd.t.Errorf("agency %d: RESUME tells %d bets, only %d were sent", a.agency, stored, len(a.bets))
		a.crowd.giveUp()
		return 0, 0, errDied
	case digest != a.sums[stored]:
		a.crowd.t.Errorf("agency %d: RESUME tells the digest %x for %d bets, want %x", a.agency, digest, stored, a.sums[stored])
		a.crowd.giveUp()
	}
	a.note(func() { a.acked, a.answers = max(a.acked, stored), a.answers+1 })
	return stored, writer, nil
}

// send sends what the central does not have yet, up to the end of the file.
func (a *sender) send(l *life, writer lottery.Writer, next, end int) error {
	window, batches := 1+a.rng.IntN(8), 1+a.rng.IntN(30)
	type pending struct {
		end  int
		told chan error
	}
	var sent []pending
	var failure error
	take := func(n int) {
		for len(sent) > n && failure == nil {
			if failure = l.answer(sent[0].told); failure == nil {
				end := sent[0].end
				a.note(func() { a.acked, a.answers = max(a.acked, end), a.answers+1 })
			}
			sent = sent[1:]
		}
	}
	for range batches {
		n := min(1+a.rng.IntN(4), end-next)
		if n == 0 {
			break
		}
		a.make(next + n)
		batch := ledgertest.Batch(a.crowd.t, a.bets[next:next+n]...)
		batch.SetPosition(uint64(next))
		next += n
		told := make(chan error, 1)
		if err := l.contest.Store(batch, writer, func(err error) { told <- err }); err != nil {
			told <- err
		}
		sent = append(sent, pending{next, told})
		if take(window); failure != nil {
			return failure
		}
	}
	// Now and then it leaves with answers in flight, as if it were killed.
	if a.rng.IntN(3) > 0 {
		take(0)
	}
	return failure
}

// make makes bets until there are n.
func (a *sender) make(n int) {
	if n <= len(a.bets) {
		return
	}
	for _, bet := range ledgertest.Bets(a.agency, len(a.bets), n-len(a.bets)) {
		if a.change != nil {
			a.change(&bet)
		}
		a.bets = append(a.bets, bet)
		_, _ = a.digest.Write(bet.AppendRow(nil))
		a.sums = append(a.sums, a.digest.Sum64())
	}
}

// wait calls call and waits for its callback, or for the central's death.
func (l *life) wait(call func(done func(error)) error) error {
	told := make(chan error, 1)
	if err := call(func(err error) { told <- err }); err != nil {
		return err
	}
	return l.answer(told)
}

func (l *life) answer(told chan error) error {
	select {
	case <-l.died: // a later answer would reach nobody
		return errDied
	default:
	}
	select {
	case err := <-told:
		return err
	case <-l.died:
		return errDied
	case <-time.After(stuckTime):
		return errors.New("there is no answer")
	}
}

// check compares what is stored with what the agencies know, and the winners at
// each central.
func (c *crowd) check() verdict {
	c.t.Helper()
	var sum verdict
	rows := c.storage.rows()
	for i, a := range c.senders {
		v := judge(rows[i], lines(ledgertest.Rows(a.bets...)), a.acked)
		if sum.add(v); !v.good() || len(rows[i]) != len(a.bets) {
			c.t.Errorf("agency %d, which has sent %d bets: %v", a.agency, len(a.bets), v)
		}
	}
	return sum
}

// checkWinners checks that the centrals know the draw, and the same winners.
func (c *crowd) checkWinners(centrals ...*lottery.Contest) {
	c.t.Helper()
	timeout := time.After(stuckTime)
	for i, contest := range centrals {
		select {
		case <-contest.Drawn():
		case <-timeout:
			c.t.Errorf("central %d knows of no draw", i)
			continue
		}
		for _, a := range c.senders {
			got, _, err := contest.Winners(a.agency)
			want := ledgertest.Winners(a.bets...)
			if err != nil || !slices.Equal(got, want) {
				c.t.Errorf("central %d tells agency %d %d winners, %v; it has %d", i, a.agency, len(got), err, len(want))
			}
		}
	}
}
