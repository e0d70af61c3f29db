package reactor

import (
	"errors"

	"github.com/rs/zerolog"
	"loteria/codec"
	"loteria/lottery"
)

// worker takes bursts from the queue, has the lottery do what they ask for,
// and appends the answers. It may block on the disk; the loop does not.
//
// All batches of a burst are admitted before anybody waits for the disk, so
// they share one commit. Nothing is answered or logged before it is durable.
type worker struct {
	lottery  Lottery
	log      zerolog.Logger
	observer Observer

	burst *burst

	// Scratch, used again for each request.
	batch    lottery.Batch
	slip     lottery.Slip
	bet      codec.Bet
	bets     codec.BatchReader
	finished codec.Finished
	query    codec.WinnersQuery
	resume   codec.Resume
}

// stored is what became of one BET or BATCH. Its texts share the memory of the
// burst's payloads.
type stored struct {
	single   bool
	agency   int // that the connection speaks for, or 0
	bets     int
	fresh    int    // of these, not known to the contest before
	bytes    int    // of payload
	document string // of the first bet
	number   string
	receipt  lottery.Receipt
	err      error
	slips    []lottery.Slip // of a batch, when each bet is to be logged
}

// work does what the requests of the burst ask for, until all are done, a query
// has to wait for the draw, or one breaks the protocol. What it admits of a
// burst of bets alone is not answered yet.
func (w *worker) work(b *burst) {
	w.burst = b
	b.query = 0
	for afterwards := 0; !b.done() && b.query == 0; {
		if b.session.gone.Load() {
			if afterwards++; afterwards > maxAfterwards {
				break
			}
		}
		r := b.requests[b.next]
		b.next++
		if r.refused {
			w.settle()
			w.observed("receive_frame", Retry)
			w.answer(&codec.Retry{Reason: "the central is busy"})
			continue
		}
		if err := w.handle(r.kind, b.payload(r)); err != nil {
			b.farewell = farewell{err, refusalAnswer(err)}
			b.next = len(b.requests)
		}
	}
}

// finish answers what the burst still owes, and says goodbye when that is due.
func (w *worker) finish(b *burst) {
	w.burst = b
	w.settle()
	if b.done() && b.query == 0 && b.farewell.isSet() {
		w.goodbye(b.farewell)
	}
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
		w.storeBet(payload)
	case codec.TypeBatch:
		return w.storeBatch(payload)
	case codec.TypeFinished:
		if err := w.finished.Decode(payload); err != nil {
			return err
		}
		w.settle()
		w.endBetting()
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

// storeBet judges and admits w.bet. What became of it is answered by settle.
func (w *worker) storeBet(payload []byte) {
	slip := &w.bet.Slip
	s := stored{single: true, bets: 1, bytes: len(payload), document: slip.Document, number: slip.Number}
	w.batch.Reset()
	s.err = w.add(slip)
	w.admit(s)
}

// storeBatch judges and admits the bets of a BATCH. What became of them is
// answered by settle. An error says that it broke the protocol, and then none
// was admitted.
func (w *worker) storeBatch(payload []byte) error {
	if err := w.bets.Reset(payload); err != nil {
		return err
	}
	s := stored{bets: w.bets.Len(), bytes: len(payload)}
	w.batch.Reset()
	for i := range s.bets {
		if _, err := w.bets.Next(&w.slip); err != nil {
			return err
		}
		if i == 0 {
			s.document, s.number = w.slip.Document, w.slip.Number
		}
		if s.err == nil { // what follows a bad bet has still to be in form
			s.err = w.add(&w.slip)
		}
		if w.log.GetLevel() <= zerolog.DebugLevel {
			s.slips = append(s.slips, w.slip)
		}
	}
	position, found, err := w.bets.Position()
	if err != nil {
		return err
	}
	if found {
		w.batch.SetPosition(position)
	}
	w.admit(s)
	return nil
}

// add judges a slip and adds it to the batch.
func (w *worker) add(slip *lottery.Slip) error {
	if w.batch.Len() == 0 {
		if _, err := w.burst.session.speaksFor(slip.Agency); err != nil {
			return offending(err, slip)
		}
	}
	return w.batch.Add(slip)
}

// admit has the lottery admit the batch, unless a bet of it is at fault.
func (w *worker) admit(s stored) {
	if s.err == nil {
		s.receipt, s.err = w.lottery.Store(&w.batch)
		s.fresh = s.bets - w.batch.Known()
	}
	s.agency = w.burst.session.agency // whoever settles it may not look there
	w.burst.stored = append(w.burst.stored, s)
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
	b := w.burst
	var last lottery.Receipt
	for i := range b.stored {
		last = max(last, b.stored[i].receipt)
	}
	var err error
	if last > 0 {
		err = w.lottery.Await(last)
	}
	for i := range b.stored {
		s := &b.stored[i]
		if s.err == nil {
			s.err = err
		}
		w.report(s)
		if s.err != nil {
			w.answer(refusalAnswer(s.err))
		} else {
			w.observer.Stored(s.agency, s.fresh, s.bytes)
			w.answer(&codec.Success{Document: s.document, Number: s.number})
		}
	}
	clear(b.stored)
	b.stored = b.stored[:0]
}

func (w *worker) report(s *stored) {
	switch {
	case s.err != nil:
		w.log.Error().Str("action", "apuesta_recibida").Str("result", "fail").Int("cantidad", s.bets).
			Str("code", string(codeOf(s.err))).Str("ip", w.burst.session.peer).Err(s.err).Send()
		w.observer.Refused(Refused{Action: "apuesta_recibida", Agency: s.agency, Bets: s.bets, Code: codeOf(s.err), Peer: w.burst.session.peer})
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

func (w *worker) endBetting() {
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

// winners leaves the query to the loop, which keeps those that wait for the
// draw. Once that is announced there is nothing to wait for, unless there are
// answers enough to see first whether the peer takes them.
func (w *worker) winners() {
	announced := w.burst.session.server.announced.Load() // before the winners are asked for
	agency, err := w.burst.session.speaksFor(w.query.Agency)
	var documents []string
	if err == nil {
		documents, _, err = w.lottery.Winners(agency)
	}
	if err != nil {
		w.refuse("consulta_ganadores", err)
		return
	}
	if !announced || len(w.burst.answers) > maxAnswers {
		w.burst.query = agency
		return
	}
	w.burst.answers = appendWinners(w.burst.answers, documents)
	w.burst.told = agency
}

// maxAnswers bounds how many bytes of answers go to the loop with more winners
// behind them: unlike any other, their answer may be many times the request.
const maxAnswers = 64 << 10

// refuse logs and answers a refusal that is not about bets.
func (w *worker) refuse(action string, err error) {
	w.log.Error().Str("action", action).Str("result", "fail").
		Str("code", string(codeOf(err))).Str("ip", w.burst.session.peer).Err(err).Send()
	w.observed(action, codeOf(err))
	w.answer(refusalAnswer(err))
}

// observed tells the observer of a refusal that is not about bets. Such a
// request is worked on when nothing else of its session is.
func (w *worker) observed(action string, code lottery.Code) {
	s := w.burst.session
	w.observer.Refused(Refused{Action: action, Agency: s.agency, Code: code, Peer: s.peer})
}

// goodbye is the last that a connection is told.
func (w *worker) goodbye(f farewell) {
	code := Retry
	if refusal, ok := f.answer.(*codec.Error); ok {
		code = refusal.Code
	}
	w.log.Error().Str("action", "receive_frame").Str("result", "fail").
		Str("ip", w.burst.session.peer).Err(f.reason).Send()
	w.observed("receive_frame", code)
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

// appendWinners appends the frames that tell an agency of its winners, whose
// documents are valid and so always fit.
func appendWinners(dst []byte, documents []string) []byte {
	dst, err := codec.AppendWinners(dst, documents)
	if err != nil {
		panic("reactor: winners do not fit a frame: " + err.Error())
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
