package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

const (
	delimiter  = "." // between the parts of a nested key
	configFlag = "config"
)

// layer is one source of values. They are kept apart, not merged, so that an
// error can name the source of a value.
type layer struct {
	values *koanf.Koanf
	source func(*entry) string
}

// Load reads all sources and stores the values. args are the command line
// without the program's name, environ is like os.Environ. The error is an
// *Info after --help or --version, and else an *Error.
func (s *Set) Load(args, environ []string) error {
	flags, err := s.parseFlags(args)
	if err != nil {
		return err
	}
	if on, _ := flags.GetBool("help"); on {
		return &Info{s.help()}
	}
	if on, _ := flags.GetBool("version"); on {
		return &Info{s.version()}
	}
	layers, err := s.layers(flags, environ)
	if err != nil {
		return err
	}
	for _, e := range s.entries {
		if err := s.resolve(e, layers); err != nil {
			return err
		}
	}
	return nil
}

// resolve stores the value of the first layer that has one.
func (s *Set) resolve(e *entry, layers []layer) error {
	for i, from := range layers {
		if !from.values.Exists(e.path) {
			continue
		}
		value, ok := from.values.Get(e.path).(string)
		if !ok {
			return &Error{Source: from.source(e), Key: e.Key, Problem: "holds no single value", Allowed: e.allowed}
		}
		switch err := e.set(value); {
		case errors.Is(err, errEmpty):
			return &Error{Source: from.source(e), Key: e.Key, Problem: `"" is empty`, Allowed: e.allowed}
		case err != nil:
			return &Error{Source: from.source(e), Key: e.Key, Problem: quoted(value) + " " + err.Error(), Allowed: e.allowed}
		}
		if i < len(layers)-1 { // not the defaults
			e.source = from.source(e)
		}
		return nil
	}
	if e.empty {
		return e.set("")
	}
	return s.notSet(e, "")
}

// layers loads the sources, the strongest first.
func (s *Set) layers(flags *pflag.FlagSet, environ []string) ([]layer, error) {
	byFlag, byEnv := map[string]*entry{}, map[string]*entry{}
	defaults := map[string]any{}
	for _, e := range s.entries {
		byFlag[e.Flag], byEnv[e.Env] = e, e
		if e.Default != "" {
			defaults[e.path] = e.Default
		}
	}
	delete(byFlag, "")
	delete(byEnv, "")

	given := koanf.New(delimiter)
	err := given.Load(posflag.ProviderWithFlag(flags, delimiter, nil, func(f *pflag.Flag) (string, any) {
		if e := byFlag[f.Name]; e != nil {
			return e.path, f.Value.String()
		}
		return "", nil // --config, --help, --version
	}), nil)
	if err != nil {
		return nil, &Error{Source: "flags", Problem: err.Error()}
	}

	variables, path := koanf.New(delimiter), ""
	err = variables.Load(env.Provider(delimiter, env.Opt{
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if name == s.file.Env {
				path = value
			}
			if e := byEnv[name]; e != nil && value != "" {
				return e.path, value
			}
			return "", nil // somebody else's, or set but empty, which is not set
		},
	}), nil)
	if err != nil {
		return nil, &Error{Source: "environment", Problem: err.Error()}
	}

	fromFile, path, err := s.fileLayer(flags, path)
	if err != nil {
		return nil, err
	}

	fallback := koanf.New(delimiter)
	if err := fallback.Load(confmap.Provider(defaults, delimiter), nil); err != nil {
		return nil, &Error{Source: "defaults", Problem: err.Error()}
	}
	return []layer{
		{given, func(e *entry) string { return "flag --" + e.Flag }},
		{variables, func(e *entry) string { return "environment variable " + e.Env }},
		{fromFile, func(*entry) string { return path }},
		{fallback, func(*entry) string { return "default" }},
	}, nil
}

// fileLayer loads the file whose path the flag, the variable or the default
// gives, in this order. Only the default may be absent.
func (s *Set) fileLayer(flags *pflag.FlagSet, variable string) (k *koanf.Koanf, path string, err error) {
	path, source := s.file.Default, ""
	if flag := flags.Lookup(configFlag); flag.Changed {
		path, source = flag.Value.String(), "flag --"+configFlag
	} else if variable != "" {
		path, source = variable, "environment variable "+s.file.Env
	}
	const allowed = "the path of a readable file"
	if path == "" && source != "" {
		return nil, "", &Error{Source: source, Problem: `"" is empty`, Allowed: allowed}
	}
	raw, err := readFile(path, s.file.Default)
	switch missing := (*fs.PathError)(nil); {
	case err == nil:
	case source == "" && errors.Is(err, os.ErrNotExist):
		return koanf.New(delimiter), path, nil
	case errors.As(err, &missing):
		problem := fmt.Sprintf("%s cannot be read: %v", quoted(path), missing.Err)
		return nil, "", &Error{Source: source, Problem: problem, Allowed: allowed}
	default:
		return nil, "", &Error{Source: path, Problem: err.Error()}
	}
	k, err = s.checkKeys(raw, path)
	return k, path, err
}

// checkKeys returns the file's values under the table's spelling of their keys.
func (s *Set) checkKeys(raw *koanf.Koanf, path string) (*koanf.Koanf, error) {
	known, names := map[string]*entry{}, []string{}
	for _, e := range s.entries {
		if e.Key != "" {
			known[strings.ToLower(e.Key)] = e
			names = append(names, e.Key)
		}
	}
	all := raw.All()
	values := map[string]any{}
	for _, key := range raw.Keys() { // sorted: of several errors always the same
		e := known[strings.ToLower(key)]
		if e == nil {
			problem := "unknown key, or a group with no key below it"
			if text, ok := all[key].(string); ok {
				problem = fmt.Sprintf("unknown key (its value is %s)", quoted(text))
			}
			return nil, &Error{Source: path, Key: key, Problem: problem, Allowed: strings.Join(names, ", ")}
		}
		if _, twice := values[e.path]; twice {
			return nil, &Error{Source: path, Key: e.path, Problem: "is given twice"}
		}
		value := all[key]
		if value == nil {
			value = "" // a YAML key with nothing behind it
		}
		values[e.path] = value
	}
	k := koanf.New(delimiter)
	if err := k.Load(confmap.Provider(values, delimiter), nil); err != nil {
		return nil, &Error{Source: path, Problem: err.Error()}
	}
	return k, nil
}

// parseFlags declares a flag for each setting that has one, all as texts: the
// kinds parse the values, wherever they come from.
func (s *Set) parseFlags(args []string) (*pflag.FlagSet, error) {
	flags := pflag.NewFlagSet(s.name, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	for _, e := range s.entries {
		if e.Flag == "" {
			continue
		}
		flags.String(e.Flag, e.Default, e.About)
		if e.isBool {
			flags.Lookup(e.Flag).NoOptDefVal = "true"
		}
	}
	flags.String(configFlag, s.file.Default, "")
	flags.BoolP("help", "h", false, "")
	flags.Bool("version", false, "")
	see := ", see " + s.name + " --help"
	if err := flags.Parse(args); err != nil {
		return nil, &Error{Problem: err.Error() + see}
	}
	if flags.NArg() > 0 {
		problem := fmt.Sprintf("unexpected argument %s (true and false need a =, as in --flag=false)", quoted(flags.Arg(0)))
		return nil, &Error{Problem: problem + see}
	}
	return flags, nil
}
