package csvledger

import (
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// check reads a contest for what is wrong with it.
func check(folder string) (Report, error) {
	return Read(folder, func(lottery.Stretch) error { return nil })
}

// TestCheck reads contests and changes nothing.
func TestCheck(t *testing.T) {
	bets := slices.Concat(samples(3, 0, 11), samples(1, 0, 4), samples(3, 11, 2))
	rows := rowsOf(bets...)
	agencies := []AgencyReport{reportOf(1, samples(1, 0, 4)), reportOf(3, samples(3, 0, 13))}
	const state = `{"agencies":3,"finished":[1,2,3],"phase":"drawn"}`
	endings := []lottery.Ending{lottery.Finished, lottery.Finished, lottery.Finished}
	stranger := sample(1, 0)
	stranger.Agency = maxChecked + 1
	for _, test := range []struct {
		name  string
		files map[string]string
		want  Report // without the path
		says  string // of the error, or ""
	}{
		{"no state", map[string]string{LedgerFile: rows}, Report{Rows: 17, Bytes: int64(len(rows)), Agencies: agencies, State: "none"}, ""},
		{"drawn", map[string]string{LedgerFile: rows, StateFile: state}, Report{Rows: 17, Bytes: int64(len(rows)), Agencies: agencies, State: "drawn", Endings: endings}, ""},
		{"torn", map[string]string{LedgerFile: rows + "1,Ana"}, Report{Rows: 17, Bytes: int64(len(rows)), Torn: 5, Agencies: agencies, State: "none"}, ""},
		{"damaged", map[string]string{LedgerFile: rows + "x\r\n" + rows}, Report{Rows: 17, Bytes: int64(len(rows)), Agencies: agencies, State: "none"}, "line 18"},
		{"empty", map[string]string{LedgerFile: ""}, Report{State: "none"}, ""},
		{"no ledger", map[string]string{StateFile: state}, Report{State: "drawn", Endings: endings}, LedgerFile},
		{"no state that can be read", map[string]string{LedgerFile: rows, StateFile: "{"}, Report{State: "none"}, StateFile},
		{"a state that cannot be", map[string]string{LedgerFile: rows, StateFile: `{"agencies":3,"finished":[1,1],"phase":"betting"}`}, Report{State: "betting"}, "agency 1 has ended its betting twice"},
		{"too many agencies", map[string]string{LedgerFile: rowsOf(stranger)}, Report{State: "none"}, "1000001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			writeFolder(t, folder, test.files)
			got, err := check(folder)
			test.want.Path = filepath.Join(folder, LedgerFile)
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("the report is\n%+v, want\n%+v", got, test.want)
			}
			if (err != nil) != (test.says != "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error is %v, want one about %q", err, test.says)
			}
			var damage *DamageError
			if errors.As(err, &damage) != (test.name == "damaged") {
				t.Errorf("the error is %v", err)
			}
			checkFolder(t, folder, test.files)
		})
	}
}

func reportOf(agency int, bets []lottery.Bet) AgencyReport {
	account := ledgertest.Account(bets...)
	return AgencyReport{agency, account.Bets, account.Digest.Sum64(), len(account.Winners)}
}

// TestIsDrawn tells a contest that is not drawn from a missing one.
func TestIsDrawn(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		drawn bool
		says  string
	}{
		"no contest": {nil, false, "there is no contest in "},
		"bets alone": {map[string]string{LedgerFile: rowsOf(sample(1, 0))}, false, ""},
		"betting":    {map[string]string{StateFile: `{"agencies":1,"finished":[],"phase":"betting"}`}, false, ""},
		"drawn":      {map[string]string{StateFile: `{"agencies":1,"finished":[1],"phase":"drawn"}`}, true, ""},
		"damaged":    {map[string]string{StateFile: `{`}, false, "is cut or damaged"},
	} {
		folder := t.TempDir()
		writeFolder(t, folder, test.files)
		drawn, err := IsDrawn(folder)
		if drawn != test.drawn || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %t, %v", name, drawn, err)
		}
	}
}

// TestRead gives all rows in their order, and the error of visit.
func TestRead(t *testing.T) {
	bets := slices.Concat(samples(3, 0, 11), samples(1, 0, 4), samples(3, 11, 2))
	folder := t.TempDir()
	writeFolder(t, folder, map[string]string{LedgerFile: rowsOf(bets...) + "1,Ana"})
	var rows []byte
	report, err := Read(folder, func(s lottery.Stretch) error {
		rows = append(rows, s.Rows...)
		return nil
	})
	if err != nil || string(rows) != rowsOf(bets...) || report.Rows != len(bets) || report.Torn != 5 {
		t.Errorf("read are %d bytes, %+v and %v", len(rows), report, err)
	}
	stop := errors.New("stop")
	if _, err := Read(folder, func(lottery.Stretch) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error is %v, want that of visit", err)
	}
}

// TestLock keeps a central away until it is released, and sees one that is there.
func TestLock(t *testing.T) {
	folder := t.TempDir()
	if _, err := Lock(folder); err == nil {
		t.Error("a folder without a contest is locked")
	}
	checkFolder(t, folder, map[string]string{})
	l, err := Open(folder, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(folder); err == nil || !strings.Contains(err.Error(), "another central has it") {
		t.Errorf("the contest of a central is locked: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	release, err := Lock(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(folder, 1); err == nil || !strings.Contains(err.Error(), "another central has it") {
		t.Errorf("a contest that is locked is opened: %v", err)
	}
	release()
	if l, err = Open(folder, 1); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
