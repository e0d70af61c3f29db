// Package inprocess runs a central within the process that measures it, with
// the command's default limits on what a connection may have in flight.
package inprocess

import (
	"context"
	"errors"
	"io"
	"runtime"
	"time"

	"github.com/rs/zerolog"
	"loteria/internal/certs"
	"loteria/internal/logline"
	"loteria/lottery"
	"loteria/lottery/csvledger"
	"loteria/reactor"
)

// Central is a central that takes bets.
type Central struct {
	Address    string
	TLSAddress string // empty without certificates
	contest    *lottery.Contest
	log        *logline.Writer
	stop       context.CancelFunc
	ended      chan error
}

// Start runs a central for that many agencies, which keeps its bets in the folder.
func Start(folder string, agencies int, options ...csvledger.Option) (*Central, error) {
	return start(folder, agencies, nil, options...)
}

// StartTLS is Start with a second port, on which agencies present certificates.
func StartTLS(folder string, agencies int, files certs.Files) (*Central, error) {
	store, err := certs.Open(files)
	if err != nil {
		return nil, err
	}
	return start(folder, agencies, &reactor.TLS{
		Address:          "127.0.0.1:0",
		Config:           store.Config,
		Identify:         store.Identify,
		HandshakeTimeout: time.Minute,
		MaxHandshakes:    1024,
	})
}

func start(folder string, agencies int, tls *reactor.TLS, options ...csvledger.Option) (*Central, error) {
	ledger, err := csvledger.Open(folder, agencies, options...)
	if err != nil {
		return nil, err
	}
	contest, err := lottery.NewContest(ledger)
	if err != nil {
		return nil, err
	}
	log := logline.New(io.Discard, logline.Text)
	server := reactor.New(reactor.Config{
		Address:        "127.0.0.1:0",
		TLS:            tls,
		Backlog:        128,
		Loops:          runtime.NumCPU(),
		MaxConnections: 16_384,
		MaxPerAddress:  16_384,
		WindowFrames:   1024,
		WindowBytes:    1 << 20,
		MaxWaiting:     256 << 20,
		MaxUnread:      1 << 20,
		FrameTimeout:   time.Minute,
		IdleTimeout:    time.Minute,
		StopTimeout:    time.Minute,
		Journal:        log.Journal(zerolog.InfoLevel),
		Log:            log.Logger(zerolog.InfoLevel),
		LoopLog:        log.Logger(zerolog.InfoLevel),
	}, contest)
	ledger.LendTo(server.Lead)
	ctx, stop := context.WithCancel(context.Background())
	c := &Central{contest: contest, log: log, stop: stop, ended: make(chan error, 1)}
	go func() { c.ended <- server.Run(ctx) }()
	select {
	case <-server.Ready():
		c.Address = server.Address().String()
		if tls != nil {
			c.TLSAddress = server.TLSAddress().String()
		}
		return c, nil
	case err := <-c.ended:
		stop()
		return nil, errors.Join(err, contest.Close(), log.Close())
	}
}

// Stop ends the central when every request it took is answered.
func (c *Central) Stop() error {
	c.stop()
	return errors.Join(<-c.ended, c.contest.Close(), c.log.Close())
}
