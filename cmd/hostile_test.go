//go:build linux

package cmd_test

import (
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"loteria/lottery/csvledger"
)

// hostileRow is one way to be hostile.
type hostileRow struct {
	name        string
	short, long int      // how many of them
	args        []string // of the central, beside its defaults
	agencies    int      // expected ones, when it is not the five honest ones
	stay        bool     // the peers keep their connections until the central has stopped
	memory      int      // bytes that each of them may cost the central, beside hostileMemory
	tls         bool     // also tried over TLS
	do          func(s *hostileScene, n int)
}

// hostileMemory is how many bytes the central may grow by during any of the
// rows: it is what five honest agencies alone need, and the collector's leeway.
const hostileMemory = 96 << 20

// secureMemory is how many bytes more each connection that stays may cost over TLS.
const secureMemory = 64 << 10

// racedMemory is how much more memory a program built with the race detector
// needs (https://go.dev/doc/articles/race_detector#Runtime_Overheads).
const racedMemory = 10

var hostileRows = []hostileRow{
	{name: "one byte a second", short: 200, long: 2000, args: []string{"--frame-timeout", "1s"}, memory: 16 << 10, do: hostileDrip},
	{name: "half a frame, and silence", short: 500, long: 8000, args: []string{"--frame-timeout", "1s"}, memory: 16 << 10, tls: true, do: hostileHalves},
	{name: "a length of 2^32-1", short: 300, long: 20_000, do: hostileLengths},
	{name: "tiny frames, no answer read", short: 100_000, long: 1_000_000, tls: true, do: hostileTinyFrames},
	// With the usual window a busy central would end them for that, before they
	// have left enough unread.
	{name: "answers left unread, beyond the limit", short: 4, long: 500, args: []string{"--window-bytes", "33554432"}, memory: 2 << 20, tls: true, do: hostileLaggards},
	{name: "tiny frames that are refused, by connections that are gone", short: 10_000, long: 1_000_000, do: hostileRefusedFrames},
	{name: "full windows behind parked queries", short: 400, long: 400, memory: 1100 << 10, tls: true, do: hostileHoarders},
	{name: "answers left unread, each within the limit", short: 200, long: 1000, args: []string{"--max-waiting-bytes", "33554432"}, memory: 512 << 10, tls: true, do: hostileDebtors},
	{name: "connections that say nothing", short: 1000, long: 10_000, stay: true, memory: 8 << 10, do: hostileSilence},
	{name: "silence beyond the idle timeout", short: 500, long: 10_000, args: []string{"--idle-timeout", "1s"}, memory: 8 << 10, tls: true, do: hostileIdlers},
	{name: "more from an address than it may have", short: 400, long: 10_000, do: hostileNeighbours,
		args: []string{"--max-connections", "300", "--max-connections-per-address", "50"}},
	{name: "every place taken, until the idle timeout", short: 100, long: 2000, do: hostileOccupants,
		args: []string{"--max-connections", "100", "--idle-timeout", "1s"}},
	{name: "connections that come and go", short: 1000, long: 50_000, tls: true, do: hostileChurn},
	{name: "random bytes and the vectors", short: 500, long: 50_000, do: hostileGarbage},
	{name: "claims of another agency", short: 300, long: 10_000, tls: true, do: hostileClaims},
	{name: "bets that come too late", short: 200, long: 10_000, do: hostileLatecomers},
	{name: "names that forge lines and rows", short: 400, long: 20_000, agencies: agencies + 1, do: hostileNames,
		args: []string{"--log-level", "DEBUG"}},
	{name: "windows of batches that are refused", short: 100, long: 3000, memory: 64 << 10, tls: true, do: hostileWindows},
	{name: "half closed behind a query", short: 200, long: 8000, memory: 16 << 10, tls: true, do: hostileHalfClosers},
	{name: "lines of carriage returns", short: 50, long: 2000, do: hostileReturns},
	{name: "150,000 winners, read slowly or never", short: 20, long: 200, agencies: agencies + 1, memory: 64 << 10, tls: true, do: hostileReaders,
		args: []string{"--max-unread-bytes", "8192"}},
	{name: "echo lines that forge lines", short: 300, long: 20_000, do: hostileEcho},
}

// Whatever strangers do, five honest agencies play to the right end: each bet is
// stored once, each agency is told its winners, the draw is made once, the log and
// the ledger hold what the central has written and nothing else, its memory stays
// within bounds, and it releases everybody's connections.
//
// There is no authentication without TLS: a stranger may be the first to speak for
// an agency, and this test allows it.
func TestHostilePeers(t *testing.T) { playHostile(t, transport{}, hostileRows) }

// TestHostileTLS has the peers and the honest agencies come over TLS, to a central
// that has no other port. The peers have certificates where they need one: only an
// agency of the lottery may act as one.
func TestHostileTLS(t *testing.T) {
	rows := hostileTLSRows
	for _, row := range hostileRows {
		if row.tls {
			rows = append(rows, row)
		}
	}
	playHostile(t, overTLS(t, stranger), rows)
}

func playHostile(t *testing.T, over transport, rows []hostileRow) {
	in := shorten(t, 300)
	if long() {
		in = shorten(t, 1_000_000)
	}
	seed := seeded(t)
	// They wait more than they work, each for its own central. In the long form
	// some need all descriptors for themselves.
	places := make(chan struct{}, 6)
	if long() {
		places = make(chan struct{}, 1)
	}
	var running sync.WaitGroup
	for _, row := range rows {
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			t.Run(row.name, func(t *testing.T) { row.play(t, over, in, seed) })
		})
	}
	running.Wait()
}

func (row hostileRow) play(t *testing.T, over transport, in *input, seed uint64) {
	expected, n := max(row.agencies, agencies), row.short
	if long() {
		n = row.long
	}
	s := newHostileScene(t, over, in.data, seed, expected, row.args...)
	if long() {
		s.batch, s.window = 100, 32
	}
	before, _ := s.central.memory()
	begun := time.Now()
	row.do(s, n)
	took := time.Since(begun)
	if !row.stay {
		s.leave()
		s.central.awaitConnections(0, 0)
	}
	after, most := s.central.memory()
	s.central.stop()
	t.Logf("%d of %d in %v; the central's memory was %.1f MiB before, %.1f at most, %.1f after; its lines: %v", s.did.Load(), n,
		took.Round(time.Millisecond), mebibytes(before), mebibytes(most), mebibytes(after), s.central.counts)

	each := row.memory
	if each > 0 && over.secure() {
		each += secureMemory
	}
	limit := hostileMemory + n*each
	if raced {
		limit *= racedMemory
	}
	if most-before > limit {
		t.Errorf("the central grew by %.1f MiB, expected at most %.1f", mebibytes(most-before), mebibytes(limit))
	}
	s.central.judgeLog()
	for id := 1; id <= agencies; id++ {
		if told, known := s.told[id]; !known || told != len(in.winners[id]) {
			t.Errorf("agency %d was told of %d winners (%v), expected %d", id, told, known, len(in.winners[id]))
		}
	}
	want := append(in.rows[:len(in.rows):len(in.rows)], s.extra...)
	ledger := filepath.Join(s.central.storage, csvledger.LedgerFile)
	compare(t, "encoding/csv", readCSV(t, ledger), want)
	s.central.check(len(want))
	if s.extra == nil {
		if found, err := in.inspect(ledger); err != nil || found.torn > 0 || !maps.Equal(found.counts, in.counts) {
			t.Errorf("the ledger has %v bets and %d torn bytes (%v), the agencies have %v", found.counts, found.torn, err, in.counts)
		}
		return
	}
	t.Run("python", func(t *testing.T) { compare(t, "Python's csv", readPython(t, ledger), want) })
}

func mebibytes(bytes int) float64 { return float64(bytes) / (1 << 20) }
