//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"loteria/docs/markdown"
)

func TestFiveAgenciesWithTheCommittedData(t *testing.T) {
	l := newLab(t)
	l.shell(markdown.Quoted("docker compose up -d")) // as on a fresh clone: .env names the file
	l.finish(5)
	if !l.running("server") {
		t.Error("the central has ended")
	}
	files := committedRows(t)
	l.checkUndisturbed()
	l.checkLottery(files, 64, []int{2, 3, 3, 2, 0})
	l.checkStored("loteria-nacional", files)
}

func TestFewAgencies(t *testing.T) {
	for _, test := range []struct {
		bets    []int
		winners []int
	}{
		{[]int{25}, []int{1}},
		{[]int{7, 30, 1}, []int{1, 2, 0}},
	} {
		t.Run(strconv.Itoa(len(test.bets)), func(t *testing.T) {
			l := newLab(t)
			files := l.provide(test.bets...)
			l.configureServer(usualCentral)
			l.configureClient(usual)
			l.generate(len(files))
			l.up()
			l.finish(len(files))
			l.checkUndisturbed()
			l.checkLottery(files, usual.batchMaxAmount, test.winners)
			l.checkStored(l.contest(), files)

			// At DEBUG the central logs every bet of a batch.
			central := l.logs("server")
			for _, rows := range files {
				for _, r := range rows {
					l.checkLine("server", central, 1, fmt.Sprintf(
						"action: apuesta_almacenada | result: success | dni: %s | numero: %s", r.document(), r[4]))
				}
			}
		})
	}
}

// Every batch except the last is full, and nothing is missing.
func TestBatchSizes(t *testing.T) {
	for _, test := range []struct{ maxAmount, bets int }{
		{64, 16}, {99, 21}, {10, 64}, {10, 20}, {1, 3},
	} {
		t.Run(fmt.Sprintf("%d bets by %d", test.bets, test.maxAmount), func(t *testing.T) {
			l := newLab(t)
			files := l.provide(test.bets)
			config := usual
			config.batchMaxAmount = test.maxAmount
			l.configureClient(config)
			l.generate(1)
			l.up()
			l.finish(1)
			l.checkUndisturbed()
			l.checkLottery(files, test.maxAmount, []int{1})
			l.checkStored(l.contest(), files)
		})
	}
}

// checkLottery checks the log lines of a whole lottery in mode batch.
func (l *lab) checkLottery(files [][]row, maxAmount int, winners []int) {
	l.Helper()
	var batches []int
	for i, rows := range files {
		batches = append(batches, l.checkAgency(i+1, len(rows), maxAmount, winners[i])...)
	}

	l.await("server", "sorteo", "success", 1)
	central := l.logs("server")
	received := central.of("apuesta_recibida", "success")
	var got []int
	total := 0
	for _, rows := range files {
		total += len(rows)
	}
	for _, one := range received {
		n, _ := strconv.Atoi(one.values["cantidad"])
		got = append(got, n)
	}
	slices.Sort(got)
	slices.Sort(batches)
	if !slices.Equal(got, batches) || received.sum("cantidad") != total {
		l.Errorf("server: %d batches with %d bets were received, sent were %d with %d",
			len(got), received.sum("cantidad"), len(batches), total)
	}
	l.checkLine("server", central, 1, "action: sorteo | result: success")
	draw := central.index("sorteo")
	for _, one := range central[draw+1:] {
		if one.action == "apuesta_recibida" || one.action == "apuesta_almacenada" {
			l.Errorf("server: after the draw: %s", one.text)
		}
	}
}

// checkAgency checks one agency's, and returns the sizes of its batches.
func (l *lab) checkAgency(agency, bets, maxAmount, winners int) (batches []int) {
	l.Helper()
	name := client(agency)
	all := l.logs(name)
	l.checkLine(name, all, 1, "action: batch_processing_start | result: success")
	done := 0
	for i, one := range all.of("batch_processed", "success") {
		size := min(maxAmount, bets-done)
		want := fmt.Sprintf("action: batch_processed | result: success | client_id: %d | batch: %d-%d | cantidad: %d",
			agency, done+1, done+size, size)
		if one.ending() != want {
			l.Errorf("%s: batch %d is %q, want %q", name, i+1, one.ending(), want)
			break
		}
		done += size
		batches = append(batches, size)
	}
	l.checkLine(name, all, 1, fmt.Sprintf(
		"action: batch_processing_complete | result: success | client_id: %d | processed: %d/%d", agency, bets, bets))
	l.checkLine(name, all, 1, fmt.Sprintf(
		"action: consulta_ganadores | result: success | cant_ganadores: %d", winners))
	for i, action := range []string{"config", "batch_processing_start", "batch_processed", "batch_processing_complete"} {
		next := []string{"batch_processing_start", "batch_processed", "batch_processing_complete", "consulta_ganadores"}[i]
		if all.index(action) > all.index(next) {
			l.Errorf("%s: %s comes before %s", name, next, action)
		}
	}
	return batches
}
