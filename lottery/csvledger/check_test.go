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

// TestCheck reads contests and changes nothing.
func TestCheck(t *testing.T) {
	bets := slices.Concat(samples(3, 0, 11), samples(1, 0, 4), samples(3, 11, 2))
	rows := rowsOf(bets...)
	agencies := []AgencyReport{reportOf(1, samples(1, 0, 4)), reportOf(3, samples(3, 0, 13))}
	const state = `{"agencies":3,"finished":[1,2,3],"phase":"drawn"}`
	stranger := sample(1, 0)
	stranger.Agency = maxChecked + 1
	for _, test := range []struct {
		name  string
		files map[string]string
		want  Report // without the path
		says  string // of the error, or ""
	}{
		{"no state", map[string]string{LedgerFile: rows}, Report{Rows: 17, Bytes: int64(len(rows)), Agencies: agencies, State: "none"}, ""},
		{"drawn", map[string]string{LedgerFile: rows, StateFile: state}, Report{Rows: 17, Bytes: int64(len(rows)), Agencies: agencies, State: "drawn"}, ""},
		{"torn", map[string]string{LedgerFile: rows + "1,Ana"}, Report{Rows: 17, Bytes: int64(len(rows)), Torn: 5, Agencies: agencies, State: "none"}, ""},
		{"damaged", map[string]string{LedgerFile: rows + "x\r\n" + rows}, Report{Rows: 17, Bytes: int64(len(rows)), Agencies: agencies, State: "none"}, "line 18"},
		{"empty", map[string]string{LedgerFile: ""}, Report{State: "none"}, ""},
		{"no ledger", map[string]string{StateFile: state}, Report{State: "drawn"}, LedgerFile},
		{"no state that can be read", map[string]string{LedgerFile: rows, StateFile: "{"}, Report{State: "none"}, StateFile},
		{"too many agencies", map[string]string{LedgerFile: rowsOf(stranger)}, Report{State: "none"}, "1000001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			writeFolder(t, folder, test.files)
			got, err := Check(folder)
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
