package main

import (
	"io"

	"github.com/rs/zerolog"

	"loteria/agency"
	"loteria/cmd/internal/progress"
	"loteria/internal/logline"
)

// screen is what there is to see beside the log: on a terminal a bar below it,
// and in the end the winners. Elsewhere it is nothing but the log's way out.
type screen struct {
	config   config
	out      io.Writer
	terminal *progress.Terminal // nil where there is no bar, as are bars and bar
	bars     *progress.Bars
	bar      *progress.Bar
	winners  winnerList
}

// newScreen finds out whether there is a bar. Only bets have one, and below
// lines for machines there is none.
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

// watch has the run tell what is to be seen, and how long the pauses between
// batches take where that is long.
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

// close leaves the bar as it is then on the terminal, if there is one.
func (s *screen) close() error {
	if s.bars == nil {
		return nil
	}
	return s.bars.Close()
}

// result shows the winners below the bar, which is closed. They are known: the
// run has reached its end.
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
