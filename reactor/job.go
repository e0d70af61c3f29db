package reactor

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
	"loteria/codec"
	"loteria/lottery"
)

// job is the unit of answering: the outcomes of requests that came with one read. It
// is complete when all of them are durable or refused.
//
// A job belongs to its loop until the loop releases it, then to the goroutine with
// the last completion that it waits for, and then to the loop again.
type job struct {
	session  *session
	outcomes []outcome
	texts    []byte                // the documents and numbers that refs stand for
	refs     []betRef              // of bets
	frames   int                   // in the session's window, for this job
	bytes    int                   // likewise
	query    int                   // the agency whose winners are asked for: then there is no outcome
	closing  bool                  // close the connection after the replies
	waiting  atomic.Int32          // completions still to come, one of them the loop's
	admitted int                   // batches, whose outcome the lottery tells done
	done     func(error)           // the job's method stored
	failed   atomic.Int32          // admitted batches that were not stored: the last ones
	failure  atomic.Pointer[error] // why

	number    uint64 // of its session's jobs
	uncounted bool   // see settle
	written   bool   // its replies are

	lines    []byte // of the log
	replies  []byte
	sealed   []byte        // of its shortcut
	success  codec.Success // scratch
	complete bool          // the loop's: the replies are ready
}

// outcome is what became of one request.
type outcome struct {
	kind        codec.Type // of the request
	agency      int        // that the connection speaks for, or 0
	bets        int        // of a BET or BATCH
	newBets     int        // of these, not known to the contest before
	bytes       int        // of its payload
	first, last int        // its bets whose texts are kept: refs[first:last]
	err         error      // why it was refused, or nil
	answer      *answer    // of a RESUME or FINISHED
}

// answer is what a RESUME or FINISHED waits for.
type answer struct {
	point codec.ResumePoint
	err   error
}

// betRef is the place of a bet's document and number in a job's texts.
type betRef struct {
	start            uint32
	document, number uint16 // their lengths, which a frame bounds
}

func (r betRef) in(texts string) (document, number string) {
	middle := r.start + uint32(r.document)
	return texts[r.start:middle], texts[middle : middle+uint32(r.number)]
}

// maxSpareJob bounds the memory, in bytes, of each buffer of a job that is kept
// for the next one.
const maxSpareJob = 512 << 10

var jobs = sync.Pool{New: func() any {
	j := new(job)
	j.done = j.stored
	return j
}}

func newJob(s *session) *job {
	j := jobs.Get().(*job)
	j.session = s
	j.waiting.Store(1)
	return j
}

// drop ends the job. It must not be used after that: it is recycled, unless it was a
// query.
func (j *job) drop() {
	if !j.uncounted {
		j.uncount()
	}
	if j.done == nil { // it was a query
		return
	}
	if !j.written {
		j.session.server.done()
	}
	if cap(j.texts) > maxSpareJob || cap(j.lines) > maxSpareJob || cap(j.replies) > maxSpareJob || cap(j.sealed) > maxSpareJob {
		return
	}
	j.outcomes, j.texts, j.refs, j.lines, j.replies = j.outcomes[:0], j.texts[:0], j.refs[:0], j.lines[:0], j.replies[:0]
	j.session, j.frames, j.bytes, j.admitted, j.closing, j.complete, j.uncounted, j.written = nil, 0, 0, 0, false, false, false, false
	j.success = codec.Success{}
	j.failed.Store(0)
	j.failure.Store(nil)
	jobs.Put(j)
}

// uncount takes the job out of the counts of session and server, before its replies
// are written: the peer may send more at once.
func (j *job) uncount() {
	j.uncounted = true
	j.session.account(-j.frames, -j.bytes)
	if j.done != nil {
		j.session.server.waiting.add(-jobCost - j.frames*frameCost - j.bytes)
	}
}

// note copies a bet's document and number, which last only as long as the request.
func (j *job) note(document, number string) {
	j.refs = append(j.refs, betRef{uint32(len(j.texts)), uint16(len(document)), uint16(len(number))})
	j.texts = append(append(j.texts, document...), number...)
}

// wait makes the job wait for one more completion; unwait takes that back.
func (j *job) wait()   { j.waiting.Add(1) }
func (j *job) unwait() { j.waiting.Add(-1) }

// stored is the completion of a batch.
func (j *job) stored(err error) {
	if err != nil {
		j.session.losses.note(j.number, err)
		j.failure.CompareAndSwap(nil, &err)
		j.failed.Add(1)
	}
	j.release()
}

// release ends the wait for one completion. The last one completes the job, and
// hands it to the loop.
func (j *job) release() {
	if j.waiting.Add(-1) > 0 {
		return
	}
	server := j.session.server
	j.report(server, &server.config.Log)
	server.config.Journal.Write(j.lines)
	s := j.session // the job may be the loop's from here on
	if !j.closing && server.busy.get() <= maxShort && s.short.write(j) {
		server.done()
		return
	}
	s.shard().mail.put(task{job: j})
}

// releaseOnLoop is release by the loop that reads, which must not wait for the log. In
// a commit that a loop makes there is room in the log, see Lead.
func (j *job) releaseOnLoop() {
	if j.waiting.Add(-1) > 0 {
		return
	}
	server := j.session.server
	j.report(server, &server.config.LoopLog)
	server.config.Journal.TryWrite(j.lines)
	j.session.completed(j)
}

// report renders the replies, and what the log says of them.
func (j *job) report(s *Server, log *zerolog.Logger) {
	stored, texts := j.admitted-int(j.failed.Load()), string(j.texts)
	for i := range j.outcomes {
		o := &j.outcomes[i]
		switch {
		case o.err != nil:
		case o.answer != nil:
			o.err = o.answer.err
		case stored > 0:
			stored--
		default:
			o.err = *j.failure.Load()
		}
		if o.err != nil {
			j.refused(s, o)
			continue
		}
		switch o.kind {
		case codec.TypeBet, codec.TypeBatch:
			j.reportBets(s, o, texts)
		case codec.TypeFinished:
			if !s.finished[o.agency-1].Swap(true) { // repeated, it must not fill the log
				log.Info().Str("action", actions[o.kind]).Str("result", "success").Int("agency", o.agency).Send()
			}
			j.reply(&codec.Success{Finished: true})
		case codec.TypeResume:
			j.reply(&o.answer.point)
		}
	}
	clear(j.outcomes) // the job may have to wait until others are answered
}

// reportBets reports a BET or BATCH that is durable. The texts are the job's.
func (j *job) reportBets(s *Server, o *outcome, texts string) {
	journal, single := s.config.Journal, o.kind == codec.TypeBet
	if single || journal.EachBet() {
		for _, bet := range j.refs[o.first:o.last] {
			document, number := bet.in(texts)
			j.lines = journal.AppendBet(j.lines, document, number, !single)
		}
	}
	if !single {
		j.lines = journal.AppendBatch(j.lines, o.bets)
	}
	s.config.Observer.Stored(o.agency, o.newBets, o.bytes)
	document, number := j.refs[o.first].in(texts)
	j.success = codec.Success{Document: document, Number: number}
	j.reply(&j.success)
}

// actions are the log's names for requests.
var actions = map[codec.Type]string{
	codec.TypeBet:          "apuesta_recibida",
	codec.TypeBatch:        "apuesta_recibida",
	codec.TypeFinished:     "agencia_finalizada",
	codec.TypeResume:       "resume",
	codec.TypeWinnersQuery: "consulta_ganadores",
	0:                      "receive_frame", // no request, or one that was not looked at
}

func (j *job) refused(s *Server, o *outcome) {
	code, reply := refusal(o.err)
	action, peer := actions[o.kind], j.session.peer
	if o.err != errBusy {
		bets, logged := -1, code
		switch o.kind {
		case codec.TypeBet, codec.TypeBatch:
			bets = o.bets
		case 0:
			logged = "" // what ends a conversation says it in words
		}
		j.lines = s.config.Journal.AppendRefusal(j.lines, action, bets, string(logged), peer, o.err)
	}
	s.config.Observer.Refused(Refused{Action: action, Agency: o.agency, Bets: o.bets, Code: code, Peer: peer})
	j.reply(reply)
}

func (j *job) reply(m codec.Message) { j.replies = appendReply(j.replies, m) }

// retryLater is a refusal that is answered RETRY.
type retryLater string

func (r retryLater) Error() string { return string(r) }

// errBusy refuses a request for want of memory. It is not logged: a peer that sends
// too much would fill the log, too.
var errBusy error = retryLater("the central is busy")

func retry(format string, args ...any) error { return retryLater(fmt.Sprintf(format, args...)) }

// refusal returns the code of err, and the reply that says so. Any error that is not
// of the rules is a failure to store.
func refusal(err error) (lottery.Code, codec.Message) {
	var later retryLater
	switch {
	case errors.As(err, &later):
		return Retry, &codec.Retry{Reason: string(later)}
	case errors.Is(err, lottery.ErrUnavailable):
		return Retry, &codec.Retry{Reason: lottery.ErrUnavailable.Error()}
	}
	answer := &codec.Error{Code: lottery.Storage}
	errors.As(err, &answer.Code)
	var r *lottery.Refusal
	if errors.As(err, &r) {
		answer.Document, answer.Number = r.Document, r.Number
	}
	return answer.Code, answer
}

// appendReply appends a reply's frame. Its parts come from frames that were
// accepted, so only an invalid document or number can make it too long; the reply
// then goes without them.
func appendReply(dst []byte, m codec.Message) []byte {
	dst, err := codec.AppendFrame(dst, m)
	if e, ok := m.(*codec.Error); ok && err != nil {
		dst, err = codec.AppendFrame(dst, &codec.Error{Code: e.Code})
	}
	if err != nil {
		panic("reactor: a reply does not fit a frame: " + err.Error())
	}
	return dst
}
