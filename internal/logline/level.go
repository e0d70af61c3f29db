package logline

import (
	"fmt"
	"strings"

	"github.com/rs/zerolog"
)

// LevelNames is what ParseLevel allows, for help texts and errors.
const LevelNames = "DEBUG, INFO, WARNING, ERROR, CRITICAL"

// ParseLevel reads a level's name as Python's logging has it, in any case:
// DEBUG, INFO, WARNING (or WARN), ERROR, CRITICAL (or FATAL). The error of any
// other name says what is allowed.
func ParseLevel(name string) (zerolog.Level, error) {
	switch strings.ToUpper(strings.TrimSpace(name)) {
	case "DEBUG":
		return zerolog.DebugLevel, nil
	case "INFO":
		return zerolog.InfoLevel, nil
	case "WARNING", "WARN":
		return zerolog.WarnLevel, nil
	case "ERROR":
		return zerolog.ErrorLevel, nil
	case "CRITICAL", "FATAL":
		return zerolog.FatalLevel, nil
	}
	return zerolog.NoLevel, fmt.Errorf("log level %q is none of %s", name, LevelNames)
}

// LevelName is the name under which a level appears in a line, without padding.
// Levels that Python does not have get their nearest neighbour's name.
func LevelName(level zerolog.Level) string { return strings.TrimRight(column(level), " ") }

// column is the level's column of a line, eight bytes wide and followed by a
// space.
func column(level zerolog.Level) string {
	switch level {
	case zerolog.TraceLevel, zerolog.DebugLevel:
		return "DEBUG    "
	case zerolog.WarnLevel:
		return "WARNING  "
	case zerolog.ErrorLevel:
		return "ERROR    "
	case zerolog.FatalLevel, zerolog.PanicLevel:
		return "CRITICAL "
	}
	return "INFO     "
}
