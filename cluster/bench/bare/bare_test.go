package bare_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"loteria/bench/generator"
	"loteria/cluster/bench/bare"
	"loteria/cluster/natstest"
	"loteria/lottery/natsledger"
)

// What the bare publisher stores must pass for a central's: else the measured
// messages would differ. With a window there are fewer messages than batches.
func TestStoresWhatACentralWould(t *testing.T) {
	t.Parallel()
	const agencies, batches, size = 3, 120, 100
	c := natstest.Start(t, 1)
	for _, test := range []struct {
		contest      string
		window       int
		fewest, most uint64 // messages
	}{
		{"lock-step", 1, batches, batches},
		{"window", batches, agencies, batches / 2}, // an agency has 196 kB of rows
	} {
		config, stream := begin(t, c, test.contest, agencies)
		p, err := bare.New(c.URLs(), stream)
		if err != nil {
			t.Fatal(err)
		}
		report, err := generator.Run(t.Context(), p, generator.Config{
			Connections: agencies, Agencies: agencies, Window: test.window, BatchSize: size, Bets: batches * size,
		})
		p.Close()
		if err != nil {
			t.Fatalf("%s: %v", test.contest, err)
		}
		found, err := natsledger.Check(t.Context(), config)
		if err != nil {
			t.Fatalf("%s: %v", test.contest, err)
		}
		if found.Rows != batches*size || report.Bets != batches*size || int64(found.Bytes) != report.RowBytes {
			t.Errorf("%s: %d rows in %d bytes are stored, and %d in %d acknowledged; expected %d",
				test.contest, found.Rows, found.Bytes, report.Bets, report.RowBytes, batches*size)
		}
		if found.Messages < test.fewest || found.Messages > test.most {
			t.Errorf("%s: %d messages, expected %d to %d", test.contest, found.Messages, test.fewest, test.most)
		}
	}
}

// A foreign message on an agency's subject makes the next one fail: so the
// expected sequence is checked, as for a central.
func TestIsCompared(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	_, stream := begin(t, c, "compared", 1)
	conn, err := nats.Connect(c.URLs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Request(stream+".bets.1", []byte("1,Ana,Sosa,12345678,2000-02-29,7574\r\n"), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	p, err := bare.New(c.URLs(), stream)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, err = generator.Run(t.Context(), p, generator.Config{Connections: 1, Agencies: 1, Window: 1, BatchSize: 10, Bets: 100})
	if err == nil || !strings.Contains(err.Error(), "wrong last sequence") {
		t.Errorf("the error is %v, expected one about the last sequence", err)
	}
}

// begin makes the contest's stream as a central does, and returns its name.
func begin(t *testing.T, c *natstest.Cluster, contest string, agencies int) (natsledger.Config, string) {
	t.Helper()
	config := natsledger.Config{Contest: contest, Agencies: agencies, Replicas: 1, Log: zerolog.Nop()}
	for _, url := range c.URLs() {
		config.Servers = append(config.Servers, strings.TrimPrefix(url, "nats://"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ledger, err := natsledger.Open(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	return config, ledger.Stream()
}
