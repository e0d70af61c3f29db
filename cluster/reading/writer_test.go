package reading_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/natsledger"
)

const (
	contest  = "test"
	stream   = "loteria-test"
	patience = 2 * time.Minute
	attempt  = time.Second
)

func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// writer writes a contest as centrals do, and also what they do not. It makes the
// messages by docs, not with the code under test.
type writer struct {
	t        testing.TB
	js       jetstream.JetStream
	agencies []chain
	deadline uint64
	messages int
	export   strings.Builder // rows in the order of the stream
}

type chain struct {
	last    uint64
	bets    int
	digest  *xxhash.Digest
	winners []string
	ended   bool
}

func newWriter(t testing.TB, c *natstest.Cluster, agencies int) *writer {
	t.Helper()
	conn, err := nats.Connect(strings.Join(c.URLs(), ","), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{t: t, js: js, agencies: make([]chain, agencies)}
	for i := range w.agencies {
		w.agencies[i].digest = xxhash.New()
	}
	w.again("create the stream", func(ctx context.Context) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: stream, Subjects: []string{stream + ".>"}, Storage: jetstream.FileStorage, Replicas: c.Size(), Discard: jetstream.DiscardNew,
			MaxBytes: 1 << 30, DenyDelete: true, DenyPurge: true, AllowAtomicPublish: true, Compression: jetstream.S2Compression,
			Duplicates: 100 * time.Millisecond, Metadata: map[string]string{"loteria-agencies": strconv.Itoa(agencies)},
		})
		return err
	})
	return w
}

// again tries until it works.
func (w *writer) again(what string, try func(context.Context) error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		once, cancel := context.WithTimeout(ctx, attempt)
		err := try(once)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			w.t.Errorf("%s: %v", what, err)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// rows returns n bets of an agency, from its bet number first on. Every 100th
// wins.
func rows(agency, first, n int) (text string, winners []string) {
	var b strings.Builder
	for i := first; i < first+n; i++ {
		bet := lottery.Bet{Agency: agency, FirstName: "Ana, la \"Negra\"", LastName: "Núñez", Document: strconv.Itoa(10_000_000 + i), Birthdate: "1990-02-28", Number: i % 7000}
		if i%100 == 0 {
			bet.Number = lottery.WinningNumber
			winners = append(winners, bet.Document)
		}
		b.Write(bet.AppendRow(nil))
	}
	return b.String(), winners
}

// link returns a message of an agency's chain as a central makes it.
func (w *writer) link(agency int, kind, text string, bets int, winners []string) *nats.Msg {
	c := &w.agencies[agency-1]
	digest := *c.digest
	_, _ = digest.WriteString(text)
	state, _ := digest.MarshalBinary()
	m := &nats.Msg{Subject: fmt.Sprintf("%s.bets.%d", stream, agency), Data: []byte(text), Header: nats.Header{
		"Nats-Expected-Stream":                {stream},
		"Nats-Expected-Last-Subject-Sequence": {strconv.FormatUint(c.last, 10)},
		"Id":                                  {fmt.Sprintf("id-%d-%d", agency, w.messages)},
		"Kind":                                {kind},
		"Before":                              {strconv.Itoa(c.bets)},
		"Bets":                                {strconv.Itoa(bets)},
		"Digest":                              {base64.StdEncoding.EncodeToString(state)},
	}}
	if len(winners) > 0 {
		m.Header["Winners"] = []string{strings.Join(winners, ",")}
	}
	return m
}

// publish stores a message once, and returns its sequence number.
func (w *writer) publish(m *nats.Msg) (sequence uint64) {
	w.t.Helper()
	w.again("publish on "+m.Subject, func(ctx context.Context) error {
		ack, err := w.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
		if err == nil {
			sequence = ack.Sequence
		}
		var refused *jetstream.APIError
		if errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
			sequence, err = w.find(ctx, m)
		}
		return err
	})
	w.messages++
	return sequence
}

// find looks for a message that was stored without an acknowledgement.
func (w *writer) find(ctx context.Context, m *nats.Msg) (uint64, error) {
	s, err := w.js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	last, err := s.GetLastMsgForSubject(ctx, m.Subject)
	if err != nil {
		return 0, err
	}
	if fmt.Sprint(last.Header["Id"]) != fmt.Sprint(m.Header["Id"]) {
		return 0, errors.New("another message is there")
	}
	return last.Sequence, nil
}

// bets stores n bets of an agency.
func (w *writer) bets(agency, n int) {
	w.t.Helper()
	c := &w.agencies[agency-1]
	text, winners := rows(agency, c.bets, n)
	c.last = w.publish(w.link(agency, "bets", text, n, winners))
	_, _ = c.digest.WriteString(text)
	c.bets, c.winners = c.bets+n, append(c.winners, winners...)
	w.export.WriteString(text)
}

func (w *writer) claim(agency int) {
	w.t.Helper()
	w.agencies[agency-1].last = w.publish(w.link(agency, "claim", "", 0, nil))
}

// end ends an agency's betting, without an atomic batch: readers see no difference.
func (w *writer) end(agency int, how string) {
	w.t.Helper()
	closed := w.link(agency, "closed", "", 0, nil)
	closed.Header["Ended"] = []string{how}
	w.agencies[agency-1].last, w.agencies[agency-1].ended = w.publish(closed), true
	w.publish(w.notice(agency, how))
}

func (w *writer) notice(agency int, how string) *nats.Msg {
	m := w.link(agency, "ended", "", 0, nil)
	m.Subject = fmt.Sprintf("%s.ended.%d", stream, agency)
	m.Header["Ended"] = []string{how}
	m.Header["Nats-Expected-Last-Subject-Sequence"] = []string{"0"}
	return m
}

func (w *writer) setDeadline(text string) {
	w.t.Helper()
	w.deadline = w.publish(&nats.Msg{Subject: stream + ".deadline", Data: []byte(text), Header: nats.Header{
		"Nats-Expected-Last-Subject-Sequence": {strconv.FormatUint(w.deadline, 10)}}})
}

// body returns the draw's payload for what was written.
func (w *writer) body() []byte {
	digest := xxhash.New()
	var bets uint64
	winners := 0
	for i, c := range w.agencies {
		bets += uint64(c.bets)
		for _, document := range c.winners {
			fmt.Fprintf(digest, "%d,%s\n", i+1, document)
			winners++
		}
	}
	body, _ := json.Marshal(struct {
		Bets    uint64 `json:"bets"`
		Winners int    `json:"winners"`
		Digest  string `json:"xxh64"`
	}{bets, winners, fmt.Sprintf("%016x", digest.Sum64())})
	return body
}

func (w *writer) draw(body []byte) {
	w.t.Helper()
	w.publish(&nats.Msg{Subject: stream + ".draw", Data: body, Header: nats.Header{"Nats-Expected-Last-Subject-Sequence": {"0"}}})
}

func (w *writer) winners() [][]string {
	all := make([][]string, len(w.agencies))
	for i, c := range w.agencies {
		all[i] = c.winners
	}
	return all
}

func config(t testing.TB, c *natstest.Cluster, agencies int) natsledger.Config {
	var servers []string
	for _, u := range c.URLs() {
		servers = append(servers, strings.TrimPrefix(u, "nats://"))
	}
	return natsledger.Config{Servers: servers, Contest: contest, Agencies: agencies, Log: zerolog.New(zerolog.NewTestWriter(t))}
}

// exportTo writes the rows of a contest as bets.csv has them, in the order of the
// stream.
func exportTo(ctx context.Context, c natsledger.Config, w io.Writer) (natsledger.Report, error) {
	return natsledger.Read(ctx, c, func(s lottery.Stretch) error {
		_, err := w.Write(s.Rows)
		return err
	})
}
