package agency

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"loteria/codec"
)

// betting is what an agency sends to the central, and how.
type betting struct {
	name   string // of where the bets come from, for errors
	total  uint64 // bets in all
	open   func() (bets, error)
	verify func(sent *counted) error // checks, before FINISHED, that these were the bets
	single bool                      // in a BET frame each, not in batches
	amount int                       // bets in a batch, at most
	window int                       // batches that may wait for their answer

	action   string             // of the log line about an answer
	answered func(span)         // logs that bets are acknowledged
	complete func(total uint64) // logs that all are
}

// deliver gets all bets to the central and says FINISHED. It returns the
// connection on which that was acknowledged.
func (a *agency) deliver(ctx context.Context, b *betting) (*link, error) {
	for {
		l, err := a.connect(ctx)
		if err != nil {
			return nil, err
		}
		if err = a.converse(l, b); err == nil {
			return l, nil
		}
		l.close()
		if err == errNoResume {
			a.rotation.keepOnly(l.address) // the others may know it
		}
		if err := a.tryAgain(ctx, err); err != nil {
			return nil, err
		}
	}
}

// converse is one connection's part of deliver: it finds out what the central
// has, sends the rest, and says FINISHED.
func (a *agency) converse(l *link, b *betting) error {
	bets, err := b.open()
	if err != nil {
		return err
	}
	sent := newCounted(bets)
	total, err := a.sendAll(l, b, sent)
	bets.close()
	if err == nil {
		err = b.verify(sent)
	}
	if err != nil {
		return err
	}
	if !a.complete {
		a.complete = true
		a.tellProgress()
		b.complete(total)
	}
	return a.finish(l, sent)
}

func (a *agency) sendAll(l *link, b *betting, bets *counted) (total uint64, err error) {
	stored := a.acked
	if a.central != legacy {
		stored, err = a.resume(l, b, bets)
	} else {
		err = bets.take(stored)
	}
	if err != nil {
		return 0, err
	}
	return a.transfer(l, b, bets, stored)
}

// finish sends FINISHED, with the number of bets and their digest.
func (a *agency) finish(l *link, sent *counted) error {
	answer, err := l.ask(&codec.Finished{
		Agency:    strconv.Itoa(a.config.ID),
		Total:     sent.count,
		HasTotal:  a.central == resuming,
		Digest:    sent.digest(),
		HasDigest: a.central == resuming,
	}, wait{"finished", "the answer to FINISHED"})
	if err != nil {
		return err
	}
	if answer.Type != codec.TypeSuccess {
		return failed("finished", decline("FINISHED", answer))
	}
	a.step(a.log.Info(), "finished", "success").Uint64("total", sent.count).Send()
	return nil
}

// tryAgain decides what follows an error of a conversation: it returns nil when the
// next one may begin, or the error that ends the run.
func (a *agency) tryAgain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if retry := (*retryError)(nil); errors.As(err, &retry) {
		return a.waitForRetry(ctx, "send_bets", retry)
	}
	if err == errNoResume {
		a.workAsBefore()
		return nil
	}
	if a.leave(err) {
		return nil
	}
	if !isLost(err) {
		return err
	}
	if a.central == legacy {
		unsure := fmt.Sprintf("whether it has stored what was sent after bet %d", a.acked)
		if a.complete {
			unsure = "whether it has heard that the agency has finished"
		}
		return failed("send_bets", fmt.Errorf("%w; it does not know RESUME, so there is no telling %s", err, unsure))
	}
	return a.waitAfterLoss(ctx, err)
}

// waitAfterLoss waits before the next connection, unless too many were lost since
// the last bet got through. After the second in a row, and every further one, the
// next address is called: this one accepts connections and serves none.
func (a *agency) waitAfterLoss(ctx context.Context, err error) error {
	addresses := len(a.rotation.addresses)
	limit := (a.config.ConnectLimit+1)*addresses - 1
	if a.losses++; a.losses > limit {
		return failed("connect", fmt.Errorf("given up after %d connections without progress: %w", a.losses, err))
	}
	a.step(a.log.Info(), "connect", "in_progress").Int("lost", a.losses).Int("limit", limit).
		Str("reason", err.Error()).Send()
	if a.losses > 1 {
		a.rotation.advance()
	}
	return sleep(ctx, a.backoff.pause((a.losses-1)/addresses+1))
}

// waitForRetry waits before a request is sent again, unless that was done too often.
// After the second RETRY in a row, and every further one, the next address is asked:
// this central may be cut off from its ledger.
func (a *agency) waitForRetry(ctx context.Context, action string, retry *retryError) error {
	if a.retries++; a.retries > a.config.RetryLimit {
		return failed(action, fmt.Errorf("given up after %d attempts: %w", a.retries, retry))
	}
	a.step(a.log.Info(), action, "in_progress").Int("attempt", a.retries).Int("limit", a.config.RetryLimit).
		Str("reason", retry.Error()).Send()
	if a.retries > 1 {
		a.rotation.advance()
	}
	return sleep(ctx, a.config.RetryPeriod)
}

// progress notes how many bets the central has.
func (a *agency) progress(stored uint64) {
	if stored > a.acked {
		a.acked, a.losses, a.retries = stored, 0, 0
	}
	a.tellProgress()
}

// tellProgress tells config.Progress how far the run is.
func (a *agency) tellProgress() {
	if a.config.Progress != nil {
		a.config.Progress(a.acked, a.complete)
	}
}
