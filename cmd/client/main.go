// Command client is an agency of the lottery.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	_ "time/tzdata" // for TZ where the system has no time zones, as in the image

	"github.com/rs/zerolog"

	"loteria/agency"
	"loteria/cmd/internal/settings"
	"loteria/cmd/internal/signals"
	"loteria/internal/logline"
	"loteria/lottery"
)

const name = "client"

// Exit codes. A configuration that cannot be used has that of settings.Report.
const (
	exitDone    = 0 // all is done, or a signal has stopped it
	exitFailure = 1
)

func main() {
	os.Exit(run(signals.Context(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run runs the agency until it is done, fails, or ctx ends, and returns the
// exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	c, err := loadConfig(args, environ)
	if err != nil {
		return settings.Report(err, name, stdout, stderr)
	}
	a := c.agency()
	var proof *credentials
	if c.tls.isOn() {
		if proof, err = newCredentials(c); err == nil {
			a.TLS, a.TLSFiles = proof.config, c.tls.named()
		}
	}
	if err == nil {
		err = a.Validate()
	}
	if err != nil {
		return settings.Report(err, name, stdout, stderr)
	}

	show := newScreen(c, stdout)
	lines := logline.New(show.log(), c.logFormat)
	defer context.AfterFunc(ctx, lines.Hurry)() // a stop does not wait for a stuck reader of the log
	log := lines.Logger(c.logLevel)
	c.report(log)
	proof.report(log)
	show.watch(&a, log)
	err = agency.Run(ctx, a, log)
	stopped := errors.Is(err, agency.ErrStopped)
	if stopped {
		log.Info().Str("action", "exit").Str("result", "success").Int("client_id", c.id).Send()
		err = nil
	}
	// The bar's last state comes below the last line.
	known := !stopped && winnersKnown(err)
	output := errors.Join(lines.Close(), show.close())
	if stopped && errors.Is(output, syscall.EIO) {
		output = nil // the terminal was closed, which is what has stopped it
	}
	err = errors.Join(err, output)
	if known {
		err = errors.Join(err, show.result())
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return exitFailure
	}
	return exitDone
}

// winnersKnown reports whether a run that ended with err has told its winners.
func winnersKnown(err error) bool {
	late := (*agency.LateError)(nil)
	return err == nil || errors.As(err, &late) && late.Err == nil
}

// report logs the configuration.
func (c *config) report(log zerolog.Logger) {
	log.Info().Str("action", "config").Str("result", "success").
		Int("client_id", c.id).
		Str("server_address", c.serverAddress).
		Int("loop_amount", c.loopAmount).
		Stringer("loop_period", c.loopPeriod).
		Str("log_level", logline.LevelName(c.logLevel)).
		Send()
}

// agency returns the part of the configuration that package agency needs.
func (c *config) agency() agency.Config {
	dataDir := c.dataDir
	if dataDir == "" {
		dataDir = findDataDir("/data")
	}
	return agency.Config{
		ID:             c.id,
		Address:        c.serverAddress,
		Mode:           agency.Mode(c.mode),
		LoopAmount:     c.loopAmount,
		LoopPeriod:     c.loopPeriod,
		DataDir:        dataDir,
		BatchMaxAmount: c.batchMax,
		Window:         c.batchWindow,
		SkipInvalid:    c.skipInvalid,
		AllowEmpty:     c.allowEmpty,
		RequireResume:  c.needResume,
		LogAnswers:     c.progress == progressLines,
		Bet: lottery.RawBet{
			FirstName: c.bet.firstName,
			LastName:  c.bet.lastName,
			Document:  c.bet.document,
			Birthdate: c.bet.birthdate,
			Number:    c.bet.number,
		},
		RetryPeriod:    c.retryPeriod,
		RetryLimit:     c.retryLimit,
		ConnectLimit:   c.connectLimit,
		ConnectTimeout: c.connectTimeout,
	}
}
