// Command run shows the whole lottery at work: it starts the central and the
// agencies as processes of this machine, tells what happens as it happens, and
// ends with a table. It is what "make run" calls, and "make cluster", which
// has two centrals that keep the bets in three NATS servers.
//
// Everything of a run stays in a folder of its own under run/: the central's
// bets.csv, or the servers' folders and what was exported from them, and each
// process's log.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// Exit codes. A run that a signal ended exits with 128 and the signal's
// number, as shells have it: 130 after Ctrl-C.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitSignal  = 128
)

// maxPeriod is the longest pause that an agency makes between two batches.
const maxPeriod = 24 * time.Hour

// maxAgencies is how many agencies a run may have: each is a process.
const maxAgencies = 100

// options is what the flags say.
type options struct {
	bin      string        // folder with the programs server and client
	data     string        // folder with the agencies' files
	agencies int           // 1 to maxAgencies
	batch    int           // bets per batch, at least 1
	logLevel string        // of the processes
	timeout  time.Duration // the longest that a run may take, but for staying
	period   time.Duration // between two batches of an agency, 0 to maxPeriod
	admin    string        // the central's --admin
	stay     bool          // the centrals stay up after the draw
	tls      credentials   // everything goes over TLS
	cluster  string        // configuration of the NATS servers; empty is one central with a folder

	grace time.Duration // between SIGTERM and SIGKILL
}

func main() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup means it
		signal.Notify(signals, syscall.SIGHUP)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, signals))
}

// run does what the arguments say and returns the exit code.
func run(args []string, stdout, stderr io.Writer, signals <-chan os.Signal) int {
	opts, help, err := parse(args)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "run: %v (see --help)\n", err)
		return exitUsage
	case help != "":
		fmt.Fprint(stdout, help)
		return exitOK
	}

	err = play(opts, newScreen(stdout), signals)
	var by interruption
	switch {
	case errors.As(err, &by):
		fmt.Fprintf(stderr, "run: %v\n", err)
		return exitSignal + int(by.signal)
	case err != nil:
		fmt.Fprintf(stderr, "run: failed: %v\n", err)
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
	flags.StringVar(&opts.bin, "bin", "bin", "folder with the programs server and client")
	flags.StringVar(&opts.data, "data", ".data", "folder with agency-N.csv, or with a zip that holds them")
	flags.IntVar(&opts.agencies, "agencies", 5, fmt.Sprintf("number of agencies, 1 to %d", maxAgencies))
	flags.IntVar(&opts.batch, "batch", 100, "bets per batch")
	flags.StringVar(&opts.logLevel, "log-level", "INFO", "what the processes log: INFO or DEBUG")
	flags.DurationVar(&opts.timeout, "timeout", 10*time.Minute, "give up after this time")
	flags.DurationVar(&opts.period, "loop-period", 0, "pause of each agency between two batches, so that there is something to watch")
	flags.StringVar(&opts.admin, "admin", "", "host:port of the central's admin server; empty is none")
	flags.StringVar(&opts.cluster, "cluster", "", "configuration for three NATS servers (deploy/nats/nats.conf) that keep the bets for two centrals; empty is one central with a folder")
	flags.StringVar((*string)(&opts.tls), "tls", "", "folder with the certificates that go run ./cmd/certs makes: everything goes over TLS; empty is nothing")
	flags.BoolVar(&opts.stay, "stay", false, "the central stays up after the draw, until Ctrl-C or SIGTERM, which is then a normal end")

	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return opts, "Runs the lottery: the central and the agencies, as processes of this machine.\n" +
			"Their logs and bets.csv stay in a folder under run/. Settings without a flag here come from the environment.\n\n" + flags.FlagUsages(), nil
	case err != nil:
		return opts, "", err
	case flags.NArg() > 0:
		return opts, "", fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	opts.logLevel = strings.ToUpper(opts.logLevel)
	switch {
	case opts.agencies < 1 || opts.agencies > maxAgencies:
		return opts, "", fmt.Errorf("--agencies is %d, expected 1 to %d", opts.agencies, maxAgencies)
	case opts.batch < 1:
		return opts, "", fmt.Errorf("--batch is %d, expected at least 1", opts.batch)
	case opts.logLevel != "INFO" && opts.logLevel != "DEBUG": // the run is told by INFO lines
		return opts, "", fmt.Errorf("--log-level is %q, expected INFO or DEBUG", opts.logLevel)
	case opts.timeout <= 0:
		return opts, "", fmt.Errorf("--timeout is %s, expected more than nothing", opts.timeout)
	case opts.period < 0 || opts.period > maxPeriod:
		return opts, "", fmt.Errorf("--loop-period is %s, expected 0s to %s", opts.period, maxPeriod)
	}
	return opts, "", nil
}
