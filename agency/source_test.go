package agency

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// zipOf returns a zip with one entry.
func zipOf(t *testing.T, entry, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(entry)
	if err == nil {
		_, err = io.WriteString(f, content)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFindSource(t *testing.T) {
	zipped := func(entry, content string) string { return string(zipOf(t, entry, content)) }
	tests := []struct {
		name  string
		files map[string]string
		path  string // below the folder
		entry string
		says  string
	}{
		{"plain", map[string]string{"agency-1.csv": "x"}, "agency-1.csv", "", ""},
		{"plain before zip", map[string]string{"agency-1.csv": "x", "a.zip": zipped("agency-1.csv", "no")}, "agency-1.csv", "", ""},
		{"zip", map[string]string{"a.zip": zipped("agency-1.csv", "x")}, "a.zip", "agency-1.csv", ""},
		{"first zip that has it", map[string]string{
			"a.zip": zipped("agency-11.csv", "no"), "b.ZIP": zipped("agency-1.csv", "x"), "c.zip": zipped("agency-1.csv", "no"),
		}, "b.ZIP", "agency-1.csv", ""},
		{"folder in a zip", map[string]string{"a.zip": zipped("bets/agency-1.csv", "x")}, "a.zip", "bets/agency-1.csv", ""},
		{"nothing", map[string]string{"agency-2.csv": "no", "a.zip": zipped("agency-2.csv", "no")}, "", "", "no agency-1.csv in the folder "},
		{"no zip at all", map[string]string{"a.zip": "no zip"}, "", "", "a.zip: zip: not a valid zip file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			for name, content := range test.files {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			s, err := findSource(folder, 1)
			if test.says != "" {
				if err == nil || !contains(err, test.says) || !contains(err, folder) {
					t.Fatalf("the error is %v, expected %q and the folder", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := (source{filepath.Join(folder, test.path), test.entry}); s != want {
				t.Errorf("found %+v, expected %+v", s, want)
			}
			r, err := s.open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err = errors.Join(err, r.Close()); err != nil || string(content) != "x" {
				t.Errorf("read %q, %v", content, err)
			}
		})
	}
	if _, err := findSource(filepath.Join(t.TempDir(), "absent"), 1); err == nil || !contains(err, "agency-1.csv") {
		t.Errorf("the error for an absent folder is %v", err)
	}
}

// The agency reads from a zip what it would read from the file, and names both
// when something is wrong with it.
func TestZip(t *testing.T) {
	rows := sampleRows(25)
	run := func(t *testing.T, archive []byte) (*fake, *record, string, error) {
		central := &fake{knowsResume: true}
		config := batchConfig(t, central.start(t), nil)
		config.DataDir = t.TempDir()
		path := filepath.Join(config.DataDir, "bets.zip")
		if err := os.WriteFile(path, archive, 0o644); err != nil {
			t.Fatal(err)
		}
		log, err := runAgency(t, config)
		return central, log, path, err
	}
	t.Run("good", func(t *testing.T) {
		central, log, _, err := run(t, zipOf(t, "agency-1.csv", strings.Join(rows, "\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		central.wantStored(rows)
		central.wantFinished(25)
		log.wantNoFail(t)
	})
	t.Run("invalid row", func(t *testing.T) {
		central, log, path, err := run(t, zipOf(t, "agency-1.csv", strings.Join(rows, "\n")+"\nno bet\n"))
		wantFailure(t, log, err, "read_file", "agency-1.csv in "+path+": line 26: ")
		central.wantUnfinished()
	})
	t.Run("damaged", func(t *testing.T) {
		archive := zipOf(t, "agency-1.csv", strings.Join(rows, "\n"))
		archive[len("PK....")+80] ^= 0xff // in the compressed rows
		central, log, path, err := run(t, archive)
		wantFailure(t, log, err, "read_file", "agency-1.csv in "+path)
		central.wantUnfinished()
	})
}

func TestNoFile(t *testing.T) {
	config := batchConfig(t, serve(t, func(int, *peer) { t.Error("the central was called") }), nil)
	config.ID = 7
	log := newRecord()
	err := testAgency(config, log).run(t.Context())
	if err == nil || !contains(err, "no agency-7.csv in the folder "+config.DataDir) {
		t.Errorf("the error is %v", err)
	}
}
