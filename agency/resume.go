package agency

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"loteria/codec"
)

// A connection that is closed on RESUME may be an existing central's answer, or
// a central that died, stops, or has no room just then. To take one for the
// other would store bets twice. So an existing central is only believed to be
// one when it has closed resumeClosings connections on RESUME, and each but the
// first of them had been open and quiet for quietTime before.
const (
	resumeClosings = 3
	quietTime      = 200 * time.Millisecond
)

var (
	errNoRoom   = errors.New("the central closes the connection before anything is said")
	errNoResume = errors.New("the central does not know RESUME")
)

// resume asks how many bets the central has, and takes as many off bets, which
// have to be the same. It returns how many these are. The error is errNoResume
// when this connection has shown that the central is an existing one.
func (a *agency) resume(l *link, b *betting, bets *counted) (uint64, error) {
	if a.closings > 0 && !l.listen(a.quiet) {
		return 0, &lostError{errNoRoom}
	}
	answer, err := l.ask(&codec.Resume{Agency: strconv.Itoa(a.config.ID)})
	if isLost(err) && a.central == unknown {
		if a.closings++; a.closings == resumeClosings && !a.config.RequireResume {
			err = errNoResume
		}
	}
	if err != nil {
		return 0, err
	}
	if answer.Type != codec.TypeResumePoint {
		err := decline("RESUME", answer)
		if refused := (*refusedError)(nil); a.central == unknown && !a.config.RequireResume && errors.As(err, &refused) {
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
	a.central, a.closings = resuming, 0
	if err := match(b.name, bets, point); err != nil {
		return 0, err
	}
	a.progress(point.Count)
	e := a.log.Debug()
	if point.Count > 0 {
		e = a.log.Info()
	}
	a.step(e, "resume", "success").Uint64("stored", point.Count).Send()
	return point.Count, nil
}

// workAsBefore makes this the agency of a central that does not know RESUME.
func (a *agency) workAsBefore() {
	a.central, a.losses = existing, 0
	a.tellProgress()
	a.step(a.log.Info(), "resume", "success").Str("reason", "the central does not know it: one message at a time, from the first bet on").Send()
}

// match takes as many bets off as the central has, and compares.
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
