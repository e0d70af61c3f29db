package natsledger

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

func digestOf(text string) xxhash.Digest {
	d := xxhash.New()
	_, _ = d.WriteString(text)
	return *d
}

var messages = []message{
	{id: "a-1", kind: kindBets, bets: 3, digest: digestOf("abc"), winners: []string{"1", "22"}, rows: []byte("abc"), central: "A"},
	{id: "a-2", kind: kindClaim, expected: 1<<64 - 1, before: 3, digest: digestOf("abc"), resumed: true},
	{id: "a-3", kind: kindClosed, expected: 7, before: 1 << 40, digest: digestOf(strings.Repeat("x", 100)), ended: lottery.Finished},
	{id: "a-3", kind: kindEnded, before: 1, digest: digestOf(""), ended: lottery.Missing, resumed: true, central: "a central"},
}

func TestMessage(t *testing.T) {
	for i := range messages {
		m := &messages[i]
		msg := m.encode("s.bets.1", "s")
		// What the servers keep is what the client writes on the wire.
		header, err := nats.DecodeHeadersMsg(wire(msg.Header))
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(header, msg.Data)
		if err != nil {
			t.Errorf("message %d: %v", i, err)
			continue
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("message %d is read back as %+v, want %+v", i, got, m)
		}
		if msg.Header.Get(jetstream.ExpectedStreamHeader) != "s" || msg.Subject != "s.bets.1" {
			t.Errorf("message %d goes to %s of %q", i, msg.Subject, msg.Header.Get(jetstream.ExpectedStreamHeader))
		}
	}
}

func wire(header nats.Header) []byte {
	var b strings.Builder
	b.WriteString("NATS/1.0\r\n")
	for name, values := range header {
		fmt.Fprintf(&b, "%s: %s\r\n", name, values[0])
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

func TestForeignMessage(t *testing.T) {
	for name, change := range map[string]func(nats.Header){
		"no kind":        func(h nats.Header) { delete(h, headerKind) },
		"other kind":     func(h nats.Header) { h[headerKind] = []string{"bet"} },
		"no id":          func(h nats.Header) { delete(h, headerID) },
		"no expectation": func(h nats.Header) { delete(h, jetstream.ExpectedLastSubjSeqHeader) },
		"negative":       func(h nats.Header) { h[headerBefore] = []string{"-1"} },
		"too many bets":  func(h nats.Header) { h[headerBets] = []string{"99999999999"} },
		"digest":         func(h nats.Header) { h[headerDigest] = []string{"AAAA"} },
		"ending":         func(h nats.Header) { h[headerEnded] = []string{"lost"} },
		"empty":          func(h nats.Header) { clear(h) },
	} {
		header := messages[2].encode("s.bets.1", "s").Header
		change(header)
		if m, err := decode(header, nil); err == nil {
			t.Errorf("%s: it is taken as %+v", name, m)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for i := range messages {
		f.Add(wire(messages[i].encode("s.bets.1", "s").Header))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		header, err := nats.DecodeHeadersMsg(data)
		if err != nil {
			return
		}
		m, err := decode(header, nil)
		if err != nil {
			return
		}
		again, err := decode(m.encode("s.bets.1", "s").Header, nil)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%+v is read back as %+v, %v", m, again, err)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"stream":"s","seq":7}`))
	f.Add([]byte(`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 7"},"stream":"s","seq":0}`))
	f.Add([]byte(`{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","message":{"subject":"s","seq":1,"hdrs":"TkFUUy8xLjANCg0K"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a acknowledgement
		if a.read(data) == nil && a.Error != nil {
			a.Error.last()
		}
		var r getResponse
		if s, err := r.read(data); err == nil && s != nil {
			_, _ = decode(s.header, s.data)
		}
	})
}

func TestStreamNames(t *testing.T) {
	names := map[string]string{}
	for _, contest := range []string{"a", "a.b", "a_2eb", "a-b", "a_b", "a.b.c", "2024", "A"} {
		name := streamName(contest)
		if strings.ContainsAny(name, ". *>/\\") {
			t.Errorf("the contest %s has the stream %q", contest, name)
		}
		if other, used := names[name]; used {
			t.Errorf("the contests %s and %s have one stream, %s", contest, other, name)
		}
		names[name] = contest
	}
}

func TestSplit(t *testing.T) {
	all := ledgertest.Bets(1, 0, 500)
	won := slices.Clone(all)
	for i := range won {
		won[i].Number = lottery.WinningNumber
	}
	for name, test := range map[string]struct {
		bets  []lottery.Bet
		most  int
		parts int // at least
	}{
		"one":         {all[:1], 1000, 1},
		"as it is":    {all, 1 << 20, 1},
		"in pieces":   {all, 1000, 30},
		"row by row":  {all[:20], lottery.MaxRow, 2},
		"all winners": {won, 2000, 15},
	} {
		rows := ledgertest.Stretch(test.bets...)
		parts, err := split(rows, test.most)
		if err != nil || len(parts) < test.parts {
			t.Errorf("%s: %d parts, %v; want at least %d", name, len(parts), err, test.parts)
		}
		var whole lottery.Stretch
		for i := range parts {
			p := &parts[i]
			if len(p.Rows) > test.most || p.Bets == 0 || winnersSize(p.Winners) > maxWinners {
				t.Errorf("%s: part %d has %d bets in %d bytes", name, i, p.Bets, len(p.Rows))
			}
			if p.Bets != strings.Count(string(p.Rows), "\n") {
				t.Errorf("%s: part %d says %d bets", name, i, p.Bets)
			}
			whole.Bets += p.Bets
			whole.Rows = append(whole.Rows, p.Rows...)
			whole.Winners = append(whole.Winners, p.Winners...)
		}
		if whole.Bets != rows.Bets || string(whole.Rows) != string(rows.Rows) || !slices.Equal(whole.Winners, rows.Winners) {
			t.Errorf("%s: the parts are not the whole", name)
		}
	}
	for name, rows := range map[string]lottery.Stretch{
		"no rows":         {Agency: 1, Bets: 2, Rows: []byte(strings.Repeat("x", 3000))},
		"unsaid winners":  {Agency: 1, Bets: 500, Rows: []byte(ledgertest.Rows(won...))},
		"without its end": {Agency: 1, Bets: 500, Rows: []byte(ledgertest.Rows(all...) + "1,")},
	} {
		if parts, err := split(rows, 1000); err == nil {
			t.Errorf("%s: %d parts, want an error", name, len(parts))
		}
	}
}

func TestWithoutBody(t *testing.T) {
	const plain = `{"type":"t","message":{"subject":"a.b","seq":7,"time":"2026-01-01T00:00:00Z"}}`
	for answer, want := range map[string]string{
		`{"type":"t","message":{"subject":"a.b","seq":7,"hdrs":"TkFUUw==","data":"aGVsbG8=","time":"2026-01-01T00:00:00Z"}}`: `{"type":"t","message":{"subject":"a.b","seq":7,"hdrs":"TkFUUw=="}}`,
		plain: plain,
		`{"type":"t","error":{"code":404,"err_code":10037}}`: `{"type":"t","error":{"code":404,"err_code":10037}}`,
	} {
		if got := string(withoutBody([]byte(answer))); got != want {
			t.Errorf("of %s there is %s, want %s", answer, got, want)
		}
	}
}
