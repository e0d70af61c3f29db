//go:build e2e

package e2e

import (
	"archive/zip"
	"encoding/csv"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// winning is the winning number.
const winning = 7574

// row is a line of an agency's file: first name, last name, document,
// birthdate, number.
type row [5]string

func (r row) document() string { return r[2] }

// stored returns the row as in bets.csv: the agency in front, and the number as
// an integer.
func (r row) stored(agency int) []string {
	number, err := strconv.Atoi(r[4])
	if err != nil {
		panic(err) // these rows are the project's own
	}
	return []string{strconv.Itoa(agency), r[0], r[1], r[2], r[3], strconv.Itoa(number)}
}

// makeRows invents an agency's bets, of which winners(agency) win. Some names need
// quotes in CSV.
func makeRows(agency, amount int) []row {
	rows := make([]row, amount)
	for i := range rows {
		number := i % winning
		if i < winners(agency) {
			number = winning
		}
		rows[i] = row{
			fmt.Sprintf("Ñandú %d", i), fmt.Sprintf("O'Higgins, \"%d\"", i),
			fmt.Sprintf("%08d", agency*1_000_000+i), "1999-12-31", strconv.Itoa(number),
		}
	}
	return rows
}

// winners returns how many bets of an invented file win, if it has that many.
func winners(agency int) int { return agency % 3 }

// formatRows returns an agency's file, with lines ending in CR LF. With an odd
// number of rows, the last line has no ending.
func formatRows(rows []row) string {
	var text strings.Builder
	w := csv.NewWriter(&text)
	w.UseCRLF = true
	for _, r := range rows {
		if err := w.Write(r[:]); err != nil {
			panic(err) // of a strings.Builder
		}
	}
	w.Flush()
	if len(rows)%2 == 1 {
		return strings.TrimSuffix(text.String(), "\r\n")
	}
	return text.String()
}

// committedRows returns the bets of the five agencies that the project ships.
func committedRows(t *testing.T) (files [][]row) {
	t.Helper()
	archive, err := zip.OpenReader(filepath.Join(pristine, ".data", "datasets.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for agency := 1; agency <= 5; agency++ {
		file, err := archive.Open(fmt.Sprintf("agency-%d.csv", agency))
		if err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(file).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		rows := make([]row, len(records))
		for i, record := range records {
			rows[i] = row(record)
		}
		files = append(files, rows)
	}
	return files
}

// checkStored checks that the central has stored all bets of the agencies' files,
// once and in order.
func (l *lab) checkStored(contest string, files [][]row) {
	l.Helper()
	l.checkBets(l.stored(contest), files)
}

// checkBets is checkStored for bets as in bets.csv.
func (l *lab) checkBets(bets [][]string, files [][]row) {
	l.Helper()
	stored := make(map[string][][]string)
	total := 0
	for _, bet := range bets {
		stored[bet[0]] = append(stored[bet[0]], bet)
		total++
	}
	want := 0
	for i, rows := range files {
		want += len(rows)
		got := stored[strconv.Itoa(i+1)]
		if len(got) != len(rows) {
			l.Errorf("agency %d: %d bets are stored, want %d", i+1, len(got), len(rows))
			continue
		}
		for j, r := range rows {
			if !slices.Equal(got[j], r.stored(i+1)) {
				l.Errorf("agency %d, bet %d: stored is %q, want %q", i+1, j+1, got[j], r.stored(i+1))
				break
			}
		}
	}
	if total != want {
		l.Errorf("%d bets are stored, want %d", total, want)
	}
}
