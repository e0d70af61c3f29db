package agency

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/rs/zerolog"
	"loteria/codec"
)

// span is a batch that waits for its answer.
type span struct {
	position uint64 // how many bets come before it
	bets     int
	document string // of its first bet
	number   string
}

// String says which bets it holds, counted from 1.
func (s span) String() string {
	first := strconv.FormatUint(s.position+1, 10)
	return first + "-" + strconv.FormatUint(s.position+uint64(s.bets), 10)
}

// transfer sends what is left of bets after the stored ones, and waits for all
// answers. It returns how many bets there are in all.
//
// One goroutine writes and this one reads, so that neither waits for the other: a
// central whose answers are not read may stop reading. On an error of bets, the full
// batches before it are still sent and answered.
func (a *agency) transfer(l *link, b *betting, bets bets, stored uint64) (total uint64, err error) {
	s := a.newSender(l, b, bets, stored)
	sent := make(chan error, 1)
	go func() { sent <- s.run() }()

	err = a.collect(l, b, s.pending)
	if err != nil {
		close(s.quit)
		l.abort()
	}
	// An error of the bets counts for more than a connection that was lost at the same
	// time: the next one would end there too. A failed write says nothing when the read
	// says why.
	if sendErr := <-sent; err == nil || isLost(err) && sendErr != nil && !isLost(sendErr) {
		err = sendErr
	}
	return s.position, err
}

// collect receives the answers to the batches that are pending, in order.
func (a *agency) collect(l *link, b *betting, pending <-chan span) error {
	var success codec.Success
	for batch := range pending {
		answer, err := l.receive(wait{"send_bets", "the answer to bets " + batch.String()})
		if err != nil {
			return err
		}
		if answer.Type != codec.TypeSuccess {
			return a.declined(b, batch, answer)
		}
		if err := decode(answer, &success); err != nil {
			return failed("send_bets", err)
		}
		// Existing centrals are taken at their word.
		if a.central == resuming && success.Document != batch.document {
			return failed("send_bets", fmt.Errorf("the central acknowledges a batch that begins with document %.40q, "+
				"expected is the answer to bets %v, which begin with %q", success.Document, batch, batch.document))
		}
		a.progress(batch.position + uint64(batch.bets))
		b.answered(batch)
	}
	return nil
}

// declined returns the error for a batch whose answer is not SUCCESS.
func (a *agency) declined(b *betting, batch span, answer codec.Frame) error {
	err := decline("bets "+batch.String(), answer)
	if retry := (*retryError)(nil); errors.As(err, &retry) {
		return err
	}
	f := &failure{action: b.action, err: err}
	f.details = func(e *zerolog.Event) {
		if !b.single {
			e.Stringer("batch", batch).Int("cantidad", batch.bets)
		}
		if refused := (*refusedError)(nil); errors.As(err, &refused) {
			e.Str("code", string(refused.answer.Code)).
				Str("dni", refused.answer.Document).Str("numero", refused.answer.Number)
		}
	}
	return f
}

// unlessWatched returns log, or a no-op where Progress is set, unless both are
// wanted.
func (a *agency) unlessWatched(log func(span)) func(span) {
	if a.config.Progress != nil && !a.config.LogAnswers {
		return func(span) {}
	}
	return log
}

func (a *agency) batchAnswered(batch span) {
	a.step(a.log.Info(), batchProcessed, "success").Stringer("batch", batch).Int("cantidad", batch.bets).Send()
}

func (a *agency) betAnswered(bet span) {
	step(a.log.Info(), betSent, "success").Str("dni", bet.document).Str("numero", bet.number).Send()
}
