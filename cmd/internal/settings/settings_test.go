package settings

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

type sample struct {
	id      int
	port    int
	name    string
	address string
	period  time.Duration
	on      bool
	check   bool
	mode    string
	host    string
	noSync  bool
	service int
	folder  string
}

// table is a set with a setting of each sort, for the file config.yaml or .ini.
func table(c *sample, file string) *Set {
	s := New("thing", "A thing with settings, to be tested.", File{Default: file, Env: "THING_CONFIG"})
	Add(s, &c.id, Setting{Key: "id", Flag: "id", Env: "THING_ID", Default: "7", About: "who it is"}, Int(1, 100))
	Add(s, &c.port, Setting{Key: "PORT", Flag: "port", Env: "PORT", Default: "1234", About: "a port"}, Int(0, 65535))
	Add(s, &c.name, Setting{Key: "bet.name", Flag: "name", Env: "NAME", About: "a name"}, Text().OrEmpty())
	Add(s, &c.address, Setting{Key: "server.address", Flag: "address", Env: "ADDRESS", Default: "here:1", About: "where"}, Text())
	Add(s, &c.period, Setting{Key: "loop.period", Flag: "period", Env: "PERIOD", Default: "0", About: "a pause"}, Duration(0, time.Hour))
	Add(s, &c.on, Setting{Key: "on", Flag: "on", Env: "ON", Default: "true", About: "a switch"}, Bool())
	Add(s, &c.check, Setting{Flag: "check", Default: "false", About: "an action, not a setting"}, Bool())
	Add(s, &c.mode, Setting{Key: "mode", Flag: "mode", Env: "MODE", Default: "batch", About: "what it does"}, OneOf("batch", "bet"))
	Add(s, &c.host, Setting{Key: "host", About: "only in the file"}, Text().OrEmpty())
	Add(s, &c.noSync, Setting{Flag: "sync", Default: "always", About: "true or false, in other words"},
		Parsed("one of always, never", func(text string) (bool, error) { return text == "never", nil }))
	Add(s, &c.service, Setting{Key: "thing.port", Env: "THING_PORT", Default: "80", About: "a port, as Kubernetes sets it"}, Int(0, 65535))
	Add(s, &c.folder, Setting{Flag: "verify", About: "an action on a folder"}, Text().OrAbsent())
	return s
}

var defaults = sample{id: 7, port: 1234, address: "here:1", on: true, mode: "batch", service: 80}

// load loads in a folder of its own that holds the files.
func load(t *testing.T, format string, files map[string]string, args, environ []string) (sample, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var c sample
	err := table(&c, "config."+format).Load(args, environ)
	return c, err
}

func TestPrecedence(t *testing.T) {
	file := map[string]string{"config.yaml": "PORT: 1"}
	flag, variable := []string{"--port", "3"}, []string{"PORT=2", "OTHER=x", "no equals sign"}
	tests := []struct {
		name    string
		files   map[string]string
		args    []string
		environ []string
		want    int
	}{
		{"default", nil, nil, nil, 1234},
		{"file", file, nil, nil, 1},
		{"environment over file", file, nil, variable, 2},
		{"empty variable is not set", file, nil, []string{"PORT="}, 1},
		{"flag over all", file, flag, variable, 3},
		{"flag over environment", nil, flag, variable, 3},
		{"flag with the default's value over all", file, []string{"--port=1234"}, variable, 1234},
		{"last flag", nil, []string{"--port=5", "--port", "6"}, nil, 6},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := load(t, "yaml", test.files, test.args, test.environ)
			want := defaults
			want.port = test.want
			if err != nil || got != want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	with := func(change func(*sample)) sample { c := defaults; change(&c); return c }
	address := with(func(c *sample) { c.address, c.period, c.port = "server:12345", 5*time.Second, 9 })
	tests := []struct {
		name, format, text string
		want               sample
	}{
		{"yaml", "yaml", "server:\n  address: \"server:12345\"\nloop:\n  period: \"5s\"\nPORT: 9\n", address},
		{"yaml unquoted", "yaml", "server:\n  address: server:12345\nloop:\n  period: 5s\nPORT: 9\n", address},
		{"yaml otherwise quoted", "yaml", "server:\n  address: 'server:12345'\nloop: {period: 5}\nPORT: \"9\"\n", address},
		{"yaml CRLF and BOM", "yaml", "\ufeffserver:\r\n  address: server:12345\r\nloop:\r\n  period: 5\r\nPORT: 9\r\n", address},
		{"yaml in dotted keys", "yaml", "server.address: server:12345\nloop.period: 5s\nPORT: 9", address},
		{"yaml in any case", "yaml", "Server:\n  ADDRESS: server:12345\nloop:\n  Period: 5s\nport: 9", address},
		{"yaml with an anchor", "yaml", "PORT: &n 9\nloop:\n  period: *n\n", with(func(c *sample) { c.port, c.period = 9, 9*time.Second })},
		{"yaml empty", "yaml", "", defaults},
		{"yaml of comments", "yaml", "# nothing\n---\n", defaults},
		{"yaml leading zeros stay", "yaml", "bet:\n  name: 01234567\n", with(func(c *sample) { c.name = "01234567" })},
		{"yaml dates stay", "yaml", "bet:\n  name: 1999-03-17\n", with(func(c *sample) { c.name = "1999-03-17" })},
		{"yaml decimal, not octal", "yaml", "PORT: 0100\n", with(func(c *sample) { c.port = 100 })},
		{"yaml allowed empty", "yaml", "bet:\n  name: \"\"\n", defaults},
		{"yaml switch", "yaml", "on: no\n", with(func(c *sample) { c.on = false })},
		{"ini", "ini", "[DEFAULT]\nPORT = 9\nid = 3\n", with(func(c *sample) { c.port, c.id = 9, 3 })},
		{"ini tight", "ini", "[DEFAULT]\nPORT=9\nID:3", with(func(c *sample) { c.port, c.id = 9, 3 })},
		{"ini in any case, quoted", "ini", "[DEFAULT]\nport = \"9\"\nId = '3'\n", with(func(c *sample) { c.port, c.id = 9, 3 })},
		{"ini CRLF and BOM", "ini", "\ufeff[DEFAULT]\r\nPORT = 9\r\nid = 3\r\n", with(func(c *sample) { c.port, c.id = 9, 3 })},
		{"ini without a header", "ini", "PORT = 9\n", with(func(c *sample) { c.port = 9 })},
		{"ini comments", "ini", "; one\n# two\n[DEFAULT]\nPORT = 9 ; three\nserver.address = a#b\\\nmode = bet # four\n",
			with(func(c *sample) { c.port, c.address, c.mode = 9, `a#b\`, "bet" })},
		{"ini allowed empty", "ini", "[DEFAULT]\nhost =\nPORT = 9\n", with(func(c *sample) { c.port = 9 })},
		{"ini empty", "ini", "", defaults},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := load(t, test.format, map[string]string{"config." + test.format: test.text}, nil, nil)
			if err != nil || got != test.want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, test.want)
			}
		})
	}
}

// Editors and shells of Windows write UTF-16, and end lines in their own way.
func TestFilesOfOtherSystems(t *testing.T) {
	want := defaults
	want.port, want.name = 9, "Muñoz 𝄞"
	texts := map[string]string{
		"ini":  "[DEFAULT]\nPORT = 9\nbet.name = Muñoz 𝄞\n",
		"yaml": "PORT: 9\nbet:\n  name: Muñoz 𝄞\n",
	}
	inUTF16 := func(text string, order binary.AppendByteOrder) string {
		var b []byte
		for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
			b = order.AppendUint16(b, unit)
		}
		return string(b)
	}
	for name, write := range map[string]func(string) string{
		"CR LF":                func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") },
		"CR":                   func(text string) string { return strings.ReplaceAll(text, "\n", "\r") },
		"one CR LF":            func(text string) string { return strings.Replace(text, "9\n", "9\r\n", 1) },
		"UTF-8 with a mark":    func(text string) string { return "\ufeff" + text },
		"UTF-16 little-endian": func(text string) string { return inUTF16(text, binary.LittleEndian) },
		"UTF-16 big-endian":    func(text string) string { return inUTF16(text, binary.BigEndian) },
		"PowerShell": func(text string) string {
			return inUTF16(strings.ReplaceAll(text, "\n", "\r\n"), binary.LittleEndian)
		},
	} {
		for format, text := range texts {
			t.Run(name+" "+format, func(t *testing.T) {
				got, err := load(t, format, map[string]string{"config." + format: write(text)}, nil, nil)
				if err != nil || got != want {
					t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
				}
			})
		}
	}
}

// A file of variables that was written on Windows leaves a carriage return
// behind each value.
func TestStrayLineEnds(t *testing.T) {
	want := defaults
	want.port, want.name, want.address, want.on, want.mode = 9, "Ana", "there:1", false, "bet"
	for name, test := range map[string]struct{ args, environ []string }{
		"environment":         {environ: []string{"PORT=9\r", "NAME=Ana\r\n", "ADDRESS=there:1\r", "ON=false\r", "MODE=bet\r"}},
		"flags":               {args: []string{"--port=9\r", "--name", "Ana\r\n", "--address=there:1\r", "--on", "false\r", "--mode", "bet\r"}},
		"the file's own name": {environ: []string{"THING_CONFIG=other.ini\r", "PERIOD=\r"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"other.ini": "PORT=9\nbet.name=Ana\nserver.address=there:1\non=false\nmode=bet\n"}
			got, err := load(t, "ini", files, test.args, test.environ)
			if err != nil || got != want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestFlagValues(t *testing.T) {
	with := func(change func(*sample)) sample { c := defaults; change(&c); return c }
	off := with(func(c *sample) { c.on = false })
	never := with(func(c *sample) { c.noSync = true })
	for args, want := range map[string]sample{
		"--on=false":                off,
		"--on false":                off,
		"--on OFF":                  off,
		"--on":                      defaults,
		"--on true":                 defaults,
		"--on false --port 9":       with(func(c *sample) { c.on, c.port = false, 9 }),
		"--check --on no":           with(func(c *sample) { c.check, c.on = true, false }),
		"--on --check":              with(func(c *sample) { c.check = true }),
		"--check 1 --port=9":        with(func(c *sample) { c.check, c.port = true, 9 }),
		"--sync=never":              never,
		"--sync never":              never,
		"--sync always":             defaults,
		"--mode=BET":                with(func(c *sample) { c.mode = "bet" }),
		"--mode Bet --period 100MS": with(func(c *sample) { c.mode, c.period = "bet", 100*time.Millisecond }),
		"--address=--on":            with(func(c *sample) { c.address = "--on" }),
		"--address -":               with(func(c *sample) { c.address = "-" }),
		"--name a=b":                with(func(c *sample) { c.name = "a=b" }),
	} {
		t.Run(args, func(t *testing.T) {
			got, err := load(t, "yaml", nil, strings.Fields(args), nil)
			if err != nil || got != want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

// Kubernetes, for a Service, and Docker, for a link, make a variable of this
// form that nobody has set.
func TestVariableOfAService(t *testing.T) {
	for value, ignored := range map[string]bool{
		"tcp://10.96.0.12:12345":   true,
		"udp://10.96.0.12:53":      true,
		"sctp://[fd00::1]:12345":   true,
		"tcp://10.96.0.12:12345\r": true,
		"81":                       false,
	} {
		t.Run(value, func(t *testing.T) {
			t.Chdir(t.TempDir())
			var c sample
			s := table(&c, "config.ini")
			if err := s.Load(nil, []string{"THING_PORT=" + value}); err != nil {
				t.Fatal(err)
			}
			warnings := s.Warnings()
			if !ignored {
				if c.service != 81 || warnings != nil {
					t.Errorf("the port is %d, the warnings are %q", c.service, warnings)
				}
				return
			}
			if c.service != 80 {
				t.Errorf("the port is %d, want the default", c.service)
			}
			if len(warnings) != 1 || !strings.Contains(warnings[0], "THING_PORT") ||
				!strings.Contains(warnings[0], strings.TrimSpace(value)) || !strings.Contains(warnings[0], "Kubernetes") {
				t.Errorf("the warnings are %q", warnings)
			}
		})
	}
}

func TestWhichFile(t *testing.T) {
	files := map[string]string{
		"config.ini": "PORT = 1", "env.ini": "PORT = 2", "flag.yaml": "PORT: 3", "other.conf": "PORT = 4",
	}
	tests := []struct {
		name    string
		args    []string
		environ []string
		want    int
	}{
		{"default", nil, nil, 1},
		{"empty variable", nil, []string{"THING_CONFIG="}, 1},
		{"variable", nil, []string{"THING_CONFIG=env.ini"}, 2},
		{"flag, in the other format", []string{"--config=flag.yaml"}, []string{"THING_CONFIG=env.ini"}, 3},
		{"other extension, the default's format", []string{"--config", "other.conf"}, nil, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := load(t, "ini", files, test.args, test.environ)
			if err != nil || got.port != test.want {
				t.Errorf("port %d, %v; want %d", got.port, err, test.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	const ports = "a whole number from 0 to 65535"
	const keys = "id, PORT, bet.name, server.address, loop.period, on, mode, host, thing.port"
	tests := []struct {
		name, format, file string
		args, environ      []string
		want               string
	}{
		{name: "flag out of range", args: []string{"--port=65536"},
			want: `flag --port: PORT: "65536" is not allowed; allowed: ` + ports},
		{name: "flag empty", args: []string{"--port="},
			want: `flag --port: PORT: "" is empty; allowed: ` + ports},
		{name: "empty flag that need not be given", args: []string{"--verify", ""},
			want: `flag --verify: "" is empty; allowed: any text`},
		{name: "flag without a key", args: []string{"--check=maybe"},
			want: `flag --check: "maybe" is not allowed; allowed: true or false (also 1/0, yes/no, on/off)`},
		{name: "variable of the wrong kind", environ: []string{"PORT=many"},
			want: `environment variable PORT: PORT: "many" is not allowed; allowed: ` + ports},
		{name: "yaml value", file: "PORT: -1",
			want: `config.yaml: PORT: "-1" is not allowed; allowed: ` + ports},
		{name: "yaml fraction", file: "PORT: 1.5",
			want: `config.yaml: PORT: "1.5" is not allowed; allowed: ` + ports},
		{name: "yaml duration", file: "loop:\n  period: 61m",
			want: `config.yaml: loop.period: "61m" is not allowed; allowed: a duration from 0s to 1h, like 100ms, 5s or 5 (seconds)`},
		{name: "yaml empty", file: "server:\n  address:\n",
			want: `config.yaml: server.address: "" is empty; allowed: any text`},
		{name: "yaml empty text", file: "mode: ''\n",
			want: `config.yaml: mode: "" is empty; allowed: one of batch, bet`},
		{name: "yaml list", file: "mode: [bet]\n",
			want: `config.yaml: mode: holds no single value; allowed: one of batch, bet`},
		{name: "yaml unknown", file: "loop:\n  perod: 5s\n",
			want: `config.yaml: loop.perod: unknown key (its value is "5s"); allowed: ` + keys},
		{name: "yaml group as a value", file: "server: here\n",
			want: `config.yaml: server: unknown key (its value is "here"); allowed: ` + keys},
		{name: "yaml empty group", file: "server:\n",
			want: `config.yaml: server: unknown key, or a group with no key below it; allowed: ` + keys},
		{name: "yaml value as a group", file: "PORT:\n  x: 1\n",
			want: `config.yaml: PORT.x: unknown key (its value is "1"); allowed: ` + keys},
		{name: "yaml twice in two cases", file: "PORT: 1\nport: 2\n",
			want: `config.yaml: PORT: is given twice`},
		{name: "flag-only setting in a file", file: "\"--check\": true\n",
			want: `config.yaml: --check: unknown key (its value is "true"); allowed: ` + keys},
		{name: "ini unknown", format: "ini", file: "[DEFAULT]\nPROT = 1\n",
			want: `config.ini: PROT: unknown key (its value is "1"); allowed: ` + keys},
		{name: "ini other section", format: "ini", file: "[default]\nPORT = 1\n",
			want: `config.ini: [default] PORT: unknown key (its value is "1"); allowed: ` + keys},
		{name: "ini empty", format: "ini", file: "[DEFAULT]\nPORT =\r\nid = 3",
			want: `config.ini: PORT: "" is empty; allowed: ` + ports},
		{name: "ini twice", format: "ini", file: "[DEFAULT]\nPORT = 1\nPORT = 1\n",
			want: `config.ini: PORT: is given twice, as "1" and "1"`},
		{name: "ini value", format: "ini", file: "[DEFAULT]\nmode = loud\n",
			want: `config.ini: mode: "loud" is not allowed; allowed: one of batch, bet`},
		{name: "absent file by flag", args: []string{"--config", "no.ini"},
			want: `flag --config: "no.ini" cannot be read: no such file or directory; allowed: the path of a readable file`},
		{name: "absent file by variable", environ: []string{"THING_CONFIG=no.ini"},
			want: `environment variable THING_CONFIG: "no.ini" cannot be read: no such file or directory; allowed: the path of a readable file`},
		{name: "no file by flag", args: []string{"--config="},
			want: `flag --config: "" is empty; allowed: the path of a readable file`},
		{name: "folder as a file", args: []string{"--config", "."},
			want: `flag --config: "." cannot be read: is a directory; allowed: the path of a readable file`},
		{name: "unknown flag", args: []string{"--prot", "5"},
			want: "unknown flag: --prot, see thing --help"},
		{name: "unknown short flag", args: []string{"-p"},
			want: "unknown shorthand flag: 'p' in -p, see thing --help"},
		{name: "flag without its value", args: []string{"--port"},
			want: `flag --port: PORT: has no value; allowed: ` + ports},
		{name: "flag without its value before another", args: []string{"--address", "--on"},
			want: `flag --address: server.address: has no value; allowed: any text`},
		{name: "flag of two values without one", args: []string{"--sync"},
			want: `flag --sync: has no value; allowed: one of always, never`},
		{name: "negative number behind its flag", args: []string{"--port", "-1"},
			want: `flag --port: PORT: "-1" is not allowed; allowed: ` + ports},
		{name: "wrong word behind a switch", args: []string{"--on", "never"},
			want: `flag --on: on: "never" is not allowed; allowed: true or false (also 1/0, yes/no, on/off)`},
		{name: "empty word behind a switch", args: []string{"--on", ""},
			want: `flag --on: on: "" is empty; allowed: true or false (also 1/0, yes/no, on/off)`},
		{name: "no file behind its flag", args: []string{"--config"},
			want: `flag --config: has no value; allowed: the path of a readable file`},
		{name: "argument", args: []string{"--on", "false", "5"},
			want: `unexpected argument "5", see thing --help`},
		{name: "argument behind the flags", args: []string{"--on", "--", "false"},
			want: `unexpected argument "false", see thing --help`},
		{name: "port of a service in a file", file: "PORT: tcp://10.96.0.12:12345\n",
			want: `config.yaml: PORT: "tcp://10.96.0.12:12345" is not allowed; allowed: ` + ports},
		{name: "port that only looks like a service's", environ: []string{"THING_PORT=tcp://server:12345"},
			want: `environment variable THING_PORT: thing.port: "tcp://server:12345" is not allowed; allowed: ` + ports},
		{name: "UTF-16 without a mark", format: "ini", file: "[\x00D\x00E\x00",
			want: `config.ini: line 1 has a zero byte: this is UTF-16 without a byte order mark, or no text; save the file as UTF-8`},
		{name: "UTF-16 cut off", format: "ini", file: "\xff\xfe[\x00D",
			want: `config.ini: is UTF-16 text that ends in half a character; save the file as UTF-8`},
		{name: "UTF-32", file: "\xff\xfe\x00\x00P\x00\x00\x00",
			want: `config.yaml: is UTF-32 text; save the file as UTF-8`},
		{name: "Latin-1", file: "# one\nbet:\n  name: Mu\xf1oz\n",
			want: `config.yaml: line 3 is not UTF-8 (Latin-1, perhaps); save the file as UTF-8`},
		{name: "far too long", file: strings.Repeat("#", maxFile+1),
			want: `config.yaml: has more than 1048576 bytes, this is no configuration`},
		{name: "line breaks and length", environ: []string{"MODE=a\n\u2028\x1b" + strings.Repeat("x", 100)},
			want: `environment variable MODE: mode: "a\n\u2028\x1b` + strings.Repeat("x", 76) + `…" is not allowed; allowed: one of batch, bet`},
		{name: "line break in a flag's name", args: []string{"--a\nb\x1b"},
			want: "unknown flag: --a b?, see thing --help"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			format := test.format
			if format == "" {
				format = "yaml"
			}
			files := map[string]string{}
			if test.file != "" {
				files["config."+format] = test.file
			}
			_, err := load(t, format, files, test.args, test.environ)
			var own *Error
			if !errors.As(err, &own) || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			var stdout, stderr strings.Builder
			code := Report(err, "thing", &stdout, &stderr)
			if code != 2 || stdout.Len() > 0 || stderr.String() != "thing: "+test.want+"\n" {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
			}
		})
	}
}

func TestBrokenFilesAreOneLine(t *testing.T) {
	for format, texts := range map[string][]string{
		"yaml": {"a: [1\nb: 2", "- 1\n- 2\n", "just words", "PORT: 1\nPORT: 2\n", "\tPORT: 1", "a: *b", "\x00"},
		"ini":  {"[DEFAULT\nPORT = 1", "just words\n", "= 1\n", "PORT = `1\n"},
	} {
		for _, text := range texts {
			t.Run(fmt.Sprintf("%s %q", format, text), func(t *testing.T) {
				_, err := load(t, format, map[string]string{"config." + format: text}, nil, nil)
				if err == nil || !strings.HasPrefix(err.Error(), "config."+format+": ") || strings.ContainsAny(err.Error(), "\r\n") {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

func TestUnreadableDefaultFile(t *testing.T) {
	_, err := load(t, "ini", map[string]string{"config.ini/x": ""}, nil, nil)
	if err == nil || err.Error() != `"config.ini" cannot be read: is a directory; allowed: the path of a readable file` {
		t.Error(err)
	}
}

func TestRequired(t *testing.T) {
	var id int
	s := New("thing", "", File{Default: "config.yaml", Env: "THING_CONFIG"})
	Add(s, &id, Setting{Key: "id", Flag: "id", Env: "THING_ID"}, Int(1, 100))
	t.Chdir(t.TempDir())
	err := s.Load(nil, nil)
	const want = "id: is not set; give --id or the environment variable THING_ID or id in the file (config.yaml); allowed: a whole number from 1 to 100"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := s.Load([]string{"--id=5"}, nil); err != nil || id != 5 {
		t.Errorf("%d, %v", id, err)
	}
}

func TestRequire(t *testing.T) {
	t.Chdir(t.TempDir())
	var c sample
	s := table(&c, "config.yaml")
	if err := s.Load([]string{"--port=5"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Require("", "PORT", "mode"); err != nil {
		t.Error(err)
	}
	err := s.Require("the mode is bet", "PORT", "bet.name")
	const want = "bet.name: is not set, but the mode is bet; give --name or the environment variable NAME or bet.name in the file (config.yaml); allowed: any text, or empty"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// Of two settings that go together neither may be missing alone.
func TestRequireTogether(t *testing.T) {
	t.Chdir(t.TempDir())
	for args, want := range map[string]string{
		"":                 "",
		"--cert=c --key=k": "",
		"--cert=c":         "KEY: is not set, but CERT is given, and they go together",
		"--key=k":          "CERT: is not set, but KEY is given, and they go together",
		"--cert= --key=k":  "CERT: is not set, but KEY is given, and they go together",
	} {
		var cert, key string
		s := New("thing", "", File{Default: "config.ini", Env: "THING_CONFIG"})
		Add(s, &cert, Setting{Key: "CERT", Flag: "cert"}, Path().OrEmpty())
		Add(s, &key, Setting{Key: "KEY", Flag: "key"}, Path().OrEmpty())
		err := s.Load(strings.Fields(args), nil)
		if err == nil {
			err = s.RequireTogether("they go together", "CERT", "KEY")
		}
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", args, err)
		case want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("%s: %v, expected %s", args, err, want)
		}
	}
}

// What a file holds, in the place of its path, is refused and not shown, wherever it
// comes from. A path is taken, however strange.
func TestPath(t *testing.T) {
	t.Chdir(t.TempDir())
	const secret = "MC4CAQAwBQYDK2VwBCIEIPlERuHKMIIPYKGyB7adWH055kXPD/+QqFE0Jj4OXXZT" // a key, made for this test
	const refused = "KEY: has what such a file holds; allowed: the path of a file"
	load := func(args []string, environ []string) (key string, err error) {
		s := New("thing", "", File{Default: "config.ini", Env: "THING_CONFIG"})
		Add(s, &key, Setting{Key: "KEY", Flag: "key", Env: "KEY"}, Path().OrEmpty())
		err = s.Load(args, environ)
		return key, err
	}
	for name, content := range map[string]string{
		"PEM":               "-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n",
		"PEM in one line":   "  -----BEGIN EC PRIVATE KEY-----" + secret + "-----END EC PRIVATE KEY-----",
		"PEM without begin": secret + "\n-----END PRIVATE KEY-----\n",
		"SSH":               "---- BEGIN SSH2 PRIVATE KEY ----\n" + secret,
		"DER in Base64":     secret,
		"with spaces":       " " + secret + " ",
		"long":              secret + strings.Repeat("a", 100_000),
	} {
		yaml := "KEY: " + strconv.Quote(content) + "\n"
		if err := os.WriteFile("key.yaml", []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		for source, given := range map[string]struct{ args, environ []string }{
			"flag --key: ":               {args: []string{"--key=" + content}},
			"environment variable KEY: ": {environ: []string{"KEY=" + content}},
			"key.yaml: ":                 {args: []string{"--config=key.yaml"}},
		} {
			_, err := load(given.args, given.environ)
			if err == nil || err.Error() != source+refused {
				t.Errorf("%s: %.200v, expected %s", name, err, source+refused)
			}
		}
	}
	for _, path := range []string{"key", "/etc/ssl/key.pem", " key ", "MC4CAQ==", "a=b", "MAAA", strings.Repeat("k/", 2000)} {
		if key, err := load([]string{"--key=" + path}, nil); err != nil || key != path {
			t.Errorf("%s: %q, %v", path, key, err)
		}
	}
}

// A line of an .ini that is no setting is told by its number: it may be of a key that
// was pasted there.
func TestNoSettingInINI(t *testing.T) {
	for text, want := range map[string]string{
		"PORT = 1\nmode = -----BEGIN PRIVATE KEY-----\ns3cr3t\n": "config.ini: line 3 has no = after a key",
		"s3cr3t\n":            "config.ini: line 1 has no = after a key",
		"PORT=1\n = s3cr3t\n": "config.ini: line 2 has no key before its =",
	} {
		if _, err := load(t, "ini", map[string]string{"config.ini": text}, nil, nil); err == nil || err.Error() != want {
			t.Errorf("%q: %v, expected %s", text, err, want)
		}
	}
}

func TestKinds(t *testing.T) {
	durations := Duration(0, 24*time.Hour)
	for text, want := range map[string]time.Duration{
		"5": 5 * time.Second, "0": 0, "0.5": 500 * time.Millisecond, "100ms": 100 * time.Millisecond,
		" 5s ": 5 * time.Second, "1m30s": 90 * time.Second, "24h": 24 * time.Hour, "86400": 24 * time.Hour,
	} {
		if got, err := durations.read(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", " ", ".", "5 s", "-1", "-1s", "24h1ns", "1e3", "9999999999999999999", "s", "1.2.3"} {
		if got, err := durations.read(text); err == nil {
			t.Errorf("%q: taken as %v", text, got)
		}
	}
	for text, want := range map[string]bool{
		"true": true, "TRUE": true, "1": true, "yes": true, "On": true,
		"false": false, "0": false, "no": false, "OFF": false,
	} {
		if got, err := Bool().read(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "2", "t", "sí"} {
		if _, err := Bool().read(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
	for _, text := range []string{"", "1_0", "0x10", "1.0", "99999999999999999999", "0", "11"} {
		if got, err := Int(1, 10).read(text); err == nil {
			t.Errorf("%q: taken as %d", text, got)
		}
	}
	if got, err := OneOf("text", "json").read("JSON"); got != "json" || err != nil {
		t.Error(got, err)
	}
	if got, err := Int(1, 10).OrEmpty().read(""); got != 0 || err != nil {
		t.Error(got, err)
	}
}

func TestHelp(t *testing.T) {
	for _, flag := range []string{"--help", "-h"} {
		_, err := load(t, "yaml", map[string]string{"config.yaml": "bad: 1"}, []string{flag, "--port=x"}, nil)
		var stdout strings.Builder
		if code := Report(err, "thing", &stdout, io.Discard); code != 0 {
			t.Errorf("%s: exit code %d", flag, code)
		}
		text := stdout.String()
		for _, want := range []string{
			"Usage: thing [flags]", "A thing with settings", "--config PATH", "THING_CONFIG", "config.yaml", "--help", "--version",
			"  --port VALUE\n      a port\n      environment PORT; file PORT; default 1234; allowed: a whole number from 0 to 65535\n",
			"  --on[=VALUE]\n", "\nWithout a flag:\n\n  host\n",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		for line := range strings.Lines(text) {
			if utf8.RuneCountInString(line) > helpWidth+1 {
				t.Errorf("longer than %d columns: %s", helpWidth, line)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	_, err := load(t, "yaml", nil, []string{"--version"}, nil)
	var stdout strings.Builder
	if code := Report(err, "thing", &stdout, io.Discard); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if fields := strings.Fields(stdout.String()); len(fields) != 4 || fields[0] != "thing" || !strings.HasPrefix(fields[2], "go") {
		t.Errorf("%q", stdout.String())
	}
}

func TestClashesPanic(t *testing.T) {
	for _, again := range []Setting{{Key: "port"}, {Flag: "port"}, {Env: "PORT"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was added twice", again)
				}
			}()
			var c sample
			Add(table(&c, "config.ini"), &c.port, again, Int(0, 1))
		}()
	}
}
