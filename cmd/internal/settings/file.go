package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	koanfyaml "github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
	"gopkg.in/ini.v1"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// readFile loads a file in the format that its extension says, or else that of
// the other path's extension.
func readFile(path, otherwise string) (*koanf.Koanf, error) {
	parser := parserFor(path)
	if parser == nil {
		parser = parserFor(otherwise)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxFile {
		return nil, fmt.Errorf("has more than %d bytes, this is no configuration", maxFile)
	}
	text, err := decodeText(raw)
	if err != nil {
		return nil, err
	}
	values, err := parser.Unmarshal(text)
	if err != nil {
		return nil, err
	}
	k := koanf.New(delimiter)
	return k, k.Load(confmap.Provider(values, ""), nil)
}

func parserFor(path string) koanf.Parser {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".ini":
		return iniParser{}
	case ".yaml", ".yml":
		return yamlParser{koanfyaml.Parser()}
	}
	return nil
}

// yamlParser is koanf's, except that a single value is the text in the file, not
// what YAML makes of it: an unquoted document 01234567 would be an octal number,
// and an unquoted date a point in time.
type yamlParser struct{ *koanfyaml.YAML }

// Unmarshal parses a document into nested maps, strings, lists, and nil for a key
// without a value.
func (p yamlParser) Unmarshal(text []byte) (map[string]any, error) {
	number := 0
	for line := range bytes.Lines(text) {
		if number++; !utf8.Valid(line) {
			return nil, fmt.Errorf("line %d is not UTF-8 (Latin-1, perhaps)%s", number, saveAsUTF8)
		}
	}
	values, err := p.YAML.Unmarshal(text)
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	for _, root := range document.Content {
		restoreTexts(values, root)
	}
	return values, nil
}

// restoreTexts replaces the single values of a mapping by their texts.
func restoreTexts(values map[string]any, mapping *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i].Value, mapping.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		switch was := values[key].(type) {
		case nil: // no value; or a merge key, which is none
		case map[string]any:
			if value.Kind == yaml.MappingNode {
				restoreTexts(was, value)
			}
		default:
			if value.Kind == yaml.ScalarNode {
				values[key] = value.Value
			}
		}
	}
}

// iniParser reads the section [DEFAULT], as Python's configparser writes it. Keys
// of other sections appear as "[section] key", which is no setting.
type iniParser struct{}

// Unmarshal parses a file into a flat map of strings. A key that occurs twice in a
// section is an error.
func (iniParser) Unmarshal(text []byte) (map[string]any, error) {
	parsed, err := ini.LoadSources(ini.LoadOptions{
		IgnoreContinuation:         true, // a path may end in a backslash
		SpaceBeforeInlineComment:   true, // and hold a #
		AllowShadows:               true, // to see a key that is given twice
		AllowDuplicateShadowValues: true,
	}, text)
	if err != nil {
		return nil, withoutLine(err, string(text))
	}
	values := map[string]any{}
	for _, section := range parsed.Sections() {
		for _, key := range section.Keys() {
			name := key.Name()
			if section.Name() != ini.DefaultSection {
				name = fmt.Sprintf("[%s] %s", section.Name(), name)
			}
			if given := key.ValueWithShadows(); len(given) > 1 {
				return nil, fmt.Errorf("%s: is given twice, as %s and %s", name, quoted(given[0]), quoted(given[1]))
			}
			values[name] = key.Value()
		}
	}
	return values, nil
}

// withoutLine has the number of a line where the library's error has the line, which
// may be of a secret.
func withoutLine(err error, text string) error {
	at := func(problem, bad string) error {
		n := 1
		for line := range strings.Lines(text) {
			if strings.TrimSpace(line) == strings.TrimSpace(bad) {
				break
			}
			n++
		}
		return fmt.Errorf("line %d %s", n, problem)
	}
	var noDelimiter ini.ErrDelimiterNotFound
	var noKey ini.ErrEmptyKeyName
	switch {
	case errors.As(err, &noDelimiter):
		return at("has no = after a key", noDelimiter.Line)
	case errors.As(err, &noKey):
		return at("has no key before its =", noKey.Line)
	}
	return err
}

// Marshal is not supported: files are only read.
func (iniParser) Marshal(map[string]any) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
