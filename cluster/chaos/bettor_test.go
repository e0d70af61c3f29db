package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"loteria/agency"
	"loteria/lottery"
)

// table is the agencies of a contest that is played with processes.
type table struct {
	t       *testing.T
	bettors []*bettor
	running sync.WaitGroup

	mu    sync.Mutex
	moved *sync.Cond // a bettor has changed
	stuck bool
	since time.Time // start of the measured pauses; zero: none are measured
}

// bettor is an agency that runs package agency.
type bettor struct {
	table   *table
	id      int
	folder  string
	rows    []string // of its file, as in bets.csv
	winners []string

	// Guarded by table.mu.
	acked    int
	answers  int
	lost     int // acknowledged bets that the central lacks
	complete bool
	last     time.Time // when bets were last acknowledged
	longest  time.Duration
	ended    bool
	err      error
	told     []string
}

func newTable(t *testing.T) *table {
	b := &table{t: t}
	b.moved = sync.NewCond(&b.mu)
	return b
}

// newBettor writes the file of an agency: bets that are all different, some of
// which win. change may alter a line; it may be nil.
func (b *table) newBettor(id, bets int, change func(i int, line string) string) *bettor {
	b.t.Helper()
	a := &bettor{table: b, id: id, folder: b.t.TempDir()}
	var file strings.Builder
	for i := range bets {
		number := (i * 7) % 5000
		if i%97 == id {
			number = lottery.WinningNumber
		}
		document := fmt.Sprintf("%d%07d", id, i)
		line := fmt.Sprintf("Ana,Ruiz,%s,2000-01-01,%d", document, number)
		if change != nil {
			line = change(i, line)
		}
		fmt.Fprintf(&file, "%s\n", line)
		a.rows = append(a.rows, fmt.Sprintf("%d,%s", id, line))
		if number == lottery.WinningNumber {
			a.winners = append(a.winners, document)
		}
	}
	if err := os.WriteFile(filepath.Join(a.folder, fmt.Sprintf("agency-%d.csv", id)), []byte(file.String()), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.bettors = append(b.bettors, a)
	return a
}

// start makes the agency bet at the centrals. It never gives up.
func (a *bettor) start(ctx context.Context, addresses string, batch, window int, period time.Duration) {
	config := a.config(addresses)
	config.Mode, config.DataDir, config.BatchMaxAmount, config.Window, config.LoopPeriod = agency.ModeBatch, a.folder, batch, window, period
	config.Progress = a.progress
	config.Winners = func(documents []string) { a.told = append(a.told, documents...) }
	a.table.running.Go(func() {
		err := agency.Run(ctx, config, zerolog.Nop())
		a.note(func() { a.ended, a.err = true, err })
	})
}

func (a *bettor) config(addresses string) agency.Config {
	return agency.Config{
		ID: a.id, Address: addresses, RequireResume: true,
		RetryPeriod: 100 * time.Millisecond, RetryLimit: 1_000_000, ConnectLimit: 1_000_000, ConnectTimeout: 2 * time.Second,
	}
}

func (a *bettor) note(change func()) {
	a.table.mu.Lock()
	defer a.table.mu.Unlock()
	change()
	a.table.moved.Broadcast()
}

func (a *bettor) progress(stored uint64, all bool) {
	now := time.Now()
	a.note(func() {
		a.complete = all
		switch n := int(stored); {
		case n < a.acked:
			a.lost += a.acked - n
		case n > a.acked:
			from := a.last
			if from.Before(a.table.since) {
				from = a.table.since
			}
			if !a.table.since.IsZero() {
				a.longest = max(a.longest, now.Sub(from))
			}
			a.acked, a.last = n, now
			a.answers++
		}
	})
}

// await waits until holds returns true. It is called whenever a bettor has
// changed.
func (b *table) await(what string, holds func() bool) {
	b.t.Helper()
	timer := time.AfterFunc(stuckTime, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.stuck = true
		b.moved.Broadcast()
	})
	defer timer.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stuck = false
	for !holds() {
		if b.stuck {
			var where []string
			for _, a := range b.bettors {
				where = append(where, fmt.Sprintf("agency %d: %d of %d, %d answers, ended %t, last %v ago", a.id, a.acked, len(a.rows), a.answers, a.ended, time.Since(a.last).Round(time.Second)))
			}
			b.t.Fatalf("waiting for %s: nothing for %v\n%s", what, stuckTime, strings.Join(where, "\n"))
		}
		b.moved.Wait()
	}
}

// awaitAnswers waits until each agency has n more bets acknowledged, or none
// left.
func (b *table) awaitAnswers(what string, n int) {
	b.t.Helper()
	b.mu.Lock()
	before := make([]int, len(b.bettors))
	for i, a := range b.bettors {
		before[i] = a.answers
	}
	b.mu.Unlock()
	b.await(what, func() bool {
		for i, a := range b.bettors {
			if a.answers < before[i]+n && !a.complete && !a.ended {
				return false
			}
		}
		return true
	})
}

// measure starts measuring the pauses of acknowledgements.
func (b *table) measure() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = time.Now()
	for _, a := range b.bettors {
		a.longest = 0
	}
}

// measured returns the longest pause of an agency since measure.
func (b *table) measured() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = time.Time{}
	var longest time.Duration
	for _, a := range b.bettors {
		longest = max(longest, a.longest)
	}
	return longest
}

// all reports whether something holds for all agencies.
func (b *table) all(holds func(*bettor) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.each(holds)
}

// each is all for callers that hold the lock.
func (b *table) each(holds func(*bettor) bool) bool {
	for _, a := range b.bettors {
		if !holds(a) {
			return false
		}
	}
	return true
}

func isComplete(a *bettor) bool { return a.complete || a.ended }
func hasEnded(a *bettor) bool   { return a.ended }

// askWinners returns what a central tells the agency.
func (a *bettor) askWinners(ctx context.Context, address string) (told []string, err error) {
	config := a.config(address)
	config.Mode = agency.ModeWinners
	config.Winners = func(documents []string) { told = append(told, documents...) }
	err = agency.Run(ctx, config, zerolog.Nop())
	return told, err
}

// upTo returns a time from 0 to the limit.
func upTo(rng *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(limit) + 1))
}
