package admin

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/rs/zerolog"
	"loteria/codec"
	"loteria/lottery"
)

func newLog(b *logBuffer) zerolog.Logger { return zerolog.New(b) }

// step waits until the state and the metrics are as expected at some point of a
// lottery. Some counts follow the answer that an agency gets.
func (c *central) step(when string, check func(s *State) bool, metrics map[string]float64) {
	c.t.Helper()
	c.await(when+": the state is as expected", func() bool { state := c.state(); return check(&state) })
	for name, want := range metrics {
		var got float64
		var ok bool
		for deadline := time.Now().Add(patience); !ok || got != want; {
			if got, ok = c.samples()[name]; time.Now().After(deadline) {
				c.t.Fatalf("%s: %s is %v (%v), expected %v", when, name, got, ok, want)
			}
		}
	}
}

func statesOf(s *State) string {
	var states []string
	for _, a := range s.Agencies {
		states = append(states, string(a.State))
	}
	return strings.Join(states, " ")
}

// TestLottery follows a lottery of three agencies from its beginning to its
// end, and after a restart.
func TestLottery(t *testing.T) {
	folder := t.TempDir()
	c := show(t, 3, nil)
	c.open(folder, c.admin.Observer())
	c.listen()
	c.step("empty", func(s *State) bool {
		return s.Phase == lottery.Betting && s.Contest == "navidad" && s.Expected == 3 && s.Finished == 0 &&
			s.Bets == 0 && s.Winners == nil && len(s.Problems) == 0 && statesOf(s) == "awaited awaited awaited"
	}, map[string]float64{
		"loteria_agencies_expected": 3, "loteria_agencies_finished": 0, "loteria_ledger_bytes": 0,
		`loteria_draw_phase{phase="betting"}`: 1, `loteria_draw_phase{phase="drawn"}`: 0,
		`loteria_bets_total{agency="1"}`: 0, `loteria_refusals_total{code="bad_number"}`: 0,
		`loteria_refusals_total{code="retry"}`: 0, "loteria_commit_bytes_count": 0,
	})

	one, two := c.dial(), c.dial()
	one.ask(batch(1, 5), codec.TypeSuccess)
	two.ask(batch(2, 2), codec.TypeSuccess)
	two.ask(batch(2, 3), codec.TypeSuccess)
	frame, _ := codec.AppendFrame(nil, batch(1, 5))
	c.step("sending", func(s *State) bool {
		return s.Bets == 10 && statesOf(s) == "sending sending awaited" && s.Connections == 2 &&
			s.Agencies[0].Bets == 5 && s.Agencies[1].Bets == 5 && s.Agencies[1].Batches == 2
	}, map[string]float64{
		`loteria_bets_total{agency="1"}`: 5, `loteria_batches_total{agency="1"}`: 1, `loteria_batches_total{agency="2"}`: 2,
		`loteria_received_bytes_total{agency="1"}`: float64(len(frame) - 6), `loteria_received_bytes_total{agency="3"}`: 0,
		"loteria_connections": 2, "loteria_connections_limit": 100, "loteria_commit_bytes_count": 3, "loteria_sync_seconds_count": 3,
		"loteria_commit_batches_sum": 3, "loteria_ledger_bytes": float64(c.ledgerBytes()),
		"loteria_commit_bytes_sum": float64(c.ledgerBytes()), "loteria_waiting_bytes": 0, "loteria_event_loops": 2,
	})

	two.ask(badBatch(2, 4), codec.TypeError)
	two.ask(badBatch(2, 4), codec.TypeError)
	c.dial().ask(finish(4), codec.TypeError)
	c.step("refusals", func(s *State) bool {
		if len(s.Problems) != 2 || s.Bets != 10 || s.Agencies[1].Refused != 2 {
			return false
		}
		bad, unknown := s.Problems[0], s.Problems[1]
		return bad.Agency == 2 && bad.Code == lottery.BadNumber && bad.Bets == 8 && bad.Times == 2 && bad.IP == "127.0.0.1" &&
			bad.Action == "apuesta_recibida" && unknown.Agency == 4 && unknown.Code == lottery.UnknownAgency && unknown.Number == 2 &&
			s.Refusals[lottery.BadNumber] == 2 && len(s.Refusals) == 2
	}, map[string]float64{
		`loteria_refusals_total{code="bad_number"}`: 2, `loteria_refusals_total{code="unknown_agency"}`: 1,
		`loteria_bets_total{agency="2"}`: 5,
	})

	one.ask(finish(1), codec.TypeSuccess)
	one.send(query(1))
	c.step("a parked query", func(s *State) bool {
		return s.ParkedQueries == 1 && s.Finished == 1 && statesOf(s) == "finished sending awaited"
	}, map[string]float64{
		"loteria_parked_queries": 1, "loteria_agencies_finished": 1,
		`loteria_agency_finished{agency="1"}`: 1, `loteria_agency_finished{agency="2"}`: 0, `loteria_agency_told{agency="1"}`: 0,
	})

	if err := c.contest.DrawWithout(3); err != nil {
		t.Fatal(err)
	}
	two.ask(finish(2), codec.TypeSuccess)
	one.expect(codec.TypeWinners)
	c.step("the draw", func(s *State) bool {
		return s.Phase == lottery.Drawn && s.Finished == 3 && statesOf(s) == "told finished missing" && s.DrawnAt != nil &&
			*s.Winners == 3 && *s.Agencies[0].Winners == 1 && *s.Agencies[1].Winners == 2 && *s.Agencies[2].Winners == 0
	}, map[string]float64{
		`loteria_draw_phase{phase="betting"}`: 0, `loteria_draw_phase{phase="drawn"}`: 1, "loteria_parked_queries": 0,
		`loteria_winners{agency="1"}`: 1, `loteria_winners{agency="2"}`: 2, `loteria_agency_told{agency="1"}`: 1,
		`loteria_agency_told{agency="2"}`: 0, `loteria_agency_finished{agency="3"}`: 1,
	})
	if err := c.contest.Close(); err != nil {
		t.Fatal(err)
	}

	again := show(t, 3, nil)
	again.open(folder, again.admin.Observer())
	again.listen()
	again.step("a restart", func(s *State) bool {
		return s.Phase == lottery.Drawn && s.Bets == 10 && statesOf(s) == "finished finished missing" && s.DrawnAt == nil && *s.Winners == 3
	}, map[string]float64{`loteria_bets_total{agency="2"}`: 5, `loteria_batches_total{agency="2"}`: 0, `loteria_winners{agency="2"}`: 2})
	if rate := again.state().Rate; rate != 0 {
		t.Errorf("%v bets a second, expected none: all were there before", rate)
	}
}

// Nothing on the admin port reveals who has bet, not even in refused requests.
func TestNobodyIsNamed(t *testing.T) {
	c := start(t, 1)
	stream := c.stream()
	p := c.dial()
	p.ask(batch(1, 4), codec.TypeSuccess)
	p.ask(badBatch(1, 4), codec.TypeError)
	p.ask(&codec.Bet{RawBet: lottery.RawBet{Agency: "1", FirstName: firstName, LastName: lastName, Document: "9000x", Birthdate: birthdate, Number: "1"}},
		codec.TypeError)
	p.ask(finish(1), codec.TypeSuccess)
	p.ask(query(1), codec.TypeWinners)
	all := stream.until(func(s *State) bool { return s.Phase == lottery.Drawn && len(s.Problems) == 2 })
	for _, path := range []string{"/", "/metrics", "/api/state", "/readyz"} {
		_, _, body := c.get(path)
		all += body
	}
	for _, secret := range []string{firstName, lastName, birthdate, "9000x", "9000100[0-3]", "757[1-4]"} {
		// Within the digits of a time, it reveals nothing.
		alone := regexp.MustCompile(`(^|[^0-9.])` + secret + `([^0-9.]|$)`)
		if at := alone.FindStringIndex(all); at != nil {
			t.Errorf("%q is in %.100q", secret, all[max(0, at[0]-50):])
		}
	}
}

// The linter of Prometheus's client library accepts the metrics; promtool check
// metrics also uses it.
func TestMetricsAreWellFormed(t *testing.T) {
	c := start(t, 2)
	p := c.dial()
	p.ask(batch(1, 3), codec.TypeSuccess)
	p.ask(badBatch(1, 3), codec.TypeError)
	p.ask(finish(1), codec.TypeSuccess)
	c.dial().ask(finish(2), codec.TypeSuccess)
	<-c.contest.Drawn() // the answer to FINISHED does not wait for it
	_, _, body := c.get("/metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	for name := range c.samples() {
		if strings.HasPrefix(name, "loteria_winners") {
			return
		}
	}
	t.Error("the metrics after the draw were not looked at")
}
