package logline

import (
	"fmt"
	"strings"
)

// Format is the shape of a log line.
type Format int

const (
	// Text is the contract's line: time, level, then "key: value" parts.
	Text Format = iota
	// JSON is zerolog's own line, an object.
	JSON
)

// FormatNames is what ParseFormat allows, for help texts and errors.
const FormatNames = "text, json"

// ParseFormat reads a format's name, in any case. The error of any other name
// says what is allowed.
func ParseFormat(name string) (Format, error) {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "text":
		return Text, nil
	case "json":
		return JSON, nil
	}
	return Text, fmt.Errorf("log format %q is none of %s", name, FormatNames)
}
