package agency

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"loteria/lottery"
)

// An existing central closes on RESUME and answers RETRY until the draw.
func TestExistingCentral(t *testing.T) {
	central := &fake{retries: 3, winners: [][]byte{winnersFrame(tWinners, "30904465", "30904466")}}
	rows := sampleRows(25)
	log := completed(t, batchConfig(t, central.start(t), rows))
	central.wantStored(rows)
	central.wantFinished(-1)
	if central.resumes != resumeClosings {
		t.Errorf("RESUME was said %d times, expected %d", central.resumes, resumeClosings)
	}
	if central.queries != 4 {
		t.Errorf("%d queries, expected 4", central.queries)
	}
	if got := len(log.with("action: consulta_ganadores | result: in_progress")); got != 3 {
		t.Errorf("%d lines say that the query is repeated, expected 3", got)
	}
	if got := log.with("action: consulta_ganadores | result: success"); len(got) != 1 ||
		got[0] != "action: consulta_ganadores | result: success | cant_ganadores: 2" {
		t.Errorf("the log says %q", got)
	}
}

// With RequireResume, and over TLS always, nothing is sent to a central that does not
// know RESUME.
func TestExistingCentralIsNotWanted(t *testing.T) {
	i := newIssuer(t)
	for name, answer := range map[string][]byte{
		"closes":      nil,
		"has no code": frame(tError, text(""), text("")),
	} {
		handle := func(p *peer) {
			p.expect(tResume)
			p.send(answer)
		}
		for transport, config := range map[string]func() Config{
			"without TLS": func() Config {
				config := batchConfig(t, serve(t, func(_ int, p *peer) { handle(p) }), sampleRows(3))
				config.RequireResume = true
				return config
			},
			"over TLS": func() Config {
				return i.agency(batchConfig(t, serveTLS(t, always(i.central()), handle).address, sampleRows(3)))
			},
		} {
			t.Run(name+" "+transport, func(t *testing.T) {
				config := config()
				config.ConnectLimit = 2 * resumeClosings
				log, err := runAgency(t, config)
				if err == nil || len(log.with("action: batch_processed")) > 0 {
					t.Errorf("the error is %v, the log\n%s", err, strings.Join(log.all(), "\n"))
				}
			})
		}
	}
}

// Some answer unknown types with an ERROR without a code.
func TestExistingCentralWithError(t *testing.T) {
	for name, refusal := range map[string][]byte{
		"no code":      frame(tError, text(""), text("")),
		"unknown_type": refusal("unknown_type"),
	} {
		t.Run(name, func(t *testing.T) {
			central := &fake{}
			central.onConn = func(n int, p *peer) bool {
				if n == 1 {
					p.expect(tResume)
					p.send(refusal)
					p.gone()
				}
				return n == 1
			}
			rows := sampleRows(3)
			completed(t, batchConfig(t, central.start(t), rows))
			central.wantStored(rows)
			central.wantFinished(-1)
		})
	}
}

// Batches go one at a time: the next one comes when the last is answered.
func TestExistingCentralInLockStep(t *testing.T) {
	address := serve(t, func(n int, p *peer) {
		for {
			kind, payload, ok := p.frame()
			switch {
			case !ok || kind == tResume:
				return
			case kind == tBatch:
				// What the agency sent ahead would arrive before this answer does, as a second
				// frame in one read.
				more := make([]byte, 1)
				_ = p.SetReadDeadline(soon())
				if n, _ := p.Read(more); n > 0 {
					t.Error("a second batch came before the first was answered")
				}
				_ = p.SetReadDeadline(never)
				first := parseBatch(t, payload).rawBets[0]
				p.send(frame(tSuccess, text(first.Document), text(first.Number)))
			case kind == tFinished:
				p.send(finishedOK)
			case kind == tQuery:
				p.send(winnersFrame(tWinners))
			}
		}
	})
	completed(t, batchConfig(t, address, sampleRows(30)))
}

// An existing central that closes the connection after each answer to a query,
// and after FINISHED, is called again.
func TestExistingCentralClosesAfterAnswer(t *testing.T) {
	central := &fake{retries: 2, winners: [][]byte{winnersFrame(tWinners, "1")}}
	central.reply = func(p *peer, kind byte, answer []byte) bool {
		p.send(answer)
		return kind == tFinished || kind == tQuery
	}
	log := completed(t, batchConfig(t, central.start(t), sampleRows(5)))
	log.await(t, "action: consulta_ganadores | result: success | cant_ganadores: 1")
}

// A batch that an existing central has not answered may be stored or not, and
// there is no way to find out.
func TestExistingCentralLost(t *testing.T) {
	central := &fake{afterBatch: func(n int) bool { return n == 2 }}
	log, err := runAgency(t, batchConfig(t, central.start(t), sampleRows(25)))
	wantFailure(t, log, err, "send_bets", "lost", "no telling whether it has stored what was sent after bet 10")
	central.wantUnfinished()
	if got := central.sizes(); len(got) != 2 {
		t.Errorf("%d batches were sent, expected 2", len(got))
	}
}

// A batch that is answered RETRY was not stored, and is sent again.
func TestRetriedBatch(t *testing.T) {
	for _, knowsResume := range []bool{true, false} {
		t.Run(fmt.Sprint(knowsResume), func(t *testing.T) {
			central := &fake{knowsResume: knowsResume}
			attempts := 0
			central.onBatch = func(n int) ([]byte, bool) {
				if n == 2 {
					if attempts++; attempts <= 3 {
						return retry, false
					}
				}
				return nil, false
			}
			rows := sampleRows(45)
			config := batchConfig(t, central.start(t), rows)
			config.Window = 1 // or the batches after it would be answered RETRY, too
			log := completed(t, config)
			central.wantStored(rows)
			if got := len(log.with("action: send_bets | result: in_progress")); got != 3 {
				t.Errorf("%d lines say that it is tried again, expected 3", got)
			}
		})
	}
}

func TestRetryLimit(t *testing.T) {
	t.Run("batch", func(t *testing.T) {
		central := &fake{knowsResume: true}
		attempts := 0
		central.onBatch = func(int) ([]byte, bool) { attempts++; return retry, true }
		log, err := runAgency(t, batchConfig(t, central.start(t), sampleRows(5)))
		wantFailure(t, log, err, "send_bets", "given up after 6 attempts", "the draw is not done")
		if attempts != 6 {
			t.Errorf("%d attempts, expected 6", attempts)
		}
		central.wantUnfinished()
	})
	t.Run("query", func(t *testing.T) {
		central := &fake{knowsResume: true, retries: 100}
		log, err := runAgency(t, batchConfig(t, central.start(t), sampleRows(5)))
		wantFailure(t, log, err, "consulta_ganadores", "given up after 6 attempts")
		if central.queries != 6 {
			t.Errorf("%d queries, expected 6", central.queries)
		}
	})
}

// A refused batch ends the run, with the code and the bet at fault, and
// without FINISHED.
func TestRefusedBatch(t *testing.T) {
	tests := []struct {
		name        string
		knowsResume bool
		answer      []byte
		code        lottery.Code
		details     string
	}{
		{"with a code", true, frame(tError, text("30904478"), text("13"), text("bad_name")), lottery.BadName,
			"code: bad_name | dni: 30904478 | numero: 13"},
		{"existing central", false, frame(tError, text("30904478"), text("13")), "",
			"code:  | dni: 30904478 | numero: 13"},
		{"after the draw", true, refusal("draw_done"), lottery.DrawDone,
			"code: draw_done | dni:  | numero: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			central := &fake{knowsResume: test.knowsResume}
			central.onBatch = func(n int) ([]byte, bool) {
				if n == 2 {
					return test.answer, false
				}
				return nil, false
			}
			log, err := runAgency(t, batchConfig(t, central.start(t), sampleRows(25)))
			central.wantUnfinished()
			if !errors.Is(err, test.code) {
				t.Errorf("the error %v is not %s", err, test.code)
			}
			want := "action: batch_processed | result: fail | client_id: 1 | batch: 11-20 | cantidad: 10 | " + test.details + " | error: "
			if got := log.with("action: batch_processed | result: fail"); len(got) != 1 || !strings.HasPrefix(got[0], want) {
				t.Errorf("the log says %q, expected %q…", got, want)
			}
		})
	}
}

// A central that takes no bets now, like one cut off from its ledger, is asked twice
// in a row; then the next address is.
func TestRetryElsewhere(t *testing.T) {
	never, central := &fake{knowsResume: true}, &fake{knowsResume: true}
	never.onBatch = func(int) ([]byte, bool) { return retry, false }
	rows := sampleRows(5)
	log := completed(t, batchConfig(t, never.start(t)+","+central.start(t), rows))
	central.wantStored(rows)
	if got := len(log.with("action: send_bets | result: in_progress")); got != 2 {
		t.Errorf("%d lines say that it is tried again, expected 2", got)
	}
}
