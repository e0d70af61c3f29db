package lottery

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// state is what a contest keeps beside its ledger, as JSON, so that a restart
// knows who has finished.
type state struct {
	Agencies int   `json:"agencies"` // how many are expected
	Finished []int `json:"finished"` // those that said FINISHED, ascending
	Phase    Phase `json:"phase"`
}

func (d *draw) state() state {
	s := state{Agencies: len(d.finished), Finished: []int{}, Phase: d.phase}
	for i, finished := range d.finished {
		if finished {
			s.Finished = append(s.Finished, i+1)
		}
	}
	return s
}

// restore brings a new draw to the saved state.
func (d *draw) restore(s state) error {
	if s.Agencies != len(d.finished) {
		return fmt.Errorf("the contest was begun with %d expected agencies, not with %d: start it with that number, or begin another contest",
			s.Agencies, len(d.finished))
	}
	for _, agency := range s.Finished {
		if agency < 1 || agency > s.Agencies {
			return fmt.Errorf("a finished agency is %d, expected 1 to %d", agency, s.Agencies)
		}
		d.finish(agency)
	}
	switch {
	case s.Phase == Drawn && d.phase == Drawing:
		d.complete()
	case s.Phase == Betting && d.phase == Betting, s.Phase == Drawing && d.phase == Drawing:
	default:
		return fmt.Errorf("the phase is %q with %d of %d agencies finished", s.Phase, len(s.Finished), s.Agencies)
	}
	return nil
}

// loadState returns the saved state, and false when there is none.
func loadState(path string) (s state, found bool, err error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, false, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err != nil {
		return s, false, fmt.Errorf("read the contest's state %s: %w", path, err)
	}
	return s, true, nil
}

func saveState(path string, s state) error {
	content, err := json.Marshal(s)
	if err == nil {
		err = replaceFile(path, append(content, '\n'))
	}
	if err != nil {
		return fmt.Errorf("save the contest's state: %w", err)
	}
	return nil
}
