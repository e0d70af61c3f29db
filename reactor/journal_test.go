package reactor

import (
	"bytes"

	"github.com/rs/zerolog"
)

// testJournal renders the lines as the logger of these tests would.
type testJournal struct {
	log   *logBuffer
	level zerolog.Level
}

func (j testJournal) EachBet() bool { return j.level <= zerolog.DebugLevel }

// appendLine appends the line of an event.
func (j testJournal) appendLine(dst []byte, level zerolog.Level, send func(*zerolog.Event)) []byte {
	line := bytes.NewBuffer(dst)
	logger := zerolog.New(line).Level(j.level)
	send(logger.WithLevel(level))
	return line.Bytes()
}

func (j testJournal) AppendBet(dst []byte, document, number string, ofBatch bool) []byte {
	level := zerolog.InfoLevel
	if ofBatch {
		level = zerolog.DebugLevel
	}
	return j.appendLine(dst, level, func(e *zerolog.Event) {
		e.Str("action", "apuesta_almacenada").Str("result", "success").Str("dni", document).Str("numero", number).Send()
	})
}

func (j testJournal) AppendBatch(dst []byte, bets int) []byte {
	return j.appendLine(dst, zerolog.InfoLevel, func(e *zerolog.Event) {
		e.Str("action", "apuesta_recibida").Str("result", "success").Int("cantidad", bets).Send()
	})
}

func (j testJournal) AppendRefusal(dst []byte, action string, bets int, code, ip string, err error) []byte {
	return j.appendLine(dst, zerolog.ErrorLevel, func(e *zerolog.Event) {
		e.Str("action", action).Str("result", "fail")
		if bets >= 0 {
			e.Int("cantidad", bets)
		}
		if code != "" {
			e.Str("code", code)
		}
		e.Str("ip", ip).Err(err).Send()
	})
}

func (j testJournal) AppendEcho(dst []byte, ip string, message []byte) []byte {
	return j.appendLine(dst, zerolog.InfoLevel, func(e *zerolog.Event) {
		e.Str("action", "receive_message").Str("result", "success").Str("ip", ip).Bytes("msg", message).Send()
	})
}

func (j testJournal) Write(lines []byte) {
	for line := range bytes.Lines(lines) {
		_, _ = j.log.Write(line)
	}
}

func (j testJournal) HasRoom() bool         { return true }
func (j testJournal) TryWrite(lines []byte) { j.Write(lines) }
