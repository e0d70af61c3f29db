// Command bench measures centrals whose contest is kept by three NATS servers,
// beside a bare publisher and a central on a folder, and prints a table with
// their goals:
//
//	make bench-cluster
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
	{Name: "throughput", Measure: throughput},
	{Name: "pauses", Measure: pauses},
	{Name: "stored", Measure: stored},
	{Name: "winners", Measure: winners},
	{Name: "size", Measure: size},
	{Name: "folder", Measure: folder},
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	l := &lab{Lab: measure.Lab{Ctx: ctx, News: stderr, Bin: "bin", Folder: "run", Duration: 2 * time.Second}}
	flags := pflag.NewFlagSet("bench-cluster", pflag.ContinueOnError)
	l.AddFlags(flags, "the programs server and nats-server")
	flags.StringVar(&l.config, "config", "deploy/nats/nats.conf", "configuration of the NATS servers")
	flags.StringVar(&l.before, "before", "", "folder of an older program server, whose size and speed on a folder this one is compared with; none to leave that out")
	flags.StringVar(&l.profiles, "profiles", "", "folder for CPU profiles of the central on NATS; they cost it a few hundredths")
	flags.IntVar(&l.kills, "kills", 7, "how often a server is ended in each of the ways")
	flags.IntVar(&l.scale, "scale", 1, "divides how many bets, messages and agencies are stored for what is measured with many; 1 is for the goals")
	only := goals.AddFlag(flags)
	var chosen measure.Goals[*lab]
	check := func() (err error) {
		if l.kills < 1 || l.scale < 1 || l.scale > maxScale {
			return fmt.Errorf("--kills is positive, and --scale is 1 to %d", maxScale)
		}
		if err = l.Check(); err == nil {
			chosen, err = goals.Choose(*only)
		}
		return err
	}
	return measure.Run(flags, "Measures centrals on NATS servers against their goals.", args, stdout, stderr, check, func() error {
		return l.measure(chosen, stdout)
	})
}

// measure takes the chosen measurements, and writes the table, even when some of
// them failed.
func (l *lab) measure(chosen measure.Goals[*lab], stdout io.Writer) (err error) {
	if err := l.Prepare(&l.config, &l.before, &l.profiles); err != nil {
		return err
	}
	if l.profiles != "" {
		if err := os.MkdirAll(l.profiles, 0o755); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var rows []row
	for _, goal := range chosen {
		measured, failure := goal.Measure(l)
		if failure != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", goal.Name, failure))
			if l.Ctx.Err() != nil {
				break
			}
		}
		rows = append(rows, measured...)
	}
	fmt.Fprintf(stdout, "%s\nMedians of %d rounds; three servers, the central and the load on this machine.\n", report.Machine(l.Folder), l.Rounds)
	if l.scale > 1 {
		fmt.Fprintf(stdout, "What is measured with many was measured with 1/%d of that.\n", l.scale)
	}
	fmt.Fprintln(stdout)
	return errors.Join(err, report.WriteTable(stdout, row{"what", "goal", "measured", "beside it", ""}, rows))
}
