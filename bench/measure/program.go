// Package measure is what the programs that measure have in common: how they are
// called, the goals that they choose from, and the lab in which they measure.
package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
)

// Exit codes.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitUsage   = 2
)

// Main calls run with what the program was called with, and exits with the code
// that run returns. SIGINT, SIGTERM, and a terminal that closes end the context.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as with nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run parses the arguments, checks them, calls do, and returns the exit code. An
// error is a line on stderr. The flags have the program's name; about is for --help.
func Run(flags *pflag.FlagSet, about string, args []string, stdout, stderr io.Writer, check, do func() error) int {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprintf(stdout, "%s\n\n%s", about, flags.FlagUsages())
		return ExitOK
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	default:
		err = check()
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v (see --help)\n", flags.Name(), err)
		return ExitUsage
	}
	if err := do(); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", flags.Name(), err)
		return ExitFailure
	}
	return ExitOK
}

// Row is a line of the table that a program prints.
type Row = []string

// Goal is one measurement in a lab L, and the rows that it gives.
type Goal[L any] struct {
	Name    string // by which it is chosen
	Measure func(L) ([]Row, error)
}

// Goals are in the order of the table.
type Goals[L any] []Goal[L]

// AddFlag adds the flag --only, for Choose.
func (g Goals[L]) AddFlag(flags *pflag.FlagSet) *[]string {
	return flags.StringSlice("only", nil, "goals to measure: "+g.names()+"; none for all")
}

// Choose returns the goals of those names, or all if there are none.
func (g Goals[L]) Choose(names []string) (Goals[L], error) {
	return Choose("--only", g, func(goal Goal[L]) string { return goal.Name }, names)
}

// Choose returns what has one of the names, in its order, or all if there are none.
// The flag is for the error.
func Choose[T any](flag string, all []T, name func(T) string, names []string) (chosen []T, err error) {
	if len(names) == 0 {
		return all, nil
	}
	for i := range names {
		names[i] = strings.TrimSpace(names[i]) // behind a comma
		if !slices.ContainsFunc(all, func(t T) bool { return name(t) == names[i] }) {
			return nil, fmt.Errorf("%s has %q, expected some of %s", flag, names[i], Names(all, name))
		}
	}
	for _, t := range all {
		if slices.Contains(names, name(t)) {
			chosen = append(chosen, t)
		}
	}
	return chosen, nil
}

// Names returns the names of all, for a person.
func Names[T any](all []T, name func(T) string) string {
	var names []string
	for _, t := range all {
		names = append(names, name(t))
	}
	return strings.Join(names, ", ")
}

func (g Goals[L]) names() string {
	return Names(g, func(goal Goal[L]) string { return goal.Name })
}
