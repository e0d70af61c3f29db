// Command dataset makes the project's own data set: the bets of five agencies,
// with invented people, as one CSV each inside a zip.
//
//	go run ./cmd/dataset --seed 7574 --out .data/datasets.zip
//
// The same seed makes the same rows with every version of Go 1, on every
// machine. The zip's own bytes are the same for one version of Go: another
// one may compress differently.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
)

// defaultSeed made the data set that is committed.
const defaultSeed = 7574

const defaultOut = ".data/datasets.zip"

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run does what the arguments say and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	flags := pflag.NewFlagSet("dataset", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	seed := flags.Uint64("seed", defaultSeed, "the same seed makes the same bets")
	out := flags.String("out", defaultOut, "the zip to write; its folder must exist")

	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprintf(stdout, "Makes the bets of %d agencies, one CSV each, in a zip.\n\n%s", len(agencies), flags.FlagUsages())
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "dataset: %v (see --help)\n", err)
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "dataset: unexpected argument %q (see --help)\n", flags.Arg(0))
		return exitUsage
	case *out == "":
		fmt.Fprintln(stderr, "dataset: --out is empty, expected the name of a file (see --help)")
		return exitUsage
	}

	files, err := generate(*seed)
	if err == nil {
		err = writeArchive(*out, files)
	}
	if err != nil {
		fmt.Fprintf(stderr, "dataset: %v\n", err)
		return exitFailure
	}
	fmt.Fprintf(stdout, "wrote %s: %d bets of %d agencies, seed %d\n", *out, totalBets(), len(agencies), *seed)
	return exitOK
}
