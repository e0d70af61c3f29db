package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ledgerName is the file with the bets that the central leaves.
const ledgerName = "bets.csv"

// betFields is how many fields a row of it has; the first one is the agency.
const betFields = 6

// countRows counts each agency's rows in the central's file. It reads them as
// any CSV reader would, and not with the code that wrote them.
func countRows(name string) (map[string]int, error) {
	rows := make(map[string]int)
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return rows, nil // nobody bet
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = betFields
	r.ReuseRecord = true
	for {
		row, err := r.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		rows[row[0]]++
	}
}

// compareRows says what the agencies' bets and the rows of the central's file
// differ in.
func compareRows(agencies []*agency, rows map[string]int) error {
	left := 0
	for _, n := range rows {
		left += n
	}
	for _, a := range agencies {
		n := rows[fmt.Sprint(a.id)]
		if n != a.bets {
			return fmt.Errorf("%s has %s of agency %d, which sent %d", ledgerName, plural(n, "row", "rows"), a.id, a.bets)
		}
		left -= n
	}
	if left != 0 {
		return fmt.Errorf("%s has %s of other agencies", ledgerName, plural(left, "row", "rows"))
	}
	return nil
}
