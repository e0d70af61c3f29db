package agency

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }

func TestWinners(t *testing.T) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprint(30_000_000 + i)
	}
	tests := []struct {
		name    string
		answers [][]byte
		winners int
	}{
		{"no winners are none, not one (pitfall 2)", [][]byte{winnersFrame(tWinners)}, 0},
		{"one", [][]byte{winnersFrame(tWinners, "1")}, 1},
		{"one person twice", [][]byte{winnersFrame(tWinners, "1", "1")}, 2},
		{"more than a frame holds (pitfall 3)", [][]byte{winnersFrame(tPart, many[:600]...), winnersFrame(tPart, many[600:]...), winnersFrame(tWinners, many[:7]...)}, 1007},
		{"an empty last part", [][]byte{winnersFrame(tPart, many[:600]...), winnersFrame(tWinners)}, 600},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			central := &fake{knowsResume: true, winners: test.answers}
			log := completed(t, batchConfig(t, central.start(t), sampleRows(3)))
			log.await(t, fmt.Sprint("action: consulta_ganadores | result: success | cant_ganadores: ", test.winners))
		})
	}
}

// The answers come byte by byte.
func TestShortReads(t *testing.T) {
	central := &fake{knowsResume: true, winners: [][]byte{winnersFrame(tPart, "1", "2"), winnersFrame(tWinners, "3")}}
	central.reply = func(p *peer, _ byte, answer []byte) bool {
		for i := range answer {
			p.send(answer[i : i+1])
		}
		return false
	}
	rows := sampleRows(25)
	log := completed(t, batchConfig(t, central.start(t), rows))
	central.wantStored(rows)
	log.await(t, "action: consulta_ganadores | result: success | cant_ganadores: 3")
}

// Pitfall 6 and 12: a parked query whose connection is closed, between frames
// or in the middle of one, has no answer; it is asked again.
func TestParkedQueryLost(t *testing.T) {
	for _, said := range [][]byte{nil, winnersFrame(tPart, "1"), winnersFrame(tWinners, "1")[:9]} {
		t.Run(fmt.Sprint(len(said)), func(t *testing.T) {
			central := &fake{knowsResume: true, winners: [][]byte{winnersFrame(tWinners, "1", "2")}}
			var queries atomic.Int32
			central.onFrame = func(_ int, p *peer, kind byte) bool {
				lost := kind == tQuery && queries.Add(1) <= 3
				if lost {
					p.send(said)
				}
				return lost
			}
			log := completed(t, batchConfig(t, central.start(t), nil))
			log.await(t, "action: consulta_ganadores | result: success | cant_ganadores: 2")
		})
	}
}

// A central that goes away for good while the query is parked is not called for
// ever.
func TestCentralGoneBeforeDraw(t *testing.T) {
	central := &fake{knowsResume: true}
	central.onConn = func(n int, _ *peer) bool { return n > 1 }
	central.onFrame = func(_ int, _ *peer, kind byte) bool { return kind == tQuery }
	begun := time.Now()
	log, err := runAgency(t, batchConfig(t, central.start(t), nil))
	wantFailure(t, log, err, "connect", "given up after 6 connections without progress")
	if took := time.Since(begun); took > testLimit/2 {
		t.Errorf("that took %v", took)
	}
}

func TestRefusedQuery(t *testing.T) {
	central := &fake{knowsResume: true, winners: [][]byte{refusal("unknown_agency")}}
	log, err := runAgency(t, batchConfig(t, central.start(t), sampleRows(3)))
	wantFailure(t, log, err, "consulta_ganadores", "refused WINNERS_QUERY: unknown_agency")
}
