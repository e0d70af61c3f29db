// Command credentials makes the keys of three NATS servers and their users, and
// the claims that are signed with them
// (https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt).
// It is for operators who have no such keys yet and do not use NATS' own tool nsc,
// which can write the same.
//
//	credentials --out folder --routes nats-1:6222,nats-2:6222,nats-3:6222
//
// It writes to the folder
//
//	nats/accounts.conf      for the servers: the account, nothing secret
//	nats/routes.conf        for the servers: where they are, and the password among them
//	central/central.creds   for the centrals: see Denied
//	operator/operator.creds for exports, backups and moves: all of the account
//	operator/system.creds   for the administration of the servers
//	operator/*.nk           the signing keys, which can make further users
//
// If all these files exist, it does nothing; if only some do, it fails.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

const (
	exitFailure = 1
	exitUsage   = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var out string
	var routes []string
	flags := pflag.NewFlagSet("credentials", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&out, "out", "", "folder in which everything is written")
	flags.StringSliceVar(&routes, "routes", nil, "host:port of the servers' cluster ports")
	err := flags.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprint(stdout, "Makes the keys and the credentials of NATS servers and their users.\n\n"+flags.FlagUsages())
		return 0
	}
	if err == nil {
		err = check(out, routes, flags.Args())
	}
	if err != nil {
		fmt.Fprintf(stderr, "credentials: %v (see --help)\n", err)
		return exitUsage
	}
	made, err := provide(out, routes)
	if err != nil {
		fmt.Fprintf(stderr, "credentials: %v\n", err)
		return exitFailure
	}
	if made {
		fmt.Fprintf(stdout, "credentials: made in %s\n", out)
	} else {
		fmt.Fprintf(stdout, "credentials: %s has them already\n", out)
	}
	return 0
}

func check(out string, routes, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case out == "":
		return errors.New("--out names no folder")
	case len(routes) == 0:
		return errors.New("--routes names no servers")
	}
	for _, route := range routes {
		if host, port, err := net.SplitHostPort(route); err != nil || host == "" || port == "" || strings.ContainsAny(route, "\"\\@/ ") {
			return fmt.Errorf("--routes has %q, expected host:port", route)
		}
	}
	return nil
}
