package main

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestLineWriter(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	tests := []struct {
		name   string
		writes []string
		want   []string
	}{
		{"nothing", nil, nil},
		{"lines in one write", []string{"a\nb\n"}, []string{"a", "b"}},
		{"a line in pieces", []string{"a", "", "b", "\nc\n"}, []string{"ab", "c"}},
		{"empty lines and CR LF", []string{"\n\r\na\r\n"}, []string{"", "", "a"}},
		{"no break at the end", []string{"a\nb"}, []string{"a", "b"}},
		{"as long as it may be", []string{long + "\nb\n"}, []string{long, "b"}},
		{"too long", []string{long, long + "yz\nb\n"}, []string{long, long, "yz", "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			var got []string
			w := &lineWriter{log: &log, line: func(line string) { got = append(got, line) }}
			for _, text := range tt.writes {
				if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
					t.Errorf("writing %q gives %d, %v", text, n, err)
				}
			}
			w.flush()
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("the lines are %q, want %q", got, tt.want)
			}
			if want := strings.Join(tt.writes, ""); log.String() != want {
				t.Errorf("the log is %q, want %q", log.String(), want)
			}
		})
	}
}

type brokenDisk struct{}

func (brokenDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestLineWriterSaysThatTheLogCannotBeWritten(t *testing.T) {
	w := &lineWriter{log: brokenDisk{}, line: func(string) {}}
	if _, err := w.Write([]byte("a\n")); err == nil {
		t.Error("no error")
	}
}

func TestParseRecord(t *testing.T) {
	const head = "2026-01-31 10:00:00 INFO     "
	tests := []struct {
		line   string
		action string // "" when the line is no record
		result string
		fields map[string]string
	}{
		{head + "action: sorteo | result: success", "sorteo", "success", nil},
		{head + "action: listen | result: success | address: [::1]:40213", "listen", "success", map[string]string{"address": "[::1]:40213"}},
		{head + "action: batch_processed | result: fail | client_id: 1 | batch: 1-10 | cantidad: 10", "batch_processed", "fail", map[string]string{"batch": "1-10", "cantidad": "10"}},
		{head + "action: x | result: success | empty: | odd", "x", "success", map[string]string{"odd": ""}},
		{head + "action: x", "", "", nil},
		{head + "action:  | result: success", "", "", nil},
		{"server: SERVER_PORT is 70000", "", "", nil},
		{"", "", "", nil},
	}
	for _, tt := range tests {
		rec, ok := parseRecord(tt.line)
		if ok != (tt.action != "") {
			t.Errorf("%q is a record: %v", tt.line, ok)
			continue
		}
		if !ok {
			continue
		}
		if rec.action != tt.action || rec.result != tt.result {
			t.Errorf("%q has action %q and result %q", tt.line, rec.action, rec.result)
		}
		for key, want := range tt.fields {
			if rec.fields[key] != want {
				t.Errorf("%q has %s: %q, want %q", tt.line, key, rec.fields[key], want)
			}
		}
	}
}
