package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"loteria/lottery"
)

// writeWinners writes the contest's winning bets to stdout, in order, and what
// checkLedger prints to stderr.
func writeWinners(ctx context.Context, c config, stdout, stderr io.Writer) error {
	buffer := bufio.NewWriterSize(stdout, exportBuffer)
	winners := &winnerWriter{buffer: buffer}
	if c.output.formatOf("") == asJSON {
		winners.objects = newObjects(buffer)
	} else {
		winners.table = csv.NewWriter(buffer)
	}
	return writeContest(ctx, c, winners, stderr)
}

// winner is a winning bet.
type winner struct {
	Agency   int    `json:"agency"`
	Document string `json:"document"`
	Row      uint64 `json:"row"` // of bets.csv, or of the export of a ledger in NATS; from 1
}

// winnerColumns is the first line of the winners as CSV.
var winnerColumns = []string{"agency", "document", "row"}

// winnerWriter writes the winners among the rows that it gets. Either objects or
// table is set.
type winnerWriter struct {
	buffer  *bufio.Writer
	objects *json.Encoder
	table   *csv.Writer
	rows    uint64 // so far
	headed  bool   // the table has its first line
}

func (w *winnerWriter) add(s lottery.Stretch) error {
	if len(s.Winners) == 0 {
		w.rows += uint64(s.Bets)
		return nil
	}
	var failed error
	err := lottery.ParseRows(s.Rows, func(bet lottery.Bet, _ int) {
		w.rows++
		if failed == nil && bet.HasWon() {
			failed = w.write(winner{bet.Agency, bet.Document, w.rows})
		}
	})
	return errors.Join(err, failed)
}

func (w *winnerWriter) write(won winner) error {
	if w.objects != nil {
		return w.objects.Encode(won)
	}
	if err := w.head(); err != nil {
		return err
	}
	return w.table.Write([]string{strconv.Itoa(won.Agency), won.Document, strconv.FormatUint(won.Row, 10)})
}

// head writes the first line, once.
func (w *winnerWriter) head() error {
	if w.headed {
		return nil
	}
	w.headed = true
	return w.table.Write(winnerColumns)
}

// flush also writes the first line of a contest without winners.
func (w *winnerWriter) flush() error {
	if w.table != nil {
		if err := w.head(); err != nil {
			return err
		}
		w.table.Flush()
		if err := w.table.Error(); err != nil {
			return err
		}
	}
	return w.buffer.Flush()
}
