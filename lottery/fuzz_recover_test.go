package lottery

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzRecover opens a ledger with any content, of which some bytes are known
// to have been on disk. Either it is damaged, and nothing is changed, or whole
// rows at its beginning are kept, and opening it again finds just these.
func FuzzRecover(f *testing.F) {
	rows := rowsOf(samples(1, 0, 12)...)
	for _, content := range []string{
		"", rows, rows[:len(rows)-1], rows[:700], rows[:30] + null(sectorSize-30) + rows,
		rows[:30] + null(40) + rows, rows + null(100), null(3000), strings.Repeat("x", MaxRow+1),
		rows[:600] + "\r\n" + rows, "x\r\n", "\n", rows + "1,\"A",
	} {
		f.Add([]byte(content), uint16(0))
		f.Add([]byte(content), uint16(100))
		f.Add([]byte(content), uint16(len(content)))
	}
	for _, row := range otherRows {
		f.Add([]byte(rows+row+rows), uint16(0))
	}
	path := filepath.Join(memoryFolder(f), LedgerFile)
	f.Fuzz(func(t *testing.T, content []byte, durable uint16) {
		writeFile(t, path, string(content))
		read := ""
		bets := 0
		visit := func(run Run) error {
			read += string(run.Rows)
			bets += run.Bets
			return nil
		}
		options := LedgerOptions{Durable: int64(durable)}
		l, torn, err := OpenLedger(path, options, visit)
		if !strings.HasPrefix(string(content), read) || strings.Count(read, rowEnd) < bets {
			t.Fatalf("of %q %d bets were read: %q", content, bets, read)
		}
		var damage *DamageError
		if errors.As(err, &damage) {
			if damage.Offset != int64(len(read)) || damage.Line != bets+1 {
				t.Errorf("the damage is %v after %d bets, %d bytes", err, bets, len(read))
			}
			checkFile(t, path, string(content))
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if torn != int64(len(content)-len(read)) || len(read) < int(durable) {
			t.Errorf("kept are %d bytes, torn are %d of %d, durable were %d", len(read), torn, len(content), durable)
		}
		checkFile(t, path, read)

		kept := read
		read, bets = "", 0
		l, torn, err = OpenLedger(path, options, visit)
		if err != nil || torn != 0 || read != kept {
			t.Fatalf("opened again: torn are %d bytes, %v; read is %q, want %q", torn, err, read, kept)
		}
		var loaded string
		for bet, err := range l.LoadBets() {
			if err != nil {
				t.Fatal(err)
			}
			loaded += rowsOf(bet)
		}
		if loaded != kept {
			t.Errorf("loaded is %q, kept was %q", loaded, kept)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
