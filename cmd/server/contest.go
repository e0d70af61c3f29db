package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/settings"
	"loteria/lottery"
)

const (
	// lookInterval is how often the clock and the ledger's file are checked.
	lookInterval = time.Second
	// reportInterval is how often the log says whom the draw waits for, and what
	// cannot be saved.
	reportInterval = time.Minute
	// drawWait is how long a start waits for a draw before it accepts connections
	// without it.
	drawWait = 2 * time.Second
	// waitNotice is how long servers are waited for before that is logged.
	waitNotice = 2 * time.Second
	// maxAwaited bounds the agencies that one report names.
	maxAwaited = 20
)

// openContest opens the contest and logs what it holds. announced says that the
// draw needs no log line: it has one, or was known before. While it waits for
// servers, waits has the reason.
func openContest(ctx context.Context, c config, log zerolog.Logger, committed func(lottery.Commit), waits *waiting) (l ledger, contest *lottery.Contest, announced bool, err error) {
	at := c.place()
	type opened struct {
		ledger  ledger
		contest *lottery.Contest
	}
	o, err := untilThere(ctx, at, log, waits, func() (o opened, err error) {
		if o.ledger, err = at.open(ctx, c.expectedAgencies, committed, waits.note, log); err == nil {
			o.contest, err = lottery.NewContest(o.ledger)
			if err != nil && at.isFar() { // the servers were there a moment ago
				err = fmt.Errorf("%w: %w", lottery.ErrUnavailable, err)
			}
		}
		return o, err
	})
	if err != nil {
		return nil, nil, false, err
	}
	l, contest = o.ledger, o.contest
	l.note(log)
	line := l.describe(log.Info().Str("action", "open_contest").Str("result", "success")).Int("agencies", c.expectedAgencies)
	if !at.isFar() { // else an account is known once its agency connects
		var bets uint64
		for _, standing := range contest.Standings() {
			bets += standing.Bets
		}
		line = line.Uint64("bets", bets)
	}
	line.Str("phase", string(contest.Phase())).Send()
	announced = contest.WasDrawn()
	if announced || contest.Phase() == lottery.Drawn {
		log.Info().Str("action", "contest_drawn").Str("result", "success").
			Str("note", "this lottery is finished, it tells its winners and takes no bets; another CONTEST or --contest begins a new one").Send()
	}
	_, err = untilThere(ctx, at, log, waits, func() (struct{}, error) { return struct{}{}, endAtStart(contest, c, log) })
	if at.isFar() && ctx.Err() != nil {
		go func() { _ = contest.Close() }() // nobody has bet here, and it may wait for servers
		return nil, nil, false, ctx.Err()
	}
	if err != nil {
		_ = contest.Close() // err matters more
		return nil, nil, false, err
	}
	if contest.Phase() == lottery.Drawing { // the server logs any later draw
		select {
		case <-contest.Drawn():
		case <-contest.Failed():
		case <-ctx.Done():
		case <-time.After(drawWait):
		}
	}
	if contest.Phase() == lottery.Drawn && !announced {
		log.Info().Str("action", "sorteo").Str("result", "success").Send()
		announced = true
	}
	return l, contest, announced, nil
}

// untilThere returns f's result. For a remote place it retries f while the place is
// unavailable, until ctx is done, and logs that it waits. A stop does not wait for
// f, as nothing depends on it.
func untilThere[T any](ctx context.Context, at place, log zerolog.Logger, waits *waiting, f func() (T, error)) (value T, err error) {
	if !at.isFar() {
		return f()
	}
	type result struct {
		value T
		err   error
	}
	ended := make(chan result, 1)
	try := func() {
		value, err := f()
		ended <- result{value, err}
	}
	go try()
	report := time.NewTimer(waitNotice)
	defer report.Stop()
	for {
		select {
		case r := <-ended:
			if !isPassing(r.err) {
				return r.value, r.err
			}
			waits.note(r.err)
			time.AfterFunc(lookInterval, try)
		case <-report.C:
			report.Reset(reportInterval)
			if waits.reason() == nil { // the first try has not ended yet
				report.Reset(waitNotice)
			}
			line := at.describe(log.Warn().Str("action", "open_contest").Str("result", "in_progress"))
			if reason := waits.reason(); reason != nil {
				line = line.Err(reason)
			}
			line.Str("note", "the ledger's servers are waited for").Send()
		case <-ctx.Done():
			return value, ctx.Err()
		}
	}
}

// waiting has the last reason to wait for servers. The zero value has none.
type waiting struct{ last atomic.Pointer[error] }

func (w *waiting) note(reason error) { w.last.Store(&reason) }

func (w *waiting) reason() error {
	if reason := w.last.Load(); reason != nil {
		return *reason
	}
	return nil
}

// isPassing reports whether an error of the ledger may be temporary: it is
// unavailable, or another central was quicker.
func isPassing(err error) bool {
	refusal := (*lottery.Refusal)(nil)
	return errors.Is(err, lottery.ErrUnavailable) || errors.Is(err, lottery.ErrMoved) ||
		errors.As(err, &refusal) && refusal.Code == lottery.Fenced
}

// endAtStart applies the operator's settings before any agency may bet: the
// deadline, and the betting to end.
func endAtStart(contest *lottery.Contest, c config, log zerolog.Logger) error {
	if err := setDeadline(contest, c.drawDeadline, time.Now(), log); err != nil {
		return err
	}
	missing := newMissingLog(contest, log)
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
	missing.note()
	return nil
}

// setDeadline sets the configured deadline.
func setDeadline(contest *lottery.Contest, deadline, now time.Time, log zerolog.Logger) error {
	err := changeDeadline(contest, deadline, now, log)
	if errors.Is(err, lottery.ErrDeadline) {
		return &settings.Error{Key: "DRAW_DEADLINE", Problem: err.Error()}
	}
	return err
}

// changeDeadline sets the contest's deadline, and logs the resulting one in the
// zone in which times without an offset are read.
func changeDeadline(contest *lottery.Contest, deadline, now time.Time, log zerolog.Logger) error {
	before := contest.Deadline()
	if err := contest.SetDeadline(deadline, now); err != nil {
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

// unsaved logs that something cannot be saved, which is retried each second: at
// once, then each minute, and when it is saved.
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

// watch monitors the contest until ctx is done: it ends the betting at the
// deadline, logs each minute whom the draw waits for, and has the ledger check
// itself each second and note each minute how much of it is on disk. It returns the
// ledger's failure, if that comes first. Where several centrals share a contest,
// each of them does that: the first ending stands.
//
// The deadline is compared with the wall clock, which may be set, and which runs
// while the machine sleeps, unlike a timer.
func watch(ctx context.Context, contest *lottery.Contest, missing *missingLog, ledger ledger, clock func() time.Time, log zerolog.Logger) error {
	look, report := time.NewTicker(lookInterval), time.NewTicker(reportInterval)
	defer look.Stop()
	defer report.Stop()
	ended := make(chan error, 1)
	for isEnding := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-contest.Failed():
			return contest.Err()
		case <-look.C:
			ledger.look()
			if !isEnding && isDue(contest, clock()) {
				isEnding = true
				go func() { ended <- endBetting(contest) }() // it may wait for servers
			}
		case err := <-ended:
			if isPassing(err) {
				isEnding = false // again in a second
				continue
			}
			if err != nil {
				return err
			}
			missing.note()
		case now := <-report.C:
			reportAwaited(contest, now, log)
			if err := ledger.checkpoint(); err != nil {
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

// missingLog logs which agencies the draw is made without, whenever there are more.
type missingLog struct {
	contest *lottery.Contest
	log     zerolog.Logger

	mu    sync.Mutex
	known int // agencies already logged, or missing before
}

// newMissingLog returns a log of agencies that become missing later.
func newMissingLog(contest *lottery.Contest, log zerolog.Logger) *missingLog {
	return &missingLog{contest: contest, log: log, known: len(contest.Missing())}
}

// note logs the missing agencies if there are more than the last time.
func (m *missingLog) note() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if missing := m.contest.Missing(); len(missing) > m.known {
		m.known = len(missing)
		m.log.Warn().Str("action", "end_betting").Str("result", "success").Ints("missing", missing).Send()
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
