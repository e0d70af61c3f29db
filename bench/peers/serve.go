package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/rs/zerolog"
	"loteria/bench/peers/goroutines"
	"loteria/bench/peers/jetstream"
	"loteria/bench/peers/simple"
	"loteria/internal/logline"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

// agencies is the number of agencies in the peers' lotteries.
const agencies = 64

// servePeer serves until ctx is done. It prints the address on stdout.
func servePeer(ctx context.Context, name string, stdout io.Writer) error {
	switch name {
	case "goroutines":
		ledger, err := csvledger.Open(".", agencies)
		if err != nil {
			return err
		}
		contest, err := lottery.NewContest(ledger)
		if err != nil {
			return err
		}
		log := logline.New(stdout, logline.Text)
		server := goroutines.New(contest, log.Journal(zerolog.InfoLevel))
		return errors.Join(serveTCP(ctx, server, stdout), contest.Close(), log.Close())
	case "simple":
		return serveTCP(ctx, simple.New(csvledger.LedgerFile, agencies), stdout)
	case "jetstream":
		s, err := jetstream.Start(".")
		if err != nil {
			return err
		}
		defer s.Stop()
		fmt.Fprintf(stdout, "serving on %s\n", s.URL())
		<-ctx.Done()
		return nil
	}
	return fmt.Errorf("there is no peer %q that serves itself", name)
}

func serveTCP(ctx context.Context, server interface {
	Serve(net.Listener) error
	Close() error
}, stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "serving on %s\n", listener.Addr())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return errors.Join(err, server.Close())
	case <-ctx.Done():
		return errors.Join(server.Close(), <-ended)
	}
}
