package reactor

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"loteria/codec"
	"loteria/lottery"
)

// Requests are judged and admitted on their loop, which waits for nobody. Handing
// them to other goroutines would cost more than the work, and those that wait for
// one would pile up in memory.

// handle does what one request asks for and notes the outcome in the open job. An
// error says that the request broke the protocol.
func (s *session) handle(kind codec.Type, payload []byte) error {
	sh := s.shard()
	switch kind {
	case codec.TypeBet:
		if err := sh.bet.Decode(payload); err != nil {
			return err
		}
		s.storeBet(len(payload))
	case codec.TypeBatch:
		return s.storeBatch(payload)
	case codec.TypeFinished:
		if err := sh.finished.Decode(payload); err != nil {
			return err
		}
		s.finish(len(payload))
	case codec.TypeWinnersQuery:
		if err := sh.query.Decode(payload); err != nil {
			return err
		}
		s.queryWinners()
	case codec.TypeResume:
		if err := sh.resume.Decode(payload); err != nil {
			return err
		}
		s.resume(len(payload))
	default:
		return &lottery.Refusal{Code: codec.UnknownType, Reason: kind.String() + " is not for the central"}
	}
	return nil
}

// storeBet judges and admits the shard's bet.
func (s *session) storeBet(size int) {
	j, raw := s.openJob(), &s.shard().bet.RawBet
	o := outcome{kind: codec.TypeBet, bets: 1, bytes: size, first: len(j.refs)}
	s.shard().batch.Reset()
	if o.err = s.add(raw); o.err == nil {
		j.note(raw.Document, raw.Number)
	}
	s.store(o)
}

// storeBatch judges and admits the bets of a BATCH. An error says that it broke
// the protocol, and then none was admitted.
func (s *session) storeBatch(payload []byte) error {
	sh := s.shard()
	if err := sh.bets.Reset(payload); err != nil {
		return err
	}
	j := s.openJob()
	o := outcome{kind: codec.TypeBatch, bets: sh.bets.Len(), bytes: len(payload), first: len(j.refs)}
	eachBet := sh.server.config.Journal.EachBet()
	sh.batch.Reset()
	for i := range o.bets {
		if _, err := sh.bets.Next(&sh.raw); err != nil {
			return err
		}
		if o.err != nil {
			continue // what follows a bad bet must still be well-formed
		}
		if o.err = s.add(&sh.raw); o.err == nil && (i == 0 || eachBet) {
			j.note(sh.raw.Document, sh.raw.Number)
		}
	}
	position, found, err := sh.bets.Position()
	if err != nil {
		return err
	}
	if found {
		sh.batch.SetPosition(position)
	}
	s.store(o)
	return nil
}

// add judges a raw bet and adds it to the batch.
func (s *session) add(raw *lottery.RawBet) error {
	batch := &s.shard().batch
	var err error
	if batch.Len() == 0 {
		_, err = s.bindAgency(raw.Agency)
	}
	if err == nil {
		err = batch.Add(raw)
	}
	if err != nil {
		keepTexts(err, raw)
	}
	return err
}

// keepTexts copies into a refusal the texts of the raw bet at fault, which last only
// as long as the request.
func keepTexts(err error, raw *lottery.RawBet) {
	var r *lottery.Refusal
	if errors.As(err, &r) {
		r.Document, r.Number = strings.ToValidUTF8(raw.Document, "\uFFFD"), strings.ToValidUTF8(raw.Number, "\uFFFD")
		r.Document, r.Number = strings.Clone(r.Document), strings.Clone(r.Number)
	}
}

// store gives the batch to the lottery, unless a bet of it is at fault.
func (s *session) store(o outcome) {
	j := s.openJob()
	o.last, o.agency = len(j.refs), s.agency
	if o.err == nil {
		o.err = s.lost
	}
	if o.err == nil {
		j.wait()
		if o.err = s.server.lottery.Store(&s.shard().batch, s.writer, j.done); o.err == nil {
			j.admitted++
			o.newBets = o.bets - s.shard().batch.Known()
		} else {
			j.unwait()
			s.lose(o.err)
		}
	}
	s.conclude(o)
}

// lose notes that a bet was not taken, if its agency will send it again. Later bets
// of the connection must not overtake it.
func (s *session) lose(err error) {
	if isAgain(err) {
		s.lost = err
	}
}

// isAgain reports whether an agency sends again what err refused.
func isAgain(err error) bool {
	code, _ := refusal(err)
	return code == Retry || code == lottery.Fenced
}

// losses tells a loop that an admitted bet was not taken after all. The goroutine
// that completes the bet notes it.
type losses struct {
	last atomic.Pointer[loss]
}

type loss struct {
	job uint64 // its number
	err error
}

// note notes that a bet of a job was not taken.
func (l *losses) note(job uint64, err error) {
	if !isAgain(err) {
		return
	}
	news := &loss{job, err}
	for {
		last := l.last.Load()
		if last != nil && last.job > job || l.last.CompareAndSwap(last, news) {
			return
		}
	}
}

// take returns why a bet was not taken since the last call, or nil. Only jobs from
// the number on count.
func (l *losses) take(from uint64) error {
	if l.last.Load() == nil { // as nearly always
		return nil
	}
	if last := l.last.Swap(nil); last != nil && last.job >= from {
		return last.err
	}
	return nil
}

// finish ends the betting of the agency. What came before gets its own job, to be
// logged before the draw that may follow.
func (s *session) finish(size int) {
	s.send()
	j, m := s.openJob(), &s.shard().finished
	o := outcome{kind: codec.TypeFinished, bytes: size, answer: new(answer)}
	agency, err := s.bindAgency(m.Agency)
	if err == nil {
		err = s.lost
	}
	if err == nil {
		j.wait()
		said := lottery.Tally{Bets: m.Total, HasBets: m.HasTotal, Digest: m.Digest, HasDigest: m.HasDigest}
		err = s.server.lottery.Finish(agency, s.writer, said, func(err error) {
			o.answer.err = err
			j.release()
		})
		if err != nil {
			j.unwait()
			s.lose(err)
		}
	}
	o.err, o.agency = err, s.agency
	s.conclude(o)
}

// resume makes the connection the agency's writer, and asks how many bets it has.
// Bets before it have another job: their failure says nothing of bets after it.
func (s *session) resume(size int) {
	if s.open != nil && s.open.admitted > 0 {
		s.send()
	}
	j := s.openJob()
	o := outcome{kind: codec.TypeResume, bytes: size, answer: new(answer)}
	agency, err := s.bindAgency(s.shard().resume.Agency)
	if err == nil {
		j.wait()
		var writer lottery.Writer
		writer, err = s.server.lottery.Resume(agency, func(bets, digest uint64, err error) {
			*o.answer = answer{codec.ResumePoint{Count: bets, Digest: digest}, err}
			j.release()
		})
		if err != nil {
			j.unwait()
		} else {
			s.writer, s.lost, s.resumed = writer, nil, j.number
		}
	}
	o.err, o.agency = err, s.agency
	s.conclude(o)
}

// queryWinners asks for the agency's winners. The query has a job of its own,
// which is complete when the draw is announced.
func (s *session) queryWinners() {
	agency, err := s.bindAgency(s.shard().query.Agency)
	if err == nil {
		_, _, err = s.server.lottery.Winners(agency)
	}
	if err != nil {
		s.conclude(outcome{kind: codec.TypeWinnersQuery, agency: s.agency, err: err})
		return
	}
	s.send()
	if s.state != closed { // by a write
		s.ask(agency)
	}
}

// bindAgency returns the agency of that name, which must be the one that the
// connection named first. The error is a *lottery.Refusal.
func (s *session) bindAgency(name string) (int, error) {
	agency, err := lottery.ParseAgency(name)
	if err != nil {
		return 0, err
	}
	if s.agency == 0 {
		s.agency = agency
	}
	if agency != s.agency {
		return 0, &lottery.Refusal{
			Code:   lottery.WrongAgency,
			Reason: fmt.Sprintf("the connection speaks for agency %d, not %d", s.agency, agency),
		}
	}
	return agency, nil
}
