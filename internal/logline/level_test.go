package logline

import (
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestParseLevel(t *testing.T) {
	for name, want := range map[string]zerolog.Level{
		"DEBUG": zerolog.DebugLevel, "debug": zerolog.DebugLevel, " Info ": zerolog.InfoLevel,
		"WARNING": zerolog.WarnLevel, "warn": zerolog.WarnLevel, "Error": zerolog.ErrorLevel,
		"CRITICAL": zerolog.FatalLevel, "fatal": zerolog.FatalLevel,
	} {
		if got, err := ParseLevel(name); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "LOUD", "10", "trace"} {
		if _, err := ParseLevel(name); err == nil || !strings.Contains(err.Error(), LevelNames) {
			t.Errorf("%q: %v does not name what is allowed", name, err)
		}
	}
}

func TestLevelNamesParseBack(t *testing.T) {
	for _, name := range strings.Split(LevelNames, ", ") {
		level, err := ParseLevel(name)
		if err != nil || LevelName(level) != name {
			t.Errorf("%s: %v, %v, %s", name, level, err, LevelName(level))
		}
		if column := column(level); len(column) != len("CRITICAL ") {
			t.Errorf("%s: column %q", name, column)
		}
	}
}
