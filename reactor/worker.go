package reactor

import (
	"errors"
	"slices"

	"github.com/rs/zerolog"
	"loteria/codec"
	"loteria/lottery"
)

// worker takes bursts from the queue, has the lottery do what they ask for,
// and appends the answers. It may block on the disk; the loop does not.
//
// All batches of a burst are admitted before the worker waits for the disk, so
// they share one commit. Nothing is answered or logged before it is durable.
type worker struct {
	lottery Lottery
	log     zerolog.Logger

	burst  *burst
	stored []stored // admitted or refused, not yet answered

	// Scratch, used again for each request.
	batch    lottery.Batch
	bet      codec.Bet
	bets     codec.Batch
	finished codec.Finished
	query    codec.WinnersQuery
	resume   codec.Resume
}

// stored is what became of one BET or BATCH.
type stored struct {
	single   bool
	bets     int
	document string // of the first bet
	number   string
	receipt  lottery.Receipt
	err      error
	slips    []lottery.Slip // of a batch, when each bet is to be logged
}

// work answers requests of the burst until all have their answer, a query has
// to wait for the draw, or the connection is to be closed.
func (w *worker) work(b *burst) {
	w.burst = b
	b.query = 0
	for afterwards := 0; !b.done() && b.query == 0 && !b.hangUp; {
		if b.session.gone.Load() {
			if afterwards++; afterwards > maxAfterwards {
				break
			}
		}
		r := b.requests[b.next]
		b.next++
		if r.refused {
			w.settle()
			w.answer(&codec.Retry{Reason: "the central is busy"})
			continue
		}
		if err := w.handle(r.kind, b.payload(r)); err != nil {
			w.settle()
			w.goodbye(farewell{err, refusalAnswer(err)})
		}
	}
	w.settle()
	if b.done() && b.query == 0 && b.farewell.isSet() && !b.hangUp {
		w.goodbye(b.farewell)
	}
	w.burst = nil
}

// maxAfterwards bounds how many requests of a burst are still worked on when
// their peer is gone. None of them was acknowledged and nobody waits for an
// answer; peers that come, send much and go must not keep others waiting. A few
// are for agencies that say something and do not care for the answer.
const maxAfterwards = 4

// handle does what one request asks for. An error says that it broke the
// protocol.
func (w *worker) handle(kind codec.Type, payload []byte) error {
	switch kind {
	case codec.TypeBet:
		if err := w.bet.Decode(payload); err != nil {
			return err
		}
		w.bets = codec.Batch{Slips: append(w.bets.Slips[:0], w.bet.Slip)}
		w.store(true)
	case codec.TypeBatch:
		if err := w.bets.Decode(payload); err != nil {
			return err
		}
		w.store(false)
	case codec.TypeFinished:
		if err := w.finished.Decode(payload); err != nil {
			return err
		}
		w.settle()
		w.finish()
	case codec.TypeWinnersQuery:
		if err := w.query.Decode(payload); err != nil {
			return err
		}
		w.settle()
		w.winners()
	case codec.TypeResume:
		if err := w.resume.Decode(payload); err != nil {
			return err
		}
		w.settle()
		w.resumePoint()
	default:
		return &lottery.Refusal{Code: codec.UnknownType, Reason: kind.String() + " is not for the central"}
	}
	return nil
}

// store judges and admits the bets in w.bets. What became of them is answered
// by settle.
func (w *worker) store(single bool) {
	s := stored{single: single, bets: len(w.bets.Slips)}
	if s.bets > 0 {
		s.document, s.number = w.bets.Slips[0].Document, w.bets.Slips[0].Number
	}
	s.receipt, s.err = w.admit()
	if s.err == nil && !single && w.log.GetLevel() <= zerolog.DebugLevel {
		s.slips = slices.Clone(w.bets.Slips)
	}
	w.stored = append(w.stored, s)
}

func (w *worker) admit() (lottery.Receipt, error) {
	w.batch.Reset()
	if w.bets.HasPosition {
		w.batch.SetPosition(w.bets.Position)
	}
	for i := range w.bets.Slips {
		slip := &w.bets.Slips[i]
		if i == 0 {
			if _, err := w.burst.session.speaksFor(slip.Agency); err != nil {
				return 0, offending(err, slip)
			}
		}
		if err := w.batch.Add(slip); err != nil {
			return 0, err
		}
	}
	return w.lottery.Store(&w.batch)
}

// offending puts the bet at fault into a refusal that is about its agency.
func offending(err error, slip *lottery.Slip) error {
	var r *lottery.Refusal
	if errors.As(err, &r) {
		r.Document, r.Number = slip.Document, slip.Number
	}
	return err
}

// settle waits until what was admitted is durable, then logs and answers it.
func (w *worker) settle() {
	var last lottery.Receipt
	for i := range w.stored {
		last = max(last, w.stored[i].receipt)
	}
	var err error
	if last > 0 {
		err = w.lottery.Await(last)
	}
	for i := range w.stored {
		s := &w.stored[i]
		if s.err == nil {
			s.err = err
		}
		w.report(s)
		if s.err != nil {
			w.answer(refusalAnswer(s.err))
		} else {
			w.answer(&codec.Success{Document: s.document, Number: s.number})
		}
	}
	clear(w.stored)
	w.stored = w.stored[:0]
}

func (w *worker) report(s *stored) {
	switch {
	case s.err != nil:
		w.log.Error().Str("action", "apuesta_recibida").Str("result", "fail").Int("cantidad", s.bets).
			Str("code", string(codeOf(s.err))).Str("ip", w.burst.session.peer).Err(s.err).Send()
	case s.single:
		w.reportBet(w.log.Info(), s.document, s.number)
	default:
		for i := range s.slips {
			w.reportBet(w.log.Debug(), s.slips[i].Document, s.slips[i].Number)
		}
		w.log.Info().Str("action", "apuesta_recibida").Str("result", "success").Int("cantidad", s.bets).Send()
	}
}

func (w *worker) reportBet(e *zerolog.Event, document, number string) {
	e.Str("action", "apuesta_almacenada").Str("result", "success").Str("dni", document).Str("numero", number).Send()
}

func (w *worker) finish() {
	agency, err := w.burst.session.speaksFor(w.finished.Agency)
	if err == nil {
		err = w.lottery.Finish(agency, w.finished.Total, w.finished.HasTotal)
	}
	if err != nil {
		w.refuse("agencia_finalizada", err)
		return
	}
	w.log.Info().Str("action", "agencia_finalizada").Str("result", "success").Int("agency", agency).Send()
	w.answer(&codec.Success{Finished: true})
}

func (w *worker) resumePoint() {
	agency, err := w.burst.session.speaksFor(w.resume.Agency)
	var point codec.ResumePoint
	if err == nil {
		point.Count, point.Digest, err = w.lottery.Resume(agency)
	}
	if err != nil {
		w.refuse("resume", err)
		return
	}
	w.answer(&point)
}

// winners leaves the query to the loop: only there is known whether the draw
// was announced, and the loop keeps those that wait.
func (w *worker) winners() {
	agency, err := w.burst.session.speaksFor(w.query.Agency)
	if err == nil {
		_, _, err = w.lottery.Winners(agency)
	}
	if err != nil {
		w.refuse("consulta_ganadores", err)
		return
	}
	w.burst.query = agency
}

// refuse logs and answers a refusal that is not about bets.
func (w *worker) refuse(action string, err error) {
	w.log.Error().Str("action", action).Str("result", "fail").
		Str("code", string(codeOf(err))).Str("ip", w.burst.session.peer).Err(err).Send()
	w.answer(refusalAnswer(err))
}

// goodbye is the last that a connection is told.
func (w *worker) goodbye(f farewell) {
	w.log.Error().Str("action", "receive_frame").Str("result", "fail").
		Str("ip", w.burst.session.peer).Err(f.reason).Send()
	w.answer(f.answer)
	w.burst.hangUp = true
}

func (w *worker) answer(m codec.Message) {
	w.burst.answers = appendAnswer(w.burst.answers, m)
}

// appendAnswer appends an answer's frame. Its parts come from frames that were
// accepted, so it can only be too long by a document or number that is no
// valid one; the answer then goes without them.
func appendAnswer(dst []byte, m codec.Message) []byte {
	dst, err := codec.AppendFrame(dst, m)
	if e, ok := m.(*codec.Error); ok && err != nil {
		dst, err = codec.AppendFrame(dst, &codec.Error{Code: e.Code})
	}
	if err != nil {
		panic("reactor: an answer does not fit a frame: " + err.Error())
	}
	return dst
}

// refusalAnswer returns the ERROR that tells a peer of err.
func refusalAnswer(err error) codec.Message {
	answer := &codec.Error{Code: codeOf(err)}
	var r *lottery.Refusal
	if errors.As(err, &r) {
		answer.Document, answer.Number = r.Document, r.Number
	}
	return answer
}

// codeOf returns the code of err. Whatever else goes wrong behind the lottery's
// rules is a failure to store.
func codeOf(err error) lottery.Code {
	var code lottery.Code
	if errors.As(err, &code) {
		return code
	}
	return lottery.Storage
}
