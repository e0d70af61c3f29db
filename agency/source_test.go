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
func zipOf(t testing.TB, entry, content string) []byte {
	t.Helper()
	return zipWith(t, zip.FileHeader{Name: entry, Method: zip.Deflate}, content)
}

// zipWith returns a zip with one entry for each pair of header and content.
func zipWith(t testing.TB, pairs ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		header, content := pairs[i].(zip.FileHeader), pairs[i+1].(string)
		create := w.CreateHeader
		if header.Flags&1 != 0 || header.Method > zip.Deflate {
			header.CompressedSize64, header.UncompressedSize64 = uint64(len(content)), uint64(len(content))
			create = w.CreateRaw
		}
		f, err := create(&header)
		if err == nil {
			_, err = io.WriteString(f, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFindSource(t *testing.T) {
	named := func(name string) zip.FileHeader { return zip.FileHeader{Name: name} }
	zipped := func(pairs ...any) string { return string(zipWith(t, pairs...)) }
	ours := named("agency-1.csv")
	tests := []struct {
		name   string
		files  map[string]string // what begins with -> is a link
		path   string            // below the folder
		entry  string
		passed string   // why a zip was passed over
		says   []string // the error
	}{
		{name: "plain", files: map[string]string{"agency-1.csv": "x"}, path: "agency-1.csv"},
		{name: "plain before zip", files: map[string]string{"agency-1.csv": "x", "a.zip": zipped(ours, "no")}, path: "agency-1.csv"},
		{name: "link", files: map[string]string{"x.csv": "x", "agency-1.csv": "->x.csv"}, path: "agency-1.csv"},
		{name: "dangling link", files: map[string]string{"a.zip": zipped(ours, "no"), "agency-1.csv": "->absent.csv"},
			says: []string{"agency-1.csv is a link to absent.csv, which does not exist"}},
		{name: "link to itself", files: map[string]string{"a.zip": zipped(ours, "no"), "agency-1.csv": "->agency-1.csv"},
			says: []string{"too many levels of symbolic links"}},
		{name: "link to a folder", files: map[string]string{"a.zip": zipped(ours, "no"), "agency-1.csv": "->."},
			says: []string{"agency-1.csv is a folder"}},

		{name: "zip", files: map[string]string{"a.zip": zipped(ours, "x")}, path: "a.zip", entry: "agency-1.csv"},
		{name: "first zip that has it", files: map[string]string{
			"a.zip": zipped(named("agency-11.csv"), "no"), "b.ZIP": zipped(ours, "x"), "c.zip": zipped(ours, "no"),
		}, path: "b.ZIP", entry: "agency-1.csv", passed: "c.zip is not used: "},
		{name: "folder in a zip", files: map[string]string{"a.zip": zipped(named("bets/"), "", named("bets/agency-1.csv"), "x")},
			path: "a.zip", entry: "bets/agency-1.csv"},
		{name: "folder of the same name", files: map[string]string{"a.zip": zipped(named("agency-1.csv/"), "", named("agency-1.csv/agency-1.csv"), "x")},
			path: "a.zip", entry: "agency-1.csv/agency-1.csv"},
		{name: "dot", files: map[string]string{"a.zip": zipped(named("./agency-1.csv"), "x")}, path: "a.zip", entry: "./agency-1.csv"},
		{name: "backslash", files: map[string]string{"a.zip": zipped(named(`datos\agency-1.csv`), "x")}, path: "a.zip", entry: `datos\agency-1.csv`},
		{name: "root", files: map[string]string{"a.zip": zipped(named("/agency-1.csv"), "x")}, path: "a.zip", entry: "/agency-1.csv"},
		{name: "macOS", files: map[string]string{"a.zip": zipped(
			ours, "x", named("__MACOSX/agency-1.csv"), "no", named("__MACOSX/._agency-1.csv"), "no", named("bets/._agency-1.csv"), "no")},
			path: "a.zip", entry: "agency-1.csv"},
		{name: "AppleDouble beside it", files: map[string]string{"._a.zip": "no zip", "a.zip": zipped(ours, "x")}, path: "a.zip", entry: "agency-1.csv"},
		{name: "broken zip before it", files: map[string]string{"a.zip": "no zip", "b.zip": zipped(ours, "x")},
			path: "b.zip", entry: "agency-1.csv", passed: "a.zip: zip: not a valid zip file"},
		{name: "broken zip behind it", files: map[string]string{"a.zip": zipped(ours, "x"), "b.zip": "no zip"},
			path: "a.zip", entry: "agency-1.csv", passed: "b.zip: zip: not a valid zip file"},
		{name: "dangling zip beside it", files: map[string]string{"a.zip": "->absent", "b.zip": zipped(ours, "x")},
			path: "b.zip", entry: "agency-1.csv", passed: "a.zip is not used: "},

		{name: "nothing", files: map[string]string{"agency-2.csv": "no", "a.zip": zipped(named("agency-2.csv"), "no")},
			says: []string{"no agency-1.csv in the folder "}},
		{name: "no zip at all", files: map[string]string{"a.zip": "no zip"}, says: []string{"a.zip: zip: not a valid zip file"}},
		{name: "several", files: map[string]string{"a.zip": zipped(named("2025/agency-1.csv"), "no", named(`2026\agency-1.csv`), "no")},
			says: []string{"a.zip has 2 files agency-1.csv, expected one: ", `"2025/agency-1.csv"`, `2026\\agency-1.csv`}},
		{name: "the same twice", files: map[string]string{"a.zip": zipped(ours, "no", ours, "no")}, says: []string{"2 files agency-1.csv"}},
		{name: "password", files: map[string]string{"a.zip": zipped(zip.FileHeader{Name: "agency-1.csv", Flags: 1}, "no"), "b.zip": zipped(ours, "no")},
			says: []string{"agency-1.csv in ", "a.zip is encrypted", "without a password"}},
		{name: "method", files: map[string]string{"a.zip": zipped(zip.FileHeader{Name: "agency-1.csv", Method: 9}, "no")},
			says: []string{"method 9, expected Deflate (8)"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			for name, content := range test.files {
				err := error(nil)
				if target, link := strings.CutPrefix(content, "->"); link {
					err = os.Symlink(target, filepath.Join(folder, name))
				} else {
					err = os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			s, err := findSource(folder, 1)
			if test.says != nil {
				for _, says := range append(test.says, folder) {
					if err == nil || !contains(err, says) {
						t.Errorf("the error is %v, expected %q", err, says)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.path != filepath.Join(folder, test.path) || s.entry != test.entry {
				t.Errorf("found %q in %s, expected %q in %s", s.entry, s.path, test.entry, test.path)
			}
			if passed := errors.Join(s.passed...); (passed != nil) != (test.passed != "") || passed != nil && !contains(passed, test.passed) {
				t.Errorf("passed over: %v, expected %q", passed, test.passed)
			}
			r, err := s.open(t.Context())
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
		central.wantAll(rows)
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
		wantFailure(t, log, err, "read_file", "agency-1.csv in "+path, "copy it again; nothing was sent")
		central.wantUncalled()
	})
	t.Run("damaged, only the checksum tells", func(t *testing.T) {
		archive := zipWith(t, zip.FileHeader{Name: "agency-1.csv", Method: zip.Store}, strings.Join(sampleRows(5000), "\n"))
		archive[bytes.Index(archive, []byte("30904468"))]++ // still a DNI
		central, log, path, err := run(t, archive)
		wantFailure(t, log, err, "read_file", "agency-1.csv in "+path, "checksum", "copy it again")
		central.wantUncalled()
	})
	t.Run("a broken one beside it", func(t *testing.T) {
		central := &fake{knowsResume: true}
		config := batchConfig(t, central.start(t), nil)
		config.DataDir = t.TempDir()
		for name, content := range map[string][]byte{"a.zip": []byte("no zip"), "b.zip": zipOf(t, "agency-1.csv", strings.Join(rows, "\n"))} {
			if err := os.WriteFile(filepath.Join(config.DataDir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		log := completed(t, config)
		central.wantStored(rows)
		log.wantNoFail(t)
		if got := log.with("action: open_file | result: in_progress | client_id: 1 | reason: a.zip is not used: "); len(got) != 1 {
			t.Errorf("no warning of the broken zip in %q", log.all())
		}
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
