package csvledger

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"loteria/internal/process/processtest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

func TestStoreAndLoad(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, LedgerFile)
	var want []lottery.Bet
	for round := range 3 {
		l := openLedger(t, folder)
		checkBets(t, l, want)
		for i, n := range []int{1, 10, 0, 300} {
			bets := samples(i+1, 1000*round, n)
			if err := storeBets(l, bets...); err != nil {
				t.Fatal(err)
			}
			want = append(want, bets...)
			checkFile(t, path, rowsOf(want...)) // all of it is there when it is told
		}
		checkBets(t, l, want)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVisitedStretches(t *testing.T) {
	path := filepath.Join(t.TempDir(), LedgerFile)
	bets := slices.Concat(samples(1, 0, 20), samples(2, 0, 20))
	writeFile(t, path, rowsOf(bets...))
	var visited []lottery.Stretch
	err := scan(path, -1, func(s lottery.Stretch) error {
		s.Rows = slices.Clone(s.Rows)
		visited = append(visited, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []lottery.Stretch{ledgertest.Stretch(bets[:20]...), ledgertest.Stretch(bets[20:]...)}
	if !reflect.DeepEqual(visited, want) {
		t.Errorf("visited were\n%.300v, want\n%.300v", visited, want)
	}
}

func TestOpenErrors(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, LedgerFile), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "file")
	writeFile(t, file, "")
	for _, path := range []string{folder, file, filepath.Join(file, "none")} {
		if _, err := Open(path, 1); err == nil || !strings.Contains(err.Error(), min(path, file)) {
			t.Errorf("%s: the error is %v", path, err)
		}
	}
}

// TestTornTail cuts the file at every byte of its last rows. Whole rows stay,
// the beginning of one is cut off, and the ledger goes on.
func TestTornTail(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, LedgerFile)
	bets := samples(1, 0, 4)
	rows := rowsOf(bets...)
	whole := 2 // rows of the file
	for size := len(rowsOf(bets[:2]...)); size <= len(rows); size++ {
		if size == len(rowsOf(bets[:whole+1]...)) {
			whole++
		}
		durable := rowsOf(bets[:whole]...)
		writeFolder(t, folder, map[string]string{LedgerFile: rows[:size]})
		l, err := Open(folder, 1, WithReopen())
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if want := int64(size - len(durable)); l.Torn() != want {
			t.Errorf("%d bytes: the torn row has %d bytes, want %d", size, l.Torn(), want)
		}
		checkFile(t, path, durable)
		if err := storeBets(l, bets[:1]...); err != nil {
			t.Error(err)
		}
		l.Close()
		checkFile(t, path, durable+rowsOf(bets[0]))
		if whole == len(bets) {
			break
		}
	}
	if whole != len(bets) {
		t.Errorf("the loop ended at %d rows", whole)
	}
}

func TestTornRowAlone(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, LedgerFile)
	for _, tail := range []string{"1", rowsOf(sample(1, 1))[:20], strings.Repeat("x", lottery.MaxRow-1)} {
		writeFolder(t, folder, map[string]string{LedgerFile: tail})
		l, err := Open(folder, 1)
		if err != nil {
			t.Fatal(err)
		}
		if l.Torn() != int64(len(tail)) {
			t.Errorf("torn are %d bytes of %d", l.Torn(), len(tail))
		}
		l.Close()
		checkFile(t, path, "")
	}
}

// TestDamage puts bad rows between good ones, or at the end.
func TestDamage(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, LedgerFile)
	before, after := rowsOf(samples(1, 0, 3)...), rowsOf(samples(1, 3, 3)...)
	check := func(content string) {
		t.Helper()
		writeFile(t, path, content)
		_, err := Open(folder, 1)
		var damage *DamageError
		if !errors.As(err, &damage) {
			t.Errorf("%.80q: the error is %v", content[len(before):], err)
			return
		}
		if damage.Path != path || damage.Line != 4 || damage.Offset != int64(len(before)) || damage.Reason == "" {
			t.Errorf("%.80q: the damage is %+v, it is in line 4, byte %d", content[len(before):], damage, len(before))
		}
		checkFile(t, path, content)
	}
	for _, row := range otherRows(t) {
		if strings.Count(row, "\n") != 1 {
			continue // no row of its own
		}
		check(before + row + after)
		check(before + row)
	}
	check(before + after[5:])                                    // the beginning of a row is lost
	check(before + after[:5] + after)                            // the end of a row is lost
	check(before + strings.Repeat("x", lottery.MaxRow+1))        // a row without end
	check(before + strings.Repeat("x", 3<<20))                   // larger than any buffer
	check(before + strings.Repeat("\x00", 4096) + after)         // a page that never got to the disk
	check(before + strings.Repeat("x", lottery.MaxRow) + "\r\n") // one that ends too late
	check(before + "1,\"Ana,Paz,007,2000-02-29,42\r\n")          // a quote that is never closed
}

// TestOneProcess opens the same ledger twice, and from a second process.
func TestOneProcess(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, LedgerFile)
	l := openLedger(t, folder)
	if err := storeBets(l, samples(1, 0, 3)...); err != nil {
		t.Fatal(err)
	}
	checkInUse := func() {
		t.Helper()
		second, err := Open(folder, manyAgencies)
		if err == nil {
			second.Close()
			t.Fatal("a ledger in use was opened")
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
	}
	checkInUse()
	if err := storeBets(l, samples(1, 3, 3)...); err != nil { // the attempt has not disturbed it
		t.Fatal(err)
	}

	if said := secondProcess(t, folder, nil); !strings.Contains(said, path) {
		t.Fatalf("a second process opened a ledger in use, it says %q", said)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if said := secondProcess(t, folder, checkInUse); said != "open" {
		t.Fatalf("a second process could not open a closed ledger, it says %q", said)
	}
	checkBets(t, openLedger(t, folder), samples(1, 0, 6))
}

// secondProcess has another process open the ledger, and returns what that says. It
// calls while, unless nil, while the other has it open.
func secondProcess(t *testing.T, folder string, while func()) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdFolder+"="+folder)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := processtest.Start(t, cmd, nil)
	defer p.End()
	defer stdin.Close()
	said := p.Await("")
	if said == "open" && while != nil {
		while()
	}
	return said
}

// TestVisitStopsEarly gives up after some stretches: nothing is left open.
func TestVisitStopsEarly(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, LedgerFile)
	var bets []lottery.Bet
	for i := range 100 { // stretches
		bets = append(bets, samples(i%2+1, i, 1)...)
	}
	writeFile(t, path, rowsOf(bets...))
	l := openLedger(t, folder, WithReopen())
	enough := errors.New("enough")
	for _, stop := range []int{1, 50, 100} {
		n := 0
		err := scan(path, l.Durable(), func(s lottery.Stretch) error {
			if string(s.Rows) != rowsOf(bets[n]) {
				t.Errorf("stretch %d has the rows %q", n, s.Rows)
			}
			if n++; n == stop {
				return enough
			}
			return nil
		})
		if n != stop || err != enough {
			t.Errorf("%d stretches came, want %d; %v", n, stop, err)
		}
		if open := openDescriptors(t, path); open != 1 {
			t.Errorf("after %d stretches %d descriptors are open on the ledger, want the ledger's own", n, open)
		}
	}
}

// TestClaimErrors changes the file behind the ledger's back. A claim with a wrong
// mark says so. The ledger survives, unless it sees the change without reading.
func TestClaimErrors(t *testing.T) {
	bets := samples(1, 0, 10)
	rows := rowsOf(bets...)
	last := len(rowsOf(bets[9]))
	damaged := strings.Replace(rows, "0000005,1999", "000000x,1999", 1)
	tests := []struct {
		name   string
		change func(path string) error
		line   int // of the damage, or 0
	}{
		{"damage", func(path string) error { return os.WriteFile(path, []byte(damaged), 0o644) }, 6},
		{"torn", func(path string) error { return os.Truncate(path, int64(len(rows)-5)) }, 0},
		{"shorter by a row", func(path string) error { return os.Truncate(path, int64(len(rows)-last)) }, 0},
		{"empty", func(path string) error { return os.Truncate(path, 0) }, 0},
		{"gone", os.Remove, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, LedgerFile)
			writeFile(t, path, rows)
			l := openLedger(t, folder, WithReopen())
			if err := test.change(path); err != nil {
				t.Fatal(err)
			}
			claimed := make(chan error, 1)
			l.Claim(1, 3, false, func(stored *lottery.Account, err error) {
				if stored != nil {
					t.Errorf("an account of %d bets was told", stored.Bets)
				}
				claimed <- err
			})
			err := <-claimed
			var damage *DamageError
			if errors.As(err, &damage) != (test.line > 0) || test.line > 0 && damage.Line != test.line {
				t.Errorf("the error is %v, damage in line %d", err, test.line)
			}
			want := errChanged
			if test.line > 0 {
				want = lottery.ErrUnavailable
			}
			if !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
				t.Errorf("the error is %v, want %v", err, want)
			}
			if dead := l.Err() != nil; dead != (want == errChanged) {
				t.Errorf("the ledger is dead: %t, %v", dead, l.Err())
			}
		})
	}
}

// TestVisitAllocations shows that reading allocates nothing for a row.
func TestVisitAllocations(t *testing.T) {
	path := filepath.Join(t.TempDir(), LedgerFile)
	const rows = 20_000
	bets := samples(1, 0, rows)
	for i := range bets {
		bets[i].LastName, bets[i].Number = "Núñez", 0 // without a quote to take out
	}
	writeFile(t, path, rowsOf(bets...))
	allocs := testing.AllocsPerRun(3, func() {
		if err := scan(path, -1, func(lottery.Stretch) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 100 {
		t.Errorf("reading %d bets allocates %v times", rows, allocs)
	}
}

func TestClosedLedger(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, LedgerFile)
	l := openLedger(t, folder)
	stored := make(chan error, 1)
	if _, err := l.Append(ledgertest.Stretch(samples(1, 0, 5)...), 0, func(err error) { stored <- err }); err != nil {
		t.Fatal(err)
	}
	for range 2 { // closing again is harmless
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	checkFile(t, path, rowsOf(samples(1, 0, 5)...)) // Close writes what was appended
	if err := <-stored; err != nil {
		t.Errorf("what Close wrote gives %v", err)
	}
	state := readFile(t, l.state.path)
	if err := storeBets(l, sample(1, 5)); err != lottery.ErrClosed {
		t.Errorf("an append gives %v, want %v", err, lottery.ErrClosed)
	}
	if err := l.Checkpoint(); err != lottery.ErrClosed {
		t.Errorf("a checkpoint gives %v, want %v", err, lottery.ErrClosed)
	}
	select {
	case <-l.Failed():
		t.Error("a closed ledger counts as failed")
	default:
	}
	if n := openDescriptors(t, path); n != 0 {
		t.Errorf("%d descriptors are left", n)
	}
	checkFile(t, path, rowsOf(samples(1, 0, 5)...))
	checkFile(t, l.state.path, state)
}

// TestBlocksInPieces reads from a reader that gives one byte at a time.
func TestBlocksInPieces(t *testing.T) {
	want := rowsOf(anyBets(20)...)
	blocks := blockReader{r: iotest.OneByteReader(strings.NewReader(want + "1,A")), path: "the ledger"}
	block, err := blocks.next(make([]byte, 0, blockSize))
	if err != nil || string(block) != want {
		t.Errorf("the block is %q, %v", block, err)
	}
	if _, err := blocks.next(make([]byte, 0, blockSize)); err != io.EOF || string(blocks.rest) != "1,A" {
		t.Errorf("the rest is %q, %v", blocks.rest, err)
	}
}
