package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"loteria/codec"
	"loteria/lottery"
)

// stream is what a page sees.
type stream struct {
	t        testing.TB
	response *http.Response
	lines    *bufio.Reader
}

// stream opens one; the test's end closes it.
func (c *central) stream() *stream {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	response, err := c.http().Do(c.newRequest(ctx, "GET", "/api/stream"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { cancel(); response.Body.Close() })
	return &stream{c.t, response, bufio.NewReader(response.Body)}
}

// next returns the data of the next event, which has that name.
func (s *stream) next(name string) string {
	s.t.Helper()
	var event [3]string
	for i := range event {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			s.t.Fatalf("the stream ended, expected was an event %s: %v", name, err)
		}
		event[i] = strings.TrimSuffix(line, "\n")
	}
	data, isData := strings.CutPrefix(event[1], "data: ")
	if event[0] != "event: "+name || !isData || event[2] != "" {
		s.t.Fatalf("the stream has %q, expected an event %s", event, name)
	}
	return data
}

// until reads states until one is as wanted, and returns all that was read.
func (s *stream) until(so func(*State) bool) (all string) {
	s.t.Helper()
	all = s.next("curves")
	for {
		data := s.next("state")
		all += data
		var state State
		if err := json.Unmarshal([]byte(data), &state); err != nil {
			s.t.Fatal(err)
		}
		if so(&state) {
			return all
		}
	}
}

func (s *stream) expectEnd() {
	s.t.Helper()
	if rest, err := io.ReadAll(s.lines); err != nil {
		s.t.Errorf("the stream ended with %v after %q", err, rest)
	}
}

// The stream shows events without another request: rates, refusals, the draw.
func TestStream(t *testing.T) {
	c := start(t, 1)
	s := c.stream()
	if kind := s.response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("the stream is %s", kind)
	}
	p := c.dial()
	p.ask(batch(1, 50), codec.TypeSuccess)
	p.ask(badBatch(1, 2), codec.TypeError)
	var rate float64
	s.until(func(state *State) bool {
		rate = max(rate, state.Rate)
		return rate > 0 && len(state.Problems) == 1 && state.Agencies[0].Rate == state.Rate
	})
	p.ask(finish(1), codec.TypeSuccess)

	later := c.stream()
	var curves Curves
	if err := json.Unmarshal([]byte(later.next("curves")), &curves); err != nil {
		t.Fatal(err)
	}
	most := 0.0
	for _, rate := range curves.Total {
		most = max(most, rate)
	}
	if most != rate || len(curves.Agencies) != 1 || len(curves.Agencies[0]) != curves.Tick || curves.Length != curveLength {
		t.Errorf("the curves are %+v, expected one with the rate of %v", curves, rate)
	}
	for {
		var state State
		if err := json.Unmarshal([]byte(later.next("state")), &state); err != nil {
			t.Fatal(err)
		}
		if state.Phase == lottery.Drawn && state.DrawnAt != nil {
			break
		}
	}
}

// A problem does not wait for the next second: pages see it within the one in which
// it came. A busy machine may need several attempts.
func TestProblemsAreSeenAtOnce(t *testing.T) {
	const agencies = 20
	c := start(t, agencies)
	s := c.stream()
	s.next("curves")
	next := func() (state State) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.next("state")), &state); err != nil {
			t.Fatal(err)
		}
		return state
	}
	for agency := range agencies {
		before := next()
		c.dial().ask(badBatch(agency+1, 2), codec.TypeError)
		state := next()
		for len(state.Problems) == len(before.Problems) {
			state = next()
		}
		if state.Tick == before.Tick {
			return
		}
	}
	t.Errorf("of %d problems each was seen only in the next second", agencies)
}

func TestTooManyViewers(t *testing.T) {
	c := start(t, 1)
	for range maxViewers {
		c.stream().next("curves")
	}
	if code, _, body := c.get("/api/stream"); code != 503 || !strings.Contains(body, "64 pages are open already") {
		t.Errorf("one more stream gets %d %q, expected 503", code, body)
	}
}

func TestViewersGetTheNewest(t *testing.T) {
	var v viewers
	slow, ok := v.join()
	if !ok {
		t.Fatal("there is no room for one")
	}
	for _, message := range []string{"old", "older", "newest"} {
		v.send([]byte(message))
	}
	if got := string(<-slow); got != "newest" {
		t.Errorf("a slow viewer gets %q, expected the newest", got)
	}
	v.leave(slow)
	if n := v.count(); n != 0 {
		t.Errorf("%d viewers are left", n)
	}
}

func TestCurves(t *testing.T) {
	counters := newCounters(maxListed + 1)
	now := time.Unix(0, 0)
	p := newRateSampler(counters, now)
	for tick := range curveLength + 3 {
		counters.Stored(2, 10*tick, 1)
		counters.Stored(maxListed+1, 5, 1)
		now = now.Add(2 * time.Second)
		p.take(counters, now)
	}
	p.take(counters, now) // no time has passed: no rate
	c := p.curves()
	if c.Tick != curveLength+3 || len(c.Total) != curveLength || len(c.Agencies) != maxListed {
		t.Fatalf("after %d seconds there are %d rates of %d agencies", c.Tick, len(c.Total), len(c.Agencies))
	}
	for i, rate := range c.Agencies[1] {
		if want := float64(5 * (i + 3)); rate != want || c.Total[i] != want+3 { // 2.5 are rounded
			t.Fatalf("rate %d is %v, in all %v, expected %v and %v", i, rate, c.Total[i], want, want+3)
		}
	}
	if r := p.now(); r.of(1) != c.Agencies[1][curveLength-1] || r.of(0) != 0 || r.of(maxListed) != 0 {
		t.Errorf("the last rates are %v", r)
	}
}
