package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

const (
	delimiter   = "." // between the parts of a nested key
	configFlag  = "config"
	allowedFile = "the path of a readable file"
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
	args, environ = withoutLineEnds(args), withoutLineEnds(environ)
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
		case errors.Is(err, errContent):
			return &Error{Source: from.source(e), Key: e.Key, Problem: err.Error(), Allowed: "the path of a file"}
		case err != nil:
			return &Error{Source: from.source(e), Key: e.Key, Problem: quoted(value) + " " + err.Error(), Allowed: e.allowed}
		}
		if i < len(layers)-1 { // not the defaults
			e.source = from.source(e)
		}
		return nil
	}
	switch {
	case e.empty:
		return e.set("")
	case e.absent:
		return nil
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
			switch e := byEnv[name]; {
			case e == nil || value == "":
				return "", nil // not ours, or empty, which counts as not set
			case isServicePort(name, value):
				s.warnings = append(s.warnings, fmt.Sprintf("environment variable %s: %s is what Kubernetes sets for a Service, "+
					"and Docker for a link, and no value of %s: ignored; enableServiceLinks: false keeps it away", name, quoted(value), e.path))
				return "", nil
			default:
				return e.path, value
			}
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
	if path == "" && source != "" {
		return nil, "", &Error{Source: source, Problem: `"" is empty`, Allowed: allowedFile}
	}
	raw, err := readFile(path, s.file.Default)
	switch missing := (*fs.PathError)(nil); {
	case err == nil:
	case source == "" && errors.Is(err, os.ErrNotExist):
		return koanf.New(delimiter), path, nil
	case errors.As(err, &missing):
		problem := fmt.Sprintf("%s cannot be read: %v", quoted(path), missing.Err)
		return nil, "", &Error{Source: source, Problem: problem, Allowed: allowedFile}
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
			value = "" // a YAML key without a value
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
		if e.Flag != "" {
			flags.String(e.Flag, e.Default, e.About)
			flags.Lookup(e.Flag).NoOptDefVal = e.alone
		}
	}
	flags.String(configFlag, s.file.Default, "")
	flags.BoolP("help", "h", false, "")
	flags.Bool("version", false, "")
	words, err := s.joinValues(flags, args)
	if err != nil {
		return nil, err
	}
	see := ", see " + s.name + " --help"
	if err := flags.Parse(words); err != nil {
		return nil, &Error{Problem: err.Error() + see}
	}
	if flags.NArg() > 0 {
		return nil, &Error{Problem: "unexpected argument " + quoted(flags.Arg(0)) + see}
	}
	return flags, nil
}

// joinValues joins a flag and the word after it, --flag=value. pflag does not take
// that word for a flag that may stand alone; as there are no arguments besides
// flags, it must be the value. A word that begins with -- is the next flag: as a
// value it needs the =.
func (s *Set) joinValues(flags *pflag.FlagSet, args []string) (words []string, err error) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		if word == "--" {
			return append(words, args[i:]...), nil
		}
		name, isLong := strings.CutPrefix(word, "--")
		flag := flags.Lookup(name) // nil for one that has its value already
		switch {
		case !isLong || flag == nil:
		case i+1 < len(args) && args[i+1] != "-h" && !strings.HasPrefix(args[i+1], "--"):
			i++
			word += "=" + args[i]
		case flag.NoOptDefVal == "":
			return nil, s.noValue(name)
		}
		words = append(words, word)
	}
	return words, nil
}

// noValue is the error of a flag that may not stand alone.
func (s *Set) noValue(flag string) *Error {
	e := &Error{Source: "flag --" + flag, Problem: "has no value", Allowed: allowedFile}
	for _, other := range s.entries {
		if other.Flag == flag {
			e.Key, e.Allowed = other.Key, other.allowed
		}
	}
	return e
}

// withoutLineEnds removes what a file of another system leaves after a value: a
// shell that reads NAME=value and CR LF makes the CR a part of it.
func withoutLineEnds(words []string) []string {
	trimmed := make([]string, len(words))
	for i, word := range words {
		trimmed[i] = strings.TrimRight(word, "\r\n")
	}
	return trimmed
}

// isServicePort reports a variable NAME_PORT with a value like
// tcp://10.96.0.12:12345, which containers get when there is a Service called
// name (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
func isServicePort(name, value string) bool {
	protocol, address, found := strings.Cut(value, "://")
	if !found || !strings.HasSuffix(name, "_PORT") || !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
		return false
	}
	_, err := netip.ParseAddrPort(address)
	return err == nil
}
