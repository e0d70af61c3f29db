package cluster_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
	"loteria/lottery/natsledger"
)

// serve runs one server with options of its own.
func serve(t *testing.T, options server.Options) (url string) {
	t.Helper()
	options.Host, options.Port, options.NoLog, options.NoSigs = "127.0.0.1", server.RANDOM_PORT, true, true
	options.JetStream, options.SyncAlways, options.StoreDir = true, true, t.TempDir()
	s, err := server.NewServer(&options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(openTime) {
		t.Fatal("the server is not ready")
	}
	return s.ClientURL()
}

// operator returns a client that may do anything to streams.
func operator(t *testing.T, c *natstest.Cluster) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(strings.Join(c.OperatorURLs(), ","))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestOtherTerms(t *testing.T) {
	c := natstest.Start(t, 1)
	config := config(c, 5)
	openCentral(t, config)
	config.Agencies = 7
	_, err := openConfig(config)
	var terms *natsledger.TermsError
	if !errors.As(err, &terms) || terms.Stored.Agencies != 5 || terms.Asked.Agencies != 7 {
		t.Errorf("the error is %v, want that there are 5 agencies and not 7", err)
	}
}

// TestWrongServers opens contests on servers that are absent or refuse.
func TestWrongServers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	_ = listener.Close()
	locked := serve(t, server.Options{Username: "a", Password: "b"})
	small := serve(t, server.Options{MaxPayload: 16 << 10})
	noCertificate := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noCertificate, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		config natsledger.Config
		waits  bool
		says   string
	}{
		"nobody":         {natsledger.Config{Servers: []string{nobody}}, true, nobody},
		"password":       {natsledger.Config{Servers: []string{locked}}, false, "uthorization"},
		"small messages": {natsledger.Config{Servers: []string{small}}, false, "max_payload"},
		"replicas":       {natsledger.Config{Servers: []string{serve(t, server.Options{})}, Replicas: 3}, false, "replicas"},
		"no credentials": {natsledger.Config{Servers: []string{locked}, CredsFile: "/does/not/exist"}, false, "/does/not/exist"},
		"no certificate": {natsledger.Config{Servers: []string{locked}, CAFile: noCertificate}, false, "PEM"},
		"no TLS there":   {natsledger.Config{Servers: []string{"tls://" + strings.TrimPrefix(small, "nats://")}}, false, "secure"},
	} {
		t.Run(name, func(t *testing.T) {
			wait := openTime
			if test.waits {
				wait = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(context.Background(), wait)
			defer cancel()
			test.config.Contest, test.config.Agencies = "test", 2
			if test.config.Replicas == 0 {
				test.config.Replicas = 1
			}
			l, err := natsledger.Open(ctx, test.config)
			if err == nil {
				_ = l.Close()
				t.Fatal("a ledger is opened")
			}
			if (ctx.Err() != nil) != test.waits || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error is %v, want one that says %q; it has waited to the end: %t", err, test.says, ctx.Err() != nil)
			}
		})
	}
}

// TestOtherStreams opens contests whose streams have wrong settings.
func TestOtherStreams(t *testing.T) {
	c := natstest.Start(t, 1)
	js := operator(t, c)
	for name, test := range map[string]struct {
		change func(*jetstream.StreamConfig)
		says   string
	}{
		"not ours":    {func(s *jetstream.StreamConfig) { s.Metadata = nil }, "not made by a central"},
		"subjects":    {func(s *jetstream.StreamConfig) { s.Subjects = append(s.Subjects, "more") }, "subjects"},
		"age":         {func(s *jetstream.StreamConfig) { s.MaxAge = time.Hour }, "by itself"},
		"discard old": {func(s *jetstream.StreamConfig) { s.Discard = jetstream.DiscardOld }, "by itself"},
		"memory": {func(s *jetstream.StreamConfig) {
			s.Storage, s.Compression = jetstream.MemoryStorage, jetstream.NoCompression
		}, "memory"},
		"direct":     {func(s *jetstream.StreamConfig) { s.AllowDirect = true }, "direct"},
		"no batches": {func(s *jetstream.StreamConfig) { s.AllowAtomicPublish = false }, "batches"},
	} {
		t.Run(name, func(t *testing.T) {
			config := config(c, 2)
			name := "loteria-" + strings.ReplaceAll(config.Contest, ".", "_2e")
			stream := jetstream.StreamConfig{
				Name: name, Subjects: []string{name + ".>"}, Discard: jetstream.DiscardNew, MaxBytes: 1 << 20,
				AllowAtomicPublish: true, Metadata: map[string]string{"loteria-agencies": "2"},
			}
			test.change(&stream)
			if _, err := js.CreateStream(context.Background(), stream); err != nil {
				t.Fatal(err)
			}
			_, err := openConfig(config)
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), stream.Name) {
				t.Errorf("the error is %v, want one that says %q", err, test.says)
			}
		})
	}
}

// TestForeignMessage publishes a foreign message on an agency's subject. That
// agency is refused, and the others continue.
func TestForeignMessage(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	config := config(c, 3)
	s := openCentral(t, config)
	known := s.account(1).Mark
	js := operator(t, c)
	for _, agency := range []string{"1", "2"} {
		if _, err := js.Publish(context.Background(), s.Stream()+".bets."+agency, []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.append(ledgertest.Stretch(ledgertest.Bets(1, 0, 1)...), known); err != lottery.ErrMoved {
		t.Errorf("an append after somebody else's message gives %v, want %v", err, lottery.ErrMoved)
	}
	for _, agency := range []int{1, 2} {
		if _, err := s.claim(agency, 0); err != lottery.ErrUnavailable {
			t.Errorf("a claim after somebody else's message gives %v, want %v", err, lottery.ErrUnavailable)
		}
	}
	if _, err := s.append(ledgertest.Stretch(ledgertest.Bets(3, 0, 1)...), s.account(3).Mark); err != nil {
		t.Error(err)
	}
	// The claims have seen it, and by now the watch over the stream may have, too.
	if err := s.Health().Problem; err == nil ||
		!strings.Contains(err.Error(), s.Stream()+".bets.") && !strings.Contains(err.Error(), s.Stream()+", message 2, agency 1") {
		t.Errorf("the problem is %v, want the message", err)
	}
}

// TestDeletedStream deletes the stream, and may make another one in its place:
// the ledger is dead.
func TestDeletedStream(t *testing.T) {
	for name, again := range map[string]bool{"deleted": false, "made again": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := natstest.Start(t, 1)
			config := config(c, 1)
			s := openCentral(t, config)
			mark, err := s.append(ledgertest.Stretch(ledgertest.Bets(1, 0, 1)...), s.account(1).Mark)
			if err != nil {
				t.Fatal(err)
			}
			if err := operator(t, c).DeleteStream(context.Background(), s.Stream()); err != nil {
				t.Fatal(err)
			}
			if again {
				openCentral(t, config)
			}
			select {
			case <-s.Failed():
			case <-time.After(answerTime):
				t.Fatal("the ledger does not die")
			}
			if _, err := s.append(ledgertest.Stretch(ledgertest.Bets(1, 1, 1)...), mark); err == nil || err != s.Err() {
				t.Errorf("an append gives %v, want %v", err, s.Err())
			}
			if _, err := s.claim(1, mark); err == nil || err != s.Err() {
				t.Errorf("a claim gives %v, want %v", err, s.Err())
			}
			if err := s.Close(); err == nil || err != s.Err() {
				t.Errorf("Close gives %v, want %v", err, s.Err())
			}
		})
	}
}

// TestFullStream fills the stream up to its limit. What does not fit is
// unavailable, until the limit is raised.
func TestFullStream(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	config := config(c, 1)
	config.MaxBytes = 256 << 10
	s := openCentral(t, config)
	mark, sent, err := s.account(1).Mark, 0, error(nil)
	for sent < 20000 {
		var next lottery.Mark
		if next, err = s.append(ledgertest.Stretch(ledgertest.Bets(1, sent, 200)...), mark); err != nil {
			break
		}
		mark, sent = next, sent+200
	}
	if !errors.Is(err, lottery.ErrUnavailable) {
		t.Fatalf("after %d bets the error is %v, want %v", sent, err, lottery.ErrUnavailable)
	}
	if err := s.Health().Problem; err == nil || !strings.Contains(err.Error(), s.Stream()) {
		t.Errorf("the problem is %v, want that the stream is full", err)
	}
	js := operator(t, c)
	stream, err := js.Stream(context.Background(), s.Stream())
	if err != nil {
		t.Fatal(err)
	}
	more := stream.CachedInfo().Config
	more.MaxBytes = 64 << 20
	if _, err := js.UpdateStream(context.Background(), more); err != nil {
		t.Fatal(err)
	}
	w := writer{agency: 1, answers: sent, window: 2}
	w.write(t, sent+1000, 100, one(s))
	if err := s.Health().Problem; err != nil && strings.Contains(err.Error(), "takes no more") {
		t.Errorf("the problem is still %v", err)
	}
	checkStream(t, config, ledgertest.Bets(1, 0, sent+1000))
}

// TestSizes appends rows of all sizes at once, some larger than a message, also
// to a server that takes only small messages.
func TestSizes(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]int32{"usual": 0, "small": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, server.Options{MaxPayload: most})
			config := natsledger.Config{Servers: []string{url}, Contest: "sizes", Agencies: 2, Replicas: 1, MaxBytes: 64 << 20, Log: logger()}
			s := openCentral(t, config)
			row := len(ledgertest.Rows(ledgertest.Bets(1, 1000, 1)...))
			all := 0
			mark := s.account(1).Mark
			for _, n := range []int{1, (256 << 10) / row, (256<<10)/row + 1, 20_000, 1} {
				next, err := s.append(ledgertest.Stretch(ledgertest.Bets(1, all, n)...), mark)
				if err != nil {
					t.Fatalf("%d bets: %v", n, err)
				}
				all, mark = all+n, next
			}
			winners := ledgertest.Bets(2, 0, 5000) // more than the headers of one message hold
			for i := range winners {
				winners[i].Number = lottery.WinningNumber
			}
			if _, err := s.append(ledgertest.Stretch(winners...), s.account(2).Mark); err != nil {
				t.Fatal(err)
			}
			s.mustEnd(1)
			s.mustEnd(2)
			s.mustDraw(ledgertest.Bets(1, 0, all), winners)
			checkStream(t, config, ledgertest.Bets(1, 0, all), winners)
			if err := s.Health().Problem; err != nil {
				t.Error(err)
			}
		})
	}
}
