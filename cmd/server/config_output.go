package main

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"loteria/cmd/internal/settings"
)

// outputConfig says what to write of a contest, and how.
type outputConfig struct {
	winners bool   // only write the winners to standard output
	soFar   bool   // also of a contest that is not drawn
	format  format // of rows and winners; empty follows the file's name
}

// format is how rows and winners are written.
type format string

const (
	asCSV  format = "csv"
	asJSON format = "json" // one object per line (https://jsonlines.org)
)

func addOutputSettings(s *settings.Set, c *config) {
	settings.Add(s, &c.export, settings.Setting{
		Flag:  "export",
		About: "only write the bets of the drawn contest to this new file, print what is in it, and change nothing; - is standard output",
	}, settings.Text().OrAbsent())
	settings.Add(s, &c.output.winners, settings.Setting{
		Flag: "winners", Default: "false",
		About: "only write the winning bets of the drawn contest to standard output: agency, document, and which row of an export it is",
	}, settings.Bool())
	settings.Add(s, &c.output.soFar, settings.Setting{
		Flag: "so-far", Default: "false",
		About: "with export or winners: also of a contest that is not drawn",
	}, settings.Bool())
	settings.Add(s, &c.output.format, settings.Setting{
		Flag:  "format",
		About: "with export or winners: rows as bets.csv has them (csv), or an object for each line (json); without it json for a file .json, .jsonl or .ndjson, else csv",
	}, settings.Parsed("csv or json", parseFormat).OrAbsent())
}

func parseFormat(text string) (format, error) {
	f := format(strings.ToLower(strings.TrimSpace(text)))
	if f != asCSV && f != asJSON {
		return "", errors.New("not a format")
	}
	return f, nil
}

// checkOutputSettings returns an error when the output settings contradict each
// other.
func checkOutputSettings(_ *settings.Set, c *config) error {
	isWritten := c.export != "" || c.output.winners
	switch {
	case c.export != "" && c.output.winners:
		return &settings.Error{Source: "flag --export", Problem: "writes the bets, and --winners the winners: give one of them, and call it a second time for the other"}
	case c.output.soFar && !isWritten:
		return &settings.Error{Source: "flag --so-far", Problem: "is for --export and --winners, and none of them is given"}
	case c.output.format != "" && !isWritten:
		return &settings.Error{Source: "flag --format", Problem: "is for --export and --winners, and none of them is given"}
	}
	return nil
}

// formatOf returns how a file of that name is written.
func (o outputConfig) formatOf(name string) format {
	if o.format != "" {
		return o.format
	}
	if slices.Contains([]string{".json", ".jsonl", ".ndjson"}, strings.ToLower(filepath.Ext(name))) {
		return asJSON
	}
	return asCSV
}
