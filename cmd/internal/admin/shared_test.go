package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"loteria/codec"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// sharedLedger is a ledger on a memory that others write to, too. It reports their
// bets when a test says so.
type sharedLedger struct {
	*ledgertest.MemoryLedger
	seen func(agency int, bets uint64, central string)
}

func (l *sharedLedger) Begin(events lottery.Events) (lottery.Stored, error) {
	l.seen = events.Seen
	return l.MemoryLedger.Begin(events)
}

// sharing is a central on a ledger that it shares.
type sharing struct {
	*central
	ledger *sharedLedger
	health atomic.Pointer[LedgerHealth]
}

// healthy is the health of a ledger without problems.
func healthy() LedgerHealth {
	return LedgerHealth{
		Server: "nats-1", Leader: "nats-2", Messages: 1234, Bytes: 5_600_000, Limit: 8 << 30, InFlight: 70_000, Asked: time.Now(),
		Replicas: []LedgerReplica{{Server: "nats-3", Current: true}, {Server: "nats-1", Current: true}, {Server: "nats-2", Current: true}},
	}
}

// sick is one with some of every problem.
func sick() LedgerHealth {
	h := healthy()
	h.Server, h.Leader, h.Asked = "", "", time.Now().Add(-time.Minute)
	h.Replicas = []LedgerReplica{
		{Server: "nats-2", Current: true, Damaged: true}, {Server: "nats-1", Lag: 1234}, {Server: "nats-3", Lag: 7, Offline: true},
	}
	h.Bytes, h.Limit, h.Problem = 7_900_000_000, 8_000_000_000, "no quorum: 1 of 3 servers answers"
	return h
}

// prepare runs an admin port of a central that is to share a ledger.
func prepare(t testing.TB, name string, agencies int) *sharing {
	t.Helper()
	c := &sharing{central: show(t, agencies, func(config *Config) { config.Central = name })}
	c.tell(healthy())
	c.admin.HealthBy(func() LedgerHealth { return *c.health.Load() })
	return c
}

func (c *sharing) tell(health LedgerHealth) { c.health.Store(&health) }

// join opens the contest on the memory, and listens.
func (c *sharing) join(m *ledgertest.Memory) {
	c.t.Helper()
	ledger, err := m.Open(c.admin.config.Agencies)
	if err != nil {
		c.t.Fatal(err)
	}
	c.ledger = &sharedLedger{MemoryLedger: ledger}
	c.openOn(c.ledger, c.admin.Observer())
	c.listen()
}

// share runs a central on the memory.
func share(t testing.TB, m *ledgertest.Memory, name string, agencies int) *sharing {
	t.Helper()
	c := prepare(t, name, agencies)
	c.join(m)
	return c
}

// tick lets a second pass for the rates.
func (c *central) tick(now time.Time) {
	c.admin.refresh()
	c.admin.sampler.take(c.admin.counters, now)
}

// expectBets compares how many bets there are, of all agencies and of each.
func (c *central) expectBets(when string, total uint64, each ...uint64) {
	c.t.Helper()
	c.admin.renew()
	state := c.state()
	if state.Bets != total {
		c.t.Errorf("%s: %d bets, want %d", when, state.Bets, total)
	}
	for i, want := range each {
		if got := state.Agencies[i].Bets; got != want {
			c.t.Errorf("%s: agency %d has %d bets, want %d", when, i+1, got, want)
		}
	}
}

// TestSharedLottery has two centrals on one ledger: each shows the whole contest,
// and which of them an agency speaks to.
func TestSharedLottery(t *testing.T) {
	m := &ledgertest.Memory{Lazy: true}
	a, b := share(t, m, "a", 3), share(t, m, "b", 3)
	a.step("empty", func(s *State) bool {
		return s.Central == "a" && s.Bets == 0 && s.Elsewhere == 0 && s.Ledger.Kind == NATS && statesOf(s) == "awaited awaited awaited"
	}, map[string]float64{"loteria_ledger_connected": 1})
	if _, there := a.samples()[`loteria_bets_total{agency="1"}`]; there {
		t.Error("bets are counted of an agency of which nothing is known: when it is, that will be a jump")
	}

	one, two := a.dial(), b.dial()
	one.ask(batch(1, 5), codec.TypeSuccess)
	two.ask(batch(2, 7), codec.TypeSuccess)
	a.ledger.seen(1, 5, "a")
	a.step("one agency each", func(s *State) bool { return s.Bets == 5 && s.Elsewhere == 0 && s.Agencies[0].Central == "a" },
		map[string]float64{`loteria_bets_total{agency="1"}`: 5, `loteria_batches_total{agency="1"}`: 1})
	a.ledger.seen(2, 7, "b")
	a.step("the other one is seen", func(s *State) bool {
		return s.Bets == 12 && s.Elsewhere == 1 && s.Agencies[1].Central == "b" && s.Agencies[1].Batches == 0 &&
			statesOf(s) == "sending sending awaited"
	}, map[string]float64{`loteria_bets_total{agency="2"}`: 7, `loteria_batches_total{agency="2"}`: 0})

	// The agency goes on here: its bets are counted once, whoever tells of them.
	one.ask(finish(1), codec.TypeSuccess)
	a.dial().ask(batch(2, 4), codec.TypeSuccess)
	a.step("it has moved", func(s *State) bool { return s.Bets == 16 && s.Agencies[1].Bets == 11 && s.Agencies[1].Batches == 1 }, nil)
	a.ledger.seen(2, 11, "a")
	a.expectBets("it was seen to have moved", 16, 5, 11, 0)
	if n := a.state().Elsewhere; n != 0 {
		t.Errorf("%d agencies are elsewhere, want 0", n)
	}
	a.ledger.seen(2, 7, "b") // late
	a.expectBets("old news", 16, 5, 11, 0)

	two.ask(finish(2), codec.TypeSuccess)
	b.dial().ask(finish(3), codec.TypeSuccess)
	for _, c := range []*sharing{a, b} {
		select {
		case <-c.contest.Drawn():
		case <-time.After(patience):
			t.Fatal("there is no draw")
		}
	}
}

// An agency that was told its winners by one central stays finished for the
// other one, which cannot know it, and says so.
func TestToldElsewhere(t *testing.T) {
	m := &ledgertest.Memory{Lazy: true}
	a, b := share(t, m, "a", 2), share(t, m, "b", 2)
	for id, c := range []*sharing{a, b} {
		p := c.dial()
		p.ask(batch(id+1, 3), codec.TypeSuccess)
		p.ask(finish(id+1), codec.TypeSuccess)
	}
	p := b.dial()
	p.ask(query(1), codec.TypeWinners)
	b.dial().ask(query(2), codec.TypeWinners)
	b.step("both are told", func(s *State) bool { return s.Phase == lottery.Drawn && statesOf(s) == "told told" },
		map[string]float64{`loteria_agency_told{agency="1"}`: 1})
	a.step("neither is told here", func(s *State) bool { return s.Phase == lottery.Drawn && statesOf(s) == "finished finished" },
		map[string]float64{`loteria_agency_told{agency="1"}`: 0, `loteria_winners{agency="1"}`: 1})
}

// A bet that is admitted and not stored does not count yet, and a lost one never
// did.
func TestSharedBetsAreDurable(t *testing.T) {
	m := &ledgertest.Memory{Lazy: true}
	c := share(t, m, "a", 1)
	p := c.dial()
	p.ask(batch(1, 5), codec.TypeSuccess)
	c.expectBets("stored", 5, 5)
	resume := m.Stall()
	p.send(batch(1, 6))
	c.await("the batch is admitted", func() bool { return c.contest.Standings()[0].Bets == 11 })
	c.expectBets("admitted", 5, 5)
	resume()
	p.expect(codec.TypeSuccess)
	c.expectBets("stored then", 11, 11)

	restore := m.Interrupt(false)
	p.ask(batch(1, 7), codec.TypeRetry)
	c.expectBets("lost", 11, 11)
	if got := c.samples()[`loteria_bets_total{agency="1"}`]; got != 11 {
		t.Errorf("%v bets are counted, want 11: a counter that goes back looks like a restart", got)
	}
	restore()
}

// Rates are of new bets, whoever takes them, and not of those that a central first
// hears of.
func TestSharedRates(t *testing.T) {
	c := prepare(t, "a", 3)
	m := &ledgertest.Memory{Lazy: true}
	c.join(m)
	now := time.Now()
	step := func(when string, total float64, each ...float64) {
		t.Helper()
		now = now.Add(time.Hour) // however often it is looked at for real, that is nothing beside it
		for range sharedWindow {
			now = now.Add(time.Hour)
			c.tick(now)
		}
		rates := c.admin.sampler.now()
		hours := float64(sharedWindow+1) * time.Hour.Seconds()
		if got := rates.total * hours; got < total-hours/2 || got > total+hours/2 {
			t.Errorf("%s: about %.0f bets have come, want %.0f", when, got, total)
		}
		for i, want := range each {
			if got := rates.of(i) * hours; got < want-hours/2 || got > want+hours/2 {
				t.Errorf("%s: of agency %d about %.0f bets have come, want %.0f", when, i+1, got, want)
			}
		}
	}
	const many = 1_000_000_000
	c.ledger.seen(1, many, "b")
	step("what was there", 0, 0, 0, 0)
	c.ledger.seen(1, many+many/2, "b")
	c.ledger.seen(2, many, "b")
	step("more, and of another agency what was there", many/2, many/2, 0, 0)
	c.ledger.seen(1, many, "b")
	step("fewer than there were", 0, 0, 0, 0)
}

// The first bets that this central takes count, although nothing was known of
// the agency before.
func TestSharedRateOfTheFirstBets(t *testing.T) {
	c := share(t, &ledgertest.Memory{Lazy: true}, "a", 2)
	p := c.dial()
	p.ask(batch(1, 60), codec.TypeSuccess)
	counters := c.admin.counters
	c.await("the bets are counted", func() bool { return counters.agencies[0].own.Load() == 60 })
	// Had the second's look come between, the bets would be known before they are counted.
	one := &counters.agencies[0]
	one.known.Store(false)
	c.admin.refresh()
	if got := counters.grown(); got != 60 || counters.bets() != 60 {
		t.Errorf("%d of %d bets are new, want 60 of 60", got, counters.bets())
	}
}

// The ledger is in the state, even before it could be opened.
func TestLedgerState(t *testing.T) {
	c := prepare(t, "a", 1)
	c.tell(LedgerHealth{Problem: "no servers available for connection"})
	if s := c.state(); s.Phase != Starting || s.Ledger.Kind != NATS || s.Ledger.Server != "" || s.Ledger.Problem == "" {
		t.Errorf("while it starts, the state is %+v", s)
	}
	if _, _, body := c.get("/api/state"); !strings.Contains(body, `"replicas":[]`) || strings.Contains(body, "asked") {
		t.Errorf("nothing is known, and the state is %s", body)
	}
	c.join(&ledgertest.Memory{Lazy: true})
	c.tell(healthy())
	c.admin.renew()
	_, _, body := c.get("/api/state")
	var got struct {
		Ledger map[string]any `json:"ledger"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	delete(got.Ledger, "asked")
	text, _ := json.Marshal(got.Ledger)
	replica := `{"current":true,"damaged":false,"lag":0,"offline":false,"server":"nats-%d"}`
	want := fmt.Sprintf(`{"bytes":5600000,"in_flight":70000,"kind":"nats","leader":"nats-2","limit":8589934592,"messages":1234,"replicas":[`+
		strings.Join([]string{replica, replica, replica}, ",")+`],"server":"nats-1"}`, 1, 2, 3)
	if string(text) != want {
		t.Errorf("the ledger is\n%s, want\n%s", text, want)
	}
	c.tell(sick())
	c.await("the problem is seen", func() bool { return c.state().Ledger.Problem == sick().Problem })

	folder := show(t, 1, func(config *Config) { config.Central = "a" })
	folder.open(t.TempDir(), folder.admin.Observer())
	if _, _, body := folder.get("/api/state"); !strings.Contains(body, `"ledger":{"kind":"folder"}`) || strings.Contains(body, `"central"`) {
		t.Errorf("with a folder the state is %s", body)
	}
}

func TestLedgerMetrics(t *testing.T) {
	c := prepare(t, "a", 1)
	for _, test := range []struct {
		name   string
		health func(*LedgerHealth)
		want   map[string]float64
		none   []string
	}{
		{"healthy", func(*LedgerHealth) {}, map[string]float64{
			"loteria_ledger_connected": 1, "loteria_ledger_leader_known": 1, "loteria_ledger_replicas": 3, "loteria_ledger_replicas_current": 3,
			`loteria_ledger_replica_lag{server="nats-1"}`: 0, `loteria_ledger_replica_current{server="nats-1"}`: 1,
			`loteria_ledger_replica_offline{server="nats-3"}`: 0, `loteria_ledger_replica_damaged{server="nats-3"}`: 0,
			"loteria_ledger_bytes": 5_600_000, "loteria_ledger_bytes_limit": 8 << 30, "loteria_ledger_in_flight_bytes": 70_000,
			"loteria_ledger_messages": 1234, "loteria_ledger_problem": 0,
		}, nil},
		{"sick", func(h *LedgerHealth) { *h = sick() }, map[string]float64{
			"loteria_ledger_connected": 0, "loteria_ledger_leader_known": 0, "loteria_ledger_replicas": 3, "loteria_ledger_replicas_current": 1,
			`loteria_ledger_replica_lag{server="nats-1"}`: 1234, `loteria_ledger_replica_current{server="nats-1"}`: 0,
			`loteria_ledger_replica_offline{server="nats-3"}`: 1, `loteria_ledger_replica_damaged{server="nats-2"}`: 1,
			"loteria_ledger_problem": 1,
		}, nil},
		{"without a limit", func(h *LedgerHealth) { h.Limit = -1 }, map[string]float64{"loteria_ledger_bytes": 5_600_000},
			[]string{"loteria_ledger_bytes_limit"}},
		{"nothing known", func(h *LedgerHealth) { *h = LedgerHealth{} }, map[string]float64{"loteria_ledger_replicas": 0, "loteria_ledger_connected": 0},
			[]string{"loteria_ledger_asked_timestamp_seconds", `loteria_ledger_replica_lag{server="nats-1"}`}},
		{"one server twice", func(h *LedgerHealth) { h.Replicas[1].Server = "nats-3" },
			map[string]float64{`loteria_ledger_replica_current{server="nats-3"}`: 1}, nil},
		{"an odd name", func(h *LedgerHealth) { h.Replicas[0].Server = "na\"ts\n\xff" }, map[string]float64{"loteria_ready": 0}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := healthy()
			test.health(&h)
			c.tell(h)
			code, _, body := c.get("/metrics")
			if code != 200 {
				t.Fatalf("/metrics answers %d %s", code, body)
			}
			samples := c.samples()
			for name, want := range test.want {
				if got, there := samples[name]; !there || got != want {
					t.Errorf("%s is %v (%v), want %v", name, got, there, want)
				}
			}
			for _, name := range test.none {
				if got, there := samples[name]; there {
					t.Errorf("%s is %v, want none", name, got)
				}
			}
			problems, err := promlint.New(strings.NewReader(body)).Lint()
			if err != nil || len(problems) > 0 {
				t.Errorf("%v, %v", problems, err)
			}
		})
	}
	folder := start(t, 1)
	for name := range folder.samples() {
		if strings.HasPrefix(name, "loteria_ledger_") && name != "loteria_ledger_bytes" && !strings.HasPrefix(name, "loteria_ledger_publish") {
			t.Errorf("a folder has %s", name)
		}
	}
}

// Latencies of a disk and of a quorum are counted apart.
func TestPublishLatency(t *testing.T) {
	c := prepare(t, "a", 1)
	folder := show(t, 1, nil)
	commit := lottery.Commit{Bytes: 5000, Appends: 2, Sync: 5 * time.Second}
	c.admin.Committed(commit)
	folder.admin.Committed(commit)
	for name, of := range map[string]*central{"loteria_ledger_publish_seconds": c.central, "loteria_sync_seconds": folder} {
		samples := of.samples()
		if samples[name+"_count"] != 1 || samples[name+"_sum"] != 5 || samples["loteria_ledger_publish_seconds_count"]+samples["loteria_sync_seconds_count"] != 1 {
			t.Errorf("%s: %v of %v s", name, samples[name+"_count"], samples[name+"_sum"])
		}
		if samples["loteria_commit_bytes_sum"] != 5000 || samples["loteria_commit_batches_sum"] != 2 {
			t.Errorf("%s: the commit is not counted", name)
		}
	}
	if got := c.samples()[`loteria_ledger_publish_seconds_bucket{le="4.096"}`]; got != 0 {
		t.Errorf("%v messages took 4 s, want none", got)
	}
	if got := c.samples()[`loteria_ledger_publish_seconds_bucket{le="8.192"}`]; got != 1 {
		t.Errorf("%v messages took 8 s, want one: a new leader takes as long", got)
	}
}
