package generator_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"loteria/bench/generator"
	"loteria/bench/inprocess"
	"loteria/lottery/csvledger"
)

// startCentral runs a central until the end of the test, or until stop is
// called.
func startCentral(t *testing.T, agencies int) (c *inprocess.Central, folder string, stop func()) {
	t.Helper()
	folder = t.TempDir()
	c, err := inprocess.Start(folder, agencies)
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return c, folder, stop
}

// rowsIn returns the rows of the central that has stopped.
func rowsIn(t *testing.T, folder string) []byte {
	t.Helper()
	rows, err := os.ReadFile(filepath.Join(folder, csvledger.LedgerFile))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// parkAndDraw parks queries, and has the draw answer them.
func parkAndDraw(t *testing.T, target *generator.Central, config generator.ParkConfig) *generator.ParkReport {
	t.Helper()
	parked, err := generator.Park(t.Context(), target, config)
	if err != nil {
		t.Fatal(err)
	}
	defer parked.Close()
	report, err := parked.Draw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestRunSendsSoManyBets(t *testing.T) {
	for _, config := range []generator.Config{
		{Connections: 1, Agencies: 1, Window: 1, BatchSize: 1, Bets: 7},
		{Connections: 3, Agencies: 2, Window: 1, BatchSize: 100, Bets: 1000},
		{Connections: 5, Agencies: 5, Window: 7, BatchSize: 10, Bets: 12_345},
		{Connections: 7, Agencies: 5, Window: 200, BatchSize: 3, Bets: 9000},
		{Connections: 4, Agencies: 4, Window: 8, BatchSize: 10, Bets: 1000, Rate: 100_000},
	} {
		c, folder, stop := startCentral(t, 5)
		report, err := generator.Run(t.Context(), &generator.Central{Address: c.Address}, config)
		if err != nil {
			t.Fatalf("%+v: %v", config, err)
		}
		stop()
		rows := rowsIn(t, folder)
		want := (config.Bets + int64(config.BatchSize) - 1) / int64(config.BatchSize) * int64(config.BatchSize)
		if stored := int64(bytes.Count(rows, []byte("\n"))); stored != want || report.Bets != want || report.RowBytes != int64(len(rows)) {
			t.Errorf("%+v: %d bets in %d bytes are stored; the report says %d in %d, expected %d",
				config, stored, len(rows), report.Bets, report.RowBytes, want)
		}
		if n := report.Latencies.TotalCount(); n != report.Batches || report.Quantile(0.5) <= 0 {
			t.Errorf("%+v: %d answers were timed, the median is %v, expected %d", config, n, report.Quantile(0.5), report.Batches)
		}
	}
}

func TestRunForATime(t *testing.T) {
	const measured = 5 * time.Second // longer than any disk is busy
	c, _, _ := startCentral(t, 5)
	report, err := generator.Run(t.Context(), &generator.Central{Address: c.Address, Sources: 3}, generator.Config{
		Connections: 5, Agencies: 5, Window: 4, BatchSize: 10, Duration: measured, Warmup: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.Bets == 0 || report.Elapsed != measured {
		t.Errorf("%d bets in %v, expected some in %v", report.Bets, report.Elapsed, measured)
	}
	if text := report.String(); !strings.Contains(text, "bets/s") || !strings.Contains(text, "p99.9") {
		t.Errorf("the report reads %q", text)
	}
}

func TestRunFails(t *testing.T) {
	c, _, _ := startCentral(t, 1)
	target := &generator.Central{Address: c.Address}
	usual := generator.Config{Connections: 1, Agencies: 1, Window: 1, BatchSize: 1, Bets: 1}
	for _, test := range []struct {
		name   string
		change func(*generator.Config)
		want   string
	}{
		{"an agency that the central does not know", func(c *generator.Config) { c.Agencies, c.Connections, c.Bets = 2, 2, 2 }, "unknown_agency"},
		{"no connection", func(c *generator.Config) { c.Connections = 0 }, "at least 1"},
		{"neither bets nor a time", func(c *generator.Config) { c.Bets = 0 }, "expected one of them"},
		{"both", func(c *generator.Config) { c.Duration = time.Second }, "expected one of them"},
		{"a warm-up of bets", func(c *generator.Config) { c.Warmup = time.Second }, "warm-up"},
		{"a batch that fits no frame", func(c *generator.Config) { c.BatchSize = 1000 }, "at most 8192"},
	} {
		config := usual
		test.change(&config)
		if _, err := generator.Run(t.Context(), target, config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %v, expected %q in it", test.name, err, test.want)
		}
	}
	if _, err := generator.Run(t.Context(), &generator.Central{Address: "127.0.0.1:1"}, usual); err == nil {
		t.Error("connected to where nobody listens")
	}
}

// stalling acknowledges nothing for a while, and then everything at once.
type stalling struct{ stall time.Duration }

func (s *stalling) Dial(context.Context, int) (generator.Conn, error) {
	return &stallingConn{until: time.Now().Add(s.stall), sent: make(chan struct{}, 1000), closed: make(chan struct{})}, nil
}

type stallingConn struct {
	until  time.Time
	sent   chan struct{}
	once   sync.Once
	closed chan struct{}
}

func (c *stallingConn) Send(batches []*generator.Batch) error {
	for range batches {
		c.sent <- struct{}{}
	}
	return nil
}

func (c *stallingConn) Receive() (int, error) {
	select {
	case <-c.sent:
	case <-c.closed:
		return 0, errors.New("closed")
	}
	select {
	case <-time.After(time.Until(c.until)):
		return 1, nil
	case <-c.closed:
		return 0, errors.New("closed")
	}
}

func (c *stallingConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// A stall of one batch must show in all that were due meanwhile: this is what
// "without coordinated omission" means.
func TestAStallIsSeenInAllThatWasDue(t *testing.T) {
	const stall, every = 200 * time.Millisecond, time.Millisecond
	report, err := generator.Run(t.Context(), &stalling{stall}, generator.Config{
		Connections: 1, Agencies: 1, Window: 1, BatchSize: 1, Bets: 400, Rate: float64(time.Second / every),
	})
	if err != nil {
		t.Fatal(err)
	}
	// Of 400 batches, one a millisecond, 200 were due during the stall; half of
	// those, 100, were late by more than half of it.
	if late := report.Quantile(0.77); late < stall/2 {
		t.Errorf("a quarter of the answers took %v or more, expected %v", late, stall/2)
	}
}

// A stall that lasts until after the end also counts.
func TestAStallAtTheEndIsSeen(t *testing.T) {
	const stall, measured, every = time.Second, 100 * time.Millisecond, time.Millisecond
	report, err := generator.Run(t.Context(), &stalling{stall}, generator.Config{
		Connections: 1, Agencies: 1, Window: 1, BatchSize: 1, Duration: measured, Rate: float64(time.Second / every),
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := report.Latencies.TotalCount(); n < int64(measured/every) || report.Quantile(0.5) < stall/2 {
		t.Errorf("%d answers were timed, half of them took %v, expected %d and at least %v",
			n, report.Quantile(0.5), measured/every, stall/2)
	}
	if report.Bets != 0 {
		t.Errorf("%d bets count as acknowledged in a time in which none was", report.Bets)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	for name, config := range map[string]generator.Config{
		"while answers are waited for":    {Connections: 3, Agencies: 1, Window: 2, BatchSize: 1, Bets: 100},
		"while the next batch is not due": {Connections: 1, Agencies: 1, Window: 2, BatchSize: 100, Bets: 1000, Rate: 0.01},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := generator.Run(ctx, &stalling{time.Hour}, config)
		cancel()
		if err == nil {
			t.Errorf("%s: all was acknowledged, expected an error", name)
		}
	}
}

func TestPark(t *testing.T) {
	c, _, _ := startCentral(t, 3)
	target := &generator.Central{Address: c.Address, Sources: 2}
	if _, err := generator.Run(t.Context(), target, generator.Config{Connections: 3, Agencies: 3, Window: 1, BatchSize: 100, Bets: 30_000}); err != nil {
		t.Fatal(err)
	}
	report := parkAndDraw(t, target, generator.ParkConfig{Queries: 100, Connections: 30, Agencies: 3})
	if report.Queries != 100 || report.Connections != 30 || report.FirstAnswer <= 0 || report.LastAnswer < report.FirstAnswer {
		t.Errorf("the report is %+v", report)
	}
	// The draw is done: there is nothing to finish a second time, and a query is
	// answered at once.
	if _, err := generator.Park(t.Context(), target, generator.ParkConfig{Queries: 1, Connections: 2, Agencies: 3}); err == nil {
		t.Error("parked one query on two connections")
	}
}
