package csvledger

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cespare/xxhash/v2"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// chaos asks for the long form of the tests that break things.
var chaos = os.Getenv("CHAOS") != ""

// memoryFolder returns a folder for files whose durability does not matter, as
// the test decides itself what a power cut leaves of them.
func memoryFolder(t testing.TB) string {
	const memory = "/dev/shm"
	folder, err := os.MkdirTemp(memory, "lottery")
	if err != nil {
		return t.TempDir() // slower
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// newRand returns numbers that are the same in every run.
func newRand(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// script is what the agencies want to send, and the expected result.
type script struct {
	bets    [][]lottery.Bet // of agency i+1
	rows    [][]string      // of the bets
	digests [][]uint64      // digests[i][n] is that of its first n rows
	late    int             // the agency whose betting the operator ends, or 0
}

func newScript(seed uint64, agencies, bets int) *script {
	r := newRand(seed, 1)
	s := &script{bets: make([][]lottery.Bet, agencies), rows: make([][]string, agencies), digests: make([][]uint64, agencies)}
	for i := range agencies {
		rows := xxhash.New()
		s.digests[i] = []uint64{rows.Sum64()}
		for n := range bets {
			bet := sample(i+1, n)
			switch r.IntN(8) {
			case 0: // a row that lies in several sectors
				bet.FirstName = strings.Repeat(`"`, 100+r.IntN(lottery.MaxName-100))
			case 1:
				bet.LastName = strings.Repeat("ñ", 1+r.IntN(lottery.MaxName/2))
			}
			s.bets[i] = append(s.bets[i], bet)
			s.rows[i] = append(s.rows[i], rowsOf(bet))
			_, _ = rows.WriteString(s.rows[i][n])
			s.digests[i] = append(s.digests[i], rows.Sum64())
		}
	}
	if seed%3 == 0 {
		s.late = agencies
	}
	return s
}

// play runs the lottery from what is in the folder on a disk that notes all, and
// returns the wreck at its beginning and the deeds. The seed decides who does what
// next. The leader's call number fails, counted from 1, gives an error.
func (s *script) play(t *testing.T, folder string, seed uint64, fails int, options ...Option) (start *wreck, deeds []deed) {
	synctest.Test(t, func(t *testing.T) {
		r := newRand(seed, 2)
		l, err := Open(folder, len(s.bets), options...)
		if err != nil {
			t.Fatal(err)
		}
		start = newWreck(len(s.bets), readFolder(t, folder))
		d := newNotedDisk(l.file, fails, errors.New("the disk is broken"))
		l.file, l.state.disk = d, d
		c := ledgertest.NewContest(t, l)

		over := make(chan struct{})
		go func() {
			select {
			case <-c.Drawn():
				d.note(deed{kind: toldDrawn})
				if kept, _, err := LoadActa(folder); err != nil || kept != nil {
					return // it has one, which restart compares
				}
				content, err := d.actaOfDeeds(start)
				if err == nil {
					err = keepActa(d, folder, content)
				}
				if err != nil {
					t.Errorf("seed %d: the acta: %v", seed, err)
				}
				d.note(deed{kind: toldActa, data: content})
			case <-over:
			}
		}()
		agencies := make([]player, len(s.bets))
		for i := range agencies {
			agencies[i] = player{contest: c, disk: d, agency: i + 1, bets: s.bets[i], late: s.late == i+1}
			agencies[i].begin(t)
			synctest.Wait()
		}
		for {
			synctest.Wait()
			var moves []func(*testing.T, *rand.Rand)
			if d.isHanging() {
				moves = append(moves, func(*testing.T, *rand.Rand) { d.proceed() })
			}
			for i := range agencies {
				moves = append(moves, agencies[i].moves()...)
			}
			if len(moves) == 0 {
				break
			}
			if r.IntN(10) == 0 {
				go func() { // it waits for the running commit
					if err := l.Checkpoint(); err != nil && fails == 0 {
						t.Errorf("a checkpoint gives %v", err)
					}
				}()
				continue
			}
			moves[r.IntN(len(moves))](t, r)
		}
		close(over)
		broken := c.Err()
		if err := c.Close(); !errors.Is(err, broken) {
			t.Errorf("seed %d: Close gives %v, want %v", seed, err, broken)
		}
		deeds = d.deeds
	})
	return start, deeds
}

// player is an agency, or the operator in its place, with up to two batches on
// their way.
type player struct {
	contest *ledgertest.Contest
	disk    *notedDisk
	agency  int
	bets    []lottery.Bet
	late    bool

	sent, stored, waiting int // belong to disk.mu while something waits
	ended, broken         bool
}

func (p *player) begin(t *testing.T) {
	if _, _, err := p.contest.TryResume(p.agency); err != nil {
		t.Error(err)
	}
	standing := p.contest.Standings()[p.agency-1]
	p.sent = int(standing.Bets)
	p.stored = p.sent
	p.disk.note(deed{kind: toldStored, agency: p.agency, bets: p.stored})
	switch standing.Ended {
	case lottery.Missing:
		p.ended = true
		p.disk.note(deed{kind: toldMissing, agency: p.agency})
	case lottery.Finished:
		p.finish(t, nil)
	}
}

func (p *player) finish(t *testing.T, _ *rand.Rand) {
	p.ended, p.disk.ending = true, true
	err := p.contest.Finish(p.agency, p.contest.Writer(p.agency), lottery.Tally{Bets: uint64(p.sent), HasBets: true}, func(err error) { p.told(t, toldFinished, err) })
	if err != nil {
		p.told(t, toldFinished, err)
	}
}

func (p *player) drawWithout(t *testing.T, _ *rand.Rand) {
	p.ended, p.disk.ending = true, true
	go func() { p.told(t, toldMissing, p.contest.DrawWithout(p.agency)) }()
}

// told takes the answer to the end of the agency's betting.
func (p *player) told(t *testing.T, kind deedKind, err error) {
	p.disk.mu.Lock()
	defer p.disk.mu.Unlock()
	p.disk.ending = false
	if err != nil {
		p.fail(t, err)
		return
	}
	p.disk.deeds = append(p.disk.deeds, deed{kind: kind, agency: p.agency})
}

func (p *player) moves() (moves []func(*testing.T, *rand.Rand)) {
	p.disk.mu.Lock()
	defer p.disk.mu.Unlock()
	switch {
	case p.ended || p.broken:
		return nil
	case p.late && p.sent > len(p.bets)/2:
		if !p.disk.ending {
			moves = append(moves, p.drawWithout)
		}
	case p.sent < len(p.bets):
		if p.waiting < 2 {
			moves = append(moves, p.store)
		}
	case !p.disk.ending:
		moves = append(moves, p.finish)
	}
	return moves
}

func (p *player) store(t *testing.T, r *rand.Rand) {
	n := min(1+r.IntN(5), len(p.bets)-p.sent)
	end := p.sent + n
	err := p.contest.Store(at(uint64(p.sent), newBatch(t, p.bets[p.sent:end]...)), p.contest.Writer(p.agency), func(err error) {
		p.disk.mu.Lock()
		defer p.disk.mu.Unlock()
		p.waiting--
		if err != nil {
			p.fail(t, err)
			return
		}
		p.stored = max(p.stored, end)
		p.disk.deeds = append(p.disk.deeds, deed{kind: toldStored, agency: p.agency, bets: p.stored})
	})
	p.disk.mu.Lock()
	defer p.disk.mu.Unlock()
	if err != nil {
		p.fail(t, err)
		return
	}
	p.sent = end
	p.waiting++
}

// fail takes a refusal that only a broken disk explains.
func (p *player) fail(t *testing.T, err error) {
	p.broken = true
	if p.disk.fails == 0 || !errors.Is(err, lottery.Storage) {
		t.Errorf("agency %d: %v", p.agency, err)
	}
}

// openQuietly opens the contest, which the caller must close.
func openQuietly(folder string, agencies int) (*contest, error) {
	l, err := Open(folder, agencies)
	if err != nil {
		return nil, err
	}
	c, err := lottery.NewContest(l)
	if err != nil {
		return nil, err
	}
	return &contest{&ledgertest.Contest{Contest: c}, l}, nil
}

// restart opens the contest that a power cut has left in the folder, checks
// that nothing is lost of what was told, and goes on to the end.
func (s *script) restart(w *wreck, folder string) error {
	c, err := openQuietly(folder, len(s.bets))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := s.checkRestart(w, c); err != nil {
		return err
	}
	if err := s.finish(c); err != nil {
		return err
	}
	return checkActa(w, folder)
}

func (s *script) checkRestart(w *wreck, c *contest) error {
	ledger, err := os.ReadFile(c.ledger.path)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(w.most, ledger) || len(ledger) < len(w.synced) || int64(len(ledger)) != c.ledger.Durable() {
		return fmt.Errorf("the ledger has %d bytes (%d torn), on disk were %d of %d:\n%q", len(ledger), c.ledger.Torn(), len(w.synced), len(w.most), ledger)
	}
	missing := c.Missing()
	for i, bets := range s.bets {
		agency := i + 1
		count, digest, err := c.TryResume(agency)
		if err != nil {
			return err
		}
		if count < uint64(w.stored[i]) || count > uint64(len(bets)) || digest != s.digests[i][count] {
			return fmt.Errorf("agency %d: %d bets are stored, digest %x; told were %d", agency, count, digest, w.stored[i])
		}
		if w.missing[i] && !slices.Contains(missing, agency) || slices.Contains(missing, agency) && agency != s.late {
			return fmt.Errorf("the missing agencies are %v", missing)
		}
		if w.finished[i] || w.missing[i] {
			if err := c.TryStore(batchOf(bets[:1])); !errors.Is(err, lottery.AgencyFinished) && !errors.Is(err, lottery.DrawDone) {
				return fmt.Errorf("agency %d has ended, a batch gives %v", agency, err)
			}
		}
	}
	if phase := c.Phase(); w.drawn && phase != lottery.Drawn {
		return fmt.Errorf("it was drawn, now it is %s", phase)
	}
	return nil
}

// batchOf returns a batch of valid bets.
func batchOf(bets []lottery.Bet) *lottery.Batch {
	b := new(lottery.Batch)
	for i := range bets {
		raw := bets[i].RawBet()
		if err := b.Add(&raw); err != nil {
			panic(err)
		}
	}
	return b
}

// finish has every agency send what is missing and finish, and checks the
// ledger and the winners then.
func (s *script) finish(c *contest) error {
	missing := c.Missing()
	want := slices.Clone(s.bets)
	for i, bets := range s.bets {
		agency, count := i+1, c.Bets(i+1)
		if slices.Contains(missing, agency) {
			want[i] = bets[:count]
			continue
		}
		if count < uint64(len(bets)) {
			position := count / 2 // overlaps with what is stored
			if err := c.TryStore(at(position, batchOf(bets[position:]))); err != nil {
				return err
			}
		}
		if err := c.TryFinish(agency, uint64(len(bets)), true); err != nil {
			return err
		}
	}
	ledger, err := os.ReadFile(c.ledger.path)
	if err != nil {
		return err
	}
	<-c.Drawn()
	next := make([]int, len(s.bets))
	for row := range strings.Lines(string(ledger)) {
		i := int(row[0] - '1')
		if i < 0 || i >= len(next) || next[i] == len(want[i]) || row != s.rows[i][next[i]] {
			return fmt.Errorf("a row is %q after %v of each agency", row, next)
		}
		next[i]++
	}
	for i, bets := range want {
		if next[i] != len(bets) {
			return fmt.Errorf("agency %d has %d bets in the end, want %d", i+1, next[i], len(bets))
		}
		winners, drawn, err := c.Winners(i + 1)
		if err != nil || !drawn || !slices.Equal(winners, winnersOf(bets...)) {
			return fmt.Errorf("agency %d has the winners %q, drawn: %t, %v", i+1, winners, drawn, err)
		}
	}
	return nil
}

// tally counts what was tried.
type tally struct {
	cuts, restarts int
	seen           map[uint64]bool
}

var tallySeed = maphash.MakeSeed()

// isNew reports whether a wreck with these files was not tried yet: cuts at
// different bytes often leave the same.
func (n *tally) isNew(w *wreck, files map[string]string) bool {
	var h maphash.Hash
	h.SetSeed(tallySeed)
	fmt.Fprint(&h, w.stored, w.finished, w.missing, w.drawn, w.acta, len(w.synced), len(w.most), files)
	if n.seen[h.Sum64()] {
		return false
	}
	n.seen[h.Sum64()] = true
	return true
}

// cutEverywhere cuts the power after every deed of a run, and after every byte
// of every write, and restarts from what may be left: nothing that was not
// synced, everything, zeros, and that many mixes of sectors. In the short form
// a cut within a write leaves everything, and now and then one mix.
func (s *script) cutEverywhere(t *testing.T, folder string, seed uint64, w *wreck, deeds []deed, mixes int) tally {
	n := tally{seen: map[uint64]bool{}}
	try := func(w *wreck, within bool, where string) {
		n.cuts++
		r := newRand(seed, uint64(n.cuts))
		for k := range int(mixed) + mixes {
			luck := min(luck(k), mixed)
			if within && !chaos && luck != everything && !(luck == mixed && n.cuts%16 == 0) {
				continue
			}
			files := w.files(luck, r)
			if !n.isNew(w, files) {
				continue
			}
			n.restarts++
			writeFolder(t, folder, files)
			if err := s.restart(w, folder); err != nil {
				t.Fatalf("seed %d, cut %d %s, survivors %d: %v", seed, n.cuts, where, k, err)
			}
		}
	}
	try(w, false, "at the beginning")
	for i, d := range deeds {
		for k := 1; k < len(d.data); k++ {
			try(w.after(d, k), true, fmt.Sprintf("after %d bytes of deed %d, a %s", k, i, d.kind))
		}
		w = w.after(d, -1)
		try(w, false, fmt.Sprintf("after deed %d, a %s", i, d.kind))
	}
	return n
}

// TestPowerCut runs lotteries of three agencies, whose batches share commits,
// and cuts the power at every byte and every call.
func TestPowerCut(t *testing.T) {
	seeds, bets, mixes := 2, 5, 8
	if chaos {
		seeds, bets, mixes = 6, 10, 3
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			folder := memoryFolder(t)
			s := newScript(seed, 3, bets)
			start, deeds := s.play(t, folder, seed, 0)
			n := s.cutEverywhere(t, folder, seed, start, deeds, mixes)
			t.Logf("%d deeds, %d cuts, %d restarts", len(deeds), n.cuts, n.restarts)
		})
	}
}
