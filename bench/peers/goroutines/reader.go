package goroutines

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"loteria/codec"
	"loteria/lottery"
)

const (
	// window is how many requests of a connection may wait for their answer.
	// When it is full the reader stops: back-pressure, through TCP.
	window = 1024
	// readSize is how much is read at a time, in bytes: several full frames.
	readSize = 64 << 10
)

// answer is the answer to a request.
type answer struct {
	after   int           // how many of the connection's batches must be durable first
	message codec.Message // unless it is a query for winners
	query   int           // the agency whose winners are asked for, or 0
	bets    int           // of a BET or BATCH
	single  bool          // it is a BET
	action  string        // that was refused
	refused error         // why
}

// reader is the goroutine that takes one connection's requests.
type reader struct {
	contest *lottery.Contest
	answers chan<- answer
	durable *progress
	stored  int            // batches handed over to be stored
	agency  int            // the first one named, or 0
	writer  lottery.Writer // from its last RESUME, or 0

	// Scratch, reused for each request.
	batch lottery.Batch
	raw   lottery.RawBet
	bets  codec.BatchReader
}

// read returns when the connection ends, or when its peer breaks the protocol.
// TCP's keep-alive, which package net turns on, tells a silent peer from one
// that is gone.
func (r *reader) read(conn net.Conn) {
	var decoder codec.Decoder
	buffer := make([]byte, readSize)
	for {
		n, readErr := conn.Read(buffer)
		for data := buffer[:n]; ; {
			frame, rest, ok, err := decoder.Next(data)
			if ok {
				err = r.handle(frame)
			}
			if err != nil {
				r.refuse("receive_frame", 0, err)
				return
			}
			if !ok {
				break
			}
			data = rest
		}
		if readErr != nil {
			return
		}
	}
}

// handle does what one request asks for. An error says that it broke the
// protocol.
func (r *reader) handle(frame codec.Frame) error {
	switch frame.Type {
	case codec.TypeBet:
		var bet codec.Bet
		if err := bet.Decode(frame.Payload); err != nil {
			return err
		}
		r.batch.Reset()
		r.store(bet.RawBet.Document, bet.RawBet.Number, true, r.add(&bet.RawBet))
	case codec.TypeBatch:
		return r.storeBatch(frame.Payload)
	case codec.TypeFinished:
		var finished codec.Finished
		if err := finished.Decode(frame.Payload); err != nil {
			return err
		}
		r.finish(&finished)
	case codec.TypeWinnersQuery:
		var query codec.WinnersQuery
		if err := query.Decode(frame.Payload); err != nil {
			return err
		}
		r.query(&query)
	case codec.TypeResume:
		var resume codec.Resume
		if err := resume.Decode(frame.Payload); err != nil {
			return err
		}
		r.resume(&resume)
	default:
		return &lottery.Refusal{Code: codec.UnknownType, Reason: frame.Type.String() + " is not for the central"}
	}
	return nil
}

// storeBatch judges and admits the bets of a BATCH. An error says that it broke
// the protocol; then none is admitted.
func (r *reader) storeBatch(payload []byte) error {
	if err := r.bets.Reset(payload); err != nil {
		return err
	}
	var document, number string // of the first bet; copies, as they outlive the payload
	var refused error
	r.batch.Reset()
	for i := range r.bets.Len() {
		if _, err := r.bets.Next(&r.raw); err != nil {
			return err
		}
		if i == 0 {
			document, number = strings.Clone(r.raw.Document), strings.Clone(r.raw.Number)
		}
		if refused == nil {
			refused = r.add(&r.raw)
		}
	}
	position, found, err := r.bets.Position()
	if err != nil {
		return err
	}
	if found {
		r.batch.SetPosition(position)
	}
	r.store(document, number, false, refused)
	return nil
}

// add judges a raw bet and adds it to the batch.
func (r *reader) add(raw *lottery.RawBet) error {
	if r.batch.Len() == 0 {
		if _, err := r.speaksFor(raw.Agency); err != nil {
			return offending(err, raw)
		}
	}
	return r.batch.Add(raw)
}

// store admits the batch, unless a bet of it is refused. The writer answers
// when it is durable.
func (r *reader) store(document, number string, single bool, refused error) {
	bets := r.bets.Len()
	if single {
		bets = 1
	}
	if refused == nil {
		refused = r.contest.Store(&r.batch, r.writer, r.durable.add)
	}
	if refused != nil {
		r.refuse("apuesta_recibida", bets, refused)
		return
	}
	r.stored++
	r.answers <- answer{after: r.stored, message: &codec.Success{Document: document, Number: number}, bets: bets, single: single}
}

// offending adds the bet to a refusal of its agency.
func offending(err error, raw *lottery.RawBet) error {
	var r *lottery.Refusal
	if errors.As(err, &r) {
		r.Document, r.Number = raw.Document, raw.Number
	}
	return err
}

func (r *reader) finish(finished *codec.Finished) {
	agency, err := r.speaksFor(finished.Agency)
	if err == nil {
		err = await(func(done func(error)) error {
			said := lottery.Tally{Bets: finished.Total, HasBets: finished.HasTotal, Digest: finished.Digest, HasDigest: finished.HasDigest}
			return r.contest.Finish(agency, r.writer, said, done)
		})
	}
	if err != nil {
		r.refuse("agencia_finalizada", 0, err)
		return
	}
	r.answers <- answer{message: &codec.Success{Finished: true}}
}

func (r *reader) query(query *codec.WinnersQuery) {
	agency, err := r.speaksFor(query.Agency)
	if err == nil {
		_, _, err = r.contest.Winners(agency)
	}
	if err != nil {
		r.refuse("consulta_ganadores", 0, err)
		return
	}
	r.answers <- answer{query: agency}
}

func (r *reader) resume(resume *codec.Resume) {
	agency, err := r.speaksFor(resume.Agency)
	var point codec.ResumePoint
	if err == nil {
		err = await(func(done func(error)) (err error) {
			r.writer, err = r.contest.Resume(agency, func(bets, digest uint64, err error) {
				point = codec.ResumePoint{Count: bets, Digest: digest}
				done(err)
			})
			return err
		})
	}
	if err != nil {
		r.refuse("resume", 0, err)
		return
	}
	r.answers <- answer{message: &point}
}

// await calls f and waits for its callback. That blocks the reader, not the
// writer.
func await(f func(done func(error)) error) error {
	ended := make(chan error, 1)
	if err := f(func(err error) { ended <- err }); err != nil {
		return err
	}
	return <-ended
}

// speaksFor returns the agency of that name, which must be the first that the
// connection named. The error is a *lottery.Refusal.
func (r *reader) speaksFor(name string) (int, error) {
	agency, err := lottery.ParseAgency(name)
	if err != nil {
		return 0, err
	}
	if r.agency == 0 {
		r.agency = agency
	}
	if agency != r.agency {
		return 0, &lottery.Refusal{
			Code:   lottery.WrongAgency,
			Reason: fmt.Sprintf("the connection speaks for agency %d, not %d", r.agency, agency),
		}
	}
	return agency, nil
}

func (r *reader) refuse(action string, bets int, err error) {
	r.answers <- answer{message: refusal(err), bets: bets, action: action, refused: err}
}

// refusal returns the ERROR that tells a peer of err.
func refusal(err error) *codec.Error {
	var r *lottery.Refusal
	if !errors.As(err, &r) {
		return &codec.Error{Code: lottery.Storage}
	}
	return &codec.Error{Document: r.Document, Number: r.Number, Code: r.Code}
}
