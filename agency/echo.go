package agency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// echoTimeout bounds the wait for a line to come back.
const echoTimeout = 10 * time.Second

// echo is ModeEcho.
func (a *agency) echo(ctx context.Context) error {
	wrong := 0
	for i := 1; i <= a.config.LoopAmount; i++ {
		if i > 1 {
			if err := sleep(ctx, a.config.LoopPeriod); err != nil {
				return err
			}
		}
		l, err := a.connect(ctx)
		if err != nil {
			return err
		}
		message := fmt.Sprintf("[CLIENT %d] Message N°%d", a.config.ID, i)
		err = l.echo(message)
		l.close()
		if isUnfit(err) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			wrong++
			a.step(a.log.Error(), receiveMessage, "fail").Str("error", err.Error()).Send()
			continue
		}
		a.step(a.log.Info(), receiveMessage, "success").Str("msg", message).Send()
	}
	if wrong > 0 {
		return failed("loop_finished", fmt.Errorf("%d of %d messages did not come back", wrong, a.config.LoopAmount))
	}
	a.step(a.log.Info(), "loop_finished", "success").Send()
	return nil
}

const receiveMessage = "receive_message"

// echo sends a line and returns nil when the same line comes back.
func (l *link) echo(message string) error {
	line := append([]byte(message), '\n')
	if err := l.conn.SetDeadline(time.Now().Add(echoTimeout)); err != nil {
		return err
	}
	if _, err := l.conn.Write(line); err != nil {
		return fmt.Errorf("send %q: %w", message, err)
	}
	answer := make([]byte, len(line))
	n, err := io.ReadFull(l.conn, answer)
	if answer = answer[:n]; bytes.Equal(answer, line) {
		return nil
	}
	if isTLS(answer) {
		return errSpeaksTLS(l.address)
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("sent %q, got %.100q: %w", message, answer, err)
	}
	return fmt.Errorf("sent %q, got %.100q", message, answer)
}
