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
	"fmt"
	"io"

	"github.com/spf13/pflag"
	"loteria/bench/generator"
	"loteria/bench/measure"
)

func main() { measure.Main(run) }

// options are the parsed arguments.
type options struct {
	central generator.Central
	load    generator.Config
	park    int
	certs   string // folder of the agencies' certificates; empty: no TLS
}

// run does what the arguments say and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var opts options
	flags := pflag.NewFlagSet("load", pflag.ContinueOnError)
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
	return measure.Run(flags, "Drives a central of the lottery, and measures it.", args, stdout, stderr, opts.check, func() error {
		report, err := opts.measure(ctx)
		if err == nil {
			fmt.Fprint(stdout, report)
		}
		return err
	})
}

func (o *options) check() error {
	switch {
	case o.central.Sources < 0 || o.central.Sources > 64_000:
		return fmt.Errorf("--sources is %d, expected 0 to 64000", o.central.Sources)
	case o.park > 0:
		return o.parking().Check()
	}
	return o.load.Check()
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
