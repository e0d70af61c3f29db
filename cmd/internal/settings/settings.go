// Package settings reads the configuration of a command: one table of settings
// gives its flags, environment variables, file keys, defaults, help and errors.
// Flags beat the environment, which beats the file, which beats the defaults.
//
//	var c struct{ port int }
//	s := settings.New("server", "The central of the lottery.",
//		settings.File{Default: "config.ini", Env: "SERVER_CONFIG"})
//	settings.Add(s, &c.port, settings.Setting{
//		Key: "SERVER_PORT", Flag: "port", Env: "SERVER_PORT", Default: "12345",
//		About: "TCP port",
//	}, settings.Int(0, 65535))
//	if err := s.Load(os.Args[1:], os.Environ()); err != nil {
//		os.Exit(settings.Report(err, "server", os.Stdout, os.Stderr))
//	}
package settings

import (
	"fmt"
	"strings"
)

// Setting is one row of the table. What is left empty does not exist: a setting
// without Flag cannot be given on the command line, and so on.
type Setting struct {
	Key   string // in the file; nested YAML keys are joined by dots
	Flag  string // without the dashes
	Env   string
	About string // one line, a phrase without a full stop
	// Default is written as a user would write it. A setting whose Default is
	// empty must be given, unless its kind allows an empty value or none.
	Default string
}

// File says where a command's file is.
type File struct {
	// Default is the path that is read when none is given. It may be absent. Its
	// extension is the format of files whose own is not .ini, .yaml or .yml.
	Default string
	Env     string // names the variable that holds a path; the flag is --config
}

// Set is the table of one command's settings.
type Set struct {
	name, about string
	file        File
	entries     []*entry
	warnings    []string
}

// entry is a setting together with where its value goes.
type entry struct {
	Setting
	path    string             // its name within the layers
	allowed string             // what its kind allows
	empty   bool               // an empty value is allowed
	absent  bool               // it need not be given
	alone   string             // what its flag means when it stands alone; empty when it may not
	set     func(string) error // parses and stores
	value   string             // as it was read
	source  string             // of the value; empty for the default
}

// New returns an empty table for a command, whose name and purpose are for its help.
func New(name, about string, file File) *Set {
	return &Set{name: name, about: about, file: file}
}

// Add appends a setting to the table. Load stores its value in *into. Add panics
// when a key, flag or variable is in the table already.
func Add[T any](s *Set, into *T, setting Setting, kind Kind[T]) {
	for _, other := range s.entries {
		if clash(other.Key, setting.Key) || clash(other.Flag, setting.Flag) || clash(other.Env, setting.Env) {
			panic(fmt.Sprintf("settings: %+v clashes with %+v", setting, other.Setting))
		}
	}
	e := &entry{Setting: setting, path: setting.Key, allowed: kind.allowed, empty: kind.empty, absent: kind.absent, alone: kind.alone}
	if e.path == "" {
		e.path = "--" + setting.Flag
	}
	e.set = func(text string) error {
		value, err := kind.read(text)
		if err == nil {
			*into, e.value = value, text
		}
		return err
	}
	s.entries = append(s.entries, e)
}

func clash(a, b string) bool { return a != "" && strings.EqualFold(a, b) }

// find returns the setting with the key, which must be in the table.
func (s *Set) find(key string) *entry {
	for _, e := range s.entries {
		if e.Key == key {
			return e
		}
	}
	panic("settings: there is no key " + key)
}

// Require returns an *Error for the first of the keys whose value is empty. It
// is for settings that another one makes necessary, after Load.
func (s *Set) Require(why string, keys ...string) error {
	for _, key := range keys {
		if e := s.find(key); e.value == "" {
			return s.notSet(e, why)
		}
	}
	return nil
}

// RequireTogether returns an *Error for the first of the keys whose value is empty,
// if another one has a value.
func (s *Set) RequireTogether(why string, keys ...string) error {
	for _, key := range keys {
		if s.find(key).value != "" {
			return s.Require(key+" is given, and "+why, keys...)
		}
	}
	return nil
}

// Given reports whether the setting with the key was given a value, instead of the
// default.
func (s *Set) Given(key string) bool { return s.Source(key) != "" }

// Source returns where the setting with the key was given its value, like "flag
// --port" or "environment variable SERVER_PORT", or "" when it is the default.
func (s *Set) Source(key string) string { return s.find(key).source }

// Refuse returns an *Error about the value that the setting with the key was given,
// for a rule that is about more than one setting. It returns nil when the value is
// the default: then the caller must make do with another.
func (s *Set) Refuse(key, why, allowed string) error {
	e := s.find(key)
	if e.source == "" {
		return nil
	}
	return &Error{Source: e.source, Key: e.Key, Problem: quoted(e.value) + " " + why, Allowed: allowed}
}

// Ignore notes that the values of those of the keys that were given one have no
// effect, and why.
func (s *Set) Ignore(why string, keys ...string) {
	for _, key := range keys {
		if source := s.Source(key); source != "" {
			s.warnings = append(s.warnings, fmt.Sprintf("%s: %s %s: ignored", source, key, why))
		}
	}
}

// Warnings are what Load and Ignore have ignored, and why, a line each: a value
// that something else has set under a name of the table, or one without effect.
func (s *Set) Warnings() []string { return s.warnings }

// notSet is the error of a setting that nobody gave.
func (s *Set) notSet(e *entry, why string) *Error {
	var ways []string
	if e.Flag != "" {
		ways = append(ways, "--"+e.Flag)
	}
	if e.Env != "" {
		ways = append(ways, "the environment variable "+e.Env)
	}
	if e.Key != "" {
		ways = append(ways, fmt.Sprintf("%s in the file (%s)", e.Key, s.file.Default))
	}
	problem := "is not set; give " + strings.Join(ways, " or ")
	if why != "" {
		problem = "is not set, but " + why + "; give " + strings.Join(ways, " or ")
	}
	return &Error{Key: e.path, Problem: problem, Allowed: e.allowed}
}
