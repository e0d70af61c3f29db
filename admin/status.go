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
	Stopping       Status = "stopping"
	CannotSave     Status = "contest.json cannot be saved: the log says why, and it is tried again each second"
	TakingBets     Status = "taking bets"
	TellingWinners Status = "the draw is done: winners are told, bets are not taken"
)

// look returns what is shown, and whether it is ready: the ledger is recovered
// and agencies are listened to. Before Watch, watched is nil.
func (s *Server) look() (watched *watched, ready bool, status Status) {
	watched = s.watched.Load()
	switch {
	case watched != nil && watched.contest.Err() != nil:
		return watched, false, LedgerFailed // which is why it stops, if it does
	case s.stopping.Load():
		return watched, false, Stopping
	case watched == nil:
		return nil, false, Recovering
	}
	select {
	case <-watched.reactor.Ready():
	default:
		return watched, false, NotListening
	}
	if s.unsaved() != nil {
		return watched, false, CannotSave
	}
	if watched.contest.Phase() == lottery.Drawn {
		return watched, true, TellingWinners
	}
	return watched, true, TakingBets
}
