package agency

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/rs/zerolog"
)

// Run does what the configuration says, and returns when it is done: in
// ModeBatch, ModeBet and ModeWinners the winners are then known, in ModeEcho the
// last line has come back. It logs every step, and each failure once, with result fail.
//
// The error is ErrStopped when ctx ended first; everything is closed then.
// Any other error is final: an unusable configuration, no file, a row that is
// no valid bet (*RowError), a central that cannot be reached, refuses
// something (errors.Is finds its lottery.Code), takes nothing more (*LateError),
// holds other bets, or breaks the protocol.
func Run(ctx context.Context, config Config, log zerolog.Logger) error {
	return newAgency(config, log).run(ctx)
}

// agency is one run.
type agency struct {
	config  Config
	log     zerolog.Logger
	backoff backoff
	quiet   time.Duration // see resume
	remind  reminder
	settle  time.Duration // see awaitSettled

	rotation rotation
	central  central
	closings map[string]int // connections closed on RESUME, by address, while central is unknown
	acked    uint64         // bets that the central has acknowledged
	losses   int            // connections in a row that were lost without progress
	retries  int            // RETRY in a row
	told     int            // winners that config.Winners knows
	complete bool           // that all bets are acknowledged was logged
}

// Log actions about answers.
const (
	batchProcessed = "batch_processed"
	betSent        = "apuesta_enviada"
)

// central is what is known of the other side.
type central int

const (
	unknown  central = iota
	resuming         // it answers RESUME
	legacy           // it does not
)

func newAgency(config Config, log zerolog.Logger) *agency {
	return &agency{
		config:  config,
		log:     log,
		backoff: backoff{first: firstPause, longest: longestPause},
		quiet:   quietTime,
		remind:  reminder{first: firstReminder, every: nextReminder},
		settle:  settleTime,

		closings: map[string]int{},
	}
}

func (a *agency) run(ctx context.Context) error {
	err := a.config.Validate()
	if err == nil {
		a.rotation.addresses, err = ParseAddresses(a.config.Address)
	}
	if err != nil {
		err = failed("config", err)
	} else {
		err = a.work(ctx)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ErrStopped
	}
	if late := (*LateError)(nil); !errors.As(err, &late) {
		a.report(err)
	}
	return err
}

func (a *agency) work(ctx context.Context) error {
	switch a.config.Mode {
	case ModeBet:
		return a.playBet(ctx)
	case ModeEcho:
		return a.echo(ctx)
	case ModeWinners:
		_, err := a.fetchWinners(ctx)
		return err
	default:
		return a.playFile(ctx)
	}
}

// playFile is ModeBatch.
func (a *agency) playFile(ctx context.Context) error {
	source, err := findSource(a.config.DataDir, a.config.ID)
	if err != nil {
		return failed("open_file", err)
	}
	for _, passed := range source.passed {
		a.step(a.log.Warn(), "open_file", "in_progress").Str("reason", passed.Error()).Send()
	}
	step(a.log.Info(), "batch_processing_start", "success").Send()
	survey, err := a.survey(ctx, source)
	if err == nil {
		err = a.awaitSettled(ctx, source)
	}
	if err != nil {
		return err
	}
	return a.play(ctx, &betting{
		name:     source.String(),
		total:    survey.bets,
		open:     func() (bets, error) { return a.openFile(ctx, survey.source) },
		verify:   survey.verify,
		amount:   a.config.BatchMaxAmount,
		window:   a.config.Window,
		action:   batchProcessed,
		answered: a.unlessWatched(a.batchAnswered),
		complete: func(total uint64) {
			n := strconv.FormatUint(total, 10)
			a.step(a.log.Info(), "batch_processing_complete", "success").Str("processed", n+"/"+n).Send()
		},
	})
}

// playBet is ModeBet.
func (a *agency) playBet(ctx context.Context) error {
	return a.play(ctx, &betting{
		name:     "the configured bet",
		total:    uint64(a.config.LoopAmount),
		open:     func() (bets, error) { return newRepeated(a.config.raw(), a.config.LoopAmount) },
		verify:   func(*counted) error { return nil },
		single:   true,
		amount:   1,
		window:   1,
		action:   betSent,
		answered: a.unlessWatched(a.betAnswered),
		complete: func(uint64) { a.step(a.log.Info(), "loop_finished", "success").Send() },
	})
}

func (a *agency) play(ctx context.Context, b *betting) error {
	if a.config.Total != nil {
		a.config.Total(b.total)
	}
	l, err := a.deliver(ctx, b)
	if isLate(err) {
		a.report(err)
		late := &LateError{Refusal: err}
		if late.Winners, late.Err = a.fetchWinners(ctx); late.Err != nil && ctx.Err() == nil {
			a.report(late.Err)
		}
		return late
	}
	if err != nil {
		return err
	}
	_, err = a.awaitWinners(ctx, l)
	return err
}

// step begins a log line in the form that all of them have.
func step(e *zerolog.Event, action, result string) *zerolog.Event {
	return e.Str("action", action).Str("result", result)
}

// step begins a log line that says which agency it is about.
func (a *agency) step(e *zerolog.Event, action, result string) *zerolog.Event {
	return step(e, action, result).Int("client_id", a.config.ID)
}

// logClosing logs that something was closed, on a stop at level INFO.
func (a *agency) logClosing(ctx context.Context, action string) *zerolog.Event {
	e := a.log.Debug()
	if ctx.Err() != nil {
		e = a.log.Info()
	}
	return a.step(e, action, "success")
}

// report logs the failure that ends the run.
func (a *agency) report(err error) {
	action := "agency"
	var details func(*zerolog.Event)
	if f := (*failure)(nil); errors.As(err, &f) {
		action, details = f.action, f.details
	}
	e := a.step(a.log.Error(), action, "fail")
	if details != nil {
		e.Func(details)
	}
	e.Str("error", err.Error()).Send()
}
