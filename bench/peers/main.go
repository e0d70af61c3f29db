// Command peers measures alternatives to the central that make bets durable,
// under the same load, and prints a table:
//
//	cd bench/peers && go run . --bin ../../bin --folder ../../run
//
// Redis and PostgreSQL are measured where they are installed.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"
	"loteria/bench/measure"
	"loteria/bench/report"
)

func main() { measure.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c := comparison{Lab: measure.Lab{Ctx: ctx, News: stderr, Bin: "../../bin", Folder: "../../run", Duration: time.Second}}
	flags := pflag.NewFlagSet("peers", pflag.ContinueOnError)
	c.AddFlags(flags, "the central's program")
	flags.StringVar(&c.before, "before", "", "folder of another central's program, to compare this one with")
	peers := flags.StringSlice("only", nil, "peers to measure: "+measure.Names(allPeers, peer.key)+"; none for all")
	loads := flags.StringSlice("loads", nil, "loads, as connections and the batches that each has in flight: "+measure.Names(allLoads, load.key)+"; none for all")
	serve := flags.String("serve", "", "only serve as this peer, in the current folder: goroutines, simple or jetstream")
	check := func() (err error) {
		if c.peers, err = measure.Choose("--only", allPeers, peer.key, *peers); err != nil {
			return err
		}
		if c.loads, err = measure.Choose("--loads", allLoads, load.key, *loads); err != nil {
			return err
		}
		if c.before == "" && slices.Contains(*peers, beforeName) {
			return fmt.Errorf("--only has %s, which needs --before", beforeName)
		}
		return c.Check()
	}
	return measure.Run(flags, "Compares the central with what could take its place.", args, stdout, stderr, check, func() error {
		if *serve != "" {
			return servePeer(ctx, *serve, stdout)
		}
		return c.compare(stdout)
	})
}

// compare measures all and writes the tables.
func (c *comparison) compare(stdout io.Writer) (err error) {
	if err := c.Prepare(&c.before); err != nil {
		return err
	}
	if c.self, err = os.Executable(); err != nil {
		return err
	}
	results, err := c.measure()
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s\nMedians of %d rounds of %v, batches of %d bets.\n\n", report.Machine(c.Folder), c.Rounds, c.Duration, measure.BatchSize)
	return c.write(stdout, results)
}
