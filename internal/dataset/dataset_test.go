// Package dataset_test makes the project's own data set, and says that it still
// makes exactly that: the bets of five agencies, with invented people, as one CSV
// each inside a zip.
//
//	go test ./internal/dataset -update
//
// A seed makes the same rows with every version of Go 1, on every machine. The
// zip's own bytes are the same for one version of Go: another one may compress
// differently.
package dataset_test

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"loteria/lottery"
)

var update = flag.Bool("update", false, "write .data/datasets.zip")

// committed is the data set in the repository, and seed made it.
const (
	committed = "../../.data/datasets.zip"
	seed      = 7574
)

// maxArchive is how large the committed zip may be, in bytes.
const maxArchive = 1_500_000

// generated is what the seed makes; it is made once.
var generated = sync.OnceValues(func() ([]file, error) { return generate(seed) })

func mustGenerate(t *testing.T) []file {
	t.Helper()
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// unzip returns what an archive holds, in order. The compressed bytes do not
// matter: another version of Go may make others.
func unzip(t *testing.T, name string) []file {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var files []file
	for _, entry := range z.File {
		r, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s in %s: %v", entry.Name, name, err)
		}
		r.Close()
		files = append(files, file{entry.Name, content})
	}
	return files
}

func compareFiles(t *testing.T, got, want []file) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d files, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].name != want[i].name {
			t.Errorf("file %d is %q, want %q", i+1, got[i].name, want[i].name)
		}
		if !bytes.Equal(got[i].content, want[i].content) {
			t.Errorf("%s: %s", want[i].name, firstDifference(got[i].content, want[i].content))
		}
	}
}

func firstDifference(got, want []byte) string {
	g, w := bytes.SplitAfter(got, []byte("\n")), bytes.SplitAfter(want, []byte("\n"))
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			return fmt.Sprintf("line %d is %q, want %q", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

func TestCommittedDataIsWhatTheGeneratorMakes(t *testing.T) {
	if *update {
		if err := writeArchive(committed, mustGenerate(t)); err != nil {
			t.Fatal(err)
		}
	}
	compareFiles(t, unzip(t, committed), mustGenerate(t))

	info, err := os.Stat(committed)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxArchive {
		t.Errorf("%s has %d bytes, want at most %d", committed, info.Size(), maxArchive)
	}
}

func TestSizesAndWinners(t *testing.T) {
	want := []struct {
		name          string
		bets, winners int
	}{
		{"agency-1.csv", 26_936, 2},
		{"agency-2.csv", 25_518, 3},
		{"agency-3.csv", 16_014, 3},
		{"agency-4.csv", 9_238, 2},
		{"agency-5.csv", 991, 0},
	}
	files := mustGenerate(t)
	if len(files) != len(want) {
		t.Fatalf("%d files, want %d", len(files), len(want))
	}
	for i, w := range want {
		winners := make(map[string]bool)
		rows := rows(t, files[i])
		won := 0
		for _, row := range rows {
			if row[4] == "7574" {
				won++
				winners[row[2]] = true
			}
		}
		if files[i].name != w.name || len(rows) != w.bets || won != w.winners || len(winners) != w.winners {
			t.Errorf("%s: %d bets, %d winning ones of %d people; want %s with %d bets and %d winners",
				files[i].name, len(rows), won, len(winners), w.name, w.bets, w.winners)
		}
	}
}

func rows(t *testing.T, f file) [][]string {
	t.Helper()
	r := csv.NewReader(bytes.NewReader(f.content))
	r.FieldsPerRecord = 5
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	return rows
}

// Every bet must be valid, and written as the central will write it, so that
// bets.csv can be compared with the files line by line.
func TestEveryBetIsValid(t *testing.T) {
	people := make(map[string]string) // DNI, as a number → who has it
	for i, f := range mustGenerate(t) {
		lines := bytes.SplitAfter(f.content, []byte("\r\n"))
		if last := lines[len(lines)-1]; len(last) != 0 {
			t.Errorf("%s ends in %q, want CR LF", f.name, last)
		}
		for n, row := range rows(t, f) {
			agency := strconv.Itoa(i + 1)
			raw := lottery.RawBet{Agency: agency, FirstName: row[0], LastName: row[1], Document: row[2], Birthdate: row[3], Number: row[4]}
			bet, err := raw.Bet()
			if err != nil {
				t.Fatalf("%s, line %d: %v", f.name, n+1, err)
			}
			stored := string(bet.AppendRow(nil))
			if line := agency + "," + string(lines[n]); line != stored {
				t.Fatalf("%s, line %d: %q would be stored as %q", f.name, n+1, line, stored)
			}
			if digits := len(bet.Document); digits != 7 && digits != 8 {
				t.Errorf("%s, line %d: a DNI of %d digits, want 7 or 8", f.name, n+1, digits)
			}
			if bet.Birthdate < "1936-01-01" || bet.Birthdate > "2006-12-31" {
				t.Errorf("%s, line %d: born on %s, want an adult of up to ninety years", f.name, n+1, bet.Birthdate)
			}
			who := strings.Join(row[:2], ",") + row[3]
			document := strings.TrimLeft(bet.Document, "0")
			if other, ok := people[document]; ok && other != who {
				t.Errorf("%s, line %d: the DNI %s is both of %s and of %s", f.name, n+1, bet.Document, other, who)
			}
			people[document] = who
		}
	}
	if bets := totalBets(); len(people) == bets {
		t.Errorf("%d people for %d bets, want somebody who bets twice", len(people), bets)
	}
}

// Texts on which CSV readers, decoders or terminals stumble must be there.
func TestNamesAreNotAllPlain(t *testing.T) {
	files := mustGenerate(t)
	for _, want := range []string{
		`"`, `""`, ", ", "'", "-", "ñ", "Ñ", "ü", "í", "č", "María José", "Muñoz", "Ñancupil", "Güemes", "D'Angelo",
		",0", // a DNI with a leading zero, or the number 0
	} {
		found := 0
		for _, f := range files {
			found += bytes.Count(f.content, []byte(want))
		}
		if found == 0 {
			t.Errorf("nobody has %s", want)
		}
	}
	// Even a reader of only the smallest file meets quoting.
	for _, f := range files {
		if !bytes.Contains(f.content, []byte(`"""`)) || !bytes.Contains(f.content, []byte(`, `)) {
			t.Errorf("%s has no name with a quote, or none with a comma", f.name)
		}
	}
}

func TestSeed(t *testing.T) {
	one, err := generate(1)
	if err != nil {
		t.Fatal(err)
	}
	again, err := generate(1)
	if err != nil {
		t.Fatal(err)
	}
	compareFiles(t, again, one)
	for i, f := range mustGenerate(t) {
		if bytes.Equal(f.content, one[i].content) {
			t.Errorf("%s is the same for two seeds", f.name)
		}
	}
}

// The stream of the source is fixed by its algorithm; these are its numbers.
func TestSourceIsFixed(t *testing.T) {
	src := newSource(1, 2)
	want := []int{769373, 616436, 784428, 796596}
	for i, w := range want {
		if got := src.below(1_000_000); got != w {
			t.Errorf("number %d is %d, want %d", i+1, got, w)
		}
	}
}

// Python's csv module, with the quoting that the format is named after, writes
// the rows back byte for byte.
func TestPythonWritesTheSame(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	const script = `
import csv, io, sys
sys.stdin.reconfigure(encoding="utf-8", newline="")
sys.stdout.reconfigure(encoding="utf-8", newline="")
csv.writer(sys.stdout, quoting=csv.QUOTE_MINIMAL).writerows(csv.reader(sys.stdin))
`
	for _, f := range mustGenerate(t) {
		cmd := exec.Command(python, "-c", script)
		cmd.Stdin = bytes.NewReader(f.content)
		cmd.Stderr = os.Stderr
		got, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		compareFiles(t, []file{{f.name, got}}, []file{f})
	}
}

func TestWriteArchive(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "new.zip")
	before := []file{{"agency-1.csv", []byte("old")}}
	after := []file{{"agency-1.csv", []byte("new")}, {"agency-2.csv", nil}}
	for _, files := range [][]file{before, after} {
		if err := writeArchive(name, files); err != nil {
			t.Fatal(err)
		}
	}
	got := unzip(t, name)
	if len(got) != len(after) || string(got[0].content) != "new" {
		t.Errorf("the archive holds %q, want %q", got, after)
	}
	first, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeArchive(name, after); err != nil {
		t.Fatal(err)
	}
	if second, _ := os.ReadFile(name); !bytes.Equal(first, second) {
		t.Error("the same files make two different archives")
	}

	// A failure names the file and leaves nothing behind.
	folder := filepath.Join(dir, "folder")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeArchive(folder, after); err == nil || !strings.Contains(err.Error(), folder) {
		t.Errorf("writing over a folder gives %v, want an error with its name", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("temporary files stay: %v", entries)
	}
}
