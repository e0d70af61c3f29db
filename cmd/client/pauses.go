package main

import (
	"math"
	"time"

	"github.com/rs/zerolog"

	"loteria/agency"
	"loteria/codec"
)

const (
	// longPauses is how long all pauses between batches may take before that is
	// logged.
	longPauses = time.Minute
	// usualBet is the usual size of a bet in a frame, in bytes.
	usualBet = 60
)

// logPauses logs how long the pauses between the batches of that many bets take, if
// that is long: loop.period is often set for the other modes.
func logPauses(log zerolog.Logger, c agency.Config, bets uint64) {
	inBatch := uint64(min(c.BatchMaxAmount, codec.MaxFrame/usualBet))
	batches := (bets + inBatch - 1) / inBatch
	if batches < 2 || batches-1 <= uint64(longPauses/c.LoopPeriod) {
		return
	}
	pauses := time.Duration(min(float64(batches-1)*float64(c.LoopPeriod), math.MaxInt64/2)).Round(time.Second)
	log.Info().Str("action", "loop_period").Str("result", "in_progress").Int("client_id", c.ID).
		Stringer("period", c.LoopPeriod).Uint64("batches", batches).Stringer("pauses", pauses).
		Str("note", "about so long does the agency pause between its batches in all; loop.period 0 sends them without pauses").Send()
}
