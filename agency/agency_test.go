package agency

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"loteria/lottery"
)

// sampleRows returns n valid rows of an agency's file.
func sampleRows(n int) []string {
	rows := make([]string, n)
	for i := range rows {
		rows[i] = fmt.Sprintf("Santiago Lionel,Ñandú %d,%08d,1999-03-17,%d", i, 30904465+i, i%10000)
	}
	return rows
}

// writeFile makes a data folder with the file of agency 1.
func writeFile(t *testing.T, content string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	file := filepath.Join(folder, "agency-1.csv")
	err := os.WriteFile(file, []byte(content), 0o644)
	if err == nil {
		err = os.Chtimes(file, time.Time{}, time.Unix(1e9, 0)) // see awaitSettled
	}
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// batchConfig is the configuration of agency 1, with these rows in its file and
// short pauses.
func batchConfig(t *testing.T, address string, rows []string) Config {
	t.Helper()
	content := ""
	if len(rows) > 0 {
		content = strings.Join(rows, "\r\n") + "\r\n"
	}
	return Config{
		ID:             1,
		Address:        address,
		Mode:           ModeBatch,
		DataDir:        writeFile(t, content),
		BatchMaxAmount: 10,
		Window:         4,
		RetryPeriod:    time.Millisecond,
		RetryLimit:     5,
		ConnectLimit:   5,
		ConnectTimeout: testLimit,
		AllowEmpty:     len(rows) == 0,
	}
}

func betConfig(address string, amount int) Config {
	return Config{
		ID:             1,
		Address:        address,
		Mode:           ModeBet,
		LoopAmount:     amount,
		Bet:            lottery.RawBet{FirstName: "Santiago Lionel", LastName: "Lorca", Document: "030904465", Birthdate: "1999-03-17", Number: "0007"},
		RetryPeriod:    time.Millisecond,
		RetryLimit:     5,
		ConnectLimit:   5,
		ConnectTimeout: testLimit,
	}
}

func echoConfig(address string, amount int) Config {
	c := betConfig(address, amount)
	c.Mode = ModeEcho
	return c
}

func winnersConfig(address string) Config {
	return Config{ID: 1, Address: address, Mode: ModeWinners, ConnectLimit: 5, ConnectTimeout: testLimit}
}

// testAgency is an agency whose own pauses are short.
func testAgency(config Config, log *record) *agency {
	a := newAgency(config, log.logger(zerolog.InfoLevel))
	a.backoff = backoff{time.Millisecond, 4 * time.Millisecond}
	a.quiet = 20 * time.Millisecond
	a.settle = 0 // zips of tests were just written
	return a
}

// runAgency runs an agency to its end.
func runAgency(t *testing.T, config Config) (*record, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	defer cancel()
	log := newRecord()
	err := testAgency(config, log).run(ctx)
	if errors.Is(err, ErrStopped) {
		t.Fatalf("the agency has not ended by itself; it logged\n%s", strings.Join(log.all(), "\n"))
	}
	return log, err
}

// completed runs an agency to its end, which must come without any failure.
func completed(t *testing.T, config Config) *record {
	t.Helper()
	log, err := runAgency(t, config)
	if err != nil {
		t.Fatalf("%v; it logged\n%s", err, strings.Join(log.all(), "\n"))
	}
	log.wantNoFail(t)
	return log
}

// wantFailure fails the test unless the run ended with an error that says all this,
// and one line for it.
func wantFailure(t *testing.T, log *record, err error, action string, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("the error is %q, expected %q in it", err, s)
		}
	}
	var fails []string
	for _, line := range log.all() {
		if strings.Contains(line, "result: fail") {
			fails = append(fails, line)
		}
	}
	if len(fails) != 1 || !strings.HasPrefix(fails[0], "action: "+action+" | result: fail | client_id: 1") ||
		!strings.HasSuffix(fails[0], "error: "+err.Error()) {
		t.Errorf("the lines that say fail are %q, expected one of %s with the error %q", fails, action, err)
	}
}

// Every kind of central gets every bet once, in full batches except the last, one
// after the other, and the log says so.
func TestBatches(t *testing.T) {
	tests := []struct {
		name        string
		rows        int
		knowsResume bool
		sizes       []int
	}{
		{"the last batch is partly filled (pitfall 1)", 25, true, []int{10, 10, 5}},
		{"the last batch is partly filled, existing central (pitfall 1)", 25, false, []int{10, 10, 5}},
		{"the last batch is full", 20, true, []int{10, 10}},
		{"one bet", 1, true, []int{1}},
		{"no bets", 0, true, nil},
		{"no bets, existing central", 0, false, nil},
		{"more batches than the window", 503, true, append(slices.Repeat([]int{10}, 50), 3)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			central := &fake{knowsResume: test.knowsResume}
			rows := sampleRows(test.rows)
			log := completed(t, batchConfig(t, central.start(t), rows))
			central.wantStored(rows)
			if got := central.sizes(); !slices.Equal(got, test.sizes) {
				t.Errorf("the batches have %v bets, expected %v", got, test.sizes)
			}
			for i, b := range central.batches {
				if b.hasPosition != test.knowsResume || b.hasPosition && b.position != uint64(i*10) {
					t.Errorf("batch %d has a position %v: %d", i, b.hasPosition, b.position)
				}
			}
			if test.knowsResume {
				central.wantFinished(test.rows)
			} else {
				central.wantFinished(-1)
			}
			for i, line := range log.with("action: batch_processed ") {
				first := i*10 + 1
				last := first + test.sizes[i] - 1
				want := fmt.Sprintf("action: batch_processed | result: success | client_id: 1 | batch: %d-%d | cantidad: %d",
					first, last, test.sizes[i])
				if line != want {
					t.Errorf("the log says %q, expected %q", line, want)
				}
			}
		})
	}
}

// The log has all lines of the contract, in order.
func TestBatchLog(t *testing.T) {
	central := &fake{knowsResume: true, winners: [][]byte{winnersFrame(tWinners, "30904465")}}
	log := completed(t, batchConfig(t, central.start(t), sampleRows(13)))
	log.wantLines(t,
		"action: batch_processing_start | result: success",
		"action: batch_processed | result: success | client_id: 1 | batch: 1-10 | cantidad: 10",
		"action: batch_processed | result: success | client_id: 1 | batch: 11-13 | cantidad: 3",
		"action: batch_processing_complete | result: success | client_id: 1 | processed: 13/13",
		"action: finished | result: success | client_id: 1 | total: 13",
		"action: consulta_ganadores | result: success | cant_ganadores: 1",
	)
}

// A frame with the longest names ends at 8,192 bytes, long before the batch has as
// many bets as it may, and not a bet earlier than it must.
func TestFrameLimit(t *testing.T) {
	for _, knowsResume := range []bool{true, false} {
		for _, length := range []int{255, 254, 40, 3} {
			t.Run(fmt.Sprint(knowsResume, length), func(t *testing.T) {
				name := strings.Repeat("a", length-2) + "ñ"
				var rows []string
				for i := range 700 {
					rows = append(rows, fmt.Sprintf("%s,%s,%010d,2000-02-29,9999", name, name, i))
				}
				central := &fake{knowsResume: knowsResume}
				config := batchConfig(t, central.start(t), rows)
				config.BatchMaxAmount = 100_000
				completed(t, config)
				central.wantStored(rows)
				bet := 4 + 12 + 1 + 2*length + 10 + 10 + 4
				for i, b := range central.batches {
					// A frame over 8,192 bytes fails where it is read.
					if i < len(central.batches)-1 && b.frameSize+bet <= 8192 {
						t.Errorf("frame %d has %d bytes, another bet of %d would fit", i, b.frameSize, bet)
					}
				}
			})
		}
	}
}

// Pitfall 1: a last row without a line break is a row, whichever line breaks the
// others have.
func TestFileForms(t *testing.T) {
	rows := sampleRows(3)
	quoted := ""
	for _, row := range rows {
		quoted += `"` + strings.ReplaceAll(row, ",", `","`) + `"` + "\n"
	}
	for name, content := range map[string]string{
		"no final break, LF":    strings.Join(rows, "\n"),
		"no final break, CR LF": strings.Join(rows, "\r\n"),
		"LF":                    strings.Join(rows, "\n") + "\n",
		"CR at the very end":    strings.Join(rows, "\r\n") + "\r",
		"byte order mark":       "\uFEFF" + strings.Join(rows, "\r\n") + "\r\n",
		"quoted":                quoted,
		"quoted, no break":      strings.TrimSuffix(quoted, "\n"),
		"empty lines":           "\n" + strings.Join(rows, "\r\n\r\n") + "\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			central := &fake{knowsResume: true}
			config := batchConfig(t, central.start(t), nil)
			config.DataDir = writeFile(t, content)
			completed(t, config)
			central.wantAll(rows)
		})
	}
}

// A name with a comma and quotes gets to the central as it is.
func TestQuotedNames(t *testing.T) {
	central := &fake{knowsResume: true}
	config := batchConfig(t, central.start(t), []string{`"Ana ""La Ñata""","Paz, viuda de Gil",1,2000-01-01,7574`})
	completed(t, config)
	got := central.batches[0].rawBets[0]
	want := lottery.RawBet{Agency: "1", FirstName: `Ana "La Ñata"`, LastName: "Paz, viuda de Gil", Document: "1", Birthdate: "2000-01-01", Number: "7574"}
	if got != want {
		t.Errorf("got %+v, expected %+v", got, want)
	}
}

// A row that is no valid bet ends the run before anything is sent.
func TestInvalidRow(t *testing.T) {
	tests := []struct {
		name, row string
		says      []string
		code      lottery.Code
	}{
		{"rule", "Ana,Paz,1,2001-02-29,5", []string{"bad_birthdate", "2001-02-29"}, lottery.BadBirthdate},
		{"name", "Ana,,1,2001-02-28,5", []string{"bad_name", "last name"}, lottery.BadName},
		{"document", "Ana,Paz,12345678901,2001-02-28,5", []string{"bad_document"}, lottery.BadDocument},
		{"number", "Ana,Paz,1,2001-02-28,10000", []string{"bad_number", "10000"}, lottery.BadNumber},
		{"too few fields", "Ana,Paz,1,2001-02-28", []string{"4 fields, expected 5"}, ""},
		{"too many fields", "Ana,Paz,1,2001-02-28,5,", []string{"6 fields, expected 5"}, ""},
		{"one field", "Ana", []string{"1 field, expected 5"}, ""},
		{"quote not closed", `Ana,"Paz,1,2001-02-28,5`, []string{"the quote before ", "in line 14 is not closed"}, ""},
		{"stray quote", `A"na,Paz,1,2001-02-28,5`, []string{"a quote inside"}, ""},
		{"text after quote", `"Ana"x,Paz,1,2001-02-28,5`, []string{"after a closing quote"}, ""},
		{"line break in a name", "\"Ana\r\nPaz\",Paz,1,2001-02-28,5", []string{"bad_name"}, lottery.BadName},
		{"not UTF-8", "Ana\xff,Paz,1,2001-02-28,5", []string{"bad_name", "UTF-8"}, lottery.BadName},
		{"too long", strings.Repeat("x", 5000), []string{"more than 4096 bytes"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			good := sampleRows(30)
			rows := append(append(slices.Clone(good[:13]), test.row), good[13:]...)

			central := &fake{knowsResume: true}
			config := batchConfig(t, central.start(t), rows)
			log, err := runAgency(t, config)
			wantFailure(t, log, err, "read_file",
				append(test.says, filepath.Join(config.DataDir, "agency-1.csv")+": line 14: ")...)
			var bad *RowError
			if !errors.As(err, &bad) || bad.Line != 14 {
				t.Errorf("the error is %v, expected a RowError of line 14", err)
			}
			if test.code != "" && !errors.Is(err, test.code) {
				t.Errorf("the error is not %v", test.code)
			}
			central.wantUncalled()

			t.Run("skipped", func(t *testing.T) {
				central := &fake{knowsResume: true}
				config := batchConfig(t, central.start(t), rows)
				config.SkipInvalid = true
				log, err := runAgency(t, config)
				if err != nil {
					t.Fatal(err)
				}
				central.wantStored(good)
				central.wantFinished(30)
				file := filepath.Join(config.DataDir, "agency-1.csv")
				want := "action: invalid_row | result: fail | client_id: 1 | file: " + file + " | line: 14 | reason: "
				if got := log.with("action: invalid_row"); len(got) != 1 || !strings.HasPrefix(got[0], want) {
					t.Errorf("the log says %q, expected %q…", got, want)
				}
				total := "action: skip_invalid | result: success | client_id: 1 | file: " + file + " | skipped: 1"
				if got := log.with("action: skip_invalid"); !slices.Equal(got, []string{total}) {
					t.Errorf("the log says %q, expected %q", got, total)
				}
			})
		})
	}
}

// Not every one of very many invalid rows is logged; all are counted, and only once,
// although the file is read again after a lost connection.
func TestSkipManyInvalidRows(t *testing.T) {
	good := sampleRows(50)
	var rows []string
	for _, row := range good {
		rows = append(rows, "no bet", row)
	}
	central := &fake{knowsResume: true}
	central.afterBatch = func(n int) bool { return n == 3 }
	config := batchConfig(t, central.start(t), rows)
	config.SkipInvalid = true
	config.Window = 1 // so that the first connection does not see the file's end
	log, err := runAgency(t, config)
	if err != nil {
		t.Fatal(err)
	}
	central.wantStored(good)
	central.wantFinished(50)
	if got := len(log.with("action: invalid_row")); got != 10 {
		t.Errorf("%d rows are reported, expected the first 10", got)
	}
	if got := log.with("action: skip_invalid"); len(got) != 1 || !strings.HasSuffix(got[0], "skipped: 50") {
		t.Errorf("the log says %q, expected 50", got)
	}
}

// loop.period is the pause between batches, and only between them.
func TestPeriod(t *testing.T) {
	central := &fake{knowsResume: true}
	config := batchConfig(t, central.start(t), sampleRows(25))
	config.LoopPeriod = 30 * time.Millisecond
	begun := time.Now()
	completed(t, config)
	if took := time.Since(begun); took < 2*config.LoopPeriod {
		t.Errorf("three batches took %v, expected two pauses of %v", took, config.LoopPeriod)
	}
	central.wantFinished(25)
}

func TestConfig(t *testing.T) {
	valid := Config{
		ID: 1, Address: "server:12345", Mode: ModeBatch, DataDir: "/data", BatchMaxAmount: 1, Window: 1,
		ConnectTimeout: time.Second,
	}
	bet := betConfig("server:12345", 1)
	tests := []struct {
		says   string
		config Config
		change func(*Config)
	}{
		{"", valid, func(c *Config) {}},
		{"", bet, func(c *Config) {}},
		{"", bet, func(c *Config) { c.Mode, c.Bet = ModeEcho, lottery.RawBet{} }},
		{"id: 0", valid, func(c *Config) { c.ID = 0 }},
		{"server.address", valid, func(c *Config) { c.Address = "server" }},
		{"loop.period", valid, func(c *Config) { c.LoopPeriod = -1 }},
		{"loop.amount", bet, func(c *Config) { c.LoopAmount = -1 }},
		{"retry.limit", valid, func(c *Config) { c.RetryLimit = -1 }},
		{"connect.timeout", valid, func(c *Config) { c.ConnectTimeout = 0 }},
		{"mode", valid, func(c *Config) { c.Mode = "Batch" }},
		{"data.dir", valid, func(c *Config) { c.DataDir = "" }},
		{"batch.maxAmount", valid, func(c *Config) { c.BatchMaxAmount = 0 }},
		{"batch.window", valid, func(c *Config) { c.Window = 0 }},
		{"batch.window", valid, func(c *Config) { c.Window = MaxWindow + 1 }},
		{"NOMBRE: bad_name", bet, func(c *Config) { c.Bet.FirstName = "" }},
		{"NOMBRE: bad_name", bet, func(c *Config) { c.Bet.FirstName, c.Bet.LastName = "\n", "\n" }},
		{"APELLIDO: bad_name", bet, func(c *Config) { c.Bet.LastName = "a\x00" }},
		{"DOCUMENTO: bad_document", bet, func(c *Config) { c.Bet.Document = "1.234" }},
		{"NACIMIENTO: bad_birthdate", bet, func(c *Config) { c.Bet.Birthdate = "2001-2-3" }},
		{"NUMERO: bad_number", bet, func(c *Config) { c.Bet.Number = "10000" }},
	}
	for _, test := range tests {
		t.Run(test.says, func(t *testing.T) {
			config := test.config
			test.change(&config)
			err := config.Validate()
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.HasPrefix(err.Error(), test.says)) {
				t.Errorf("the error is %v, expected %q", err, test.says)
			}
		})
	}
}
