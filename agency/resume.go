package agency

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"loteria/codec"
)

// A connection that is closed on RESUME may be an existing central's answer, or a
// central that died, stops, or has no room just then. To take one for the other
// would store bets twice. So a central is only taken for an existing one when it has
// closed resumeClosings connections on RESUME at one address, has not been out of
// reach there in between, and each connection except the first had been open and
// quiet for quietTime before. Once a central has answered RESUME, it is never taken
// for an existing one; nor is one that is called over TLS, which existing centrals
// do not speak.
const (
	resumeClosings = 3
	quietTime      = 200 * time.Millisecond
)

var (
	errNoRoom   = errors.New("the central closes the connection before anything is said")
	errNoResume = errors.New("the central does not know RESUME")
	errUnusable = fmt.Errorf("it has closed %d connections on RESUME, as a central does that does not know it; "+
		"batch.requireResume keeps the agency from taking it for one", resumeClosings)
)

// resume asks how many bets the central has, takes that many off bets, which must be
// the same, and returns their number. The error is errNoResume when this connection
// has shown that the central is an existing one.
func (a *agency) resume(l *link, b *betting, bets *counted) (uint64, error) {
	if a.closings[l.address] > 0 && !l.listen(a.quiet) {
		return 0, l.lost(errNoRoom)
	}
	answer, err := l.ask(&codec.Resume{Agency: strconv.Itoa(a.config.ID)}, wait{"resume", "the answer to RESUME"})
	if isLost(err) && a.mayBeExisting() {
		a.closings[l.address]++
		switch {
		case a.closings[l.address] < resumeClosings:
		case a.config.RequireResume:
			err = l.lost(errUnusable)
		default:
			err = errNoResume
		}
	}
	if err != nil {
		return 0, err
	}
	if answer.Type != codec.TypeResumePoint {
		err := decline("RESUME", answer)
		if refused := (*refusedError)(nil); a.mayBeExisting() && !a.config.RequireResume && errors.As(err, &refused) {
			// Existing centrals have no codes.
			if code := refused.answer.Code; code == "" || code == codec.UnknownType {
				return 0, errNoResume
			}
		}
		return 0, failed("resume", err)
	}
	var point codec.ResumePoint
	if err := decode(answer, &point); err != nil {
		return 0, failed("resume", err)
	}
	a.central = resuming
	clear(a.closings)
	if err := match(b.name, bets, point); err != nil {
		return 0, err
	}
	if point.Count < a.acked {
		a.lostBets(point.Count)
	}
	a.progress(point.Count)
	e := a.log.Debug()
	if point.Count > 0 {
		e = a.log.Info()
	}
	a.step(e, "resume", "success").Uint64("stored", point.Count).Send()
	return point.Count, nil
}

// mayBeExisting reports whether the central may be an existing one.
func (a *agency) mayBeExisting() bool { return a.central == unknown && a.config.TLS == nil }

// lostBets notes that the central has fewer bets than it has acknowledged in this
// run.
func (a *agency) lostBets(stored uint64) {
	a.step(a.log.Warn(), "resume", "in_progress").Uint64("stored", stored).Uint64("acknowledged", a.acked).
		Str("reason", "the central has lost bets that it had acknowledged: it was restored from a copy, "+
			"or has begun another contest; what is missing is sent again").Send()
	a.acked, a.complete = stored, false
}

// workAsBefore goes on as for a central that does not know RESUME.
func (a *agency) workAsBefore() {
	a.central, a.losses = legacy, 0
	a.tellProgress()
	a.step(a.log.Warn(), "resume", "success").Str("server_address", a.rotation.address()).
		Str("reason", "the central does not know it: one message at a time, from the first bet on. A lost connection ends the run, "+
			"and who starts it again sends all bets again; where a central is meant that knows RESUME, use --require-resume").Send()
}

// match takes as many bets as the central has, and compares their digest.
func match(name string, bets *counted, point codec.ResumePoint) error {
	err := bets.take(point.Count)
	switch {
	case err == io.EOF:
		err = fmt.Errorf("the central has %d bets of this agency, %s has only %d", point.Count, name, bets.count)
	case err != nil:
		return err
	case bets.digest() != point.Digest:
		err = fmt.Errorf("the central has %d bets of this agency, and they are not the first %d of %s (digest %016x, expected %016x)",
			point.Count, bets.count, name, point.Digest, bets.digest())
	default:
		return nil
	}
	return failed("resume", fmt.Errorf("%w; nothing is sent to it", err))
}
