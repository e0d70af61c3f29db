//go:build linux

package cmd_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"loteria/agency"
)

// hostileScene is one lottery that honest agencies play among hostile peers.
type hostileScene struct {
	tb      testing.TB
	central *hostileCentral
	seed    uint64
	data    string     // folder of the honest agencies' files
	extra   [][]string // rows that the hostile peers have bet by the rules

	batch, window int       // of the honest agencies
	answered      func(int) // called for each answered batch; may be nil

	begun  chan struct{} // closed when the peers are at work
	played chan struct{} // closed when the honest agencies are done
	once   sync.Once
	beside atomic.Bool // the honest agencies are still playing
	did    atomic.Int64
	failed atomic.Int64

	mu    sync.Mutex
	told  map[int]int    // winners, by agency
	peers []*hostilePeer // that stay
}

func newHostileScene(tb testing.TB, over transport, data string, seed uint64, agencies int, args ...string) *hostileScene {
	tb.Helper()
	s := &hostileScene{
		tb: tb, seed: seed, data: data, batch: 20, window: 4,
		central: launchHostileCentral(tb, over, agencies, args...),
		begun:   make(chan struct{}),
		played:  make(chan struct{}),
		told:    map[int]int{},
	}
	tb.Cleanup(s.leave)
	return s
}

// underWay says that the peers are at work, and the honest agencies may begin.
func (s *hostileScene) underWay() { s.once.Do(func() { close(s.begun) }) }

// play runs the honest agencies while a crowd is at work. The crowd ends by itself.
func (s *hostileScene) play(crowd func()) {
	s.tb.Helper()
	s.beside.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.underWay()
		crowd()
	}()
	<-s.begun
	s.honest(1, 2, 3, 4, 5)
	s.beside.Store(false)
	close(s.played)
	<-done
}

// honest runs agencies to their end.
func (s *hostileScene) honest(ids ...int) {
	var running sync.WaitGroup
	for _, id := range ids {
		running.Go(func() { s.honestAgency(id) })
	}
	running.Wait()
}

var hostileTold = regexp.MustCompile(`"consulta_ganadores","result":"success","cant_ganadores":(\d+)`)

// batchesHeard is a log that notices the line about each batch.
type batchesHeard struct {
	bytes.Buffer
	answered func()
}

func (b *batchesHeard) Write(line []byte) (int, error) {
	if b.answered != nil && bytes.Contains(line, []byte(`"batch_processed"`)) {
		b.answered()
	}
	return b.Buffer.Write(line)
}

func (s *hostileScene) honestAgency(id int) {
	var log batchesHeard
	if s.answered != nil {
		log.answered = func() { s.answered(id) }
	}
	ctx, cancel := context.WithTimeout(s.tb.Context(), hostilePatience)
	defer cancel()
	config := agency.Config{
		ID: id, Address: s.central.address, Mode: agency.ModeBatch, DataDir: s.data,
		BatchMaxAmount: s.batch, Window: s.window,
		RetryPeriod: 100 * time.Millisecond, RetryLimit: 600,
		ConnectLimit: 20, ConnectTimeout: 30 * time.Second,
	}
	if s.central.over.secure() {
		config.TLS = func() (*tls.Config, error) { return s.central.over.credentials(id) }
	}
	err := agency.Run(ctx, config, zerolog.New(&log))
	if err != nil {
		tail := log.Bytes()
		s.tb.Errorf("the honest agency %d: %v\n%s", id, err, tail[max(0, len(tail)-2000):])
		return
	}
	if said := hostileTold.FindSubmatch(log.Bytes()); said != nil {
		n, _ := strconv.Atoi(string(said[1]))
		s.mu.Lock()
		s.told[id] = n
		s.mu.Unlock()
	}
}

// fail reports a peer's complaint. Of many the first ones will do.
func (s *hostileScene) fail(i int, err error) {
	if s.failed.Add(1) <= 5 {
		s.tb.Errorf("peer %d: %v", i, err)
	}
}

// times runs f for 0 to n-1, some at a time, each with numbers of its own.
func (s *hostileScene) times(n int, f func(i int, rng *rand.Rand) error) {
	s.run(f, n, func(i int) bool { return i < n }, func() {})
}

// untilPlayed is like times, and goes on while the honest agencies play, which
// begin with the first one done.
func (s *hostileScene) untilPlayed(n int, f func(i int, rng *rand.Rand) error) {
	s.run(f, n, func(i int) bool { return i < n || s.beside.Load() }, s.underWay)
}

// atATime is how many peers do something concurrently where it does not matter.
const atATime = 16

func (s *hostileScene) run(f func(int, *rand.Rand) error, n int, more func(int) bool, done func()) {
	var next atomic.Int64
	var running sync.WaitGroup
	for range min(n, atATime) {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; more(i) && s.failed.Load() == 0; i = int(next.Add(1)) - 1 {
				if err := f(i, rand.New(rand.NewPCG(s.seed, uint64(i)))); err != nil {
					s.fail(i, err)
				}
				s.did.Add(1)
				done()
			}
		})
	}
	running.Wait()
}

// dial makes one connection, over TLS that of the stranger.
func (s *hostileScene) dial(i int) (*hostilePeer, error) { return s.dialAs(i, stranger) }

// dialAs makes one connection: over TLS as the agency, else as anybody.
func (s *hostileScene) dialAs(i, agency int) (*hostilePeer, error) { return s.central.dial(i, agency) }

// open makes n connections, from addresses other than the honest agencies',
// which stay open until all leave.
func (s *hostileScene) open(n int) []*hostilePeer { return s.openAs(n, stranger) }

func (s *hostileScene) openAs(n, agency int) []*hostilePeer {
	peers := make([]*hostilePeer, n)
	s.times(n, func(i int, _ *rand.Rand) (err error) {
		peers[i], err = s.dialAs(i, agency)
		return err
	})
	s.mu.Lock()
	s.peers = append(s.peers, peers...)
	s.mu.Unlock()
	if s.failed.Load() > 0 {
		return nil
	}
	return peers
}

// leave closes the connections that are open.
func (s *hostileScene) leave() {
	for _, p := range s.peers {
		if p != nil {
			p.reset() // leaves no TIME_WAIT behind
		}
	}
	s.peers = nil
}

// all has every peer do the same at the same time.
func (s *hostileScene) all(peers []*hostilePeer, f func(i int, p *hostilePeer) error) {
	var running sync.WaitGroup
	for i, p := range peers {
		running.Go(func() {
			if err := f(i, p); err != nil {
				s.fail(i, err)
			}
		})
	}
	running.Wait()
}

// affordable returns how many of the wanted connections the limit of open files
// allows, here and in the central, which has the same limit.
func affordable(tb testing.TB, wanted int) int {
	tb.Helper()
	const others = 512
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		tb.Fatal(err)
	}
	if limit.Cur < uint64(wanted+others) {
		tb.Logf("%d open files are allowed: %d connections instead of %d", limit.Cur, max(int(limit.Cur)-others, 1), wanted)
		return max(int(limit.Cur)-others, 1)
	}
	return wanted
}

// shorten writes and returns the agencies' data, or the first rows of each agency
// and all winners.
func shorten(t *testing.T, perAgency int) *input {
	t.Helper()
	folder := t.TempDir()
	files := map[string]*csv.Writer{}
	counts := map[string]int{}
	var rows [][]string
	for _, row := range rowsOf(t, "../.data") {
		if counts[row[0]]++; counts[row[0]] > perAgency && row[5] != "7574" {
			continue
		}
		if files[row[0]] == nil {
			file, err := os.Create(filepath.Join(folder, fmt.Sprintf("agency-%s.csv", row[0])))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			files[row[0]] = csv.NewWriter(file)
		}
		if err := files[row[0]].Write(row[1:]); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	for _, file := range files {
		if file.Flush(); file.Error() != nil {
			t.Fatal(file.Error())
		}
	}
	return newInput(t, folder, rows)
}
