package settings

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	helpWidth  = 100 // columns
	helpIndent = 6
)

// help lists every setting in the order of the table.
func (s *Set) help() string {
	var text strings.Builder
	line := func(indent int, words string) { wrap(&text, indent, words) }

	fmt.Fprintf(&text, "Usage: %s [flags]\n\n", s.name)
	line(0, s.about)
	text.WriteString("\nFlags beat environment variables, which beat the file, which beats the defaults.\n" +
		"A flag takes its value behind = or as the next word.\n\n")
	config := fmt.Sprintf("environment %s; default %s in the working directory, which may be absent", s.file.Env, s.file.Default)
	s.helpOn(&text, "--"+configFlag+" PATH", "file to read, .ini or .yaml", config)
	s.helpOn(&text, "-h, --help", "print this and exit", "")
	s.helpOn(&text, "--version", "print name and version and exit", "")
	var others []*entry
	for _, e := range s.entries {
		if e.Flag == "" {
			others = append(others, e)
			continue
		}
		title := "--" + e.Flag + " VALUE"
		if e.alone != "" {
			title = "--" + e.Flag + "[=VALUE]"
		}
		s.helpOn(&text, title, e.About, e.details())
	}
	if len(others) > 0 {
		text.WriteString("\nWithout a flag:\n\n")
	}
	for _, e := range others {
		title := e.Key
		if title == "" {
			title = e.Env
		}
		s.helpOn(&text, title, e.About, e.details())
	}
	return text.String()
}

// Markdown returns the settings as a table for a README.
func (s *Set) Markdown() string {
	text := new(strings.Builder)
	text.WriteString("| flag | environment | file | default | what, and what is allowed |\n|---|---|---|---|---|\n")
	code := func(prefix, word string) string {
		if word == "" {
			return "–"
		}
		return "`" + prefix + word + "`"
	}
	for _, e := range s.entries {
		byDefault := code("", e.Default)
		if e.Default == "" && !e.empty && !e.absent {
			byDefault = "required"
		}
		fmt.Fprintf(text, "| %s | %s | %s | %s | %s: %s |\n",
			code("--", e.Flag), code("", e.Env), code("", e.Key), byDefault, e.About, e.allowed)
	}
	return text.String()
}

// details says where a setting may be given, its default, and what is allowed.
func (e *entry) details() string {
	var parts []string
	if e.Env != "" {
		parts = append(parts, "environment "+e.Env)
	}
	if e.Key != "" {
		parts = append(parts, "file "+e.Key)
	}
	switch {
	case e.Default != "":
		parts = append(parts, "default "+e.Default)
	case e.empty:
		parts = append(parts, "default empty")
	case e.absent:
	default:
		parts = append(parts, "required")
	}
	return strings.Join(append(parts, "allowed: "+e.allowed), "; ")
}

func (s *Set) helpOn(text *strings.Builder, title, about, details string) {
	fmt.Fprintf(text, "  %s\n", title)
	wrap(text, helpIndent, about)
	if details != "" {
		wrap(text, helpIndent, details)
	}
}

// wrap writes words in lines of at most helpWidth columns.
func wrap(text *strings.Builder, indent int, words string) {
	column := 0
	for _, word := range strings.Fields(words) {
		width := utf8.RuneCountInString(word)
		switch {
		case column == 0:
			text.WriteString(strings.Repeat(" ", indent))
			column = indent
		case column+1+width > helpWidth:
			text.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			text.WriteByte(' ')
			column++
		}
		text.WriteString(word)
		column += width
	}
	text.WriteByte('\n')
}
