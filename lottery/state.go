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
	Agencies int   `json:"agencies"`          // how many are expected
	Finished []int `json:"finished"`          // those that said FINISHED, ascending
	Missing  []int `json:"missing,omitempty"` // those that the draw is made without
	Phase    Phase `json:"phase"`
	// LedgerBytes is how much of the ledger was on disk; it may be more now.
	LedgerBytes int64 `json:"ledger_bytes,omitempty"`
}

func (d *draw) state() state {
	return state{Agencies: len(d.endings), Finished: d.with(finished), Missing: d.with(missing), Phase: d.phase}
}

// restore brings a new draw to the saved state.
func (d *draw) restore(s state) error {
	if s.Agencies != len(d.endings) {
		return fmt.Errorf("the contest was begun with %d expected agencies, not with %d: start it with that number, or begin another contest",
			s.Agencies, len(d.endings))
	}
	for how, agencies := range map[ending][]int{finished: s.Finished, missing: s.Missing} {
		for _, agency := range agencies {
			if agency < 1 || agency > s.Agencies {
				return fmt.Errorf("an agency is %d, expected 1 to %d", agency, s.Agencies)
			}
			if !d.end(agency, how) {
				return fmt.Errorf("agency %d has ended its betting twice", agency)
			}
		}
	}
	switch {
	case s.Phase == Drawn && d.phase == Drawing:
		d.complete()
	case s.Phase == Betting && d.phase == Betting, s.Phase == Drawing && d.phase == Drawing:
	default:
		return fmt.Errorf("the phase is %q with %d of %d agencies to come", s.Phase, d.open, s.Agencies)
	}
	return nil
}

// loadState returns the saved state; its Agencies are 0 when there is none.
func loadState(path string) (s state, err error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err == nil && s.Agencies < 1 {
		err = fmt.Errorf("%d agencies are expected", s.Agencies)
	}
	if err != nil {
		return s, fmt.Errorf("read the contest's state %s: %w", path, err)
	}
	return s, nil
}

func saveState(d disk, path string, s state) error {
	content, err := json.Marshal(s)
	if err == nil {
		err = replaceFile(d, path, append(content, '\n'))
	}
	if err != nil {
		return fmt.Errorf("save the contest's state: %w", err)
	}
	return nil
}
