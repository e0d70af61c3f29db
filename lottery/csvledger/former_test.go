package csvledger

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"loteria/lottery"
)

// TestFormer takes up contests of the version before contests stood on ledgers.
// Its server wrote testdata/former from invented bets that agencies sent it, or,
// for "drawing", its tests did, as only a crash at the right moment leaves that.
// What is expected is what it told itself when it was started again: by RESUME
// and in contest.json.
func TestFormer(t *testing.T) {
	type agency struct {
		bets    uint64
		digest  uint64
		ended   lottery.Ending
		winners []string
	}
	const none = 0xef46db3751d8e999 // the digest without bets
	tests := []struct {
		name     string
		agencies []agency
		phase    lottery.Phase // after it is opened
		late     bool          // the draw is made then
		state    string        // after it is closed, when that is another one
	}{
		{"betting", []agency{
			{9, 0x978137e0e107dcea, lottery.Finished, []string{"1000020", "1000072"}},
			{6, 0xf9cabeb75bc694cb, lottery.Finished, []string{"2000033"}},
			{5, 0x96842fd81bef80a4, lottery.Open, []string{"3000046"}},
			{0, none, lottery.Open, nil},
		}, lottery.Betting, false, ""},
		{"killed", []agency{ // it had no time to note all that was on disk
			{9, 0x978137e0e107dcea, lottery.Open, []string{"1000020", "1000072"}},
			{6, 0xf9cabeb75bc694cb, lottery.Finished, []string{"2000033"}},
			{0, none, lottery.Open, nil},
			{0, none, lottery.Open, nil},
		}, lottery.Betting, false, `{"agencies":4,"finished":[2],"phase":"betting","ledger_bytes":661}`},
		{"missing", []agency{ // started with --draw-without 2
			{7, 0x934965d56024a704, lottery.Finished, []string{"1000020", "1000072"}},
			{5, 0x7c66b78734f162, lottery.Missing, []string{"2000033"}},
			{0, none, lottery.Open, nil},
		}, lottery.Betting, false, ""},
		{"drawing", []agency{
			{11, 0x9b14adc04799e9a, lottery.Finished, []string{"0010000000", "0010000005", "0010000010"}},
			{6, 0x5d3c1349ff9bc591, lottery.Finished, []string{"0020000000", "0020000005"}},
		}, lottery.Drawn, true, `{"agencies":2,"finished":[1,2],"phase":"drawn","ledger_bytes":1035}`},
		{"drawn", []agency{
			{10, 0x488c51741b044b86, lottery.Finished, []string{"1000020", "1000072", "1000124"}},
			{2, 0xc514b4275709a33d, lottery.Missing, nil},
			{8, 0x77bd0cf48b94af04, lottery.Finished, []string{"3000046", "3000098"}},
		}, lottery.Drawn, false, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := readFolder(t, filepath.Join("testdata", "former", test.name))
			folder := t.TempDir()
			writeFolder(t, folder, files)
			n := len(test.agencies)
			c := openContest(t, folder, n)
			check := func() {
				t.Helper()
				c.CheckPhase(test.phase)
				for i, want := range test.agencies {
					got := c.Standings()[i]
					bets, digest, err := c.TryResume(i + 1)
					if err != nil || got.Bets != want.bets || bets != want.bets || digest != want.digest || got.Ended != want.ended {
						t.Errorf("agency %d has %d bets, resumes with %d and %x, ended is %d, %v; want %+v",
							i+1, got.Bets, bets, digest, got.Ended, err, want)
					}
				}
			}
			check()
			if late := c.Phase() == lottery.Drawn && !c.WasDrawn(); late != test.late {
				t.Errorf("drawn late: %t, want %t", late, test.late)
			}
			if test.state != "" {
				files[StateFile] = test.state + "\n"
			}
			for range 2 { // opened and closed, and once more
				c = c.reopen(t)
				check()
				checkFolder(t, folder, files)
			}

			// It goes on from there, and both of its files with it.
			winners := make([][]string, n)
			rows, finished := files[LedgerFile], []int{}
			for i, a := range test.agencies {
				winners[i] = slices.Clone(a.winners)
				late := at(a.bets, newBatch(t, sample(i+1, 0)))
				if a.ended != lottery.Open {
					code := lottery.AgencyFinished
					if test.phase == lottery.Drawn {
						code = lottery.DrawDone
					}
					c.CheckStoreRefused(late, code)
					continue
				}
				c.MustStore(late)
				winners[i] = append(winners[i], winnersOf(sample(i+1, 0))...)
				rows += rowsOf(sample(i+1, 0))
				finished = append(finished, i+1)
			}
			c.MustFinish(finished...)
			c.CheckDraw(true, winners...)
			checkFile(t, filepath.Join(folder, LedgerFile), rows)
			if state := readFile(t, filepath.Join(folder, StateFile)); !strings.Contains(state, `"phase":"drawn"`) {
				t.Errorf("in the end the state is %s", state)
			}
			c.crash(t).CheckDraw(true, winners...)
		})
	}
	t.Run("other agencies", func(t *testing.T) {
		folder := t.TempDir()
		files := readFolder(t, filepath.Join("testdata", "former", "betting"))
		writeFolder(t, folder, files)
		for _, agencies := range []int{3, 5} {
			if l, err := Open(folder, agencies); err == nil {
				l.Close()
				t.Errorf("a contest of 4 agencies was opened with %d", agencies)
			}
		}
		checkFolder(t, folder, files)
	})
}
