package goroutines

import (
	"net"
	"time"

	"loteria/codec"
	"loteria/internal/logline"
	"loteria/lottery"
)

// writeTime is how long a write may wait for a peer that does not read.
const writeTime = 30 * time.Second

// writer is the goroutine that answers one connection's requests.
type writer struct {
	contest *lottery.Contest
	journal *logline.Journal
	durable *progress
	conn    net.Conn
	peer    string          // IP address
	closing <-chan struct{} // the server is

	frames []byte // answers that are not sent yet
	lines  []byte // of the log, likewise
	known  int    // how many are known to be durable
	failed bool   // the peer is gone; the reader will notice
}

// write answers until the reader has ended. All answers that are ready at the
// same time go out with one write.
func (w *writer) write(answers <-chan answer) {
	for a := range answers {
		if a.after > w.known {
			w.flush() // ready answers do not wait for the disk
			var err error
			if w.known, err = w.durable.await(a.after); err != nil {
				a.message, a.action, a.refused = refusal(err), "apuesta_recibida", err
			}
		}
		w.log(&a)
		if a.query != 0 {
			w.flush()
			w.tellWinners(a.query)
		} else {
			w.append(a.message)
		}
		if len(answers) == 0 {
			w.flush()
		}
	}
}

// log renders an answer's log line, which is written before the answer is sent.
func (w *writer) log(a *answer) {
	stored, _ := a.message.(*codec.Success)
	switch {
	case a.refused != nil:
		code := refusal(a.refused).Code
		bets := a.bets
		if a.action != "apuesta_recibida" {
			bets = -1
		}
		w.lines = w.journal.AppendRefusal(w.lines, a.action, bets, string(code), w.peer, a.refused)
	case a.single:
		w.lines = w.journal.AppendBet(w.lines, stored.Document, stored.Number, false)
	case a.bets > 0:
		w.lines = w.journal.AppendBatch(w.lines, a.bets)
	}
}

// tellWinners blocks until the draw is done.
func (w *writer) tellWinners(agency int) {
	select {
	case <-w.contest.Drawn():
	case <-w.closing:
		return
	}
	documents, _, err := w.contest.Winners(agency)
	if err != nil {
		w.append(refusal(err))
		return
	}
	if frames, err := codec.AppendWinners(w.frames, documents); err == nil { // a valid document always fits
		w.frames = frames
	}
}

// append appends an answer's frame. Only an invalid document or number can make
// it too long; it then goes without them.
func (w *writer) append(m codec.Message) {
	frames, err := codec.AppendFrame(w.frames, m)
	if e, ok := m.(*codec.Error); ok && err != nil {
		frames, _ = codec.AppendFrame(w.frames, &codec.Error{Code: e.Code})
	}
	w.frames = frames
}

func (w *writer) flush() {
	w.journal.Write(w.lines)
	w.lines = w.lines[:0]
	if len(w.frames) == 0 {
		return
	}
	if !w.failed {
		_ = w.conn.SetWriteDeadline(time.Now().Add(writeTime)) // fails only where the write does
		if _, err := w.conn.Write(w.frames); err != nil {
			w.failed = true
			w.conn.Close()
		}
	}
	w.frames = w.frames[:0]
}
