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
	{"throughput", throughput},
	{"pauses", pauses},
	{"stored", stored},
	{"winners", winners},
	{"size", size},
	{"folder", folder},
}

func names() (all []string) {
	for _, goal := range goals {
		all = append(all, goal.name)
	}
	return all
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	l := &lab{ctx: ctx, news: stderr}
	flags := pflag.NewFlagSet("bench-cluster", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&l.bin, "bin", "bin", "folder of the programs server and nats-server")
	flags.StringVar(&l.config, "config", "deploy/nats/nats.conf", "configuration of the NATS servers")
	flags.StringVar(&l.folder, "folder", "run", "folder on the disk that is measured")
	flags.StringVar(&l.before, "before", "", "folder of an older program server, whose size and speed on a folder this one is compared with; none to leave that out")
	flags.StringVar(&l.profiles, "profiles", "", "folder for CPU profiles of the central on NATS; they cost it a few hundredths")
	flags.IntVar(&l.rounds, "rounds", 5, "how often each is measured; the table has the medians")
	flags.IntVar(&l.kills, "kills", 7, "how often a server is ended in each of the ways")
	flags.IntVar(&l.scale, "scale", 1, "divides how many bets, messages and agencies are stored for what is measured with many; 1 is for the goals")
	flags.DurationVar(&l.duration, "duration", 2*time.Second, "how long the load of a round is")
	only := flags.StringSlice("only", nil, "goals to measure: "+strings.Join(names(), ", ")+"; none for all")
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprintf(stdout, "Measures centrals on NATS servers against their goals.\n\n%s", flags.FlagUsages())
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "bench-cluster: %v (see --help)\n", err)
		return exitUsage
	case l.rounds < 1 || l.kills < 1 || l.duration <= 0 || l.scale < 1 || l.scale > maxScale || flags.NArg() > 0:
		fmt.Fprintf(stderr, "bench-cluster: --rounds, --kills and --duration are positive, --scale is 1 to %d, and there are no arguments (see --help)\n", maxScale)
		return exitUsage
	}
	for _, name := range *only {
		if !slices.Contains(names(), name) {
			fmt.Fprintf(stderr, "bench-cluster: --only has %q, expected some of %s\n", name, strings.Join(names(), ", "))
			return exitUsage
		}
	}
	if err := l.measure(*only, stdout); err != nil {
		fmt.Fprintf(stderr, "bench-cluster: %v\n", err)
		return exitFailure
	}
	return exitOK
}

// measure takes the measurements in only, or all, and writes the table, even
// when some of them failed.
func (l *lab) measure(only []string, stdout io.Writer) (err error) {
	for _, path := range []*string{&l.bin, &l.config, &l.folder, &l.before, &l.profiles} { // the programs have folders of their own
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	for _, path := range []string{l.folder, l.profiles} {
		if path == "" {
			continue
		}
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var rows [][]string
	for _, goal := range goals {
		if len(only) > 0 && !slices.Contains(only, goal.name) {
			continue
		}
		measured, failure := goal.measure(l)
		if failure != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", goal.name, failure))
			if l.ctx.Err() != nil {
				break
			}
		}
		for _, r := range measured {
			rows = append(rows, r)
		}
	}
	fmt.Fprintf(stdout, "%s\nMedians of %d rounds; three servers, the central and the load on this machine.\n", report.Machine(l.folder), l.rounds)
	if l.scale > 1 {
		fmt.Fprintf(stdout, "What is measured with many was measured with 1/%d of that.\n", l.scale)
	}
	fmt.Fprintln(stdout)
	return errors.Join(err, report.WriteTable(stdout, []string{"what", "goal", "measured", "beside it", ""}, rows))
}
