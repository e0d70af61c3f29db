// Command server is the central of the lottery: it takes the agencies' bets,
// stores them, makes the draw when every agency has finished, and tells each
// its winners.
//
// server ctl operates a running one, see its --help.
//
// It exits with 0 after SIGTERM, SIGINT or SIGHUP, with 1 when it fails, and with 2
// when its configuration cannot be used.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/settings"
	"loteria/cmd/internal/signals"
	"loteria/internal/logline"
	"loteria/lottery"
	"loteria/reactor"
)

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

func run(args, environ []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == ctlName {
		return runCtl(args[1:], environ, stdout, stderr)
	}
	c, err := loadConfig(args, environ)
	if err != nil {
		return settings.Report(err, "server", stdout, stderr)
	}
	switch {
	case c.healthcheck:
		err = checkHealth(c)
	case c.check:
		err = checkLedger(signals.Context(), c, stdout)
	case c.acta.verify != "":
		err = verifyActa(signals.Context(), c, stdout)
	case c.export != "":
		err = exportLedger(signals.Context(), c, stdout, stderr)
	case c.output.winners:
		err = writeWinners(signals.Context(), c, stdout, stderr)
	case c.importFrom.isGiven():
		err = importContest(signals.Context(), c, stdout)
	default:
		useProcessors()
		err = serveLogged(c, stdout)
	}
	if unusable := (*settings.Error)(nil); errors.As(err, &unusable) {
		return settings.Report(unusable, "server", stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "server:", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	return 0
}

// serveLogged serves with a log on stdout until a signal says to stop.
func serveLogged(c config, stdout io.Writer) (err error) {
	writer := logline.New(stdout, c.logFormat)
	log := writer.Logger(c.logLevel)
	defer func() {
		if err != nil {
			log.Error().Str("action", "server").Str("result", "fail").Err(err).Send()
		} else {
			log.Info().Str("action", "exit").Str("result", "success").Send()
		}
		if e := writer.Close(); e != nil { // the log cannot hold it
			fmt.Fprintln(os.Stderr, "server:", e)
		}
	}()
	signal.Ignore(syscall.SIGPIPE) // losing the log's reader must not end a lottery
	asked := askedToRead()
	ctx, drain := context.WithCancel(signals.Context())
	context.AfterFunc(ctx, writer.Hurry)
	return serve(ctx, drain, c, asked, log, log.Output(writer.NonBlocking()), writer.Journal(c.logLevel))
}

// serve opens the contest and serves it until ctx is done, which drain asks for, or
// the ledger fails. asked receives when an operator wants certificates to be read
// again.
func serve(ctx context.Context, drain func(), c config, asked <-chan os.Signal, log, loopLog zerolog.Logger, journal reactor.Journal) (err error) {
	log.Debug().Str("action", "config").Str("result", "success").Func(c.logPort).
		Int("listen_backlog", c.listenBacklog).Str("logging_level", logline.LevelName(c.logLevel)).Send()
	for _, warning := range c.warnings {
		log.Warn().Str("action", "ignore_setting").Str("result", "success").Str("reason", warning).Send()
	}

	certificates, err := openCertificates(c)
	if err != nil {
		return err
	}
	adminServer, closeAdmin, err := newAdmin(c, certificates, log, journal)
	if err != nil {
		return err
	}
	defer closeAdmin()
	record, err := newActaKeeper(c, adminServer.ShowActa, log)
	if err != nil {
		return err
	}
	waits := new(waiting)
	opened := showLedger(adminServer, c.place(), waits)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := newStop(ctx, c.shutdownTimeout)
	control := startControl(ctx, c.folder(), c.controlName(), adminServer, drain, log)
	defer func() { control.close(err) }()
	var ledger ledger
	var contest *lottery.Contest
	var announced bool
	err = stop.wait("the opening of the contest", func() (err error) {
		ledger, contest, announced, err = openContest(ctx, c, log, adminServer.Committed, waits)
		if err != nil {
			return err
		}
		if err = record.verify(ctx, waits); err != nil {
			_ = contest.Close() // err matters more
		}
		return err
	})
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return nil // it was stopped while it waited
	case err != nil:
		return err
	}
	opened(ledger)
	connections, err := limitConnections(c.maxConnections, c.eventLoops())
	if err != nil {
		return err
	}
	perAddress := limitPerAddress(c.maxPerAddress, connections, c.maxConnections)
	if connections < c.maxConnections {
		log.Info().Str("action", "limit_connections").Str("result", "success").
			Int("max_connections", connections).Int("configured", c.maxConnections).
			Int("max_connections_per_address", perAddress).
			Str("reason", "the system allows no more open files").Send()
	}
	server := reactor.New(reactor.Config{
		Address:        c.listenAddress(),
		TLS:            c.tlsPort(certificates, connections),
		Backlog:        c.listenBacklog,
		Echo:           c.echo,
		Loops:          c.eventLoops(),
		MaxConnections: connections,
		MaxPerAddress:  perAddress,
		MaxLine:        c.maxLine,
		FrameTimeout:   c.frameTimeout,
		IdleTimeout:    c.idleTimeout,
		WindowFrames:   c.windowFrames,
		WindowBytes:    c.windowBytes,
		MaxWaiting:     c.maxWaiting,
		MaxUnread:      c.maxUnread,
		StopTimeout:    c.shutdownTimeout,
		Journal:        journal,
		Log:            log,
		LoopLog:        loopLog,
		Observer:       adminServer.Observer(),
		Announced:      announced,
	}, contest)
	ledger.lendTo(server.Lead)
	adminServer.HinderedBy(ledger.hindrance)
	adminServer.Watch(contest, ledger.durable(), server)
	missing := newMissingLog(contest, log)
	control.operate(operated{contest, missing, ledger.hindrance})

	var watching sync.WaitGroup
	// From here on there may be a draw, which the server logs.
	watching.Go(func() {
		if err := watch(ctx, contest, missing, ledger, time.Now, log); err != nil {
			log.Error().Str("action", "ledger").Str("result", "fail").Err(err).Send()
			cancel()
		}
	})
	watching.Go(func() { announce(ctx, server, adminServer, log) })
	renewer := renewer{store: certificates, identifier: server, now: time.Now, log: log}
	watching.Go(func() { renewer.run(ctx, asked) })
	endRecord := record.start(contest, ctx.Done(), stop.over)
	err = server.Run(ctx)
	cancel()
	defer endRecord()
	if err != nil { // the ledger may be what hangs
		return errors.Join(err, stop.wait("the watch over the ledger", func() error { watching.Wait(); return nil }))
	}
	err = stop.wait("the ledger", func() error {
		watching.Wait()
		return contest.Close()
	})
	if err == nil {
		log.Info().Str("action", "close_ledger").Str("result", "success").Send()
	}
	return err
}
