// Package cmd_test runs the whole lottery in one process: a central and five
// agencies over TCP, with the data that the project ships.
package cmd_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"loteria/agency"
	"loteria/lottery"
	"loteria/lottery/csvledger"
	"loteria/reactor"
)

const agencies = 5

var winners = map[int]int{1: 2, 2: 3, 3: 3, 4: 2, 5: 0}

func TestLottery(t *testing.T) {
	folders := map[string]string{"the project's data": "../.data"}
	if shared := "../../shared/data"; exists(shared) {
		folders["the shared data"] = shared
	}
	for name, data := range folders {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			told := play(t, folder, data)
			if !maps.Equal(told, winners) {
				t.Errorf("the agencies were told of %v winners, expected %v", told, winners)
			}
			ledger := filepath.Join(folder, csvledger.LedgerFile)
			want := rowsOf(t, data)
			compare(t, "encoding/csv", readCSV(t, ledger), want)
			t.Run("python", func(t *testing.T) { compare(t, "Python's csv", readPython(t, ledger), want) })
		})
	}
}

// serve runs a central until stop is called. Its contest is in the folder.
func serve(t *testing.T, folder string) (address string, stop func()) {
	t.Helper()
	ledger, err := csvledger.Open(folder, agencies)
	if err != nil {
		t.Fatal(err)
	}
	contest, err := lottery.NewContest(ledger)
	if err != nil {
		t.Fatal(err)
	}
	central := reactor.New(reactor.Config{
		Address:        "127.0.0.1:0",
		Backlog:        16,
		Loops:          2,
		MaxConnections: 64,
		MaxPerAddress:  64,
		FrameTimeout:   time.Minute,
		IdleTimeout:    time.Minute,
		WindowFrames:   1024,
		WindowBytes:    1 << 20,
		MaxWaiting:     64 << 20,
		MaxUnread:      1 << 20,
		StopTimeout:    time.Minute,
	}, contest)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- central.Run(ctx) }()
	<-central.Ready()
	return central.Address().String(), sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := contest.Close(); err != nil {
			t.Error(err)
		}
	})
}

// play runs a lottery on the data, and returns how many winners each agency was
// told.
func play(t *testing.T, folder, data string) map[int]int {
	t.Helper()
	address, stop := serve(t, folder)
	logs := make([]bytes.Buffer, agencies+1)
	var running sync.WaitGroup
	for id := 1; id <= agencies; id++ {
		running.Go(func() {
			err := agency.Run(t.Context(), agency.Config{
				ID: id, Address: address, Mode: agency.ModeBatch,
				DataDir: data, BatchMaxAmount: 100, Window: 16,
				ConnectLimit: 1, ConnectTimeout: time.Minute,
			}, zerolog.New(&logs[id]))
			if err != nil {
				t.Errorf("agency %d: %v", id, err)
			}
		})
	}
	running.Wait()
	stop()
	told := map[int]int{}
	for id := 1; id <= agencies; id++ {
		said := regexp.MustCompile(`"consulta_ganadores","result":"success","cant_ganadores":(\d+)`).FindSubmatch(logs[id].Bytes())
		if said == nil {
			t.Fatalf("agency %d was told of no winners:\n%s", id, logs[id].String())
		}
		told[id], _ = strconv.Atoi(string(said[1]))
	}
	return told
}

// rowsOf returns the rows of the agencies' files in the zip of a folder, with
// the agency in front.
func rowsOf(t *testing.T, data string) [][]string {
	t.Helper()
	zips, _ := filepath.Glob(filepath.Join(data, "*.zip"))
	if len(zips) != 1 {
		t.Fatalf("%s holds %d zips, expected one", data, len(zips))
	}
	archive, err := zip.OpenReader(zips[0])
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var all [][]string
	for id := 1; id <= agencies; id++ {
		file, err := archive.Open(fmt.Sprintf("agency-%d.csv", id))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(file).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			number, err := strconv.Atoi(row[4])
			if err != nil {
				t.Fatal(err)
			}
			row[4] = strconv.Itoa(number)
			all = append(all, append([]string{strconv.Itoa(id)}, row...))
		}
	}
	return all
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// readPython has Python's csv module read the file.
func readPython(t *testing.T, path string) [][]string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 to read the ledger with")
	}
	const script = `import csv, json, sys
json.dump(list(csv.reader(open(sys.argv[1], newline="", encoding="utf-8"))), sys.stdout)`
	output, err := exec.Command(python, "-c", script, path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	if err := json.Unmarshal(output, &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// compare compares rows regardless of their order.
func compare(t *testing.T, reader string, got, want [][]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s reads %d rows, expected %d", reader, len(got), len(want))
	}
	if !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("%s reads other rows than the agencies have", reader)
	}
}

func sorted(rows [][]string) []string {
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = strings.Join(row, "\x00")
	}
	slices.Sort(lines)
	return lines
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
