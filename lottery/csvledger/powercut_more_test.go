package csvledger

import (
	"fmt"
	"slices"
	"testing"
)

// TestPowerCutAfterFailure lets each call of the ledger's leader fail in turn,
// writes by half, and then cuts the power: also before and after the truncate
// that takes the half back has reached the platter.
func TestPowerCutAfterFailure(t *testing.T) {
	seeds, bets, mixes := 1, 5, 3
	if chaos {
		seeds, bets, mixes = 6, 6, 5
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			folder := memoryFolder(t)
			s := newScript(seed, 3, bets)
			var sum tally
			failures := 0
			for fails := 1; ; fails++ {
				writeFolder(t, folder, nil)
				w, deeds := s.play(t, folder, seed, fails)
				failure := slices.IndexFunc(deeds, func(d deed) bool { return d.kind == ledgerTruncate }) - 2
				if failure < 0 {
					break // there are fewer calls
				}
				for _, d := range deeds[:failure] {
					w = w.after(d, -1)
				}
				failures++
				n := s.cutEverywhere(t, folder, seed, w, deeds[failure:], mixes)
				sum.cuts += n.cuts
				sum.restarts += n.restarts
			}
			if failures == 0 {
				t.Error("no call has failed")
			}
			t.Logf("%d failing calls, %d cuts, %d restarts", failures, sum.cuts, sum.restarts)
		})
	}
}

// TestPowerCutAgainAndAgain cuts the power at some moment, goes on from what is
// left, cuts it again, and so on.
func TestPowerCutAgainAndAgain(t *testing.T) {
	seeds, cuts := 10, 8
	if chaos {
		seeds, cuts = 400, 20
	}
	folder := memoryFolder(t)
	restarts := 0
	for seed := range uint64(seeds) {
		writeFolder(t, folder, nil)
		s := newScript(seed, 3, 15)
		r := newRand(seed, 3)
		for cut := range uint64(cuts) {
			w, deeds := s.play(t, folder, seed*1000+cut, 0)
			last := deed{}
			for _, d := range deeds[:r.IntN(min(len(deeds), 25)+1)] {
				w, last = w.after(d, -1), d
			}
			files := w.files(mixed, r)
			writeFolder(t, folder, files)
			c, err := openQuietly(folder, len(s.bets))
			if err == nil {
				err = s.checkRestart(w, c)
				c.Close()
			}
			if err != nil {
				t.Fatalf("seed %d, cut %d, after a %s: %v", seed, cut, last.kind, err)
			}
			restarts++
		}
		if err := s.restart(newWreck(3, readFolder(t, folder)), folder); err != nil {
			t.Fatalf("seed %d, in the end: %v", seed, err)
		}
	}
	t.Logf("%d lotteries, %d cuts", seeds, restarts)
}

// TestPowerCutAtTheBeginning cuts the power while a new contest is begun.
func TestPowerCutAtTheBeginning(t *testing.T) {
	folder := memoryFolder(t)
	d := newNotedDisk(nil, 0, nil)
	l, err := Open(folder, 3, func(l *Ledger) { l.state.disk = d })
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if len(d.deeds) != 1+5 {
		t.Errorf("it took %d deeds, want a sync of the folder and a save", len(d.deeds))
	}
	n := newScript(1, 3, 5).cutEverywhere(t, folder, 1, newWreck(3, map[string]string{LedgerFile: ""}), d.deeds, 8)
	t.Logf("%d cuts, %d restarts", n.cuts, n.restarts)
}

// TestPlayIsRepeatable runs a seed twice.
func TestPlayIsRepeatable(t *testing.T) {
	s := newScript(5, 3, 10)
	disk := func() (deeds []string) {
		_, all := s.play(t, t.TempDir(), 5, 0)
		for _, d := range all {
			if d.kind != toldDrawn { // that has a goroutine of its own
				deeds = append(deeds, fmt.Sprintf("%s %q %d %d %d", d.kind, d.data, d.size, d.agency, d.bets))
			}
		}
		return deeds
	}
	if one, two := fmt.Sprint(disk()), fmt.Sprint(disk()); one != two {
		t.Errorf("the same seed gives\n%.2000s, and\n%.2000s", one, two)
	}
}
