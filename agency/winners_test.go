package agency

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
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
			log, err := runAgency(t, batchConfig(t, central.start(t), sampleRows(3)))
			if err != nil {
				t.Fatal(err)
			}
			log.wantNoFail(t)
			log.await(t, fmt.Sprint("action: consulta_ganadores | result: success | cant_ganadores: ", test.winners))
		})
	}
}

// The answers come byte by byte.
func TestShortReads(t *testing.T) {
	central := &fake{t: t, knowsResume: true, winners: [][]byte{winnersFrame(tPart, "1", "2"), winnersFrame(tWinners, "3")}}
	address := serve(t, func(_ int, p *peer) {
		for {
			kind, payload, ok := p.frame()
			if !ok {
				return
			}
			answer, _ := central.answer(kind, payload)
			for i := range answer {
				p.send(answer[i : i+1])
			}
		}
	})
	rows := sampleRows(25)
	log, err := runAgency(t, batchConfig(t, address, rows))
	if err != nil {
		t.Fatal(err)
	}
	central.wantStored(rows)
	log.await(t, "action: consulta_ganadores | result: success | cant_ganadores: 3")
}

// Pitfall 6 and 12: a parked query whose connection is closed, between frames
// or in the middle of one, has no answer; it is asked again.
func TestParkedQueryLost(t *testing.T) {
	for _, said := range [][]byte{nil, winnersFrame(tPart, "1"), winnersFrame(tWinners, "1")[:9]} {
		t.Run(fmt.Sprint(len(said)), func(t *testing.T) {
			var queries atomic.Int32
			address := serve(t, func(_ int, p *peer) {
				for {
					kind, _, ok := p.frame()
					if !ok {
						return
					}
					switch kind {
					case tResume:
						p.send(frame(tPoint, u64(0), u64(xxhash.Sum64(nil))))
					case tFinished:
						p.send(finishedOK)
					case tQuery:
						if queries.Add(1) <= 3 {
							p.send(said)
							return
						}
						p.send(winnersFrame(tWinners, "1", "2"))
					}
				}
			})
			log, err := runAgency(t, batchConfig(t, address, nil))
			if err != nil {
				t.Fatal(err)
			}
			log.wantNoFail(t)
			log.await(t, "action: consulta_ganadores | result: success | cant_ganadores: 2")
		})
	}
}

// A central that goes away for good while the query is parked is not called for
// ever.
func TestCentralGoneBeforeDraw(t *testing.T) {
	address := serve(t, func(n int, p *peer) {
		if n > 1 {
			return
		}
		p.expect(tResume)
		p.send(frame(tPoint, u64(0), u64(xxhash.Sum64(nil))))
		p.expect(tFinished)
		p.send(finishedOK)
		p.expect(tQuery)
	})
	begun := time.Now()
	log, err := runAgency(t, batchConfig(t, address, nil))
	wantFailure(t, log, err, "connect", "given up after 6 connections without progress")
	if took := time.Since(begun); took > testLimit/2 {
		t.Errorf("that took %v", took)
	}
}

func TestRefusedQuery(t *testing.T) {
	central := &fake{knowsResume: true, winners: [][]byte{frame(tError, text(""), text(""), text("unknown_agency"))}}
	log, err := runAgency(t, batchConfig(t, central.start(t), sampleRows(3)))
	wantFailure(t, log, err, "consulta_ganadores", "refused WINNERS_QUERY: unknown_agency")
}
