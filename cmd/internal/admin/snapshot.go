package admin

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"loteria/lottery"
)

// maxListed is how many agencies a state lists, and the page has curves of.
const maxListed = 200

// snapshot is the state at one moment. It is made and encoded once for all who look
// within a second, as that visits every agency.
type snapshot struct {
	taken     time.Time
	state     State // with the first agencies
	standings []lottery.Standing
	rates     rates
	json      []byte // the state
	event     []byte // the same, for a stream

	once   sync.Once
	curves []byte
}

// snapshots has the last one.
type snapshots struct {
	mu   sync.Mutex
	last *snapshot
}

// current returns a snapshot that is at most a second old.
func (s *Server) current() *snapshot {
	s.snapshots.mu.Lock()
	defer s.snapshots.mu.Unlock()
	last := s.snapshots.last
	if last != nil && time.Since(last.taken) < interval {
		if _, now := s.inspect(); now.status == last.state.Status {
			return last
		}
	}
	s.snapshots.last = s.snapshot()
	return s.snapshots.last
}

// renew drops the last snapshot, so that the next is up to date.
func (s *Server) renew() {
	s.snapshots.mu.Lock()
	defer s.snapshots.mu.Unlock()
	s.snapshots.last = nil
}

func (s *Server) snapshot() *snapshot {
	now := &snapshot{taken: time.Now(), rates: s.sampler.now()}
	now.state, now.standings = s.state(now.rates)
	now.state.list(s, now, 1)
	now.json = encode(&now.state)
	now.event = event("state", now.json)
	return now
}

func encode(data any) []byte {
	text, err := json.Marshal(data)
	if err != nil {
		panic("admin: a state is no JSON: " + err.Error())
	}
	return text
}

// curvesEvent returns the event that a stream begins with.
func (now *snapshot) curvesEvent(p *rateSampler) []byte {
	now.once.Do(func() { now.curves = event("curves", encode(p.curves())) })
	return now.curves
}

// list has the state list the agencies from that number on.
func (state *State) list(s *Server, now *snapshot, from int) {
	first := min(from-1, len(now.standings))
	listed := now.standings[first:min(first+maxListed, len(now.standings))]
	state.Agencies = make([]Agency, len(listed))
	for i, standing := range listed {
		state.Agencies[i] = s.agency(standing, state.Phase, now.rates.of(first+i))
	}
	state.More = max(0, state.Expected-(from-1)-maxListed)
}

// apiState answers with the state, and with agencies from ?from= on.
func (s *Server) apiState(w http.ResponseWriter, r *http.Request) {
	now := s.current()
	text := now.json
	if query := r.URL.Query(); query.Has("from") {
		from, err := strconv.Atoi(query.Get("from"))
		if err != nil || from < 1 {
			answer(w, http.StatusBadRequest, "from is the number of the first agency that is listed, from 1 on")
			return
		}
		state := now.state
		state.list(s, now, from)
		text = encode(&state)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // the client may have gone
}
