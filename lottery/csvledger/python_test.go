package csvledger

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"loteria/lottery"
)

// python runs a script of Python with a JSON value as its input, and reads its
// output as JSON into out. It skips the test where there is no Python.
func python(t *testing.T, script string, path string, in, out any) {
	t.Helper()
	program, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("skipped: there is no python3 here to compare with its csv module")
	}
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", script, path)
	cmd.Stdin = bytes.NewReader(input)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(output, out); err != nil {
		t.Fatalf("python3 says %.200q: %v", output, err)
	}
}

const (
	pythonWrites = `
import csv, json, sys
with open(sys.argv[1], 'w', newline='', encoding='utf-8') as file:
    csv.writer(file, quoting=csv.QUOTE_MINIMAL).writerows(json.load(sys.stdin))
print('"written"')
`
	pythonReads = `
import csv, json, sys
with open(sys.argv[1], newline='', encoding='utf-8') as file:
    print(json.dumps(list(csv.reader(file))))
`
)

// csvBets are bets with everything in their names that could matter to a csv
// file, and their fields as texts.
func csvBets() (bets []lottery.Bet, fields [][6]string) {
	bets = anyBets(300)
	for _, name := range []string{"María", "Núñez", "a,b", `"a"`, `"`, `""`, ",", `","`, " a", "a ", " ", "O'Hara", "'", `\`, `\"`, "a\u2028b", "\ufeff", ";", "\u00a0", "#", "=1+1"} {
		bets = append(bets,
			lottery.Bet{Agency: 1, FirstName: name, LastName: "x", Document: "007", Birthdate: "2000-02-29", Number: 0},
			lottery.Bet{Agency: 2, FirstName: "x", LastName: name, Document: "0", Birthdate: "0001-01-01", Number: 7574})
	}
	for i := range bets {
		s := bets[i].RawBet()
		fields = append(fields, [6]string{s.Agency, s.FirstName, s.LastName, s.Document, s.Birthdate, s.Number})
	}
	return bets, fields
}

func TestPythonWritesTheSame(t *testing.T) {
	bets, fields := csvBets()
	path := filepath.Join(t.TempDir(), LedgerFile)
	python(t, pythonWrites, path, fields, new(string))
	checkFile(t, path, rowsOf(bets...))
}

// TestOpenReadsPython opens a ledger that Python wrote.
func TestOpenReadsPython(t *testing.T) {
	bets, fields := fewAgencies(csvBets())
	folder := t.TempDir()
	python(t, pythonWrites, filepath.Join(folder, LedgerFile), fields, new(string))
	l := openLedger(t, folder, WithReopen())
	checkBets(t, l, bets)
}

// fewAgencies moves the bets to agencies that a ledger can have.
func fewAgencies(bets []lottery.Bet, fields [][6]string) ([]lottery.Bet, [][6]string) {
	for i := range bets {
		bets[i].Agency = 1 + i%manyAgencies
		fields[i][0] = bets[i].RawBet().Agency
	}
	return bets, fields
}

func TestPythonReadsTheSame(t *testing.T) {
	bets, fields := fewAgencies(csvBets())
	folder := t.TempDir()
	path := filepath.Join(folder, LedgerFile)
	l := openLedger(t, folder)
	if err := storeBets(l, bets...); err != nil {
		t.Fatal(err)
	}
	var got [][6]string
	python(t, pythonReads, path, nil, &got)
	if len(got) != len(fields) {
		t.Fatalf("python3 read %d rows of %d", len(got), len(fields))
	}
	for i := range got {
		if got[i] != fields[i] {
			t.Errorf("python3 read %q, written was %q", got[i], fields[i])
		}
	}
}
