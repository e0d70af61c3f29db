package cluster_test

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"loteria/cluster/natstest"
	"loteria/lottery/ledgertest"
	"loteria/lottery/natsledger"
)

// TestStreamOfSmallMessages bets into a stream with its own limit for a message,
// beside that of the servers.
func TestStreamOfSmallMessages(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	config := config(c, 1)
	name := "loteria-" + strings.ReplaceAll(config.Contest, ".", "_2e")
	stream := jetstream.StreamConfig{
		Name: name, Subjects: []string{name + ".>"}, Discard: jetstream.DiscardNew, MaxBytes: 64 << 20, MaxMsgSize: 64 << 10,
		AllowAtomicPublish: true, Metadata: map[string]string{"loteria-agencies": "1"},
	}
	if _, err := operator(t, c).CreateStream(context.Background(), stream); err != nil {
		t.Fatal(err)
	}
	s := openCentral(t, config)
	if _, err := s.append(ledgertest.Stretch(ledgertest.Bets(1, 0, 5000)...), s.account(1).Mark); err != nil {
		t.Errorf("%v: %v", err, s.Health().Problem)
	}
	checkStream(t, config, ledgertest.Bets(1, 0, 5000))
}

// TestSmallMessagesAfterAnInterruption bets while the only server, which takes
// only small messages, is down: bets taken meanwhile must fit when it is back.
func TestSmallMessagesAfterAnInterruption(t *testing.T) {
	t.Parallel()
	options := server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: true, SyncAlways: true, StoreDir: t.TempDir(), MaxPayload: 64 << 10,
	}
	start := func() *server.Server {
		s, err := server.NewServer(options.Clone())
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
		return s
	}
	running := start()
	at, err := url.Parse(running.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	if options.Port, err = strconv.Atoi(at.Port()); err != nil {
		t.Fatal(err)
	}
	config := natsledger.Config{
		Servers: []string{at.Host}, Contest: "small", Agencies: 1, Replicas: 1, MaxBytes: 64 << 20, Patience: answerTime, Log: logger(),
	}
	s := openCentral(t, config)
	mark := s.account(1).Mark
	running.Shutdown()
	running.WaitForShutdown()
	for begun := time.Now(); s.Health().Server != ""; time.Sleep(time.Millisecond) {
		if time.Since(begun) > answerTime {
			t.Fatal("the central does not notice")
		}
	}
	answer := make(chan error, 1)
	if _, err := s.Append(ledgertest.Stretch(ledgertest.Bets(1, 0, 5000)...), mark, func(err error) { answer <- err }); err != nil {
		t.Fatal(err)
	}
	start()
	select {
	case err := <-answer:
		if err != nil {
			t.Errorf("%v: %v", err, s.Health().Problem)
		}
	case <-time.After(answerTime):
		t.Errorf("there is no answer: %v", s.Health().Problem)
	}
	checkStream(t, config, ledgertest.Bets(1, 0, 5000))
}
