//go:build linux

package cmd_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

// TestKills plays lotteries over the project's data while the central and the
// agencies are killed, and started again at once, until enough kills are done.
// After each kill of the central the ledger must hold what was acknowledged, and
// nothing but the first rows of each agency. Every second lottery, the only one of
// the short form among them, has agencies that know the central at two addresses.
func TestKills(t *testing.T) { eachTransport(t, testKills) }

func testKills(t *testing.T, over transport) {
	kills, perLottery := 10, 12
	if long() {
		kills, perLottery = 400, 40
	}
	seed := seeded(t)
	in := readInput(t, "../.data")
	begun := time.Now()
	all := newTally()
	for n := uint64(0); all.total < kills; n++ {
		rng := rand.New(rand.NewPCG(seed, n))
		// Smaller ones leave more places to cut.
		sizes := [][2]int{{10, 4}, {10, 32}, {25, 8}, {100, 32}}
		size := sizes[rng.IntN(len(sizes))]
		if !long() {
			size = [2]int{50, 4}
		}
		r := newRoundOver(t, over, in, size[0], size[1])
		if n%2 == 0 {
			r.reach = func(int) string { return r.twoAddresses() }
		}
		newKiller(r, rng, perLottery)
		if over.secure() {
			renewing(r, rng)
		}
		r.atDeath = func(h holding) holding { return leave(t, r, rng, h) }
		r.play()
		t.Logf("batches of %d, window %d: %v", size[0], size[1], r.tally)
		all.add(r.tally)
	}
	t.Logf("%v; %v", all, time.Since(begun).Round(time.Second))
}

// TestDrawKills plays small lotteries, in each of which the central is killed
// around its draw, and perhaps again when it comes back. Whenever that is, there is
// one correct acta of the draw in the end.
func TestDrawKills(t *testing.T) { eachTransport(t, testDrawKills) }

func testDrawKills(t *testing.T, over transport) {
	kills := 3
	if long() {
		kills = 150
	}
	seed := seeded(t)
	in, _ := someInput(t, 20)
	begun := time.Now()
	all := newTally()
	for n := uint64(0); all.total < kills; n++ {
		rng := rand.New(rand.NewPCG(seed, n))
		r := newRoundOver(t, over, in, 10, 4)
		struck := false
		again := chance(rng, 3)
		r.stir = func(from *process, said map[string]string) {
			switch {
			case !r.alive(r.central):
			case !struck && len(r.complete) == agencies && said["action"] == "batch_processing_complete":
				struck = true
				r.strike(r.central, upToTime(rng, drawTime))
			case struck && again && said["action"] == "open_contest":
				again = false
				r.strike(r.central, upToTime(rng, drawTime))
			}
		}
		r.play()
		r.prove()
		all.add(r.tally)
	}
	t.Logf("%v; %v", all, time.Since(begun).Round(time.Second))
}

// killer kills processes of a round: some after a number of acknowledged bets, and
// some at otherwise rare moments.
type killer struct {
	r       *round
	rng     *rand.Rand // of the moments
	planned []planned  // by progress
	comings int        // kills left for processes that have just started
	endings int        // for agencies that finish
	draws   int        // for the draw and what follows
}

// planned is a kill that waits for progress.
type planned struct {
	bets   int // acknowledged to all agencies together
	victim int // 0 is the central
	after  time.Duration
}

// scatter is how much later than its occasion a kill comes at most: a few
// commits.
const scatter = 5 * time.Millisecond

// drawTime is about how long after the last batch's answer all is over.
const drawTime = 20 * time.Millisecond

func newKiller(r *round, rng *rand.Rand, kills int) *killer {
	k := &killer{r: r, rng: rng, comings: kills / 6, endings: kills / 6, draws: max(kills/10, 2)}
	for range kills - k.comings - k.endings - k.draws {
		p := planned{bets: rng.IntN(len(r.in.rows)), after: upToTime(rng, scatter)}
		if chance(rng, 2) {
			p.victim = 1 + rng.IntN(agencies)
		}
		k.planned = append(k.planned, p)
	}
	slices.SortFunc(k.planned, func(a, b planned) int { return a.bets - b.bets })
	r.stir = k.stir
	return k
}

func (k *killer) stir(from *process, said map[string]string) {
	for len(k.planned) > 0 && k.r.allAcked() >= k.planned[0].bets {
		victim := k.find(k.planned[0].victim)
		if !k.r.alive(victim) {
			break // it is killed when it is back
		}
		k.r.strike(victim, k.planned[0].after)
		k.planned = k.planned[1:]
	}
	k.atMoment(from, said)
}

// find returns an agency's process, or when it is done another one to kill.
func (k *killer) find(victim int) *process {
	if victim == 0 {
		return k.r.central
	}
	for range agencies {
		if p := k.r.agencies[victim]; !p.ended {
			return p
		}
		victim = victim%agencies + 1
	}
	return k.r.central
}

// atMoment may kill on a line that tells of a rare moment.
func (k *killer) atMoment(from *process, said map[string]string) {
	success := said["result"] == "success"
	switch action := said["action"]; {
	case from.id == 0:
		switch action {
		case "open_contest": // recovered, not yet listening
			k.maybe(&k.comings, 8, from, time.Millisecond)
		case "listen": // all come back
			k.maybe(&k.comings, 8, from, scatter)
		case "agencia_finalizada": // about to be told
			k.maybe(&k.endings, 4, from, time.Millisecond)
		case "sorteo":
			k.maybe(&k.draws, 2, from, time.Millisecond)
			k.maybe(&k.draws, 2, k.find(1+k.rng.IntN(agencies)), time.Millisecond)
		}
	case action == "batch_processing_start": // about to say RESUME
		k.maybe(&k.comings, 8, from, scatter)
	case action == "resume" && said["stored"] != "0":
		k.maybe(&k.comings, 8, from, scatter)
	case action == "batch_processing_complete": // FINISHED is on the way
		if len(k.r.complete) == len(k.r.in.counts) {
			k.maybe(&k.draws, 2, k.r.central, scatter)
		}
		k.maybe(&k.endings, 4, from, time.Millisecond)
	case action == "finished":
		k.maybe(&k.endings, 3, from, scatter)
	case action == "consulta_ganadores" && success:
		k.maybe(&k.draws, 4, k.r.central, time.Millisecond)
	}
}

// maybe kills once in n times, while some are left.
func (k *killer) maybe(left *int, n int, victim *process, within time.Duration) {
	if *left > 0 && k.r.alive(victim) && chance(k.rng, n) {
		*left--
		k.r.strike(victim, upToTime(k.rng, within))
	}
}

// leave may add to the ledger of a killed central what the death of a whole machine
// leaves: rows that nobody acknowledged, and half a row.
func leave(t *testing.T, r *round, rng *rand.Rand, h holding) holding {
	t.Helper()
	id := 1 + rng.IntN(agencies)
	if h.torn > 0 || h.counts[id] == r.in.counts[id] || chance(rng, 2) {
		return h
	}
	rest := r.in.bytes[id]
	for range h.counts[id] {
		rest = rest[bytes.Index(rest, []byte("\r\n"))+2:]
	}
	size := min(1+upTo(rng, 4096), len(rest))
	file, err := os.OpenFile(r.ledger(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(rest[:size]); err != nil {
		t.Fatal(err)
	}
	if h, err = r.in.inspect(r.ledger()); err != nil {
		t.Fatal(err)
	}
	return h
}
