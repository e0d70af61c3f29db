// Command run shows the whole lottery at work: it starts the central as a
// process of this machine, plays the agencies, tells what happens as it happens,
// and ends with a table. It is what "make run" calls.
//
// Everything of a run stays in a folder of its own under run/: the central's
// bets.csv, and the logs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"loteria/cmd/internal/progress"
	"loteria/cmd/internal/signals"
	"loteria/internal/logline"
)

// Exit codes. A run that a signal ended exits with 128 plus the signal's number, as
// shells do: 130 after Ctrl-C.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitSignal  = 128

	maxPeriod   = 24 * time.Hour // between two batches of an agency
	maxAgencies = 100
)

// options is what the flags say.
type options struct {
	bin      string        // folder with the program server; not needed with central
	data     string        // folder with the agencies' files
	agencies int           // 1 to maxAgencies
	batch    int           // bets per batch, at least 1
	level    zerolog.Level // of the logs
	timeout  time.Duration // the longest that a run may take, except for staying
	period   time.Duration // between two batches of an agency, 0 to maxPeriod
	admin    string        // the central's --admin
	stay     bool          // the centrals stay up after the draw
	tls      string        // folder made by cmd/certs: everything goes over TLS; empty is nothing
	central  string        // a running one: host:port, or several of them; empty starts one

	grace time.Duration // between SIGTERM and SIGKILL
}

func main() {
	os.Exit(run(signals.Context(), os.Args[1:], os.Stdout, os.Stderr))
}

// run does what the arguments say, unless ctx ends it, and returns the exit
// code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, help, err := parse(args)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "run: %v (see --help)\n", err)
		return exitUsage
	case help != "":
		fmt.Fprint(stdout, help)
		return exitOK
	}

	err = play(ctx, opts, stdout)
	if by := (signals.Received{}); errors.As(err, &by) {
		fmt.Fprintf(stderr, "run: %v\n", by)
		return exitSignal + int(by.Signal.(syscall.Signal))
	}
	if err != nil {
		fmt.Fprintf(stderr, "run: failed: %s\n", progress.Printable(strings.ReplaceAll(err.Error(), "\n", "; ")))
		return exitFailure
	}
	return exitOK
}

// parse reads the flags. When they ask for help it is returned instead.
func parse(args []string) (opts options, help string, err error) {
	opts.grace = defaultGrace
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.SortFlags = false
	flags.StringVar(&opts.bin, "bin", "bin", "folder with the program server")
	flags.StringVar(&opts.data, "data", ".data", "folder with agency-N.csv, or with a zip that holds them")
	flags.IntVar(&opts.agencies, "agencies", 5, fmt.Sprintf("number of agencies, 1 to %d", maxAgencies))
	flags.IntVar(&opts.batch, "batch", 100, "bets per batch")
	level := flags.String("log-level", "INFO", "what is logged: INFO or DEBUG")
	flags.DurationVar(&opts.timeout, "timeout", 10*time.Minute, "give up after this time")
	flags.DurationVar(&opts.period, "loop-period", 0, "pause of each agency between two batches, so that there is something to watch")
	flags.StringVar(&opts.admin, "admin", "", "host:port of the central's admin server; empty is none")
	flags.StringVar(&opts.central, "central", "", "host:port of a central that runs, or of several that share a ledger; empty is one that is started")
	flags.StringVar(&opts.tls, "tls", "", "folder with the certificates that go run ./cmd/certs makes: everything goes over TLS; empty is nothing")
	flags.BoolVar(&opts.stay, "stay", false, "the central stays up after the draw, until Ctrl-C or SIGTERM, which is then a normal end")

	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return opts, "Runs the lottery: the central as a process of this machine, and its agencies.\n" +
			"Logs and bets.csv stay in a folder under run/. The central's settings without a flag here come from the environment.\n\n" + flags.FlagUsages(), nil
	case err != nil:
		return opts, "", err
	}
	opts.level, err = logline.ParseLevel(*level)
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case opts.agencies < 1 || opts.agencies > maxAgencies:
		err = fmt.Errorf("--agencies is %d, expected 1 to %d", opts.agencies, maxAgencies)
	case opts.batch < 1:
		err = fmt.Errorf("--batch is %d, expected at least 1", opts.batch)
	case err != nil || opts.level > zerolog.InfoLevel: // the run looks for INFO lines
		err = fmt.Errorf("--log-level is %q, expected INFO or DEBUG", *level)
	case opts.timeout <= 0:
		err = fmt.Errorf("--timeout is %s, expected more than nothing", opts.timeout)
	case opts.period < 0 || opts.period > maxPeriod:
		err = fmt.Errorf("--loop-period is %s, expected 0s to %s", opts.period, maxPeriod)
	}
	return opts, "", err
}
