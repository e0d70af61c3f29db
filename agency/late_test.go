package agency

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"loteria/lottery"
)

// wantLate fails the test unless the central took nothing more, and returns
// what the run says about it.
func wantLate(t *testing.T, err error) *LateError {
	t.Helper()
	late := (*LateError)(nil)
	if !errors.As(err, &late) {
		t.Fatalf("the error is %v, expected a LateError", err)
	}
	return late
}

// An agency that comes too late, or was declared missing, is told its winners
// all the same, and ends with an error that says both.
func TestLate(t *testing.T) {
	winners := winnersFrame(tWinners, "30904465", "30904466")
	unknown := refusal("unknown_agency")
	for _, code := range []lottery.Code{lottery.DrawDone, lottery.AgencyFinished} {
		for name, test := range map[string]struct {
			refuses byte
			answer  []byte // to the query
			says    string
			fails   []string // the actions of the lines with result fail
		}{
			"a batch":                  {tBatch, winners, "are known: 2", []string{batchProcessed}},
			"FINISHED":                 {tFinished, winners, "are known: 2", []string{"finished"}},
			"FINISHED, nobody has won": {tFinished, winnersFrame(tWinners), "are known: 0", []string{"finished"}},
			"a batch, and then the query": {tBatch, unknown, "are not known: the central refused WINNERS_QUERY: unknown_agency",
				[]string{batchProcessed, askWinners}},
		} {
			t.Run(fmt.Sprint(code, " ", name), func(t *testing.T) {
				central := &fake{knowsResume: true, winners: [][]byte{test.answer}}
				central.reply = func(p *peer, kind byte, answer []byte) bool {
					if kind == test.refuses {
						answer = refusal(string(code))
					}
					p.send(answer)
					return false
				}
				config := batchConfig(t, central.start(t), sampleRows(5))
				config.Window = 1
				log, err := runAgency(t, config)
				late := wantLate(t, err)
				if !errors.Is(err, code) || !contains(err, string(code)) || !contains(err, test.says) || contains(err, "\n") {
					t.Errorf("the error is %q, expected %s and %q on a line", err, code, test.says)
				}
				if test.says == "are known: 2" && late.Winners != 2 {
					t.Errorf("%d winners, expected 2", late.Winners)
				}
				var fails []string
				for _, line := range log.all() {
					if action, ok := strings.CutSuffix(strings.Split(line, " | client_id")[0], " | result: fail"); ok {
						fails = append(fails, strings.TrimPrefix(action, "action: "))
					}
				}
				if fmt.Sprint(fails) != fmt.Sprint(test.fails) {
					t.Errorf("the lines that say fail are of %v, expected %v", fails, test.fails)
				}
				told := len(log.with("action: consulta_ganadores | result: success | cant_ganadores: "))
				if want := 2 - len(test.fails); told != want {
					t.Errorf("%d lines tell the winners, expected %d", told, want)
				}
			})
		}
	}
}

// An agency that only asks for the winners needs no file, and sends nothing else.
func TestModeWinners(t *testing.T) {
	central := &fake{winners: [][]byte{winnersFrame(tWinners, "30904465")}}
	config := winnersConfig(central.start(t))
	log := completed(t, config)
	log.wantLines(t, "action: consulta_ganadores | result: success | cant_ganadores: 1")
	if central.resumes+len(central.batches)+len(central.finishes) != 0 || central.queries != 1 {
		t.Errorf("the central got %d RESUME, %d batches, %d FINISHED and %d queries, expected a query",
			central.resumes, len(central.batches), len(central.finishes), central.queries)
	}
}

// A central that can store no more ends, and is restarted: the agency comes back,
// whatever it had asked.
func TestStorage(t *testing.T) {
	for kind, name := range map[byte]string{tResume: "RESUME", tBatch: "BATCH", tFinished: "FINISHED", tQuery: "WINNERS_QUERY"} {
		t.Run(name, func(t *testing.T) {
			central := &fake{knowsResume: true}
			central.onFrame = func(n int, p *peer, got byte) bool {
				dies := got == kind && n <= 3
				if dies {
					p.send(refusal("storage"))
				}
				return dies
			}
			rows := sampleRows(25)
			log := completed(t, batchConfig(t, central.start(t), rows))
			central.wantAll(rows)
			if got := log.with("action: connect | result: in_progress"); len(got) != 3 || !strings.Contains(got[0], "storage") {
				t.Errorf("the log says %q, expected three lines with the reason", got)
			}
		})
	}
	t.Run("for good", func(t *testing.T) {
		central := &fake{knowsResume: true}
		central.onBatch = func(int) ([]byte, bool) { return refusal("storage"), true }
		log, err := runAgency(t, batchConfig(t, central.start(t), sampleRows(5)))
		wantFailure(t, log, err, "connect", "given up after 6 connections without progress", "refused bets 1-5: storage")
	})
}
