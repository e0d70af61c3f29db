package agency

import (
	"context"
	"errors"
	"strconv"
	"time"

	"loteria/codec"
)

const askWinners = "consulta_ganadores"

// awaitWinners asks for the agency's winners, on l first, and returns when they
// are known. The central parks the query until the draw; an existing one
// answers RETRY, and is asked again.
//
// After a RETRY the connection is closed: a central that does not park queries may
// serve one connection at a time, and has others to serve.
func (a *agency) awaitWinners(ctx context.Context, l *link) (winners int, err error) {
	a.losses, a.retries = 0, 0
	for {
		asked := time.Now()
		winners, err := a.askWinners(l)
		l.close()
		if err == nil {
			step(a.log.Info(), askWinners, "success").Int("cant_ganadores", winners).Send()
			return winners, nil
		}
		if time.Since(asked) >= longestPause {
			a.losses = 0 // it was parked for a while, which is all the progress there is
		}
		if err := a.askAgain(ctx, err); err != nil {
			return 0, err
		}
		if l, err = a.connect(ctx); err != nil {
			return 0, err
		}
	}
}

// fetchWinners asks for the agency's winners on a connection of its own.
func (a *agency) fetchWinners(ctx context.Context) (winners int, err error) {
	l, err := a.connect(ctx)
	if err != nil {
		return 0, err
	}
	return a.awaitWinners(ctx, l)
}

// askWinners asks once, and returns how many winners there are.
func (a *agency) askWinners(l *link) (winners int, err error) {
	a.step(a.log.Debug(), askWinners, "in_progress").Send()
	theDraw := wait{askWinners, "the draw"}
	answer, err := l.ask(&codec.WinnersQuery{Agency: strconv.Itoa(a.config.ID)}, theDraw)
	if err != nil {
		return 0, err
	}
	var last codec.Winners
	var part codec.WinnersPart
	for {
		switch answer.Type {
		case codec.TypeWinners:
			if err := decode(answer, &last); err != nil {
				return 0, failed(askWinners, err)
			}
			return a.takeWinners(winners, last.Documents), nil
		case codec.TypeWinnersPart:
			if err := decode(answer, &part); err != nil {
				return 0, failed(askWinners, err)
			}
			winners = a.takeWinners(winners, part.Documents)
		default:
			return 0, failed(askWinners, decline("WINNERS_QUERY", answer))
		}
		if answer, err = l.receive(theDraw); err != nil {
			return 0, err
		}
	}
}

// takeWinners tells the next part of the list, which comes after before winners, and
// returns how many there are with it. They are not kept, so that an endless list
// costs no memory.
//
// A list that was cut off begins anew when it is asked for again, but each winner is
// told once.
func (a *agency) takeWinners(before int, documents []string) (winners int) {
	winners = before + len(documents)
	if a.config.Winners == nil {
		for _, document := range documents {
			a.step(a.log.Debug(), "ganador", "success").Str("dni", document).Send()
		}
		return winners
	}
	if winners > a.told {
		a.config.Winners(documents[max(0, a.told-before):])
		a.told = winners
	}
	return winners
}

// askAgain returns nil when the query may be sent again, or the error that
// ends the run.
func (a *agency) askAgain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if retry := (*retryError)(nil); errors.As(err, &retry) {
		return a.waitForRetry(ctx, askWinners, retry)
	}
	if isLost(err) {
		return a.waitAfterLoss(ctx, err)
	}
	if a.leave(err) {
		return nil
	}
	return err
}
