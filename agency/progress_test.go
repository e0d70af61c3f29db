package agency

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
)

// told is what a run's observers were told.
type told struct {
	stored  []uint64 // without repetitions
	all     []uint64 // when that was all
	winners []string
}

// watch observes the run. Calls must not be concurrent, which the race detector
// checks.
func (w *told) watch(config *Config) {
	config.Progress = func(stored uint64, all bool) {
		if n := len(w.stored); n == 0 || w.stored[n-1] != stored {
			w.stored = append(w.stored, stored)
		}
		if all {
			w.all = append(w.all, stored)
		}
	}
	config.Winners = func(documents []string) { w.winners = append(w.winners, documents...) }
}

func TestProgress(t *testing.T) {
	tests := []struct {
		name   string
		mode   Mode
		before int // stored in an earlier run
		fake   *fake
		want   []uint64
	}{
		{"a file", ModeBatch, 0, &fake{knowsResume: true}, []uint64{0, 10, 20, 25}},
		{"taken up again", ModeBatch, 7, &fake{knowsResume: true}, []uint64{7, 17, 25}},
		{"all is there already", ModeBatch, 25, &fake{knowsResume: true}, []uint64{25}},
		{"existing central", ModeBatch, 0, &fake{}, []uint64{0, 10, 20, 25}},
		{"a lost connection", ModeBatch, 0, &fake{knowsResume: true, afterBatch: func(n int) bool { return n == 2 }},
			[]uint64{0, 10, 20, 25}},
		{"one bet", ModeBet, 0, &fake{knowsResume: true}, []uint64{0, 1, 2, 3}},
		{"one bet, some are there", ModeBet, 2, &fake{knowsResume: true}, []uint64{2, 3}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			central := test.fake
			rows := sampleRows(25)
			if test.mode == ModeBet {
				rows = slices.Repeat([]string{storedBet}, 3)
			}
			central.withStored(rows[:test.before])
			address := central.start(t)
			config := batchConfig(t, address, rows)
			if test.mode == ModeBet {
				config = betConfig(address, 3)
			}
			config.Window = 1
			var said told
			said.watch(&config)
			log := completed(t, config)
			central.wantStored(rows)
			if !slices.Equal(said.stored, test.want) {
				t.Errorf("the run said %v, expected %v", said.stored, test.want)
			}
			if total := uint64(len(rows)); !slices.Equal(said.all, []uint64{total}) {
				t.Errorf("the run said that %v are all, expected %d", said.all, total)
			}
			for _, action := range []string{batchProcessed, betSent} {
				if lines := log.with("action: " + action + " "); len(lines) > 0 {
					t.Errorf("the log has a line about an answer: %s", lines[0])
				}
			}
		})
	}
}

// Lines about a failed answer are kept.
func TestProgressOfFailure(t *testing.T) {
	central := &fake{knowsResume: true}
	central.onBatch = func(n int) ([]byte, bool) {
		if n < 3 {
			return nil, false
		}
		return frame(tError, text("1"), text("2"), text("bad_document")), false
	}
	config := batchConfig(t, central.start(t), sampleRows(25))
	var said told
	said.watch(&config)
	log, err := runAgency(t, config)
	wantFailure(t, log, err, batchProcessed, "bets 21-25", "bad_document")
	if !slices.Equal(said.stored, []uint64{0, 10, 20}) || len(said.all) > 0 {
		t.Errorf("the run said %v, and that %v are all", said.stored, said.all)
	}
}

// A list of winners that is cut off is asked for again; each is told once.
func TestWinnersAreToldOnce(t *testing.T) {
	lists := [][][]byte{ // the answers to the first query, the second …
		{winnersFrame(tPart, "1", "2")},
		{winnersFrame(tPart, "1")},
		{winnersFrame(tPart, "1", "2", "3"), winnersFrame(tPart, "4", "5")},
		{winnersFrame(tPart, "1", "2"), winnersFrame(tPart, "3", "4", "5"), winnersFrame(tWinners, "5", "6")},
	}
	central := &fake{knowsResume: true}
	var queries atomic.Int32
	central.onFrame = func(_ int, p *peer, kind byte) bool {
		if kind != tQuery {
			return false
		}
		n := int(queries.Add(1))
		p.send(lists[n-1]...)
		if n == len(lists) {
			p.gone()
		}
		return true
	}
	config := batchConfig(t, central.start(t), sampleRows(3))
	var said told
	said.watch(&config)
	log := newRecord()
	a := testAgency(config, log)
	a.log = log.logger(zerolog.DebugLevel)
	if err := a.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	// One person has won twice.
	if want := []string{"1", "2", "3", "4", "5", "5", "6"}; !slices.Equal(said.winners, want) {
		t.Errorf("the winners are %v, expected %v", said.winners, want)
	}
	log.await(t, "action: consulta_ganadores | result: success | cant_ganadores: 7")
	if lines := log.with("action: ganador"); len(lines) > 0 {
		t.Errorf("they are in the log too: %s", lines[0])
	}
}

// Without an observer, each winner is in the log at level DEBUG.
func TestWinnersInTheLog(t *testing.T) {
	central := &fake{knowsResume: true, winners: [][]byte{winnersFrame(tPart, "1"), winnersFrame(tWinners, "2")}}
	log := newRecord()
	a := testAgency(batchConfig(t, central.start(t), nil), log)
	a.log = log.logger(zerolog.DebugLevel)
	if err := a.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"action: ganador | result: success | client_id: 1 | dni: 1",
		"action: ganador | result: success | client_id: 1 | dni: 2",
	}
	if got := log.with("action: ganador"); !slices.Equal(got, want) {
		t.Errorf("the log says\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if fmt.Sprint(log.with("action: consulta_ganadores | result: success")) != "[action: consulta_ganadores | result: success | cant_ganadores: 2]" {
		t.Error("they are not counted")
	}
}
