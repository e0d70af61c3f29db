package lottery

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// openLedger opens the ledger at path, whole, for the time of the test.
func openLedger(t testing.TB, path string) *Ledger {
	t.Helper()
	l, torn, err := OpenLedger(path, LedgerOptions{}, noVisit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if torn != 0 {
		t.Fatalf("the ledger had a torn row of %d bytes", torn)
	}
	return l
}

func checkBets(t testing.TB, l *Ledger, want []Bet) {
	t.Helper()
	var got []Bet
	for bet, err := range l.LoadBets() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, bet)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d bets were loaded, want %d:\n%.300v, want\n%.300v", len(got), len(want), got, want)
	}
}

// openDescriptors returns how many descriptors of this process are open on the
// file.
func openDescriptors(t *testing.T, path string) (n int) {
	t.Helper()
	const descriptors = "/proc/self/fd"
	entries, err := os.ReadDir(descriptors)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("skipped: there is no " + descriptors + " here to count open files")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if target, err := os.Readlink(filepath.Join(descriptors, entry.Name())); err == nil && target == path {
			n++
		}
	}
	return n
}

func TestStoreAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), LedgerFile)
	var want []Bet
	for round := range 3 {
		l := openLedger(t, path)
		checkBets(t, l, want)
		for i, n := range []int{1, 10, 0, 300} {
			bets := samples(i+1, 1000*round, n)
			if err := l.StoreBets(bets); err != nil {
				t.Fatal(err)
			}
			want = append(want, bets...)
			checkFile(t, path, rowsOf(want...)) // all of it is there when StoreBets returns
		}
		checkBets(t, l, want)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenLedgerVisits(t *testing.T) {
	path := filepath.Join(t.TempDir(), LedgerFile)
	bets := slices.Concat(samples(1, 0, 20), samples(2, 0, 20))
	writeFile(t, path, rowsOf(bets...))

	var runs []Run
	l, _, err := OpenLedger(path, LedgerOptions{}, func(run Run) error {
		run.Rows = slices.Clone(run.Rows)
		runs = append(runs, run)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	want := []Run{
		{1, 20, []byte(rowsOf(bets[:20]...)), winnersOf(bets[:20]...)},
		{2, 20, []byte(rowsOf(bets[20:]...)), winnersOf(bets[20:]...)},
	}
	if !reflect.DeepEqual(runs, want) {
		t.Errorf("visited were\n%.300v, want\n%.300v", runs, want)
	}

	enough := errors.New("enough")
	if _, _, err := OpenLedger(path, LedgerOptions{}, func(Run) error { return enough }); err != enough {
		t.Errorf("the error is %v, want that of visit", err)
	}
	if n := openDescriptors(t, path); n != 0 {
		t.Errorf("%d descriptors are left", n)
	}
}

func TestOpenLedgerErrors(t *testing.T) {
	folder := t.TempDir()
	for _, path := range []string{folder, filepath.Join(folder, "none", LedgerFile)} {
		if _, _, err := OpenLedger(path, LedgerOptions{}, noVisit); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error is %v", path, err)
		}
	}
}

// TestTornTail cuts the file at every byte of its last rows. Whole rows stay,
// the beginning of one is cut off, and the ledger goes on.
func TestTornTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), LedgerFile)
	bets := samples(1, 0, 4)
	rows := rowsOf(bets...)
	whole := 2 // rows of the file
	for size := len(rowsOf(bets[:2]...)); size <= len(rows); size++ {
		if size == len(rowsOf(bets[:whole+1]...)) {
			whole++
		}
		durable := rowsOf(bets[:whole]...)
		writeFile(t, path, rows[:size])
		l, torn, err := OpenLedger(path, LedgerOptions{}, noVisit)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if want := int64(size - len(durable)); torn != want {
			t.Errorf("%d bytes: the torn row has %d bytes, want %d", size, torn, want)
		}
		checkFile(t, path, durable)
		if err := l.StoreBets(bets[:1]); err != nil {
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
	path := filepath.Join(t.TempDir(), LedgerFile)
	for _, tail := range []string{"1", rowsOf(sample(1, 1))[:20], strings.Repeat("x", MaxRow-1)} {
		writeFile(t, path, tail)
		l, torn, err := OpenLedger(path, LedgerOptions{}, noVisit)
		if err != nil {
			t.Fatal(err)
		}
		if torn != int64(len(tail)) {
			t.Errorf("torn are %d bytes of %d", torn, len(tail))
		}
		l.Close()
		checkFile(t, path, "")
	}
}

// TestDamage puts what is no row between good rows, or at the end.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), LedgerFile)
	before, after := rowsOf(samples(1, 0, 3)...), rowsOf(samples(1, 3, 3)...)
	check := func(content string) {
		t.Helper()
		writeFile(t, path, content)
		_, _, err := OpenLedger(path, LedgerOptions{}, noVisit)
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
	for _, row := range otherRows {
		if strings.Count(row, "\n") != 1 {
			continue // no row of its own
		}
		check(before + row + after)
		check(before + row)
	}
	check(before + after[5:])                            // the beginning of a row is lost
	check(before + after[:5] + after)                    // the end of a row is lost
	check(before + strings.Repeat("x", MaxRow+1))        // a row without end
	check(before + strings.Repeat("x", 3<<20))           // larger than any buffer
	check(before + strings.Repeat("\x00", 4096) + after) // a page that never got to the disk
	check(before + strings.Repeat("x", MaxRow) + "\r\n") // one that ends too late
	check(before + "1,\"Ana,Paz,007,2000-02-29,42\r\n")  // a quote that is never closed
}

// TestOneProcess opens the same ledger twice, and from a second process.
func TestOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), LedgerFile)
	l := openLedger(t, path)
	if err := l.StoreBets(samples(1, 0, 3)); err != nil {
		t.Fatal(err)
	}
	checkInUse := func() {
		t.Helper()
		second, _, err := OpenLedger(path, LedgerOptions{}, noVisit)
		if err == nil {
			second.Close()
			t.Fatal("a ledger in use was opened")
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
	}
	checkInUse()
	if err := l.StoreBets(samples(1, 3, 3)); err != nil { // the attempt has not disturbed it
		t.Fatal(err)
	}

	if said := secondProcess(t, path, nil); !strings.Contains(said, path) {
		t.Fatalf("a second process opened a ledger in use, it says %q", said)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if said := secondProcess(t, path, checkInUse); said != "open" {
		t.Fatalf("a second process could not open a closed ledger, it says %q", said)
	}
	checkBets(t, openLedger(t, path), samples(1, 0, 6))
}

// secondProcess has another process open the ledger and returns what it says
// of that. It calls while, unless nil, when the other has it open.
func secondProcess(t *testing.T, path string, while func()) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdLedger+"="+path)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close()
		_ = cmd.Wait() // it says itself what went wrong
	}()
	said, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if said = strings.TrimSpace(said); said == "open" && while != nil {
		while()
	}
	return said
}

func TestLoadBetsStopsEarly(t *testing.T) {
	path := filepath.Join(t.TempDir(), LedgerFile)
	bets := samples(1, 0, 100)
	writeFile(t, path, rowsOf(bets...))
	l := openLedger(t, path)
	seq := l.LoadBets()
	for _, stop := range []int{1, 50, 100} {
		n := 0
		for bet, err := range seq { // may be used again
			if err != nil || bet != bets[n] {
				t.Fatal(bet, err)
			}
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("%d bets came, want %d", n, stop)
		}
		if open := openDescriptors(t, path); open != 1 {
			t.Errorf("after %d bets %d descriptors are open on the ledger, want the ledger's own", n, open)
		}
	}
}

// TestLoadBetsErrors changes the file behind the ledger's back.
func TestLoadBetsErrors(t *testing.T) {
	bets := samples(1, 0, 10)
	rows := rowsOf(bets...)
	last := len(rowsOf(bets[9]))
	damaged := strings.Replace(rows, "0000005,1999", "000000x,1999", 1)
	tests := []struct {
		name   string
		change func(path string) error
		good   int // bets that come before the error
		line   int // of the damage, or 0
	}{
		{"damage", func(path string) error { return os.WriteFile(path, []byte(damaged), 0o644) }, 5, 6},
		{"torn", func(path string) error { return os.Truncate(path, int64(len(rows)-5)) }, 9, 0},
		{"shorter by a row", func(path string) error { return os.Truncate(path, int64(len(rows)-last)) }, 9, 0},
		{"empty", func(path string) error { return os.Truncate(path, 0) }, 0, 0},
		{"gone", os.Remove, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), LedgerFile)
			writeFile(t, path, rows)
			l := openLedger(t, path)
			if err := test.change(path); err != nil {
				t.Fatal(err)
			}
			good, errs := 0, 0
			for bet, err := range l.LoadBets() {
				if err == nil {
					good++
					continue
				}
				errs++
				var damage *DamageError
				if errors.As(err, &damage) != (test.line > 0) || test.line > 0 && damage.Line != test.line {
					t.Errorf("the error is %v, damage in line %d", err, test.line)
				}
				if !strings.Contains(err.Error(), path) || bet != (Bet{}) {
					t.Errorf("with the bet %+v comes the error %v", bet, err)
				}
			}
			if good != test.good || errs != 1 {
				t.Errorf("%d bets and %d errors came, want %d and one", good, errs, test.good)
			}
		})
	}
}

// TestLoadBetsAllocations shows that memory does not grow with the file: what
// is allocated per row is the row's text.
func TestLoadBetsAllocations(t *testing.T) {
	path := filepath.Join(t.TempDir(), LedgerFile)
	const rows = 2000
	bets := samples(1, 0, rows)
	for i := range bets {
		bets[i].LastName = "Núñez" // without a quote to take out
	}
	writeFile(t, path, rowsOf(bets...))
	l := openLedger(t, path)
	allocs := testing.AllocsPerRun(3, func() {
		for _, err := range l.LoadBets() {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs > rows+50 {
		t.Errorf("loading %d bets allocates %v times, want one for each bet", rows, allocs)
	}
}

func TestClosedLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), LedgerFile)
	l := openLedger(t, path)
	receipt, err := l.Append([]byte(rowsOf(samples(1, 0, 5)...)))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // closing again is harmless
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	checkFile(t, path, rowsOf(samples(1, 0, 5)...)) // Close writes what was appended
	if err := l.Wait(receipt); err != nil {
		t.Errorf("the receipt of what Close wrote gives %v", err)
	}
	if _, err := l.Append([]byte(rowsOf(sample(1, 5)))); err != ErrClosed {
		t.Errorf("Append gives %v, want %v", err, ErrClosed)
	}
	if err := l.StoreBets(samples(1, 5, 1)); err != ErrClosed {
		t.Errorf("StoreBets gives %v, want %v", err, ErrClosed)
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
}

// TestAppendCopies changes the rows after Append.
func TestAppendCopies(t *testing.T) {
	path := filepath.Join(t.TempDir(), LedgerFile)
	l := openLedger(t, path)
	want := rowsOf(samples(1, 0, 100)...)
	rows := []byte(want)
	receipt, err := l.Append(rows)
	clear(rows)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Wait(receipt); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path, want)
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
