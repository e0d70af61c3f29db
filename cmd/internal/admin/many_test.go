package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"loteria/codec"
	"loteria/lottery/ledgertest"
)

// manyAgencies is how many a central may expect.
const manyAgencies = 100_000

// A state lists maxListed agencies from one on, and counts the rest.
func TestStateOfManyAgencies(t *testing.T) {
	const agencies = 2*maxListed + 50
	c := start(t, agencies)
	c.dial().ask(batch(maxListed+1, 3), codec.TypeSuccess)
	c.await("the bets are counted", func() bool { return c.state().Bets == 3 })
	for _, test := range []struct {
		query               string
		first, listed, more int
	}{
		{"", 1, maxListed, maxListed + 50},
		{"?from=1", 1, maxListed, maxListed + 50},
		{"?from=2", 2, maxListed, maxListed + 49},
		{"?from=201", 201, maxListed, 50},
		{"?from=401", 401, 50, 0},
		{"?from=450", 450, 1, 0},
		{"?from=451", 0, 0, 0},
		{"?from=9223372036854775807", 0, 0, 0},
	} {
		code, _, body := c.get("/api/state" + test.query)
		var state State
		if err := json.Unmarshal([]byte(body), &state); err != nil || code != 200 {
			t.Fatalf("%s: %d %v in %s", test.query, code, err, body)
		}
		if len(state.Agencies) != test.listed || state.More != test.more || test.listed > 0 && state.Agencies[0].Agency != test.first ||
			state.Expected != agencies || state.Bets != 3 || !strings.Contains(body, `"agencies":[`) {
			t.Errorf("%q lists %d, and %d more: %.300s", test.query, len(state.Agencies), state.More, body)
		}
		for _, a := range state.Agencies {
			if want := map[bool]uint64{true: 3}[a.Agency == maxListed+1]; a.Bets != want {
				t.Errorf("%q: agency %d has %d bets", test.query, a.Agency, a.Bets)
			}
		}
	}
	for _, query := range []string{"?from=", "?from=0", "?from=-1", "?from=x", "?from=99999999999999999999"} {
		if code, _, body := c.get("/api/state" + query); code != 400 || !strings.Contains(body, "from is the number") {
			t.Errorf("%s gets %d %s", query, code, body)
		}
	}
}

// However many clients look, the agencies are visited once.
func TestVisitorsShareASnapshot(t *testing.T) {
	c := show(t, 3, nil)
	c.open(t.TempDir(), c.admin.Observer())
	first := c.admin.current()
	first.taken = time.Now().Add(time.Hour) // or it could be a second old on a slow machine
	var looking sync.WaitGroup
	for range 20 {
		looking.Go(func() {
			if now := c.admin.current(); now != first && now.taken.Before(time.Now().Add(-interval)) {
				t.Error("a visitor sees what is too old")
			}
		})
	}
	looking.Wait()
	c.admin.renew()
	again := c.admin.current()
	if again == first {
		t.Error("after something has happened, visitors see what was before")
	}
	again.taken = time.Now().Add(-interval)
	if c.admin.current() == again {
		t.Error("what is a second old is shown")
	}
	fresh := c.admin.current()
	c.admin.Stopping()
	if c.admin.current() == fresh {
		t.Error("that the central stops is not shown at once")
	}
}

// The cost of viewers: the duration of an answer, and its length.
func BenchmarkVisitors(b *testing.B) {
	b.Run("folder", func(b *testing.B) {
		c := show(b, manyAgencies, nil)
		c.open(b.TempDir(), c.admin.Observer())
		benchmarkVisitors(b, c)
	})
	b.Run("shared", func(b *testing.B) {
		benchmarkVisitors(b, share(b, &ledgertest.Memory{Lazy: true}, "a", manyAgencies).central)
	})
}

func benchmarkVisitors(b *testing.B, c *central) {
	handler := c.admin.handler()
	b.Run("state", func(b *testing.B) {
		bytes := 0
		for b.Loop() {
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequest("GET", "http://localhost/api/state", nil))
			if answer.Code != http.StatusOK {
				b.Fatal(answer.Code, answer.Body)
			}
			bytes = answer.Body.Len()
		}
		b.ReportMetric(float64(bytes), "bytes/answer")
	})
	b.Run("a snapshot", func(b *testing.B) { // at most one each second, and one more for what happens
		for b.Loop() {
			c.admin.snapshot()
		}
	})
	b.Run("join a stream", func(b *testing.B) { // and leave it after the first state
		bytes := 0
		for b.Loop() {
			request, err := http.NewRequest("GET", c.url+"/api/stream", nil)
			if err != nil {
				b.Fatal(err)
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				b.Fatal(err)
			}
			s := stream{b, answer, nil}
			bytes = s.skipFirst()
			answer.Body.Close()
		}
		b.ReportMetric(float64(bytes), "bytes/answer")
	})
}

// skipFirst reads the curves and the first state, and returns how long they are.
func (s *stream) skipFirst() (bytes int) {
	buffer, newlines := make([]byte, 32<<10), 0
	for newlines < 6 {
		n, err := s.response.Body.Read(buffer)
		if err != nil && err != io.EOF {
			s.t.Fatal(err)
		}
		bytes += n
		for _, c := range buffer[:n] {
			if c == '\n' {
				newlines++
			}
		}
	}
	return bytes
}

// A state of a shared ledger costs little more than one of a folder, with many
// agencies, too: the bets are counted once for all who look, without memory for
// each agency.
func TestSharedStateOfManyAgencies(t *testing.T) {
	c := share(t, &ledgertest.Memory{Lazy: true}, "a", manyAgencies)
	for agency := 1; agency <= manyAgencies; agency++ {
		c.ledger.seen(agency, uint64(agency), []string{"a", "b"}[agency%2])
	}
	c.admin.renew()
	state := c.state()
	if want := uint64(manyAgencies) * (manyAgencies + 1) / 2; state.Bets != want || state.Elsewhere != manyAgencies/2 {
		t.Errorf("%d bets, %d agencies elsewhere, want %d and %d", state.Bets, state.Elsewhere, want, manyAgencies/2)
	}
	if len(state.Agencies) != maxListed || state.More != manyAgencies-maxListed || state.Agencies[2].Bets != 3 || state.Agencies[2].Central != "b" {
		t.Errorf("%d agencies are listed, %d more, the third is %+v", len(state.Agencies), state.More, state.Agencies[2])
	}
	now := time.Now()
	if allocations := testing.AllocsPerRun(3, func() { now = now.Add(time.Second); c.tick(now) }); allocations > 100 {
		t.Errorf("the rates of a second take %v allocations, want them not to grow with the agencies", allocations)
	}
}
