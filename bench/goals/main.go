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
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
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

// goals are in the order of the table.
var goals = []struct {
	name    string
	measure func(*lab) ([]row, error)
}{
	{"window", windowed},
	{"lockstep", lockStep},
	{"alone", alone},
	{"futex", futexCalls},
	{"lottery", wholeLottery},
	{"parked", parking},
	{"restart", restart},
	{"draw", drawing},
	{"allocations", allocations},
	{"growth", growth},
	{"crowd", crowd},
	{"watched", watched},
	{"tls", overTLS},
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	l := &lab{ctx: ctx, news: stderr}
	flags := pflag.NewFlagSet("goals", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&l.bin, "bin", "bin", "folder of the programs server, client and run")
	flags.StringVar(&l.data, "data", ".data", "folder with the agencies' bets, as for run")
	flags.StringVar(&l.folder, "folder", "run", "folder on the disk that is measured")
	flags.IntVar(&l.rounds, "rounds", 5, "how often each is measured; the table has the medians")
	flags.DurationVar(&l.duration, "duration", 2*time.Second, "how long the load of a round is")
	flags.IntVar(&l.connected, "connected", 5000, "agencies that are connected over TLS to see how much memory each takes")
	flags.IntVar(&l.scale, "scale", 1, "divides how many bets, queries and agencies what is measured with many has; 1 is for the goals")
	floor := flags.Bool("floor", false, "only serve as the server that does nothing but sync, in the current folder")
	only := flags.StringSlice("only", nil, "goals to measure: "+strings.Join(names(), ", ")+"; none for all")
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprintf(stdout, "Measures the central against its goals.\n\n%s", flags.FlagUsages())
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "goals: %v (see --help)\n", err)
		return exitUsage
	case l.rounds < 1 || l.duration <= 0 || l.connected < 1 || l.scale < 1 || l.scale > maxScale || flags.NArg() > 0:
		fmt.Fprintf(stderr, "goals: --rounds, --duration and --connected are positive, --scale is 1 to %d, and there are no arguments (see --help)\n", maxScale)
		return exitUsage
	}
	for _, name := range *only {
		if !slices.Contains(names(), name) {
			fmt.Fprintf(stderr, "goals: --only has %q, expected some of %s\n", name, strings.Join(names(), ", "))
			return exitUsage
		}
	}
	measure := func() error { return l.measure(*only, stdout) }
	if *floor {
		measure = func() error { return serveFloor(stdout) }
	}
	if err := measure(); err != nil {
		fmt.Fprintf(stderr, "goals: %v\n", err)
		return exitFailure
	}
	return exitOK
}

func names() (all []string) {
	for _, goal := range goals {
		all = append(all, goal.name)
	}
	return all
}

func (l *lab) measure(only []string, stdout io.Writer) (err error) {
	for _, folder := range []*string{&l.bin, &l.data, &l.folder} { // the programs have folders of their own
		if *folder, err = filepath.Abs(*folder); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(l.folder, 0o755); err != nil {
		return err
	}
	defer func() {
		if l.stored != "" {
			os.RemoveAll(l.stored)
		}
	}()
	var rows [][]string
	for _, goal := range goals {
		if len(only) > 0 && !slices.Contains(only, goal.name) {
			continue
		}
		measured, err := goal.measure(l)
		if err != nil {
			return err
		}
		for _, r := range measured {
			rows = append(rows, r)
		}
	}
	fmt.Fprintf(stdout, "%s\nMedians of %d rounds.\n", report.Machine(l.folder), l.rounds)
	if l.scale > 1 {
		fmt.Fprintf(stdout, "What is measured with many was measured with 1/%d of that.\n", l.scale)
	}
	fmt.Fprintln(stdout)
	return report.WriteTable(stdout, []string{"what", "goal", "measured", ""}, rows)
}
