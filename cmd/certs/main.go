// Command certs makes the certificates of a lottery: its authority, the central's,
// and one for each agency.
//
//	go run ./cmd/certs --agencies 5 --central-name central.example
//
// It is a program of its own, not a mode of the central, so that the authority's
// key need not be where the central is: who has it can be every agency. With a
// container engine and without Go, the image that the central is built with has it:
//
//	docker run --rm -v "$PWD:/src" -w /src golang:1.26 go run ./cmd/certs
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"loteria/internal/certs"
	"loteria/lottery"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

const (
	maxAgencies = 100_000 // as many as a contest may have
	maxDays     = 3650

	day = 24 * time.Hour
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// order is what to make.
type order struct {
	folder    string
	authority string // the name of a new one
	agencies  int    // numbered from 1
	names     []string
	namesAre  bool // given, and not the default
	life      time.Duration
	renew     []target
}

const about = `Makes the certificates of a lottery in a folder: those of its authority, of the
central, and of each agency, and their keys. What is there stays as it is: run it
again for more agencies, or to see when what expires.

A certificate is renewed for the key that it has, as often as wanted:
  certs --renew agency-3
  certs --renew central --central-name central.example,10.0.0.7
For another key, as that one is lost or known to others, take both files away,
and run it again. The serial number of the old certificate, which it prints, goes
to the list of the central's --tls-revoked.

`

// run does what the arguments say and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	var o order
	flags := pflag.NewFlagSet("certs", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.SortFlags = false
	flags.StringVar(&o.folder, "folder", "certs", "where they are; it is made if it is missing")
	flags.IntVar(&o.agencies, "agencies", 5, "agencies to have certificates, numbered from 1")
	flags.StringSliceVar(&o.names, "central-name", []string{"localhost", "127.0.0.1", "::1", "server"},
		"DNS names and IP addresses under which agencies reach the central")
	flags.StringVar(&o.authority, "authority-name", "Lotería Nacional", "name of an authority that is made; it lasts for ten years")
	days := flags.Int("days", int(certs.AgencyLife/day), "days that what is made or renewed lasts, though no longer than its authority")
	renew := flags.StringSlice("renew", nil, "what gets a new certificate for the key it has: central, or agency-N")

	err := flags.Parse(args)
	o.namesAre, o.life = flags.Changed("central-name"), time.Duration(*days)*day
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(stdout, about+flags.FlagUsages())
		return exitOK
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.folder == "":
		err = errors.New("--folder is empty, expected the path of a folder")
	case o.agencies < 0 || o.agencies > maxAgencies:
		err = fmt.Errorf("--agencies is %d, expected a number from 0 to %d", o.agencies, maxAgencies)
	case len(o.names) == 0:
		err = errors.New("--central-name is empty, expected DNS names or IP addresses, separated by commas")
	case strings.TrimSpace(o.authority) == "":
		err = errors.New("--authority-name is empty, expected a name")
	case *days < 1 || *days > maxDays:
		err = fmt.Errorf("--days is %d, expected a number from 1 to %d", *days, maxDays)
	default:
		if o.renew, err = parseTargets(*renew); err == nil {
			err = certs.CheckNames(o.names)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "certs: %v (see --help)\n", err)
		return exitUsage
	}
	if err := o.fill(stdout, time.Now()); err != nil {
		fmt.Fprintf(stderr, "certs: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		return exitFailure
	}
	return exitOK
}

// target is the owner of a certificate: an agency, or 0 for the central.
type target int

const central target = 0

// String returns the name of its files, without a suffix.
func (t target) String() string {
	if t == central {
		return "central"
	}
	return fmt.Sprintf("agency-%d", int(t))
}

func parseTargets(texts []string) (targets []target, err error) {
	for _, text := range texts {
		t := central
		if number, isAgency := strings.CutPrefix(text, "agency-"); isAgency {
			agency, err := lottery.ParseAgency(number)
			if err != nil {
				return nil, fmt.Errorf("--renew: %w", err)
			}
			t = target(agency)
		} else if text != central.String() {
			return nil, fmt.Errorf("--renew is %q, expected central or an agency, like agency-3", text)
		}
		if !slices.Contains(targets, t) {
			targets = append(targets, t)
		}
	}
	return targets, nil
}
