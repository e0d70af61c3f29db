package csvledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

func null(n int) string { return strings.Repeat("\x00", n) }

// TestTornReason judges what may follow the last whole row.
func TestTornReason(t *testing.T) {
	row := rowsOf(sample(1, 0))
	rows := rowsOf(samples(1, 0, 20)...) // more than two sectors
	const offset = 3*sectorSize + 100    // of the tail; a sector ends after 412 bytes of it
	const first = sectorSize - 100
	tests := []struct {
		name    string
		tail    string
		durable int64
		torn    bool
	}{
		{"the first byte of a row", row[:1], 0, true},
		{"an unfinished row", row[:30], 0, true},
		{"a row without its line feed", row[:len(row)-1], 0, true},
		{"the longest beginning of a row", strings.Repeat("x", lottery.MaxRow), 0, true},
		{"too long for the beginning of a row", strings.Repeat("x", lottery.MaxRow+1), 0, false},
		{"a row that is none", "x\r\n", 0, false},
		{"a row that is none, and others", "x\r\n" + rows, 0, false},
		{"a row with another line end", row[:len(row)-2] + "\n", 0, false},
		{"garbage without zeros", strings.Repeat("\xff\n", 200), 0, false},

		{"zeros to the end of the file", null(1), 0, true},
		{"many zeros to the end of the file", null(100_000), 0, true},
		{"a beginning, then zeros to the end of the file", row[:30] + null(77), 0, true},
		{"zeros to the end of a sector", null(first) + rows, 0, true},
		{"zeros to the end of the next sector", null(first+sectorSize) + rows, 0, true},
		{"a beginning, then zeros to the end of a sector", row[:30] + null(first-30) + rows, 0, true},
		{"the same, then half a row", row[:30] + null(first-30) + row[:9], 0, true},
		{"zeros, a sector, zeros to the end of the file", null(first) + rows[:sectorSize] + null(33), 0, true},
		{"a whole sector of zeros within a row", strings.Repeat("x", first) + null(sectorSize) + "x\r\n", 0, true},
		{"zeros that end a byte early", null(first-1) + rows, 0, false},
		{"zeros that end a byte late", null(first+1) + rows, 0, false},
		{"zeros within a row", row[:10] + null(4) + row[14:], 0, false},
		{"zeros within an unfinished row", row[:10] + null(4) + row[14:30], 0, false},
		{"zeros where a line end was", row[:len(row)-2] + null(2) + row, 0, false},
		{"zeros behind a row that is none", "x\r\n" + null(first-3), 0, false},

		{"durable up to it", row[:30], offset, true},
		{"zeros, durable up to it", null(first) + rows, offset, true},
		{"of an unfinished row a byte was durable", row[:30], offset + 1, false},
		{"of zeros to the end a byte was durable", null(100), offset + 1, false},
		{"of zeros to a sector's end a byte was durable", null(first) + rows, offset + 1, false},
		{"all was durable", null(first) + rows, offset + 1<<20, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if reason := tornReason([]byte(test.tail), offset, test.durable); (reason == "") != test.torn {
				t.Errorf("torn: %t, the reason is %q", reason == "", reason)
			}
		})
	}
}

// TestDurableIsNotCut opens ledgers whose state records how much was on disk. Only
// what lies behind that is cut off; nothing else changes.
func TestDurableIsNotCut(t *testing.T) {
	rows := rowsOf(samples(1, 0, 20)...)
	three := len(rowsOf(samples(1, 0, 3)...))
	four := len(rowsOf(samples(1, 0, 4)...))
	tests := []struct {
		name    string
		content string
		durable int
		whole   int // bytes that are kept, or -1 when it is damage
		line    int // of the damage
		offset  int
	}{
		{"all is there", rows, len(rows), len(rows), 0, 0},
		{"more is there", rows, three, len(rows), 0, 0},
		{"torn behind it", rows[:four-1], three, three, 0, 0},
		{"zeros behind it", rows[:three] + null(5000), three, three, 0, 0},
		{"the last byte is missing", rows[:four-1], four, -1, 4, three},
		{"a row is missing", rows[:three], four, -1, 4, three},
		{"all is missing", "", three, -1, 1, 0},
		{"zeros within it", rows[:three] + null(5000), four, -1, 4, three},
		{"all is zeros", null(sectorSize), three, -1, 1, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, LedgerFile)
			writeFile(t, path, test.content)
			writeFile(t, filepath.Join(folder, StateFile),
				fmt.Sprintf(`{"agencies":1,"finished":[],"phase":"betting","ledger_bytes":%d}`, test.durable))
			l, err := Open(folder, 1)
			if test.whole >= 0 {
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				if l.Torn() != int64(len(test.content)-test.whole) {
					t.Errorf("torn are %d bytes", l.Torn())
				}
				checkFile(t, path, test.content[:test.whole])
				return
			}
			checkDamage(t, err, path, test.line, int64(test.offset))
			checkFile(t, path, test.content)
		})
	}
}

func checkDamage(t testing.TB, err error, path string, line int, offset int64) {
	t.Helper()
	var damage *DamageError
	if !errors.As(err, &damage) {
		t.Fatalf("the error is %v, want damage", err)
	}
	if damage.Path != path || damage.Line != line || damage.Offset != offset || damage.Reason == "" {
		t.Errorf("the damage is %+v, want line %d, byte %d", damage, line, offset)
	}
	want := fmt.Sprintf("%s: line %d, byte %d: %s", path, line, offset, damage.Reason)
	if damage.Error() != want {
		t.Errorf("it says %q, want %q", damage.Error(), want)
	}
}

// largeLedger returns the rows of three agencies, more than three blocks, in
// runs of different length.
var largeLedger = sync.OnceValues(func() (bets []lottery.Bet, rows string) {
	r := newRand(1, 4)
	next := [3]int{}
	var b strings.Builder
	for b.Len() < 3*blockSize {
		i := r.IntN(3)
		n := 1 + r.IntN(50)
		more := samples(i+1, next[i], n)
		next[i] += n
		bets = append(bets, more...)
		b.WriteString(rowsOf(more...))
	}
	return bets, b.String()
})

// TestRecoverBlocks compares the recovery of several blocks with their rows
// one after the other.
func TestRecoverBlocks(t *testing.T) {
	bets, rows := largeLedger()
	folder := t.TempDir()
	path := filepath.Join(folder, LedgerFile)
	writeFile(t, path, rows+rows[:20])
	var digests [3]*xxhash.Digest
	var counts [3]uint64
	var winners [3][]string
	for i := range digests {
		digests[i] = xxhash.New()
	}
	for i := range bets {
		k := bets[i].Agency - 1
		_, _ = digests[k].WriteString(rowsOf(bets[i]))
		counts[k]++
		winners[k] = append(winners[k], winnersOf(bets[i])...)
	}

	l, err := Open(folder, 3, WithReopen())
	if err != nil {
		t.Fatal(err)
	}
	if l.Torn() != 20 {
		t.Errorf("torn are %d bytes, want 20", l.Torn())
	}
	c := ledgertest.NewContest(t, l)
	for i := range counts {
		count, digest, err := c.TryResume(i + 1)
		if count != counts[i] || digest != digests[i].Sum64() || err != nil {
			t.Errorf("agency %d: %d bets, digest %x, %v; want %d and %x", i+1, count, digest, err, counts[i], digests[i].Sum64())
		}
	}
	checkFile(t, path, rows)
	for i := range counts { // a claim with a wrong mark tells the same
		claimed := make(chan struct{})
		l.Claim(i+1, 1<<40, false, func(stored *lottery.Account, err error) {
			if err != nil || stored.Bets != counts[i] || stored.Digest.Sum64() != digests[i].Sum64() || !slices.Equal(stored.Winners, winners[i]) {
				t.Errorf("agency %d: the account told is %+v, %v", i+1, stored, err)
			}
			close(claimed)
		})
		<-claimed
	}
	c.MustFinish(1, 2, 3)
	c.CheckDraw(true, winners[:]...)
}

// TestDamageInBlocks puts a damaged row into each block, and at its borders.
func TestDamageInBlocks(t *testing.T) {
	bets, rows := largeLedger()
	path := filepath.Join(t.TempDir(), LedgerFile)
	lines := 0
	next := 0 // offset to damage at, at least
	offset := 0
	for i := range bets {
		size := len(rowsOf(bets[i]))
		if last := i == len(bets)-1; offset >= next || last && offset > next {
			damaged := []byte(rows)
			damaged[offset] = 'x'
			writeFile(t, path, string(damaged))
			visited := 0
			err := scan(path, -1, func(s lottery.Stretch) error {
				visited += s.Bets
				return nil
			})
			checkDamage(t, err, path, i+1, int64(offset))
			if visited != i {
				t.Errorf("%d rows were visited before the damage in row %d", visited, i+1)
			}
			checkFile(t, path, string(damaged))
			lines++
			next += blockSize / 2
		}
		offset += size
	}
	if lines < 6 {
		t.Errorf("only %d rows were damaged", lines)
	}
}

// TestVisitErrorInBlocks gives up in the middle: nothing is left running.
func TestVisitErrorInBlocks(t *testing.T) {
	_, rows := largeLedger()
	path := filepath.Join(t.TempDir(), LedgerFile)
	writeFile(t, path, rows)
	enough := errors.New("enough")
	for _, stretches := range []int{1, 300, 1000} {
		left := stretches
		err := scan(path, -1, func(lottery.Stretch) error {
			if left--; left == 0 {
				return enough
			}
			return nil
		})
		if err != enough {
			t.Errorf("the error is %v, want that of the visitor", err)
		}
	}
}

// TestRecoverMemory recovers a ledger many times larger than the memory that may be
// used for it.
func TestRecoverMemory(t *testing.T) {
	_, rows := largeLedger()
	path := filepath.Join(t.TempDir(), LedgerFile)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	perProcessor := 2 * 3 * blockSize // blocks, their texts, and what points into these
	const slack = 4 << 20
	bound := uint64(runtime.GOMAXPROCS(0)*perProcessor + slack)
	size := 0
	for ; uint64(size) < 2*bound; size += len(rows) {
		if _, err := f.WriteString(rows); err != nil {
			t.Fatal(err)
		}
	}
	before, most := heap(), uint64(0)
	read, next := 0, 0
	found, err := recoverLedger(f, int64(size), 0, func(s lottery.Stretch) error {
		if read += len(s.Rows); read >= next {
			next += size / 8
			most = max(most, heap())
		}
		return nil
	})
	if err != nil || found.whole != int64(size) || read != size {
		t.Fatalf("%d of %d bytes were read, %v", read, size, err)
	}
	if most > before+bound {
		t.Errorf("recovering %d bytes takes %d bytes of memory, at most %d are allowed", size, most-before, bound)
	}
}

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestLongTail has more zeros behind the rows than are looked at.
func TestLongTail(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, LedgerFile)
	rows := rowsOf(samples(1, 0, 3)...)
	writeFile(t, path, rows)
	const tail = maxTail + 1<<20
	if err := os.Truncate(path, int64(len(rows)+tail)); err != nil { // takes no room
		t.Fatal(err)
	}
	l, err := Open(folder, 1, WithReopen())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Torn() != tail {
		t.Errorf("torn are %d bytes, want %d", l.Torn(), tail)
	}
	checkFile(t, path, rows)
}

// TestLedgerGrowsWhileChecked is a check of a ledger that a central writes to:
// rows that come meanwhile are no damage.
func TestLedgerGrowsWhileChecked(t *testing.T) {
	bets := samples(1, 0, 20)
	folder := t.TempDir()
	path := filepath.Join(folder, LedgerFile)
	l := openLedger(t, folder)
	if err := storeBets(l, bets[:10]...); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := l.Durable()
	found, err := recoverLedger(f, size, 0, func(lottery.Stretch) error { return storeBets(l, bets[10:]...) })
	want := recovery{rows: 10, whole: int64(len(rowsOf(bets[:10]...)))}
	if err != nil || found != want {
		t.Errorf("found was %+v, %v; want %+v", found, err, want)
	}
	checkBets(t, l, slices.Clone(bets))
}
