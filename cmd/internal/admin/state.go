package admin

import (
	"time"

	"loteria/lottery"
	"loteria/reactor"
)

// State is what /api/state answers, as JSON, and what the page is fed.
type State struct {
	Now      time.Time  `json:"now"`
	Started  time.Time  `json:"started"`
	Contest  string     `json:"contest"` // its name; may be empty
	Ready    bool       `json:"ready"`
	Status   Status     `json:"status"`
	Reason   string     `json:"reason,omitempty"` // of a status that needs one
	Phase    Phase      `json:"phase"`
	Deadline *time.Time `json:"deadline,omitempty"` // when betting ends at the latest
	// DrawnAt is when the draw was seen; it is missing before, and when that
	// was before the start.
	DrawnAt *time.Time `json:"drawn_at,omitempty"`
	Acta    *Acta      `json:"acta"` // the record of the draw; null as long as there is none

	Expected int     `json:"expected"` // agencies
	Finished int     `json:"finished"` // whose betting has ended
	Awaited  []int   `json:"awaited"`  // the first agencies that have not finished, ten at most
	Bets     uint64  `json:"bets"`     // durable, of all agencies, whichever central has stored them
	Rate     float64 `json:"rate"`     // bets per second, in the last second; with a shared ledger in the last five
	Winners  *int    `json:"winners"`  // of all agencies; null before the draw

	Central   string `json:"central,omitempty"` // the name of this one, with a ledger in NATS
	Elsewhere int    `json:"elsewhere"`         // agencies that last bet at another central

	Agencies []Agency `json:"agencies"` // the first ones, or those from ?from= on, maxListed at most
	More     int      `json:"more"`     // agencies after the last one in the list

	Connections    int `json:"connections"`
	MaxConnections int `json:"max_connections"`
	TLS            TLS `json:"tls"`
	ParkedQueries  int `json:"parked_queries"`
	WaitingBytes   int `json:"waiting_bytes"`
	MaxWaiting     int `json:"max_waiting_bytes"`
	WindowFrames   int `json:"window_frames"` // of the fullest window
	MaxFrames      int `json:"max_window_frames"`

	Ledger Ledger `json:"ledger"`

	// CertificateExpires is until when the central's certificate is valid; it is
	// missing when the central has none.
	CertificateExpires *time.Time `json:"certificate_expires,omitempty"`

	Refusals map[lottery.Code]uint64 `json:"refusals"` // since the start; codes that never came are left out
	Problems []problem               `json:"problems"` // the last ones, oldest first

	// Tick counts the rates taken, one each second: the page's curves grow by one with
	// each.
	Tick int `json:"tick"`
}

// TLS is the state of the port on which agencies prove who they are.
type TLS struct {
	Connections      int `json:"connections"`    // whose handshake is done; they are among State.Connections
	Handshakes       int `json:"handshakes"`     // in progress
	MaxHandshakes    int `json:"max_handshakes"` // 0 without such a port
	FailedHandshakes int `json:"failed_handshakes"`
}

// Phase is where the central stands: that of its contest, or Starting.
type Phase = lottery.Phase

// Starting is the phase until the contest is open.
const Starting Phase = "starting"

// Agency is a row of a State.
type Agency struct {
	Agency   int         `json:"agency"`
	State    AgencyState `json:"state"`
	Central  string      `json:"central,omitempty"` // of a shared ledger: the one that stored its last bets
	Bets     uint64      `json:"bets"`              // durable, whichever central has stored them
	Rate     float64     `json:"rate"`              // bets per second, as State.Rate
	Batches  uint64      `json:"batches"`           // acknowledged by this central
	Bytes    uint64      `json:"bytes"`             // of payload of those
	Refused  uint64      `json:"refused"`           // requests, by this central
	LastSeen time.Time   `json:"heard"`             // when it last asked for something here, or was seen to bet elsewhere
	Winners  *int        `json:"winners"`           // null before the draw
}

// AgencyState is how far an agency is.
type AgencyState string

// The states of an agency. Only the central that has sent an agency its winners
// knows it: for others that share the ledger, the agency stays Finished.
const (
	Awaited  AgencyState = "awaited"  // it has sent nothing yet
	Sending  AgencyState = "sending"  // it has sent bets, and has not finished
	Finished AgencyState = "finished" // it has said FINISHED
	Missing  AgencyState = "missing"  // an operator has ended its betting
	Told     AgencyState = "told"     // its winners were sent to it, by this central
)

// maxAwaited is how many agencies that have not finished a state names.
const maxAwaited = 10

// state returns the present state without its list of agencies, and how far each of
// them is.
func (s *Server) state(rates rates) (state State, standings []lottery.Standing) {
	watched, now := s.inspect()
	s.refresh()
	state = State{
		Now:      time.Now(),
		Started:  s.started,
		Contest:  s.config.Contest,
		Ready:    now.ready,
		Status:   now.status,
		Phase:    Starting,
		Expected: s.config.Agencies,
		Bets:     s.counters.bets(),
		Rate:     rates.total,
		Awaited:  []int{},
		Ledger:   s.ledger(),
		Acta:     s.acta.Load(),

		CertificateExpires: s.certificateExpiry(),

		Refusals: make(map[lottery.Code]uint64),
		Problems: s.counters.problems.all(),
		Tick:     rates.tick,
	}
	if state.Ledger.Kind == NATS {
		state.Central = s.config.Central
	}
	if now.reason != nil {
		state.Reason = now.reason.Error()
	}
	deadline := s.config.Deadline
	if watched != nil && !watched.contest.Deadline().IsZero() {
		deadline = watched.contest.Deadline() // the one that is kept
	}
	if !deadline.IsZero() {
		state.Deadline = &deadline
	}
	for code, n := range s.counters.refusals {
		if n := n.Load(); n > 0 {
			state.Refusals[code] = n
		}
	}
	if watched == nil {
		return state, nil
	}
	state.Phase = watched.contest.Phase()
	state.DrawnAt = watched.drawnAt.Load()
	state.addReactor(watched.reactor.Stats())
	winners := 0
	standings = watched.contest.Standings()
	for _, standing := range standings {
		if standing.Ended != lottery.Open {
			state.Finished++
		} else if len(state.Awaited) < maxAwaited {
			state.Awaited = append(state.Awaited, standing.Agency)
		}
		winners += standing.Winners
		if standing.Central != "" && standing.Central != s.config.Central {
			state.Elsewhere++
		}
	}
	if state.Phase == lottery.Drawn {
		state.Winners = &winners
	}
	return state, standings
}

func (s *State) addReactor(stats reactor.Stats) {
	s.Connections, s.MaxConnections = stats.Connections, stats.MaxConnections
	s.TLS = TLS{stats.TLSConnections, stats.Handshakes, stats.MaxHandshakes, stats.FailedHandshakes}
	s.ParkedQueries = stats.ParkedQueries
	s.WaitingBytes, s.MaxWaiting = stats.WaitingBytes, stats.MaxWaiting
	s.WindowFrames, s.MaxFrames = stats.WindowFrames, stats.MaxWindowFrames
}

func (s *Server) agency(standing lottery.Standing, phase Phase, rate float64) Agency {
	t := s.counters.of(standing.Agency)
	a := Agency{
		Agency:   standing.Agency,
		State:    Awaited,
		Central:  standing.Central,
		Bets:     t.bets.Load(),
		Rate:     rate,
		Batches:  t.batches.Load(),
		Bytes:    t.bytes.Load(),
		Refused:  t.refused.Load(),
		LastSeen: standing.LastSeen,
	}
	switch {
	case standing.Ended == lottery.Missing:
		a.State = Missing
	case t.told.Load():
		a.State = Told
	case standing.Ended == lottery.Finished:
		a.State = Finished
	case a.Bets > 0:
		a.State = Sending
	}
	if phase == lottery.Drawn {
		a.Winners = &standing.Winners
	}
	return a
}
