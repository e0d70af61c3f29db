package agency

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"loteria/lottery"
)

// storedBet is the row of betConfig's bet as the central keeps it.
const storedBet = "Santiago Lionel,Lorca,030904465,1999-03-17,7"

// A bet is sent in BET frames, as it was written, as often as configured.
func TestBet(t *testing.T) {
	for _, knowsResume := range []bool{true, false} {
		for _, amount := range []int{0, 1, 4} {
			t.Run(fmt.Sprint(knowsResume, amount), func(t *testing.T) {
				central := &fake{knowsResume: knowsResume}
				log := completed(t, betConfig(central.start(t), amount))
				central.wantStored(slices.Repeat([]string{storedBet}, amount))
				if knowsResume {
					central.wantFinished(amount)
				} else {
					central.wantFinished(-1)
				}
				for _, bet := range central.batches {
					if bet.rawBets[0].Number != "0007" {
						t.Errorf("the number was sent as %q", bet.rawBets[0].Number)
					}
				}
				if !knowsResume {
					return
				}
				want := slices.Repeat([]string{"action: apuesta_enviada | result: success | dni: 030904465 | numero: 0007"}, amount)
				want = append(want,
					"action: loop_finished | result: success | client_id: 1",
					fmt.Sprintf("action: finished | result: success | client_id: 1 | total: %d", amount),
					"action: consulta_ganadores | result: success | cant_ganadores: 0")
				log.wantLines(t, want...)
			})
		}
	}
}

// Started again, the agency sends the bets that are missing; after a lost
// connection, too.
func TestBetStartedAgain(t *testing.T) {
	for _, stored := range []int{1, 3, 4} {
		central := (&fake{knowsResume: true}).withStored(slices.Repeat([]string{storedBet}, stored))
		completed(t, betConfig(central.start(t), 4))
		central.wantStored(slices.Repeat([]string{storedBet}, 4))
		central.wantFinished(4)
	}
	central := &fake{knowsResume: true, afterBatch: func(n int) bool { return n%2 == 0 }}
	completed(t, betConfig(central.start(t), 7))
	central.wantStored(slices.Repeat([]string{storedBet}, 7))
	central.wantFinished(7)
}

func TestBetOfAnotherRun(t *testing.T) {
	central := (&fake{knowsResume: true}).withStored([]string{"Ana,Paz,1,2000-01-01,1"})
	log, err := runAgency(t, betConfig(central.start(t), 4))
	wantFailure(t, log, err, "resume", "they are not the first 1 of the configured bet")
}

func TestRefusedBet(t *testing.T) {
	central := &fake{knowsResume: true}
	central.onBatch = func(n int) ([]byte, bool) {
		if n == 2 {
			return frame(tError, text("030904465"), text("0007"), text("agency_finished")), false
		}
		return nil, false
	}
	log, err := runAgency(t, betConfig(central.start(t), 4))
	late := wantLate(t, err)
	wantFailure(t, log, late.Refusal, "apuesta_enviada", "agency_finished")
	if !errors.Is(err, lottery.AgencyFinished) {
		t.Errorf("the error %v has not the code", err)
	}
	central.wantUnfinished()
}

// Nothing is sent of a bet that breaks a rule.
func TestInvalidBet(t *testing.T) {
	config := betConfig(serve(t, func(int, *peer) { t.Error("the central was called") }), 4)
	config.Bet.Birthdate = "1999-02-30"
	log, err := runAgency(t, config)
	wantFailure(t, log, err, "config", "NACIMIENTO: bad_birthdate")
}

func TestBetPeriod(t *testing.T) {
	central := &fake{knowsResume: true}
	config := betConfig(central.start(t), 3)
	config.LoopPeriod = 30 * time.Millisecond
	begun := time.Now()
	completed(t, config)
	if took := time.Since(begun); took < 2*config.LoopPeriod {
		t.Errorf("three bets took %v, expected two pauses of %v", took, config.LoopPeriod)
	}
}

func TestEcho(t *testing.T) {
	back := func(p *peer, line string) { p.send([]byte(line)) }
	tests := []struct {
		name   string
		answer func(p *peer, line string)
		right  bool
	}{
		{"the same", back, true},
		{"byte by byte", func(p *peer, line string) {
			for i := range len(line) {
				p.send([]byte(line[i : i+1]))
			}
		}, true},
		{"another line", func(p *peer, line string) { back(p, strings.ToUpper(line)) }, false},
		{"no line break", func(p *peer, line string) { back(p, strings.TrimSpace(line)) }, false},
		{"half of it", func(p *peer, line string) { back(p, line[:5]) }, false},
		{"nothing", func(*peer, string) {}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address := serve(t, func(n int, p *peer) {
				line := make([]byte, len("[CLIENT 1] Message N°1\n"))
				if _, err := p.Read(line); err != nil {
					t.Error(err)
				}
				if want := fmt.Sprintf("[CLIENT 1] Message N°%d\n", n); string(line) != want {
					t.Errorf("got %q, expected %q", line, want)
				}
				if n == 2 {
					test.answer(p, string(line))
				} else {
					back(p, string(line))
				}
			})
			log, err := runAgency(t, echoConfig(address, 3))
			success := "action: receive_message | result: success | client_id: 1 | msg: [CLIENT 1] Message N°"
			if test.right {
				if err != nil {
					t.Fatal(err)
				}
				log.wantLines(t, success+"1", success+"2", success+"3", "action: loop_finished | result: success | client_id: 1")
				return
			}
			if err == nil || !contains(err, "1 of 3 messages did not come back") {
				t.Fatalf("the error is %v", err)
			}
			lines := log.all()
			if len(lines) != 4 || lines[0] != success+"1" || lines[2] != success+"3" ||
				!strings.HasPrefix(lines[1], `action: receive_message | result: fail | client_id: 1 | error: sent "[CLIENT 1] Message N°2", got `) ||
				!strings.HasPrefix(lines[3], "action: loop_finished | result: fail") {
				t.Errorf("the log is\n%s", strings.Join(lines, "\n"))
			}
		})
	}
}
