package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"loteria/codec"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

// The rows of a contest go to a new file, or to standard output, as they are.
func TestExport(t *testing.T) {
	storage, folder := sampled{bets: 3000, endings: allFinished, drawn: true}.write(t), t.TempDir()
	rows, err := os.ReadFile(filepath.Join(storage, csvledger.LedgerFile))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "bets.csv")
	var said, problems bytes.Buffer
	if code := run([]string{"--storage-dir", storage, "--export", path}, nil, &said, &problems); code != 0 {
		t.Fatalf("exit code %d: %s", code, &problems)
	}
	sameFiles(t, contentOf(t, folder), map[string]string{"bets.csv": string(rows)})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v: the file must be as readable as the ledger", info, err)
	}
	report := said.String()
	if !strings.Contains(report, "4500 rows") || !strings.HasSuffix(report, "nothing is damaged\n") {
		t.Errorf("it says %s", report)
	}

	if code := run([]string{"--storage-dir", storage, "--export", path}, nil, &said, &problems); code != 1 || !strings.Contains(problems.String(), path+" is there already") {
		t.Errorf("again: exit code %d: %s", code, &problems)
	}
	sameFiles(t, contentOf(t, folder), map[string]string{"bets.csv": string(rows)})

	said.Reset()
	problems.Reset()
	if code := run([]string{"--storage-dir", storage, "--export", "-"}, nil, &said, &problems); code != 0 || said.String() != string(rows) || problems.String() != report {
		t.Errorf("exit code %d, %d bytes, %s", code, said.Len(), &problems)
	}
}

// What is damaged is no file under the name that was asked for.
func TestExportOfWhatIsDamaged(t *testing.T) {
	storage, folder := t.TempDir(), t.TempDir()
	row := "1,Ana,Lorca,1,2000-01-01,7574\r\n"
	if err := os.WriteFile(filepath.Join(storage, csvledger.LedgerFile), []byte(row+"x"+row), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ path, says string }{
		"damaged":   {filepath.Join(folder, "bets.csv"), "line 2, byte 31"},
		"no folder": {filepath.Join(folder, "none", "bets.csv"), "no such file"},
		"a folder":  {folder, "is there already"},
	} {
		var said, problems bytes.Buffer
		if code := run([]string{"--storage-dir", storage, "--export", test.path}, nil, &said, &problems); code != 1 || !strings.Contains(problems.String(), test.says) {
			t.Errorf("%s: exit code %d: %s", name, code, &problems)
		}
		sameFiles(t, contentOf(t, folder), nil)
	}
}

// A link that leads nowhere is something, too.
func TestExportToALink(t *testing.T) {
	folder := t.TempDir()
	link := filepath.Join(folder, "bets.csv")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Skip(err)
	}
	if err := isNew(link); err == nil {
		t.Error("a link counts as nothing")
	}
	from := filepath.Join(folder, "from")
	if err := os.WriteFile(from, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := moveNew(from, link); err == nil {
		t.Error("a file takes the place of a link")
	}
	if got, err := os.Readlink(link); err != nil || got != "nowhere" {
		t.Errorf("the link leads to %q, %v", got, err)
	}
}

// Export and check go beside a central.
func TestExportBesideACentral(t *testing.T) {
	storage := t.TempDir()
	p := launch(t, "--storage-dir", storage)
	p.exchange(p.dial(), []codec.Message{&codec.Bet{Slip: slip}}, []codec.Message{stored})
	want, err := slip.AppendRow(nil)
	if err != nil {
		t.Fatal(err)
	}
	var said, problems bytes.Buffer
	if code := run([]string{"--storage-dir", storage, "--export", "-"}, nil, &said, &problems); code != 0 || said.String() != string(want) {
		t.Errorf("exit code %d: %q, want %q; %s", code, &said, want, &problems)
	}
	if !strings.Contains(problems.String(), "state: "+string(lottery.Betting)) {
		t.Errorf("it says %s", &problems)
	}
	p.stop()
}
