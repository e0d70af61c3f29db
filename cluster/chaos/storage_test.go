package chaos_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
	"loteria/lottery/natsledger"
)

// patience is the ledgers': short, so that agencies see RETRY too.
const patience = 3 * time.Second

// storage is a contest in NATS with centrals in this process; or in memory, to
// try these tests themselves.
type storage struct {
	t        *testing.T
	cluster  *natstest.Cluster
	memory   *ledgertest.Memory
	contest  string
	agencies int
	centrals []*slot
	dead     []*life
}

// slot is a central, which may die and come back.
type slot struct {
	mu   sync.Mutex
	life *life
}

func (s *slot) now() *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life
}

// life is a central between two deaths.
type life struct {
	contest *lottery.Contest
	stream  string
	access  *natstest.Access
	died    chan struct{}
}

// begin opens the centrals.
func (s *storage) begin(centrals int) *storage {
	s.t.Helper()
	s.t.Cleanup(s.close)
	for i := range centrals {
		s.centrals = append(s.centrals, &slot{life: s.open(i)})
	}
	return s
}

func (s *storage) config(central int, addresses []string) natsledger.Config {
	return natsledger.Config{
		Servers: addresses, Contest: s.contest, Agencies: s.agencies, Central: fmt.Sprintf("central-%d", central),
		Replicas: s.cluster.Size(), MaxBytes: 1 << 30, Patience: patience,
		Log: zerolog.New(zerolog.NewTestWriter(s.t)).Level(zerolog.WarnLevel),
	}
}

func (s *storage) open(central int) *life {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), stuckTime)
	defer cancel()
	if s.memory != nil {
		ledger, err := s.memory.Open(s.agencies)
		if err != nil {
			s.t.Fatal(err)
		}
		contest, err := lottery.NewContest(ledger)
		if err != nil {
			s.t.Fatal(err)
		}
		return &life{contest: contest, died: make(chan struct{})}
	}
	access := s.cluster.NewAccess()
	ledger, err := natsledger.Open(ctx, s.config(central, access.Addresses()))
	if err != nil {
		s.t.Fatalf("central %d: %v", central, err)
	}
	contest, err := lottery.NewContest(ledger)
	if err != nil {
		s.t.Fatalf("central %d: %v", central, err)
	}
	return &life{contest: contest, stream: ledger.Stream(), access: access, died: make(chan struct{})}
}

// die makes a central vanish: no byte leaves or reaches it any more, and its
// later answers are dropped.
func (s *storage) die(central int) {
	l := s.centrals[central].now()
	if l.access != nil {
		l.access.Cut()
	}
	close(l.died)
	s.dead = append(s.dead, l)
}

// revive brings back a central that has died.
func (s *storage) revive(central int) {
	s.t.Helper()
	l := s.open(central)
	slot := s.centrals[central]
	slot.mu.Lock()
	defer slot.mu.Unlock()
	slot.life = l
}

// close closes all centrals. The dead ones cannot reach the servers, so that
// their ledgers give up after a while.
func (s *storage) close() {
	var closing sync.WaitGroup
	for _, l := range s.dead {
		closing.Go(func() { _ = l.contest.Close() })
	}
	for i, slot := range s.centrals {
		l := slot.now()
		select {
		case <-l.died:
			continue
		default:
		}
		closing.Go(func() {
			if err := l.contest.Close(); err != nil {
				s.t.Errorf("central %d: close: %v", i, err)
			}
		})
	}
	closing.Wait()
}

// rows reads the stored rows of each agency; rows[i] is of agency i+1.
func (s *storage) rows() [][]string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stuckTime)
	defer cancel()
	rows := make([][]string, s.agencies)
	if s.memory != nil {
		for i := range rows {
			rows[i] = lines(s.memory.Rows(i + 1))
		}
		return rows
	}
	report, err := natsledger.Read(ctx, s.config(0, s.cluster.NewAccess().Addresses()), func(stretch lottery.Stretch) error {
		rows[stretch.Agency-1] = append(rows[stretch.Agency-1], lines(string(stretch.Rows))...)
		return nil
	})
	if err != nil {
		s.t.Errorf("read %s: %v", s.contest, err)
	}
	if !report.Drawn {
		s.t.Errorf("read %s: it is not drawn", s.contest)
	}
	return rows
}

// lines splits rows as they are in bets.csv.
func lines(rows string) []string {
	if rows == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(rows, "\r\n"), "\r\n")
}

// checkStream reads the stream itself, without the ledger: it is whole, has the
// draw and each ending once, and the payloads of an agency's messages are its
// rows.
func checkStream(t *testing.T, cluster *natstest.Cluster, stream string, rows [][]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stuckTime)
	defer cancel()
	conn, err := nats.Connect(strings.Join(cluster.OperatorURLs(), ","))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		t.Fatal(err)
	}
	if st := info.State; st.FirstSeq != 1 || st.NumDeleted != 0 || st.Msgs != st.LastSeq {
		t.Errorf("%s has holes: %+v", stream, st)
	}
	if n := info.State.Subjects[stream+".draw"]; n != 1 {
		t.Errorf("%s holds %d draws, want 1", stream, n)
	}
	for i := range rows {
		if n := info.State.Subjects[fmt.Sprintf("%s.ended.%d", stream, i+1)]; n != 1 {
			t.Errorf("%s holds %d endings of agency %d, want 1", stream, n, i+1)
		}
	}
	payloads := make([]strings.Builder, len(rows))
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			t.Fatalf("%s: message %d: %v", stream, seq, err)
		}
		var agency int
		if _, err := fmt.Sscanf(m.Subject(), stream+".bets.%d", &agency); err == nil && agency >= 1 && agency <= len(rows) {
			_, _ = payloads[agency-1].Write(m.Data())
		}
	}
	for i := range rows {
		if want := strings.Join(rows[i], "\r\n"); strings.TrimSuffix(payloads[i].String(), "\r\n") != want {
			t.Errorf("%s: the payloads of agency %d are not its rows as they are read", stream, i+1)
		}
	}
}
