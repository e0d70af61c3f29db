package settings

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// Error is a configuration that cannot be used. Its text is one line.
type Error struct {
	Source  string // "flag --port", "environment variable SERVER_PORT", a file's path; may be empty
	Key     string // of the setting; empty when the error is about none
	Problem string // what is wrong, the value included
	Allowed string // what would be right; may be empty
}

// Error returns the source, the key, the value and what is allowed, on one line.
func (e *Error) Error() string {
	var text strings.Builder
	for _, part := range []string{e.Source, e.Key} {
		if part != "" {
			text.WriteString(part + ": ")
		}
	}
	text.WriteString(e.Problem)
	if e.Allowed != "" {
		text.WriteString("; allowed: " + e.Allowed)
	}
	return oneLine(text.String())
}

// Info is what Load returns for --help and --version: Text is to be printed on
// standard output, and there is nothing else to do.
type Info struct{ Text string }

func (i *Info) Error() string { return i.Text }

// Report prints what Load returned and returns the command's exit code: an Info
// goes to stdout and gives 0, any other error is one line on stderr, with the
// command's name in front, and gives 2.
func Report(err error, name string, stdout, stderr io.Writer) (exitCode int) {
	if info := (*Info)(nil); errors.As(err, &info) {
		_, _ = io.WriteString(stdout, info.Text)
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "%s: %s\n", name, oneLine(err.Error()))
	return 2
}

// maxShown bounds how much of a wrong value is shown, in runes.
const maxShown = 80

// quoted is a value as an error shows it.
func quoted(value string) string {
	if runes := []rune(value); len(runes) > maxShown {
		value = string(runes[:maxShown]) + "…"
	}
	return strconv.Quote(value)
}

// oneLine joins the lines of a text, which may come from a library, and shows
// control characters as "?".
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.Join(strings.Fields(text), " "))
}
