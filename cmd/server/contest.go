package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

const (
	// reportInterval is how often the log says whom the draw waits for.
	reportInterval = time.Minute
	// maxAwaited bounds the agencies that one such report names.
	maxAwaited = 20
)

// openContest opens the contest and logs what it holds.
func openContest(c config, log zerolog.Logger, committed func(lottery.Commit)) (*csvledger.Ledger, *lottery.Contest, error) {
	options := []csvledger.Option{
		csvledger.WithCommits(committed),
		csvledger.WithWarnings(func(err error) {
			log.Warn().Str("action", "save_contest").Str("result", "in_progress").Err(err).Send()
		}),
	}
	if c.noSync {
		options = append(options, csvledger.WithoutSync())
	}
	ledger, err := csvledger.Open(c.folder(), c.expectedAgencies, options...)
	if err != nil {
		return nil, nil, err
	}
	contest, err := lottery.NewContest(ledger)
	if err != nil {
		return nil, nil, err
	}
	if torn := ledger.Torn(); torn > 0 {
		log.Warn().Str("action", "recover_ledger").Str("result", "success").Str("file", ledger.Path()).Int64("torn_bytes", torn).Send()
	}
	var bets uint64
	for _, standing := range contest.Standings() {
		bets += standing.Bets
	}
	log.Info().Str("action", "open_contest").Str("result", "success").Str("file", ledger.Path()).
		Int("agencies", c.expectedAgencies).Uint64("bets", bets).Str("phase", string(contest.Phase())).Send()
	if contest.Phase() == lottery.Drawn {
		log.Info().Str("action", "contest_drawn").Str("result", "success").
			Str("note", "this lottery is finished, it tells its winners and takes no bets; another CONTEST or --contest begins a new one").Send()
	}
	announced := contest.Phase() == lottery.Drawn && !contest.DrawnLate()
	if len(c.drawWithout) > 0 {
		if err := drawWithout(contest, c.drawWithout, log); err != nil {
			return nil, nil, fmt.Errorf("--draw-without: %w", err)
		}
	}
	if contest.Phase() == lottery.Drawn && !announced {
		log.Info().Str("action", "sorteo").Str("result", "success").Send()
	}
	return ledger, contest, nil
}

// watch keeps an eye on the contest until ctx is done: it ends the betting at
// the deadline, says every minute whom the draw waits for, and has the ledger
// note how much of it is on disk. It returns the ledger's failure, if that comes
// first.
func watch(ctx context.Context, contest *lottery.Contest, checkpoint func() error, deadline time.Time, log zerolog.Logger) error {
	ticker := time.NewTicker(reportInterval)
	defer ticker.Stop()
	var due <-chan time.Time // never, without a deadline
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		due = timer.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-contest.Failed():
			return contest.Err()
		case <-due:
			var late []int
			for _, awaited := range contest.Awaited() {
				late = append(late, awaited.Agency)
			}
			if err := drawWithout(contest, late, log); err != nil {
				return err
			}
		case now := <-ticker.C:
			reportAwaited(contest, now, log)
			if err := checkpoint(); err != nil {
				log.Error().Str("action", "checkpoint").Str("result", "fail").Err(err).Send()
			}
		}
	}
}

// drawWithout ends the betting of agencies, and logs who is missing.
func drawWithout(contest *lottery.Contest, agencies []int, log zerolog.Logger) error {
	if err := contest.DrawWithout(agencies...); err != nil {
		return err
	}
	log.Warn().Str("action", "end_betting").Str("result", "success").Ints("missing", contest.Missing()).Send()
	return nil
}

// reportAwaited says whom the draw waits for, and since when each has been
// silent.
func reportAwaited(contest *lottery.Contest, now time.Time, log zerolog.Logger) {
	awaited := contest.Awaited()
	for i, a := range awaited {
		if i == maxAwaited {
			log.Info().Str("action", "await_agency").Str("result", "in_progress").Int("more_agencies", len(awaited)-i).Send()
			return
		}
		log.Info().Str("action", "await_agency").Str("result", "in_progress").Int("agency", a.Agency).Uint64("bets", a.Bets).
			Stringer("silent_for", now.Sub(a.LastSeen).Round(time.Second)).Str("since", a.LastSeen.Format(time.DateTime)).Send()
	}
}

// checkLedger prints what the contest's ledger holds, and what is wrong with
// it.
func checkLedger(c config, stdout io.Writer) error {
	report, err := csvledger.Check(c.folder())
	fmt.Fprintf(stdout, "%s: %d rows, %d bytes; state: %s\n", report.Path, report.Rows, report.Bytes, report.State)
	for _, a := range report.Agencies {
		fmt.Fprintf(stdout, "agency %d: %d bets, digest %016x, %d on the winning number\n", a.Agency, a.Bets, a.Digest, a.Winners)
	}
	if report.Torn > 0 {
		fmt.Fprintf(stdout, "%d bytes at the end are a row that was never finished; a start cuts them off\n", report.Torn)
	}
	if err == nil {
		fmt.Fprintln(stdout, "nothing is damaged")
	}
	return err
}
