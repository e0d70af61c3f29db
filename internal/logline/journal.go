package logline

import "github.com/rs/zerolog"

// Journal renders the lines that a central logs for each bet, batch and refusal
// without zerolog, and puts many at a time into the log. The lines are those
// that a Logger of the same level would write. It is safe for concurrent use.
//
// What a method appends goes into the log with Write or TryWrite, alone or with
// other lines. A line below the level appends nothing, and neither does one of a
// kind that was written twenty times in this second: at its end one line says how
// many were left out (suppressed_lines).
type Journal struct {
	w     *Writer
	level zerolog.Level
}

// Journal returns a journal of the given level and above that writes to w.
func (w *Writer) Journal(level zerolog.Level) *Journal { return &Journal{w, level} }

// EachBet tells whether each bet of a batch is to be logged: at DEBUG.
func (j *Journal) EachBet() bool { return j.level <= zerolog.DebugLevel }

// AppendBet appends the line about a bet that is durable, at DEBUG when it is
// one of a batch:
//
//	INFO     action: apuesta_almacenada | result: success | dni: … | numero: …
func (j *Journal) AppendBet(dst []byte, document, number string, ofBatch bool) []byte {
	level := zerolog.InfoLevel
	if ofBatch {
		level = zerolog.DebugLevel
	}
	if level < j.level {
		return dst
	}
	l := j.w.begin(dst, level, "apuesta_almacenada", "success")
	l.text("dni", document)
	l.text("numero", number)
	return l.end()
}

// AppendBatch appends the line about a batch that is durable:
//
//	INFO     action: apuesta_recibida | result: success | cantidad: N
func (j *Journal) AppendBatch(dst []byte, bets int) []byte {
	if zerolog.InfoLevel < j.level {
		return dst
	}
	l := j.w.begin(dst, zerolog.InfoLevel, "apuesta_recibida", "success")
	l.number("cantidad", bets)
	return l.end()
}

// AppendRefusal appends the line about a request that was refused, with the
// number of its bets when it is about bets (negative says no), and without a
// code or an error when there is none:
//
//	ERROR    action: … | result: fail | cantidad: N | code: … | ip: … | error: …
func (j *Journal) AppendRefusal(dst []byte, action string, bets int, code, ip string, err error) []byte {
	if zerolog.ErrorLevel < j.level || !j.w.throttle.allow(kind{action, "fail", code, ip}, bets) {
		return dst
	}
	l := j.w.begin(dst, zerolog.ErrorLevel, action, "fail")
	if bets >= 0 {
		l.number("cantidad", bets)
	}
	if code != "" {
		l.text("code", code)
	}
	l.text("ip", ip)
	if err != nil {
		l.text(zerolog.ErrorFieldName, err.Error())
	}
	return l.end()
}

// AppendEcho appends the line about a message that is sent back:
//
//	INFO     action: receive_message | result: success | ip: … | msg: …
func (j *Journal) AppendEcho(dst []byte, ip string, message []byte) []byte {
	const action, result = "receive_message", "success"
	if zerolog.InfoLevel < j.level || !j.w.throttle.allow(kind{action: action, result: result, ip: ip}, -1) {
		return dst
	}
	l := j.w.begin(dst, zerolog.InfoLevel, action, result)
	l.text("ip", ip)
	l.text("msg", string(message))
	return l.end()
}

// Write puts whole lines into the log, together and in the order of the calls. It
// waits while MaxWaiting bytes are waiting. No lines are no error. After Close it
// writes at once.
func (j *Journal) Write(lines []byte) { _ = j.w.enqueue(lines, true) }

// HasRoom reports whether half of MaxWaiting is free: who writes much less than that
// soon will not wait.
func (j *Journal) HasRoom() bool { return j.w.hasRoom() }

// TryWrite is Write for a goroutine that must never wait: lines for which there
// is no room are dropped, all of them, and accounted for in the log as those of
// NonBlocking are. After Close they are dropped.
func (j *Journal) TryWrite(lines []byte) { _ = j.w.enqueue(lines, false) }
