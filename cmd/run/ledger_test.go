package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestCountRows(t *testing.T) {
	const row = ",Ana,Muñoz,1000001,1990-01-01,7574\r\n"
	tests := []struct {
		name string
		text string
		want map[string]int
		err  string
	}{
		{"empty", "", map[string]int{}, ""},
		{"two agencies", "1" + row + "2" + row + "1" + row, map[string]int{"1": 2, "2": 1}, ""},
		{"quotes", `1,"Juan ""Tito""","Paz, h.",1,1990-01-01,1` + "\r\n", map[string]int{"1": 1}, ""},
		{"half a row", "1" + row + "1,Ana", nil, "wrong number of fields"},
		{"an open quote", `1,"Ana`, nil, `"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), ledgerName)
			if err := os.WriteFile(name, []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			rows, err := countRows(name)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("the error is %v, want %q in it", err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(rows, tt.want) {
				t.Errorf("the rows are %v (%v), want %v", rows, err, tt.want)
			}
		})
	}
	if rows, err := countRows(filepath.Join(t.TempDir(), "none")); err != nil || len(rows) != 0 {
		t.Errorf("no file gives %v, %v; want no rows", rows, err)
	}
}

func TestCompareRows(t *testing.T) {
	agencies := []*agency{{id: 1, bets: 3}, {id: 2}}
	tests := []struct {
		rows map[string]int
		want string
	}{
		{map[string]int{"1": 3}, ""},
		{map[string]int{"1": 2}, "bets.csv has 2 rows of agency 1, which sent 3"},
		{map[string]int{"1": 4}, "bets.csv has 4 rows of agency 1, which sent 3"},
		{map[string]int{"1": 3, "2": 1}, "bets.csv has 1 row of agency 2, which sent 0"},
		{map[string]int{"1": 3, "7": 2}, "bets.csv has 2 rows of other agencies"},
		{map[string]int{"1": 3, "01": 1}, "bets.csv has 1 row of other agencies"},
	}
	for _, tt := range tests {
		got := ""
		if err := compareRows(ledgerName, agencies, tt.rows); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%v: %q, want %q", tt.rows, got, tt.want)
		}
	}
}

func TestFoldersOfOneSecond(t *testing.T) {
	t.Chdir(t.TempDir())
	now := time.Date(2026, time.January, 31, 10, 0, 0, 0, time.UTC)
	for _, want := range []string{"", "-2", "-3"} {
		dir, err := newFolder(now)
		if want = "run/2026-01-31T10-00-00" + want; err != nil || dir != want {
			t.Errorf("the folder is %s (%v), want %s", dir, err, want)
		}
	}
	for i := 4; i <= maxSameSecond; i++ {
		if err := os.Mkdir(fmt.Sprintf("run/2026-01-31T10-00-00-%d", i), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if dir, err := newFolder(now); !errors.Is(err, os.ErrExist) {
		t.Errorf("the folder is %s (%v), want an error", dir, err)
	}
}
