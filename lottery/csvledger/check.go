package csvledger

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"loteria/lottery"
)

// Report is what Read found in a contest.
type Report struct {
	Path     string // of the ledger
	Rows     int
	Bytes    int64 // of the rows
	Torn     int64 // bytes after them that a crash has left and a start would cut off
	Agencies []AgencyReport
	State    string    // what is saved beside the ledger: the phase, or "none"
	Deadline time.Time // that is kept there; zero is never
	Times    lottery.Times
	// Endings[i] is how the betting of agency i+1, of those expected, has ended; it
	// is nil when the state is "none".
	Endings []lottery.Ending
}

// AgencyReport is what the ledger holds of one agency.
type AgencyReport struct {
	Agency  int
	Bets    uint64
	Digest  uint64 // XXH64 of its rows, as RESUME_POINT has it
	Winners int
}

// Read reads the whole contest in a folder and changes nothing. It calls visit for
// the stretches, in order; each is only valid until visit returns. An error of
// visit ends the reading and is returned. Any other error is one that opening the
// contest would give; the report covers what comes before it. Read does not lock
// the ledger: while a central writes to it, the last row may look torn.
func Read(folder string, visit func(lottery.Stretch) error) (Report, error) {
	report := Report{Path: filepath.Join(folder, LedgerFile), State: "none"}
	saved, err := loadState(filepath.Join(folder, StateFile))
	if err != nil {
		return report, err
	}
	if saved.Agencies > 0 {
		report.State, report.Deadline, report.Times = string(saved.Phase), saved.Deadline, saved.times()
		if report.Endings, err = saved.endings(saved.Agencies); err != nil {
			return report, fmt.Errorf("%s: %w", filepath.Join(folder, StateFile), err)
		}
	}
	f, _, err := openRegular(report.Path)
	if err != nil {
		return report, fmt.Errorf("open the ledger: %w", err)
	}
	defer f.Close()
	accounts, found, err := readAccounts(f, saved.LedgerBytes, maxChecked, visit)
	report.Rows, report.Bytes, report.Torn = found.rows, found.whole, found.torn
	for i := range accounts {
		if a := &accounts[i]; a.Bets > 0 {
			report.Agencies = append(report.Agencies, AgencyReport{i + 1, a.Bets, a.Digest.Sum64(), len(a.Winners)})
		}
	}
	if err == nil {
		err = saved.checkDrawn(report.Path, found.whole)
	}
	return report, err
}

// IsDrawn reports whether the contest in a folder is drawn, as its saved state
// says; it does not read the ledger. It is an error when there is no contest.
func IsDrawn(folder string) (bool, error) {
	saved, err := loadState(filepath.Join(folder, StateFile))
	if path := filepath.Join(folder, LedgerFile); err == nil && saved.Agencies == 0 && !exists(path) {
		err = fmt.Errorf("there is no contest in %s: no %s, and no %s", folder, StateFile, LedgerFile)
	}
	return saved.Phase == lottery.Drawn, err
}

// maxChecked bounds the agencies of a ledger that is checked without knowing
// how many are expected.
const maxChecked = 1_000_000

// Lock locks the contest in a folder until release is called: no central can open
// it meanwhile. It is an error when one has it open. No file is made or changed.
func Lock(folder string) (release func(), err error) {
	path := filepath.Join(folder, LedgerFile)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	if err := lockFailure(path, unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
