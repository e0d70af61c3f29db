package reading_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"loteria/cluster/natstest"
	"loteria/internal/leaktest"
	"loteria/lottery"
	"loteria/lottery/natsledger"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

// whole writes a contest of ten agencies, two of which have not bet.
func whole(w *writer, messages int) {
	w.setDeadline("")
	for i := range messages {
		w.bets(1+i%8, 1+i%50)
		if i%7 == 0 {
			w.claim(1 + i%10)
		}
	}
	w.setDeadline("2030-01-02T03:04:05.000000006Z")
}

func endAll(w *writer) {
	for i := range w.agencies {
		w.end(i+1, map[bool]string{true: "finished", false: "missing"}[i != 9])
	}
}

func TestRead(t *testing.T) {
	c := natstest.Start(t, 1)
	w := newWriter(t, c, 10)
	conf := config(t, c, 10)
	check := func(drawn bool) {
		t.Helper()
		var export bytes.Buffer
		report, err := exportTo(patient(t), conf, &export)
		if err != nil {
			t.Fatal(err)
		}
		if export.String() != w.export.String() {
			t.Errorf("the export has %d bytes, which are not the %d that were written", export.Len(), w.export.Len())
		}
		if report.Messages != uint64(w.messages) || report.Bytes != uint64(export.Len()) || report.Drawn != drawn || report.Terms.Agencies != 10 {
			t.Errorf("%+v, want %d messages and %d bytes, drawn %t", report, w.messages, export.Len(), drawn)
		}
		seen := 0
		for _, a := range report.Agencies {
			want := w.agencies[a.Agency-1]
			if a.Bets != uint64(want.bets) || a.Digest != want.digest.Sum64() || a.Winners != len(want.winners) || (a.Ended != lottery.Open) != want.ended {
				t.Errorf("%+v, want %+v", a, want)
			}
			seen++
		}
		for _, a := range w.agencies {
			if a.bets > 0 || a.ended {
				seen--
			}
		}
		if seen != 0 {
			t.Errorf("%d agencies, want %d", len(report.Agencies), len(report.Agencies)-seen)
		}
	}
	check(false)
	whole(w, 100)
	check(false)
	if _, err := natsledger.Winners(patient(t), conf); err == nil {
		t.Error("there are winners before all betting has ended")
	}
	endAll(w)
	check(false)
	winners, err := natsledger.Winners(patient(t), conf)
	if err != nil || !reflect.DeepEqual(winners, w.winners()) {
		t.Errorf("%v, %v; want %v", winners, err, w.winners())
	}
	w.draw(w.body())
	check(true)
	report, err := natsledger.Check(patient(t), conf)
	if err != nil || len(report.Copies) != 1 || report.Copies[0].Missing != 0 || report.Terms.Deadline.Nanosecond() != 6 {
		t.Errorf("%+v, %v", report, err)
	}
}

// Contents that no central writes are found, with their place.
func TestDamagedContents(t *testing.T) {
	header := func(name, value string) func(*nats.Msg) {
		return func(m *nats.Msg) { m.Header[name] = []string{value} }
	}
	forge := func(w *writer, agency, bets int, change func(*nats.Msg)) {
		text, winners := rows(agency, w.agencies[agency-1].bets, bets)
		m := w.link(agency, "bets", text, bets, winners)
		change(m)
		w.publish(m)
	}
	link := func(change func(*nats.Msg)) func(*writer) {
		return func(w *writer) { forge(w, 2, 120, change) }
	}
	raw := func(subject, body string) func(*writer) {
		return func(w *writer) { w.publish(&nats.Msg{Subject: stream + subject, Data: []byte(body)}) }
	}
	const byRows, byHeaders = "only with rows", "with headers"
	tests := []struct {
		name   string
		damage func(*writer)
		agency int
		found  string
		how    string
	}{
		{"another subject", raw(".other", "x"), 0, "the subject", byHeaders},
		{"an agency of another contest", raw(".bets.11", "x"), 0, "the subject", byHeaders},
		{"an agency with a zero before it", raw(".bets.02", "x"), 0, "the subject", byHeaders},
		{"no headers", raw(".bets.2", "x"), 2, "the header Kind", byHeaders},
		{"no headers in a notice", raw(".ended.2", "x"), 2, "the header Kind", byHeaders},
		{"a count", link(header("Before", "5")), 2, "5 bets before it", byHeaders},
		{"an earlier message", link(func(m *nats.Msg) { delete(m.Header, "Nats-Expected-Last-Subject-Sequence") }), 2, "the header Nats-Expected-Last", byHeaders},
		{"too many bets in the header", link(header("Bets", "121")), 2, "120 rows", byRows},
		{"no bets in the header", link(header("Bets", "0")), 2, "kind bets with 0 bets", byHeaders},
		{"a digest", func(w *writer) {
			forge(w, 2, 120, header("Digest", w.link(2, "claim", "", 0, nil).Header["Digest"][0]))
		}, 2, "rows with the digest", byRows},
		{"no digest", link(header("Digest", "AAAA")), 2, "the header Digest", byHeaders},
		{"no winners", link(func(m *nats.Msg) { delete(m.Header, "Winners") }), 2, "0 winners in its header", byRows},
		{"another winner", link(header("Winners", "1")), 2, "1 winners in its header", byRows},
		{"more winners than bets", link(header("Winners", strings.Repeat("1,", 200))), 2, "201 winners of 120 bets", byHeaders},
		{"a byte of a row", link(func(m *nats.Msg) { m.Data[1] = 'x' }), 2, "row 1:", byRows},
		{"a row without an end", link(func(m *nats.Msg) { m.Data = m.Data[:len(m.Data)-1] }), 2, "row 120:", byRows},
		{"no rows", link(func(m *nats.Msg) { m.Data = nil }), 2, "0 rows", byRows},
		{"rows of another agency", link(func(m *nats.Msg) { text, _ := rows(3, 0, 120); m.Data = []byte(text) }), 2, "a row of agency 3", byRows},
		{"a row that is not canonical", link(func(m *nats.Msg) { m.Data = []byte("0" + string(m.Data)) }), 2, "row 1:", byRows},
		{"a claim with another digest", func(w *writer) {
			m := w.link(2, "claim", "1", 0, nil)
			m.Data = nil
			w.publish(m)
		}, 2, "although it holds no bets", byHeaders},
		{"bets after the end", func(w *writer) { w.end(2, "finished"); w.bets(2, 1) }, 2, "although message", byHeaders},
		{"an end without a notice", func(w *writer) {
			m := w.link(2, "closed", "", 0, nil)
			m.Header["Ended"] = []string{"finished"}
			w.publish(m)
			w.bets(3, 1)
		}, 2, "without a notice", byHeaders},
		{"a notice without an end", func(w *writer) { w.publish(w.notice(2, "finished")) }, 2, "the notice that", byHeaders},
		{"a second notice", func(w *writer) {
			w.end(2, "finished")
			m := w.notice(2, "finished")
			delete(m.Header, "Nats-Expected-Last-Subject-Sequence")
			m.Header["Nats-Expected-Last-Sequence"] = []string{fmt.Sprint(w.messages)}
			w.publish(m)
		}, 2, "Nats-Expected-Last-Subject-Sequence", byHeaders},
		{"a notice of another end", func(w *writer) {
			m := w.link(2, "closed", "", 0, nil)
			m.Header["Ended"] = []string{"finished"}
			w.publish(m)
			w.publish(w.notice(2, "missing"))
		}, 2, "an ending that is missing", byHeaders},
		{"a draw before the end", func(w *writer) { w.draw(w.body()) }, 0, "has not ended", byHeaders},
		{"another draw", func(w *writer) { endAll(w); w.draw([]byte(`{"bets":1,"winners":0,"xxh64":"0"}`)) }, 0, `the draw "{\"bets\":1,`, byRows},
		{"a deadline", func(w *writer) { w.setDeadline("tomorrow") }, 0, `the deadline "tomorrow"`, byRows},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := natstest.Start(t, 1)
			w := newWriter(t, c, 10)
			conf := config(t, c, 10)
			w.bets(1, 3)
			w.bets(2, 101)
			test.damage(w)
			_, err := natsledger.Read(patient(t), conf, func(lottery.Stretch) error { return nil })
			var damage *natsledger.DamageError
			if !errors.As(err, &damage) || damage.Agency != test.agency || damage.Sequence == 0 || !strings.Contains(damage.Found, test.found) {
				t.Errorf("Read: %v, want that of agency %d is found %q", err, test.agency, test.found)
			}
			t.Log(err)
			if _, err := natsledger.Check(patient(t), conf); !errors.As(err, &damage) {
				t.Errorf("Check: %v, want a damage", err)
			}
			if !w.agencies[0].ended {
				for i := range w.agencies {
					if !w.agencies[i].ended && (i != 1 || test.how == byRows && test.agency == 0) {
						w.end(i+1, "finished")
					}
				}
			}
			_, err = natsledger.Winners(patient(t), conf)
			if isFound := errors.As(err, &damage) && strings.Contains(damage.Found, test.found); isFound != (test.how == byHeaders) {
				t.Errorf("Winners: %v; want it found %s", err, test.how)
			}
		})
	}
}

func TestReadIsInterrupted(t *testing.T) {
	c := natstest.Start(t, 1)
	w := newWriter(t, c, 10)
	w.bets(1, 3)
	w.bets(2, 3)
	enough := errors.New("enough")
	if _, err := natsledger.Read(patient(t), config(t, c, 10), func(lottery.Stretch) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v, want %v", err, enough)
	}
}
