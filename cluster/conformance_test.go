package cluster_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"loteria/cluster/natstest"
	"loteria/internal/leaktest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
	"loteria/lottery/natsledger"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

// openTime is how long a ledger may take to open: the servers may need to elect
// a leader first.
const openTime = time.Minute

// contests numbers the contests, so that one cluster serves many tests.
var contests atomic.Int32

// config returns the configuration of a new contest.
func config(c *natstest.Cluster, agencies int) natsledger.Config {
	return natsledger.Config{
		Servers: c.URLs(), Contest: fmt.Sprintf("test.%d", contests.Add(1)), Agencies: agencies, Replicas: c.Size(),
		MaxBytes: 64 << 20, // which the servers reserve
		Central:  "A", Patience: 5 * time.Second, Log: logger(),
	}
}

// logger writes to standard error if LOG is set.
func logger() zerolog.Logger {
	if os.Getenv("LOG") == "" {
		return zerolog.Nop()
	}
	return zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: "05.000"}).With().Timestamp().Logger()
}

func openConfig(config natsledger.Config) (*natsledger.Ledger, error) {
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	return natsledger.Open(ctx, config)
}

func conformance(t *testing.T, servers int) {
	c := natstest.Start(t, servers)
	ledgertest.Run(t, func(t *testing.T) *ledgertest.Storage {
		base := config(c, 0)
		return &ledgertest.Storage{
			Open: func(agencies int) (lottery.Ledger, error) {
				base.Agencies = agencies
				return openConfig(base)
			},
			Shared:    true,
			Lazy:      true,
			Stall:     c.StallAllClients,
			Interrupt: c.CutAllClients,
		}
	})
}

func TestConformance(t *testing.T) { conformance(t, 1) }

func TestConformanceOfThree(t *testing.T) {
	chaos(t)
	conformance(t, 3)
}
