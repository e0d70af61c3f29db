package csvledger

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"loteria/lottery"
)

// FuzzRecover opens a contest with any bets.csv, of which some bytes are known
// to have been on disk. Either it is damaged, and nothing is changed, or whole
// rows at its beginning are kept, and opening it again finds just these.
func FuzzRecover(f *testing.F) {
	rows := rowsOf(samples(1, 0, 12)...)
	for _, content := range []string{
		"", rows, rows[:len(rows)-1], rows[:700], rows[:30] + null(sectorSize-30) + rows,
		rows[:30] + null(40) + rows, rows + null(100), null(3000), strings.Repeat("x", lottery.MaxRow+1),
		rows[:600] + "\r\n" + rows, "x\r\n", "\n", rows + "1,\"A",
	} {
		f.Add([]byte(content), uint16(0))
		f.Add([]byte(content), uint16(100))
		f.Add([]byte(content), uint16(len(content)))
	}
	for _, row := range otherRows(f) {
		f.Add([]byte(rows+row+rows), uint16(0))
	}
	folder := memoryFolder(f)
	path := filepath.Join(folder, LedgerFile)
	f.Fuzz(func(t *testing.T, content []byte, durable uint16) {
		state := ""
		if durable > 0 {
			state = fmt.Sprintf(`{"agencies":%d,"finished":[],"phase":"betting","ledger_bytes":%d}`, manyAgencies, durable)
		}
		begin := map[string]string{LedgerFile: string(content), StateFile: state}
		if state == "" {
			delete(begin, StateFile)
		}
		writeFolder(t, folder, begin)
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var read strings.Builder
		bets, strangers := 0, false
		found, err := recoverLedger(file, int64(len(content)), int64(durable), func(s lottery.Stretch) error {
			read.Write(s.Rows)
			bets += s.Bets
			strangers = strangers || s.Agency > manyAgencies
			return nil
		})
		kept := read.String()
		if !strings.HasPrefix(string(content), kept) || strings.Count(kept, "\r\n") < bets || found.rows != bets || found.whole != int64(len(kept)) {
			t.Fatalf("of %q %d bets were read: %q; found was %+v", content, bets, kept, found)
		}
		l, openErr := Open(folder, manyAgencies, WithReopen())
		if openErr == nil {
			defer l.Close()
		}
		var damage *DamageError
		if errors.As(err, &damage) {
			if damage.Offset != int64(len(kept)) || damage.Line != bets+1 {
				t.Errorf("the damage is %v after %d bets, %d bytes", err, bets, len(kept))
			}
			if openErr == nil || !strangers && openErr.Error() != err.Error() {
				t.Errorf("to open it gives %v, want %v", openErr, err)
			}
			checkFolder(t, folder, begin)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if strangers {
			if openErr == nil {
				t.Error("a ledger with bets of other agencies was opened")
			}
			checkFolder(t, folder, begin)
			return
		}
		if openErr != nil {
			t.Fatal(openErr)
		}
		if found.torn != int64(len(content)-len(kept)) || l.Torn() != found.torn || len(kept) < int(durable) {
			t.Errorf("kept are %d bytes, torn are %d of %d, durable were %d", len(kept), l.Torn(), len(content), durable)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		checkFile(t, path, kept)

		l, err = Open(folder, manyAgencies)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		loaded, err := loadRows(l)
		if err != nil || l.Torn() != 0 || loaded != kept {
			t.Fatalf("opened again: torn are %d bytes, %v; loaded is %q, want %q", l.Torn(), err, loaded, kept)
		}
		var sum uint64
		for i := range l.stored.Accounts {
			sum += l.stored.Accounts[i].Bets
		}
		if sum != uint64(bets) {
			t.Errorf("the accounts have %d bets, want %d", sum, bets)
		}
	})
}

// checkFolder checks that what is in a folder has not changed.
func checkFolder(t testing.TB, folder string, want map[string]string) {
	t.Helper()
	if got := readFolder(t, folder); !maps.Equal(got, want) {
		t.Errorf("in the folder is %.500q, want %.500q", got, want)
	}
}
