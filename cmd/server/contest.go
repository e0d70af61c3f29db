package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/settings"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

const (
	// lookInterval is how often the clock and the ledger's file are looked at.
	lookInterval = time.Second
	// reportInterval is how often the log says whom the draw waits for, and what
	// cannot be saved.
	reportInterval = time.Minute
	// drawWait is how long a draw that is made at the start may take before
	// agencies are listened to without it.
	drawWait = 2 * time.Second
	// maxAwaited bounds the agencies that one such report names.
	maxAwaited = 20
)

// openContest opens the contest and logs what it holds.
func openContest(c config, log zerolog.Logger, committed func(lottery.Commit)) (*csvledger.Ledger, *lottery.Contest, error) {
	saves := unsaved{log: log}
	options := []csvledger.Option{csvledger.WithCommits(committed), csvledger.WithWarnings(saves.note)}
	if c.noSync {
		options = append(options, csvledger.WithoutSync())
	}
	if c.reopen {
		options = append(options, csvledger.WithReopen())
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
	if reason := ledger.ReadOnly(); reason != nil {
		log.Warn().Str("action", "open_read_only").Str("result", "success").Str("file", ledger.Path()).Str("reason", reason.Error()).Send()
	}
	if contest.Phase() == lottery.Drawn {
		log.Info().Str("action", "contest_drawn").Str("result", "success").
			Str("note", "this lottery is finished, it tells its winners and takes no bets; another CONTEST or --contest begins a new one").Send()
	}
	announced := contest.Phase() == lottery.Drawn && !contest.DrawnLate()
	if err := endAtStart(contest, c, log); err != nil {
		_ = contest.Close() // what it was opened for is told
		return nil, nil, err
	}
	if contest.Phase() == lottery.Drawing { // a draw from here on is the server's to log
		select {
		case <-contest.Drawn():
		case <-contest.Failed():
		case <-time.After(drawWait):
		}
	}
	if contest.Phase() == lottery.Drawn && !announced {
		log.Info().Str("action", "sorteo").Str("result", "success").Send()
	}
	return ledger, contest, nil
}

// endAtStart does what the operator wants before any agency may bet: it sets the
// deadline, and ends the betting that is over.
func endAtStart(contest *lottery.Contest, c config, log zerolog.Logger) error {
	if err := setDeadline(contest, c.drawDeadline, time.Now(), log); err != nil {
		return err
	}
	missing := contest.Missing()
	if len(c.drawWithout) > 0 {
		if err := contest.DrawWithout(c.drawWithout...); err != nil {
			return fmt.Errorf("--draw-without: %w", err)
		}
	}
	if isDue(contest, time.Now()) {
		if err := endBetting(contest); err != nil {
			return fmt.Errorf("end the betting at its deadline: %w", err)
		}
	}
	logMissing(contest, missing, log)
	return nil
}

// setDeadline gives the contest its deadline, and logs the one that it has then,
// in the zone in which a time without an offset is read.
func setDeadline(contest *lottery.Contest, deadline, now time.Time, log zerolog.Logger) error {
	before := contest.Deadline()
	err := contest.SetDeadline(deadline, now)
	if errors.Is(err, lottery.ErrDeadline) {
		return &settings.Error{Key: "DRAW_DEADLINE", Problem: err.Error()}
	}
	if err != nil {
		return fmt.Errorf("set the deadline: %w", err)
	}
	kept := contest.Deadline()
	if kept.IsZero() || contest.Phase() == lottery.Drawn {
		return nil
	}
	local := kept.In(now.Location())
	line := log.Info().Str("action", "draw_deadline").Str("result", "success").
		Str("deadline", local.Format(time.RFC3339)).Str("zone", zoneOf(local)).Stringer("left", kept.Sub(now.Round(0)).Round(time.Second))
	if !before.IsZero() && !before.Equal(kept) {
		line.Str("replaces", before.In(now.Location()).Format(time.RFC3339))
	}
	line.Send()
	return nil
}

// unsaved logs that something cannot be saved, which is tried again each second:
// at once, then each minute, and when it is saved.
type unsaved struct {
	log    zerolog.Logger
	tries  int
	logged time.Time
}

func (u *unsaved) note(err error) {
	if u.tries++; err == nil {
		u.log.Info().Str("action", "save_contest").Str("result", "success").Int("tries", u.tries).Send()
		u.tries = 0
		return
	}
	if now := time.Now(); u.tries == 1 || now.Sub(u.logged) >= reportInterval {
		u.logged = now
		u.log.Warn().Str("action", "save_contest").Str("result", "in_progress").Int("tries", u.tries).Err(err).Send()
	}
}

// watch keeps an eye on the contest until ctx is done: it ends the betting at
// the deadline, says every minute whom the draw waits for, and has the ledger
// look at its file and note how much of it is on disk. It returns the ledger's
// failure, if that comes first.
//
// The deadline is held against the wall clock, which may be set, and goes on
// while the machine sleeps: no timer does that.
func watch(ctx context.Context, contest *lottery.Contest, ledger *csvledger.Ledger, clock func() time.Time, log zerolog.Logger) error {
	look, report := time.NewTicker(lookInterval), time.NewTicker(reportInterval)
	defer look.Stop()
	defer report.Stop()
	missing := contest.Missing()
	for isOver := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-contest.Failed():
			return contest.Err()
		case <-look.C:
			ledger.Verify()
			if isOver || !isDue(contest, clock()) {
				continue
			}
			err := endBetting(contest)
			if errors.Is(err, lottery.ErrUnavailable) {
				continue // it cannot be saved yet
			}
			if err != nil {
				return err
			}
			isOver = true
			logMissing(contest, missing, log)
		case now := <-report.C:
			reportAwaited(contest, now, log)
			if err := ledger.Checkpoint(); err != nil {
				log.Error().Str("action", "checkpoint").Str("result", "fail").Err(err).Send()
			}
		}
	}
}

// isDue reports whether the deadline has passed, by the wall clock.
func isDue(contest *lottery.Contest, now time.Time) bool {
	deadline := contest.Deadline()
	return !deadline.IsZero() && !now.Round(0).Before(deadline)
}

// endBetting ends the betting of all agencies.
func endBetting(contest *lottery.Contest) error {
	var late []int
	for _, awaited := range contest.Awaited() {
		late = append(late, awaited.Agency)
	}
	return contest.DrawWithout(late...)
}

// logMissing logs which agencies the draw is made without, when these are more
// than were known.
func logMissing(contest *lottery.Contest, known []int, log zerolog.Logger) {
	if missing := contest.Missing(); len(missing) > len(known) {
		log.Warn().Str("action", "end_betting").Str("result", "success").Ints("missing", missing).Send()
	}
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
	if !report.Deadline.IsZero() {
		fmt.Fprintf(stdout, "deadline: %s\n", report.Deadline.Local().Format(time.RFC3339))
	}
	if report.State == "none" && report.Rows > 0 {
		fmt.Fprintf(stdout, "%s is missing: a start needs it, or --reopen\n", csvledger.StateFile)
	}
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
