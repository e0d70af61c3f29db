// Command goals measures the central, in its own process and over loopback,
// against its goals, and prints a table:
//
//	make build && go run ./bench/goals --bin bin
//
// It exits with 1 when something could not be measured. The table says which
// goals are missed, and by how much.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"
	"loteria/bench/measure"
	"loteria/bench/report"
)

func main() { measure.Main(run) }

// goals are in the order of the table.
var goals = measure.Goals[*lab]{
	{Name: "window", Measure: windowed},
	{Name: "lockstep", Measure: lockStep},
	{Name: "alone", Measure: alone},
	{Name: "futex", Measure: futexCalls},
	{Name: "lottery", Measure: wholeLottery},
	{Name: "parked", Measure: parking},
	{Name: "restart", Measure: restart},
	{Name: "draw", Measure: drawing},
	{Name: "allocations", Measure: allocations},
	{Name: "growth", Measure: growth},
	{Name: "crowd", Measure: crowd},
	{Name: "watched", Measure: watched},
	{Name: "tls", Measure: overTLS},
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	l := &lab{Lab: measure.Lab{Ctx: ctx, News: stderr, Bin: "bin", Folder: "run", Duration: 2 * time.Second}}
	flags := pflag.NewFlagSet("goals", pflag.ContinueOnError)
	l.AddFlags(flags, "the programs server, client and run")
	flags.StringVar(&l.data, "data", ".data", "folder with the agencies' bets, as for run")
	flags.IntVar(&l.connected, "connected", 5000, "agencies that are connected over TLS to see how much memory each takes")
	flags.IntVar(&l.scale, "scale", 1, "divides how many bets, queries and agencies what is measured with many has; 1 is for the goals")
	floor := flags.Bool("floor", false, "only serve as the server that does nothing but sync, in the current folder")
	only := goals.AddFlag(flags)
	var chosen measure.Goals[*lab]
	check := func() (err error) {
		if l.connected < 1 {
			return errors.New("--connected is positive")
		}
		if l.scale < 1 || l.scale > maxScale {
			return fmt.Errorf("--scale is 1 to %d", maxScale)
		}
		if err = l.Check(); err == nil {
			chosen, err = goals.Choose(*only)
		}
		return err
	}
	return measure.Run(flags, "Measures the central against its goals.", args, stdout, stderr, check, func() error {
		if *floor {
			return serveFloor(stdout)
		}
		return l.measure(chosen, stdout)
	})
}

func (l *lab) measure(chosen measure.Goals[*lab], stdout io.Writer) error {
	if err := l.Prepare(&l.data); err != nil {
		return err
	}
	defer func() {
		if l.stored != "" {
			os.RemoveAll(l.stored)
		}
	}()
	var rows []row
	for _, goal := range chosen {
		measured, err := goal.Measure(l)
		if err != nil {
			return err
		}
		rows = append(rows, measured...)
	}
	fmt.Fprintf(stdout, "%s\nMedians of %d rounds.\n", report.Machine(l.Folder), l.Rounds)
	if l.scale > 1 {
		fmt.Fprintf(stdout, "What is measured with many was measured with 1/%d of that.\n", l.scale)
	}
	fmt.Fprintln(stdout)
	return report.WriteTable(stdout, row{"what", "goal", "measured", ""}, rows)
}
