package agency

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// countBets counts the bets of an agency's file, as a run with this configuration
// does.
func countBets(ctx context.Context, config Config) (uint64, error) {
	source, err := findSource(config.DataDir, config.ID)
	if err != nil {
		return 0, err
	}
	found, err := newAgency(config, zerolog.Nop()).survey(ctx, source)
	return found.bets, err
}

// The count is what a run with the same configuration sends.
func TestCountBets(t *testing.T) {
	rows := sampleRows(1234)
	broken := append(append(append([]string{}, rows[:20]...), "no bet", `"not closed`, "Ana,Paz,1,2001-02-29,5"), rows[20:]...)
	crlf := func(rows []string) string { return strings.Join(rows, "\r\n") + "\r\n" }
	tests := []struct {
		name        string
		content     string
		skipInvalid bool
		zipped      bool
		want        uint64
		fails       bool
	}{
		{"empty", "", false, false, 0, true},
		{"rows", crlf(rows), false, false, 1234, false},
		{"in a zip", crlf(rows), false, true, 1234, false},
		{"no break at the end, a mark, empty lines", "\uFEFF" + strings.Join(rows, "\n\n"), false, false, 1234, false},
		{"quoted line breaks", "\"A\"\"na\",\"Paz, h.\",1,2000-01-01,5\r\n" + crlf(rows), false, false, 1235, false},
		{"invalid rows are left out", crlf(broken), true, false, 1234, false},
		{"invalid rows end it", crlf(broken), false, false, 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			central := &fake{knowsResume: true}
			config := batchConfig(t, central.start(t), nil)
			config.DataDir = writeFile(t, test.content)
			config.SkipInvalid = test.skipInvalid
			config.AllowEmpty = false
			told := uint64(0)
			config.Total = func(bets uint64) {
				central.wantUncalled()
				told = bets
			}
			if test.zipped {
				config.DataDir = t.TempDir()
				err := os.WriteFile(filepath.Join(config.DataDir, "a.zip"), zipOf(t, "agency-1.csv", test.content), 0o644)
				if err != nil {
					t.Fatal(err)
				}
			}
			n, err := countBets(t.Context(), config)
			if n != test.want || (err != nil) != test.fails {
				t.Errorf("%d bets were counted (%v), expected %d", n, err, test.want)
			}
			_, runErr := runAgency(t, config)
			if (runErr != nil) != test.fails || test.fails && runErr.Error() != err.Error() {
				t.Errorf("the run ends with %v, counting with %v", runErr, err)
			}
			if sent := len(central.ends); uint64(sent) != n || told != n {
				t.Errorf("%d bets were sent, %d were counted, and %d told", sent, n, told)
			}
		})
	}
}

func TestCountBetsFails(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	pipes := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(pipes, "agency-1.csv"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		ctx    context.Context
		folder string
		says   string
	}{
		{"no file", t.Context(), t.TempDir(), "no agency-1.csv"},
		{"a pipe, which has its bets for the run alone", t.Context(), pipes, "is no regular file"},
		{"stopped", ended, writeFile(t, strings.Join(sampleRows(3), "\n")), context.Canceled.Error()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := batchConfig(t, "server:12345", nil)
			config.DataDir = test.folder
			n, err := countBets(test.ctx, config)
			if n != 0 || err == nil || !contains(err, test.says) {
				t.Errorf("%d bets, %v; expected the error %q", n, err, test.says)
			}
		})
	}
}

// A change of the file after the agency has begun to read it, however late or small,
// ends the run without FINISHED.
func TestFileChanges(t *testing.T) {
	rows := sampleRows(3000) // several blocks
	content := strings.Join(rows, "\n") + "\n"
	plain := map[string]func(t *testing.T, file string){
		"appended to": func(t *testing.T, file string) {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("Ana,Paz,1,2000-01-01,5\n")
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"cut": func(t *testing.T, file string) {
			if err := os.Truncate(file, int64(len(content)/2)); err != nil {
				t.Fatal(err)
			}
		},
		"replaced": func(t *testing.T, file string) {
			other := file + ".new"
			err := os.WriteFile(other, []byte("Ana,Paz,1,2000-01-01,5\n"+content), 0o644)
			if err = errors.Join(err, os.Rename(other, file)); err != nil {
				t.Fatal(err)
			}
		},
		"removed": func(t *testing.T, file string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		},
		"written at another time": func(t *testing.T, file string) {
			if err := os.Chtimes(file, time.Time{}, time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, change := range plain {
		for _, zipped := range []bool{false, true} {
			for when, hook := range map[string]func(c *fake, config *Config, change func()){
				"before it is sent": func(_ *fake, config *Config, change func()) {
					config.Total = func(uint64) { change() }
				},
				"while it is sent": func(c *fake, _ *Config, change func()) {
					c.afterBatch = func(n int) bool {
						if n == 1 {
							change()
						}
						return false
					}
				},
				"when it is sent": func(c *fake, _ *Config, change func()) {
					c.afterBatch = func(n int) bool {
						if n == 300 {
							change()
						}
						return false
					}
				},
				"and the connection is lost": func(c *fake, _ *Config, change func()) {
					c.afterBatch = func(n int) bool {
						if n == 2 {
							change()
						}
						return n == 2
					}
				},
			} {
				t.Run(fmt.Sprint(name, " ", when, ", zip ", zipped), func(t *testing.T) {
					central := &fake{knowsResume: true}
					config := batchConfig(t, central.start(t), nil)
					config.DataDir = writeFile(t, content)
					file := filepath.Join(config.DataDir, "agency-1.csv")
					if zipped {
						archive := zipOf(t, "agency-1.csv", content)
						err := os.Remove(file)
						file = filepath.Join(config.DataDir, "a.zip")
						if err = errors.Join(err, os.WriteFile(file, archive, 0o644)); err != nil {
							t.Fatal(err)
						}
					}
					hook(central, &config, func() { change(t, file) })
					_, err := runAgency(t, config)
					if err == nil || !contains(err, file+" has changed since the agency began to read it") {
						t.Errorf("the error is %v", err)
					}
					central.wantUnfinished()
					if when == "before it is sent" && len(central.ends) > 0 {
						t.Errorf("%d bets were sent", len(central.ends))
					}
				})
			}
		}
	}
}

// Other bytes of the same length and time are noticed by their digest.
func TestFileChangesUnseen(t *testing.T) {
	rows := sampleRows(25)
	content := strings.Join(rows, "\n")
	central := &fake{knowsResume: true}
	config := batchConfig(t, central.start(t), nil)
	config.DataDir = writeFile(t, content)
	config.Total = func(uint64) {
		file := filepath.Join(config.DataDir, "agency-1.csv")
		info, err := os.Stat(file)
		if err == nil {
			err = os.WriteFile(file, []byte(strings.Replace(content, "1999", "1998", 1)), 0o644)
			err = errors.Join(err, os.Chtimes(file, time.Time{}, info.ModTime()))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := runAgency(t, config)
	wantFailure(t, log, err, "read_file", "has changed: 25 bets were read from it with digest ")
	central.wantUnfinished()
}

// The first reading notices a change, too.
func TestFileChangesInSurvey(t *testing.T) {
	folder := writeFile(t, strings.Join(sampleRows(5000), "\n"))
	s, err := findSource(folder, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.path, 1000); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 100)); n != 0 || err == nil || !contains(err, "has changed") {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// A file that was just written is watched for a while before it is sent: it may
// still be copied.
func TestFileSettles(t *testing.T) {
	rows := sampleRows(3)
	written := func(ago, settle time.Duration) (*fake, *agency, *record, string) {
		central := &fake{knowsResume: true}
		config := batchConfig(t, central.start(t), rows)
		file := filepath.Join(config.DataDir, "agency-1.csv")
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(-ago)); err != nil {
			t.Fatal(err)
		}
		log := newRecord()
		a := testAgency(config, log)
		a.settle = settle
		return central, a, log, file
	}
	for name, test := range map[string]struct {
		ago, settle time.Duration
		waits       int
	}{
		"long ago":      {2 * time.Hour, time.Hour, 0},
		"just now":      {0, 20 * time.Millisecond, 1},
		"in the future": {-time.Hour, 20 * time.Millisecond, 1},
	} {
		t.Run(name, func(t *testing.T) {
			central, a, log, _ := written(test.ago, test.settle)
			if err := a.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			central.wantStored(rows)
			log.wantNoFail(t)
			// A loaded machine may let the time pass by itself.
			if waits := len(log.with("action: read_file | result: in_progress")); waits > test.waits {
				t.Errorf("waited %d times, expected %d", waits, test.waits)
			}
		})
	}
	t.Run("still being copied", func(t *testing.T) {
		central, a, log, file := written(0, time.Hour)
		ended := make(chan error, 1)
		go func() { ended <- a.run(t.Context()) }()
		log.await(t, "action: read_file | result: in_progress")
		if err := os.WriteFile(file, []byte("Ana,Paz,1,2000-01-01,5\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		wantFailure(t, log, <-ended, "read_file", file+" has changed since the agency began to read it", "; nothing was sent")
		central.wantUncalled()
	})
	t.Run("stopped", func(t *testing.T) {
		central, a, log, _ := written(0, time.Hour)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.run(ctx) }()
		log.await(t, "action: read_file | result: in_progress")
		stop()
		if err := <-ended; err != ErrStopped {
			t.Errorf("the error is %v", err)
		}
		log.wantNoFail(t)
		central.wantUncalled()
	})
}

// A stop ends the first reading, too, and is no failure.
func TestStoppedInSurvey(t *testing.T) {
	central := &fake{knowsResume: true}
	config := batchConfig(t, central.start(t), sampleRows(3))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	log := newRecord()
	if err := testAgency(config, log).run(ctx); err != ErrStopped {
		t.Errorf("the error is %v", err)
	}
	log.wantNoFail(t)
	central.wantUncalled()
}

// An entry with more bytes than the zip declares does not make the agency keep them.
func TestZipSaysLess(t *testing.T) {
	content := strings.Join(sampleRows(3000), "\n")
	archive := zipOf(t, "agency-1.csv", content)
	header := bytes.LastIndex(archive, []byte("PK\x01\x02")) // of the directory, APPNOTE 4.3.12
	binary.LittleEndian.PutUint32(archive[header+24:], 1000)
	config := batchConfig(t, "127.0.0.1:1", nil)
	config.DataDir = t.TempDir()
	if err := os.WriteFile(filepath.Join(config.DataDir, "a.zip"), archive, 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := runAgency(t, config)
	wantFailure(t, log, err, "read_file", "agency-1.csv in ")
}

// BenchmarkSurvey reads as many bets as the largest agency of the project's data
// has.
func BenchmarkSurvey(b *testing.B) {
	content := strings.Join(sampleRows(26_936), "\r\n")
	for name, write := range map[string]func(folder string) error{
		"csv": func(folder string) error {
			return os.WriteFile(filepath.Join(folder, "agency-1.csv"), []byte(content), 0o644)
		},
		"zip": func(folder string) error {
			return os.WriteFile(filepath.Join(folder, "a.zip"), zipOf(b, "agency-1.csv", content), 0o644)
		},
	} {
		b.Run(name, func(b *testing.B) {
			config := Config{ID: 1, Mode: ModeBatch, DataDir: b.TempDir()}
			if err := write(config.DataDir); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := countBets(b.Context(), config); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
