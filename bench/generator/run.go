package generator

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config says what a run sends. A run sends either a number of bets, or for a
// duration.
type Config struct {
	Connections int // connection i is of agency i % Agencies + 1
	Agencies    int
	Window      int // batches of a connection that may wait for their answer
	BatchSize   int // bets

	Bets     int64 // of all connections, rounded up to whole batches of each
	Duration time.Duration
	Warmup   time.Duration // at the beginning, not measured; not with Bets

	// Rate is how many bets are due per second, over all connections. A batch
	// that the window or a slow target holds up counts from when it was due,
	// so a stall shows in all batches that were due during it ("coordinated
	// omission"). 0 sends whatever the window has room for.
	Rate float64
}

const (
	distinct = 80 // different batches of all agencies, sent in turn; at least one of each
	dialing  = 64 // connections being opened at a time
)

// Check returns what is wrong with the configuration, or nil.
func (c *Config) Check() error {
	switch {
	case c.Connections < 1 || c.Agencies < 1 || c.Window < 1 || c.BatchSize < 1:
		return errors.New("connections, agencies, window and batch size are at least 1")
	case (c.Bets > 0) == (c.Duration > 0):
		return errors.New("either a number of bets or a duration, expected one of them")
	case c.Bets > 0 && c.Warmup > 0:
		return errors.New("a warm-up goes with a duration, not with a number of bets")
	case c.Rate < 0 || c.Bets < 0 || c.Warmup < 0 || c.Duration < 0:
		return errors.New("no number may be negative")
	}
	return nil
}

// Run drives the target. It returns when everything sent is acknowledged, or
// with the first error.
func Run(ctx context.Context, target Target, config Config) (*Report, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	r := run{Config: config, shards: make([]*counts, runtime.GOMAXPROCS(0))}
	for i := range r.shards {
		r.shards[i] = newCounts()
	}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.dial(ctx, target); err != nil {
		return nil, err
	}
	return r.drive(ctx)
}

// run is one Run.
type run struct {
	Config
	batches [][]*Batch // of each agency
	shards  []*counts
	conns   []Conn
	closing sync.Once

	begun time.Time
	from  time.Time // what is acknowledged before does not count
	until time.Time // nothing is sent after it, unless zero
}

func (r *run) prepare() error {
	r.batches = make([][]*Batch, min(r.Agencies, r.Connections))
	for i := range r.batches {
		var err error
		if r.batches[i], err = NewBatches(i+1, max(1, distinct/len(r.batches)), r.BatchSize); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) dial(ctx context.Context, target Target) error {
	r.conns = make([]Conn, r.Connections)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(dialing)
	for i := range r.conns {
		group.Go(func() (err error) {
			r.conns[i], err = target.Dial(ctx, i%r.Agencies+1)
			return err
		})
	}
	return group.Wait()
}

// close closes all connections. Pending sends and receives get an error.
func (r *run) close() {
	r.closing.Do(func() {
		for _, conn := range r.conns {
			if conn != nil {
				conn.Close()
			}
		}
	})
}

func (r *run) drive(parent context.Context) (*Report, error) {
	group, ctx := errgroup.WithContext(parent)
	context.AfterFunc(ctx, r.close) // also when all is done
	r.begun = time.Now()
	r.from = r.begun.Add(r.Warmup)
	if r.Duration > 0 {
		r.until = r.from.Add(r.Duration)
	}
	for i, conn := range r.conns {
		c := newConnection(r, conn, i)
		group.Go(func() error { return c.send(ctx) })
		group.Go(c.receive)
	}
	if err := errors.Join(group.Wait(), parent.Err()); err != nil {
		return nil, err
	}
	return r.report(), nil
}

func (r *run) report() *Report {
	report := &Report{Connections: r.Connections, Latencies: newCounts().latencies}
	var last time.Time
	for _, c := range r.shards {
		report.Batches += c.batches
		report.Bets += c.bets
		report.RowBytes += c.rowBytes
		report.Latencies.Merge(c.latencies)
		if c.last.After(last) {
			last = c.last
		}
	}
	report.Elapsed = max(last.Sub(r.from), 1) // no division by zero
	if r.Duration > 0 {
		report.Elapsed = r.Duration
	}
	return report
}

// share returns how many batches connection i sends, or -1 if not bounded.
func (r *run) share(i int) int64 {
	if r.Bets == 0 {
		return -1
	}
	total := (r.Bets + int64(r.BatchSize) - 1) / int64(r.BatchSize)
	share := total / int64(r.Connections)
	if int64(i) < total%int64(r.Connections) {
		share++
	}
	return share
}

// due returns when batch n of connection i is due, at the configured rate.
func (r *run) due(n int64, i int) time.Time {
	interval := float64(r.BatchSize) / r.Rate * float64(time.Second)
	return r.begun.Add(time.Duration((float64(n)*float64(r.Connections) + float64(i)) * interval))
}
