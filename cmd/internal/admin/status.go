package admin

import "loteria/lottery"

// Status is what the central does at the moment, in words: the answer of
// /readyz, and State.Status.
type Status string

// What a central may be doing. It is ready when it does one of the last two.
const (
	Recovering     Status = "recovering the ledger"
	NotListening   Status = "not listening yet"
	LedgerFailed   Status = "the ledger has failed"
	Hindered       Status = "hindered" // by what HinderedBy tells
	Stopping       Status = "stopping"
	TakingBets     Status = "taking bets"
	TellingWinners Status = "the draw is done: winners are told, bets are not taken"
)

// condition is the status and its reason.
type condition struct {
	ready  bool // the ledger is recovered, agencies are listened to, and nothing hinders
	status Status
	reason error // of LedgerFailed and Hindered
}

// inspect returns what is shown, and its condition. Before Watch, watched is nil.
func (s *Server) inspect() (watched *watched, now condition) {
	watched = s.watched.Load()
	if watched != nil {
		if err := watched.contest.Err(); err != nil { // which is why it stops, if it does
			return watched, condition{false, LedgerFailed, err}
		}
	}
	switch {
	case s.stopping.Load():
		return watched, condition{status: Stopping}
	case watched == nil:
		return nil, condition{status: Recovering}
	}
	select {
	case <-watched.reactor.Ready():
	default:
		return watched, condition{status: NotListening}
	}
	if hindrance := s.hindrance.Load(); hindrance != nil {
		if err := (*hindrance)(); err != nil {
			return watched, condition{false, Hindered, err}
		}
	}
	if watched.contest.Phase() == lottery.Drawn {
		return watched, condition{true, TellingWinners, nil}
	}
	return watched, condition{true, TakingBets, nil}
}
