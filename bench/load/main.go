// Command load sends batches of bets to a central, and says how fast they were
// acknowledged:
//
//	go run ./bench/load --address 127.0.0.1:12345 --connections 5 --window 64 --duration 5s
//
// or parks queries for winners until the draw of a fresh central:
//
//	go run ./bench/load --address 127.0.0.1:12345 --park 100000 --connections 10000
//
// Over TLS each agency has its own certificate, from a folder as cmd/certs makes it:
//
//	go run ./bench/load --address 127.0.0.1:12346 --tls certs --window 64 --duration 5s
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
	"loteria/bench/generator"
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

// options are the parsed arguments.
type options struct {
	central generator.Central
	load    generator.Config
	park    int
	certs   string // folder of the agencies' certificates; empty: no TLS
}

// run does what the arguments say and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, help, err := parse(args)
	switch {
	case help != "":
		fmt.Fprint(stdout, help)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "load: %v (see --help)\n", err)
		return exitUsage
	}
	report, err := opts.measure(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "load: %v\n", err)
		return exitFailure
	}
	fmt.Fprint(stdout, report)
	return exitOK
}

func parse(args []string) (opts *options, help string, err error) {
	opts = new(options)
	flags := pflag.NewFlagSet("load", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&opts.central.Address, "address", "127.0.0.1:12345", "the central")
	flags.IntVar(&opts.central.Sources, "sources", 0, "loopback addresses that the connections come from, in turn; 0 for no choice")
	flags.IntVar(&opts.load.Connections, "connections", 5, "connections at the same time")
	flags.IntVar(&opts.load.Agencies, "agencies", 5, "agencies, which have the connections in turn; all of the lottery with --park")
	flags.IntVar(&opts.load.Window, "window", 1, "batches of a connection that may wait for their answer")
	flags.IntVar(&opts.load.BatchSize, "batch", 100, "bets of a batch")
	flags.Int64Var(&opts.load.Bets, "bets", 0, "bets to send, or 0 to send for the duration")
	flags.DurationVar(&opts.load.Duration, "duration", 0, "how long to send")
	flags.DurationVar(&opts.load.Warmup, "warmup", 0, "how long to send before what is measured, with --duration")
	flags.Float64Var(&opts.load.Rate, "rate", 0, "bets that are due per second, of all connections; 0 for as many as the windows allow")
	flags.IntVar(&opts.park, "park", 0, "queries for winners that wait for the draw; no bets are sent then")
	flags.StringVar(&opts.certs, "tls", "", "speak TLS, with the certificates of this folder, as cmd/certs makes it; the address is then one that the central's certificate names")
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return opts, "Drives a central of the lottery, and measures it.\n\n" + flags.FlagUsages(), nil
	case err != nil:
		return opts, "", err
	case flags.NArg() > 0:
		return opts, "", fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case opts.central.Sources < 0 || opts.central.Sources > 64_000:
		return opts, "", fmt.Errorf("--sources is %d, expected 0 to 64000", opts.central.Sources)
	}
	if opts.park > 0 {
		return opts, "", opts.parking().Check()
	}
	return opts, "", opts.load.Check()
}

func (o *options) parking() *generator.ParkConfig {
	return &generator.ParkConfig{Queries: o.park, Connections: o.load.Connections, Agencies: o.load.Agencies}
}

func (o *options) measure(ctx context.Context) (_ fmt.Stringer, err error) {
	if o.certs != "" {
		if o.central.TLS, err = generator.Credentials(o.certs); err != nil {
			return nil, err
		}
	}
	if o.park == 0 {
		return generator.Run(ctx, &o.central, o.load)
	}
	parked, err := generator.Park(ctx, &o.central, *o.parking())
	if err != nil {
		return nil, err
	}
	defer parked.Close()
	return parked.Draw(ctx)
}
