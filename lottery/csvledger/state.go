package csvledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"loteria/lottery"
)

// state is what a contest keeps beside its ledger, as JSON, so that a restart
// knows who has finished.
type state struct {
	Agencies int           `json:"agencies"`          // how many are expected
	Finished []int         `json:"finished"`          // those that said FINISHED, ascending
	Missing  []int         `json:"missing,omitempty"` // those that the draw is made without
	Phase    lottery.Phase `json:"phase"`
	Deadline time.Time     `json:"deadline,omitzero"` // when betting ends at the latest
	// LedgerBytes is how much of the ledger was on disk; it may be more now.
	LedgerBytes int64 `json:"ledger_bytes,omitempty"`
	// When the contest was begun, the last betting ended, and the draw was noted.
	// One begun by an older version has none of them.
	Opened time.Time `json:"opened,omitzero"`
	Closed time.Time `json:"closed,omitzero"`
	Drawn  time.Time `json:"drawn,omitzero"`
}

// newState returns the state of a contest in which the betting of agency i+1
// has ended as endings[i] says.
func newState(endings []lottery.Ending, drawn bool) state {
	s := state{Agencies: len(endings), Finished: []int{}, Phase: lottery.Betting}
	for i, how := range endings {
		switch how {
		case lottery.Finished:
			s.Finished = append(s.Finished, i+1)
		case lottery.Missing:
			s.Missing = append(s.Missing, i+1)
		}
	}
	switch all := len(s.Finished)+len(s.Missing) == s.Agencies; {
	case all && drawn:
		s.Phase = lottery.Drawn
	case all:
		s.Phase = lottery.Drawing
	}
	return s
}

func (s *state) times() lottery.Times {
	return lottery.Times{Opened: s.Opened, Closed: s.Closed, Drawn: s.Drawn}
}

func (s *state) setTimes(t lottery.Times) { s.Opened, s.Closed, s.Drawn = t.Opened, t.Closed, t.Drawn }

func (s *state) hasEndings() bool { return len(s.Finished)+len(s.Missing) > 0 }

// checkDrawn returns an error when rows were added to the ledger after the draw:
// they would win, or change what an agency is told that it has bet.
func (s *state) checkDrawn(path string, whole int64) error {
	if s.Phase != lottery.Drawn || s.LedgerBytes <= 0 || whole <= s.LedgerBytes {
		return nil
	}
	return fmt.Errorf("the ledger %s has %d bytes of rows, and the draw was made from the first %d: somebody else has added to it since: "+
		"restore it as docs/operators.md says", path, whole, s.LedgerBytes)
}

// endings returns how the betting of each expected agency has ended. It is an error
// when the state cannot be of their contest.
func (s *state) endings(expected int) ([]lottery.Ending, error) {
	if s.Agencies != expected {
		return nil, fmt.Errorf("the contest was begun with %d expected agencies, not with %d: start it with that number, or begin another contest",
			s.Agencies, expected)
	}
	endings := make([]lottery.Ending, expected)
	for how, agencies := range map[lottery.Ending][]int{lottery.Finished: s.Finished, lottery.Missing: s.Missing} {
		for _, agency := range agencies {
			if agency < 1 || agency > expected {
				return nil, fmt.Errorf("an agency is %d, expected 1 to %d", agency, expected)
			}
			if endings[agency-1] != lottery.Open {
				return nil, fmt.Errorf("agency %d has ended its betting twice", agency)
			}
			endings[agency-1] = how
		}
	}
	if s.Phase != newState(endings, s.Phase == lottery.Drawn).Phase {
		open := expected - len(s.Finished) - len(s.Missing)
		return nil, fmt.Errorf("the phase is %q with %d of %d agencies to come", s.Phase, open, expected)
	}
	return endings, nil
}

// withoutState is what to do without a usable contest.json.
const withoutState = "put back a copy of it (docs/operators.md, Restore), or if there is none%s start the central with --reopen: " +
	"no agency counts as finished then, and all of them have to be started again"

// maxState is how long a state can be, in bytes: each of maxChecked agencies has its
// number and a comma in it.
const maxState = 16 << 20

// loadState returns the saved state; its Agencies are 0 when there is none.
func loadState(path string) (s state, err error) {
	content, err := readState(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return s, fmt.Errorf("read the contest's state: %w", err)
	case len(bytes.TrimSpace(content)) == 0:
		err = errors.New("it is empty")
	default:
		err = json.Unmarshal(content, &s)
		if err == nil && (s.Agencies < 1 || s.Agencies > maxChecked) {
			err = fmt.Errorf("%d agencies are expected", s.Agencies)
		}
	}
	if err != nil {
		return s, fmt.Errorf("the contest's state %s is cut or damaged (%w): "+withoutState, path, err, " remove it and")
	}
	return s, nil
}

// readState returns the content of a state file. It blocks on a pipe, as on a disk
// that hangs: callers bound the wait for both.
func readState(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err == nil && len(content) > maxState {
		err = fmt.Errorf("%s has more than %d bytes", path, maxState)
	}
	return content, err
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
