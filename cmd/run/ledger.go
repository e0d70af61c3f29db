package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ledgerName is the file with the bets that the central leaves.
const ledgerName = "bets.csv"

// betFields is how many fields a row of it has; the first one is the agency.
const betFields = 6

// countRows counts each agency's rows in the central's file.
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
	for row, err := range readRows(f, betFields) {
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		rows[row[0]]++
	}
	return rows, nil
}

// compareRows says what the agencies' bets and the rows of the file with this
// name differ in.
func compareRows(name string, agencies []*agency, rows map[string]int) error {
	left := 0
	for _, n := range rows {
		left += n
	}
	for _, a := range agencies {
		n := rows[fmt.Sprint(a.id)]
		if n != a.bets {
			return fmt.Errorf("%s has %s of agency %d, which sent %d", name, plural(n, "row", "rows"), a.id, a.bets)
		}
		left -= n
	}
	if left != 0 {
		return fmt.Errorf("%s has %s of other agencies", name, plural(left, "row", "rows"))
	}
	return nil
}
