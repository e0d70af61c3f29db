package main

import (
	"io"

	"github.com/rs/zerolog"

	"loteria/agency"
	"loteria/cmd/internal/progress"
	"loteria/internal/logline"
)

// screen shows a run beside its log: on a terminal a bar below it, and in the end
// the winners. Elsewhere it only passes the log on.
type screen struct {
	config   config
	out      io.Writer
	terminal *progress.Terminal // nil without a bar, as are bars and bar
	bars     *progress.Bars
	bar      *progress.Bar
	winners  winnerList
}

// newScreen decides whether there is a bar: only for bets, and not below lines for
// machines.
func newScreen(c config, out io.Writer) *screen {
	s := &screen{config: c, out: out}
	if c.noProgress || c.progress == progressOff || c.logFormat != logline.Text || c.mode == modeEcho || c.mode == modeWinners {
		return s
	}
	if terminal, ok := progress.FindTerminal(out); ok {
		s.terminal, s.bars = terminal, progress.New(terminal)
		s.bar = s.bars.Add(agencyName(c.id))
	}
	return s
}

// log returns where the log goes.
func (s *screen) log() io.Writer {
	if s.bars == nil {
		return s.out
	}
	return s.bars
}

// watch has the run report what the screen shows, and log long pauses between
// batches.
func (s *screen) watch(a *agency.Config, log zerolog.Logger) {
	if s.config.winners {
		a.Winners = s.winners.add
		if s.bars == nil {
			a.Winners = logWinners(log, s.config.id)
		}
	}
	paused := a.Mode == agency.ModeBatch && a.LoopPeriod > 0
	if s.bars == nil && !paused {
		return
	}
	a.Total = func(total uint64) {
		if s.bars != nil {
			s.bar.SetTotal(total)
		}
		if paused {
			logPauses(log, *a, total)
		}
	}
	if s.bars == nil {
		return
	}
	a.Progress = func(stored uint64, all bool) {
		s.bar.Set(stored)
		if all {
			s.bar.Finish()
		}
	}
}

// close leaves the bar, if any, on the terminal as it is.
func (s *screen) close() error {
	if s.bars == nil {
		return nil
	}
	return s.bars.Close()
}

// result shows the winners below the closed bar. The run has ended, so they are
// known.
func (s *screen) result() error {
	if s.bars == nil || !s.config.winners {
		return nil
	}
	columns, _ := s.terminal.Size()
	_, err := io.WriteString(s.out, s.winners.table(agencyName(s.config.id), columns))
	return err
}

// logWinners logs each winner.
func logWinners(log zerolog.Logger, id int) func(documents []string) {
	return func(documents []string) {
		for _, document := range documents {
			log.Info().Str("action", "ganador").Str("result", "success").Int("client_id", id).Str("dni", document).Send()
		}
	}
}
