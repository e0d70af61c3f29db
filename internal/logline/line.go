package logline

import (
	"bytes"
	"strconv"
	"time"

	"github.com/rs/zerolog"
)

// line is a line that is rendered field by field, as text or by zerolog. Keys
// and the result are not sanitised, values are.
type line struct {
	dst   []byte
	event *zerolog.Event // nil for text
	json  *bytes.Buffer  // what event goes to
}

// begin appends how a line that is logged now begins.
func (w *Writer) begin(dst []byte, level zerolog.Level, action, result string) line {
	if w.format == JSON {
		out := bytes.NewBuffer(dst)
		log := zerolog.New(out)
		event := log.WithLevel(level).Timestamp().Str("action", action).Str("result", result)
		return line{json: out, event: event}
	}
	dst = append(append(w.appendTime(dst), column(level)...), "action: "...)
	dst = append(append(appendSafe(dst, action), " | result: "...), result...)
	return line{dst: dst}
}

func (l *line) text(key, value string) {
	if l.event != nil {
		l.event.Str(key, value)
		return
	}
	l.key(key)
	l.dst = appendSafe(l.dst, value)
}

func (l *line) number(key string, n int) {
	if l.event != nil {
		l.event.Int(key, n)
		return
	}
	l.key(key)
	l.dst = strconv.AppendInt(l.dst, int64(n), 10)
}

func (l *line) key(key string) {
	l.dst = append(append(append(l.dst, separator...), key...), ':', ' ')
}

// end returns what begin was given, followed by the line.
func (l *line) end() []byte {
	if l.event != nil {
		l.event.Send()
		return l.json.Bytes()
	}
	return append(l.dst, '\n')
}

// second is a second, and how lines begin in it.
type second struct {
	start time.Time
	text  string
}

// appendTime appends the time of a line that is logged now. Within a second only
// the monotonic clock is read, at half the cost of time.Now; so after the system's
// clock is set, lines may have the old time for up to a second.
func (w *Writer) appendTime(dst []byte) []byte {
	s := w.second.Load()
	if s == nil || time.Since(s.start) >= time.Second {
		now := time.Now()
		s = &second{now.Add(-time.Duration(now.Nanosecond())), now.Format(time.DateTime + " ")}
		w.second.Store(s)
	}
	return append(dst, s.text...)
}
