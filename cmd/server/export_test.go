package main

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// A damaged contest leaves no file of the given name.
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
		if code := run([]string{"--storage-dir", storage, "--so-far", "--export", test.path}, nil, &said, &problems); code != 1 || !strings.Contains(problems.String(), test.says) {
			t.Errorf("%s: exit code %d: %s", name, code, &problems)
		}
		sameFiles(t, contentOf(t, folder), nil)
	}
}

// Export, winners and check work beside a central, before the draw only if asked
// for.
func TestExportBesideACentral(t *testing.T) {
	storage := t.TempDir()
	p := launch(t, "--storage-dir", storage)
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	bet, err := raw.Bet()
	if err != nil {
		t.Fatal(err)
	}
	row := string(bet.AppendRow(nil))
	const object = `{"agency":1,"first_name":"Santiago","last_name":"Lorca","document":"30904465","birthdate":"1999-03-17","number":7574}` + "\n"
	for args, want := range map[string]string{
		"--export -":                         "",
		"--winners":                          "",
		"--export - --so-far":                row,
		"--export - --so-far --format csv":   row,
		"--export - --so-far --format json":  object,
		"--winners --so-far":                 "agency,document,row\n1,30904465,1\n",
		"--winners --so-far --format json":   `{"agency":1,"document":"30904465","row":1}` + "\n",
		"--winners=true --so-far --format=x": "",
	} {
		var said, problems bytes.Buffer
		code := run(append([]string{"--storage-dir", storage}, strings.Fields(args)...), nil, &said, &problems)
		if said.String() != want || (code == 0) != (want != "") {
			t.Errorf("%s: exit code %d: %q, want %q; %s", args, code, &said, want, &problems)
		}
		says := "not final"
		if code == 2 {
			says = "allowed: csv or json"
		}
		if !strings.Contains(problems.String(), says) {
			t.Errorf("%s says %s", args, &problems)
		}
	}
	p.Stop()
}

// A drawn contest in each form, into a file whose name says which.
func TestExportForms(t *testing.T) {
	contest := sampled{bets: 3000, endings: allFinished, drawn: true}
	storage, folder := contest.write(t), t.TempDir()
	content, err := os.ReadFile(filepath.Join(storage, csvledger.LedgerFile))
	if err != nil {
		t.Fatal(err)
	}
	var bets []lottery.Bet
	table, objects := "agency,document,row\n", ""
	err = lottery.ParseRows(content, func(bet lottery.Bet, _ int) {
		bet.FirstName, bet.LastName = strings.Clone(bet.FirstName), strings.Clone(bet.LastName)
		bets = append(bets, bet)
		if bet.HasWon() {
			table += fmt.Sprintf("%d,%s,%d\n", bet.Agency, bet.Document, len(bets))
			objects += fmt.Sprintf("{\"agency\":%d,\"document\":%q,\"row\":%d}\n", bet.Agency, bet.Document, len(bets))
		}
	})
	if err != nil || objects == "" {
		t.Fatalf("%v, or nobody has won", err)
	}
	do := func(args ...string) (stdout string) {
		t.Helper()
		var said, problems bytes.Buffer
		if code := run(append(args, "--storage-dir", storage), nil, &said, &problems); code != 0 {
			t.Fatalf("%q: exit code %d: %s", args, code, &problems)
		}
		if report := said.String() + problems.String(); !strings.Contains(report, "nothing is damaged\n") || strings.Contains(report, "final") {
			t.Errorf("%q says %s", args, report)
		}
		return said.String()
	}
	if got := do("--winners"); got != table {
		t.Errorf("the winners are %s, want %s", got, table)
	}
	if got := do("--winners", "--format", "json"); got != objects {
		t.Errorf("the winners are %s, want %s", got, objects)
	}
	for name, isJSON := range map[string]bool{"bets": false, "bets.csv": false, "bets.json": true, "bets.JSONL": true} {
		path := filepath.Join(folder, name)
		do("--export", path)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !isJSON {
			if !bytes.Equal(got, content) {
				t.Errorf("%s has %d bytes, want %d", name, len(got), len(content))
			}
			continue
		}
		lines := json.NewDecoder(bytes.NewReader(got))
		for i := range bets {
			var object struct {
				Agency    int    `json:"agency"`
				FirstName string `json:"first_name"`
				LastName  string `json:"last_name"`
				Document  string `json:"document"`
				Birthdate string `json:"birthdate"`
				Number    int    `json:"number"`
			}
			lines.DisallowUnknownFields()
			if err := lines.Decode(&object); err != nil || lottery.Bet(object) != bets[i] {
				t.Fatalf("%s: bet %d is %+v, %v, want %+v", name, i+1, object, err, bets[i])
			}
		}
		if bytes.Count(got, []byte("\n")) != len(bets) {
			t.Errorf("%s has %d lines, want %d", name, bytes.Count(got, []byte("\n")), len(bets))
		}
	}
}

// The winners have their header also when there are none.
func TestNoWinners(t *testing.T) {
	storage := sampled{endings: allFinished, drawn: true}.write(t)
	for format, want := range map[string]string{"csv": "agency,document,row\n", "json": ""} {
		var said, problems bytes.Buffer
		if code := run([]string{"--storage-dir", storage, "--winners", "--format", format}, nil, &said, &problems); code != 0 || said.String() != want {
			t.Errorf("%s: exit code %d: %q, want %q; %s", format, code, &said, want, &problems)
		}
	}
}

// After a crash that tore the end, the rows before it are exported.
func TestExportWithATornEnd(t *testing.T) {
	storage := t.TempDir()
	row := "1,Ana,\"Lor,ca\",07,2000-01-01,7574\r\n"
	if err := os.WriteFile(filepath.Join(storage, csvledger.LedgerFile), []byte(row+"2,Ana,Lor"), 0o644); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--export=-":               row,
		"--winners":                "agency,document,row\n1,07,1\n",
		"--export=- --format=json": `{"agency":1,"first_name":"Ana","last_name":"Lor,ca","document":"07","birthdate":"2000-01-01","number":7574}` + "\n",
	} {
		var said, problems bytes.Buffer
		code := run(append(strings.Fields(args), "--so-far", "--storage-dir", storage), nil, &said, &problems)
		if code != 0 || said.String() != want || !strings.Contains(problems.String(), "9 bytes at the end are a row that was never finished") {
			t.Errorf("%s: exit code %d: %q, want %q; %s", args, code, &said, want, &problems)
		}
	}
}
