// Command peers measures alternatives to the central that make bets durable,
// under the same load, and prints a table:
//
//	cd bench/peers && go run . --bin ../../bin --folder ../../run
//
// Redis and PostgreSQL are measured where they are installed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"loteria/bench/report"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c := comparison{news: stderr}
	flags := pflag.NewFlagSet("peers", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.bin, "bin", "../../bin", "folder of the central's program")
	flags.StringVar(&c.folder, "folder", "../../run", "folder on the disk that is measured")
	flags.IntVar(&c.rounds, "rounds", 5, "how often each is measured; the table has the medians")
	flags.DurationVar(&c.duration, "duration", time.Second, "how long the load of a round is")
	serve := flags.String("serve", "", "only serve as this peer, in the current folder: goroutines, simple or jetstream")
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprintf(stdout, "Compares the central with what could take its place.\n\n%s", flags.FlagUsages())
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "peers: %v (see --help)\n", err)
		return exitUsage
	case c.rounds < 1 || c.duration <= 0 || flags.NArg() > 0:
		fmt.Fprintln(stderr, "peers: --rounds and --duration are positive, and there are no arguments (see --help)")
		return exitUsage
	}
	var err error
	if *serve != "" {
		err = servePeer(ctx, *serve, stdout)
	} else {
		err = c.compare(ctx, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "peers: %v\n", err)
		return exitFailure
	}
	return exitOK
}

// compare measures all and writes the tables.
func (c *comparison) compare(ctx context.Context, stdout io.Writer) (err error) {
	for _, folder := range []*string{&c.bin, &c.folder} { // the servers have folders of their own
		if *folder, err = filepath.Abs(*folder); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(c.folder, 0o755); err != nil {
		return err
	}
	if c.self, err = os.Executable(); err != nil {
		return err
	}
	results, err := c.measure(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s\nMedians of %d rounds of %v, batches of %d bets.\n\n", report.Machine(c.folder), c.rounds, c.duration, batchSize)
	return c.write(stdout, results)
}
