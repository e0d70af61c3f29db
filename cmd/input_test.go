//go:build linux

package cmd_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"loteria/lottery"
)

// input is what the agencies have to bet.
type input struct {
	data    string // folder
	rows    [][]string
	bytes   map[int][]byte   // of each agency's rows, as the ledger must hold them
	counts  map[int]int      // of each agency's rows
	winners map[int][]string // documents that win, in the order of the bets
}

// readInput reads the data of a folder.
func readInput(t *testing.T, data string) *input {
	t.Helper()
	return newInput(t, data, rowsOf(t, data))
}

func newInput(t *testing.T, data string, rows [][]string) *input {
	t.Helper()
	data, err := filepath.Abs(data)
	if err != nil {
		t.Fatal(err)
	}
	in := &input{data: data, rows: rows, bytes: map[int][]byte{}, counts: map[int]int{}, winners: map[int][]string{}}
	for _, row := range rows {
		id, err := strconv.Atoi(row[0])
		if err != nil {
			t.Fatal(err)
		}
		in.bytes[id] = append(in.bytes[id], csvRow(t, row)...)
		in.counts[id]++
		if row[5] == "7574" {
			in.winners[id] = append(in.winners[id], row[3])
		}
	}
	return in
}

func csvRow(t *testing.T, row []string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	if err := w.Write(row); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	return b.Bytes()
}

// holding is what a ledger holds.
type holding struct {
	counts map[int]int   // whole rows of each agency
	rows   int           // all of them
	torn   int           // bytes after the last whole row
	phase  lottery.Phase // kept beside it
}

// inspect reads a ledger that nobody is writing. Each agency's rows must be the
// first of its input, in order and each once.
func (in *input) inspect(path string) (holding, error) {
	h := holding{counts: map[int]int{}}
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	rest := map[int][]byte{}
	for id, rows := range in.bytes {
		rest[id] = rows
	}
	for len(text) > 0 {
		end := bytes.Index(text, []byte("\r\n")) + 2
		if end < 2 {
			break
		}
		name, _, _ := bytes.Cut(text, []byte(","))
		id, err := strconv.Atoi(string(name))
		if err != nil || !bytes.HasPrefix(rest[id], text[:end]) {
			return h, fmt.Errorf("row %d of the ledger is %q, which is not the next of agency %d: that is row %d, %.80q",
				h.rows+1, text[:end], id, h.counts[id]+1, rest[id])
		}
		rest[id] = rest[id][end:]
		text = text[end:]
		h.counts[id]++
		h.rows++
	}
	h.torn = len(text)
	return h, nil
}
