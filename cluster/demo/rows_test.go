package main

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompareFiles(t *testing.T) {
	const (
		ana = "Ana,Muñoz,1000001,1990-01-01,"
		eva = "Eva,\"Paz, h.\",1000002,1990-01-01,"
	)
	for name, tt := range map[string]struct {
		stored string
		want   string
	}{
		"the same":            {"1," + ana + "7\r\n2," + ana + "1\r\n1," + eva + "8\r\n", ""},
		"one is missing":      {"1," + ana + "7\r\n2," + ana + "1\r\n", "lacks the bet"},
		"the first missing":   {"1," + eva + "8\r\n2," + ana + "1\r\n", "row 1: agency 1's next bet is"},
		"another order":       {"1," + eva + "8\r\n1," + ana + "7\r\n2," + ana + "1\r\n", "row 1: agency 1's next bet is"},
		"twice":               {"1," + ana + "7\r\n1," + eva + "8\r\n1," + eva + "8\r\n2," + ana + "1\r\n", "row 3: agency 1's next bet is []"},
		"another number":      {"1," + ana + "9\r\n", "row 1"},
		"of another agency":   {"3," + ana + "7\r\n", `agency "3" has no file`},
		"cut off":             {"1,Ana", "wrong number of fields"},
		"nothing":             {"", "lacks the bet"},
		"a number is spelled": {"1," + ana + "007\r\n", "row 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			export := filepath.Join(dir, exportName)
			file := filepath.Join(dir, "agency-1.csv")
			if err := os.WriteFile(file, []byte(ana+"0007\n"+eva+"8"), 0o644); err != nil {
				t.Fatal(err)
			}
			zipRow(t, filepath.Join(dir, "a.zip"), "agency-3.csv", ana+"1")
			zipRow(t, filepath.Join(dir, "b.zip"), "agency-2.csv", ana+"1")
			if err := os.WriteFile(export, []byte(tt.stored), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := compareFiles(export, dir, 2)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want %q in it", err, tt.want)
			}
		})
	}
	if _, err := compareFiles("export.csv", t.TempDir(), 2); err == nil || !strings.Contains(err.Error(), "agency-1.csv") {
		t.Errorf("without files the error is %v", err)
	}
}

func zipRow(t *testing.T, path, name, text string) {
	t.Helper()
	var content bytes.Buffer
	w := zip.NewWriter(&content)
	entry, err := w.Create(name)
	if err == nil {
		_, err = entry.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = os.WriteFile(path, content.Bytes(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
