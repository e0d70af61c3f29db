package main

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"loteria/cmd/internal/settings"
	"loteria/internal/logline"
)

func defaultConfig() config {
	return config{
		id: 1, serverAddress: "server:12345", mode: modeBatch, loopAmount: 5, logLevel: zerolog.InfoLevel,
		logFormat: logline.Text, progress: progressBar, batchMax: 100, batchWindow: 32,
		retryPeriod: 2 * time.Second, retryLimit: 300, connectLimit: 200, connectTimeout: 5 * time.Second,
	}
}

// one is the environment of agency 1, with more variables.
func one(more ...string) []string { return append([]string{"CLI_ID=1"}, more...) }

// inFolder makes an empty folder the working directory, with a config.yaml if
// there is a text for it.
func inFolder(t *testing.T, text string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if text == "" {
		return
	}
	if err := os.WriteFile("config.yaml", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The original file, and as others' scripts rewrite it.
const knownFile = `server:
  address: "server:12345"
loop:
  amount: 5
  period: "5s"
log:
  level: "DEBUG"
batch:
  maxAmount: 100
`

func TestKnownFile(t *testing.T) {
	want := defaultConfig()
	want.loopPeriod, want.logLevel = 5*time.Second, zerolog.DebugLevel
	for name, text := range map[string]string{
		"as it is":     knownFile,
		"CRLF":         strings.ReplaceAll(knownFile, "\n", "\r\n"),
		"BOM":          "\ufeff" + knownFile,
		"unquoted":     strings.ReplaceAll(knownFile, `"`, ""),
		"single":       strings.ReplaceAll(knownFile, `"`, "'"),
		"all quoted":   strings.NewReplacer("amount: 5", `amount: "5"`, "100", `"100"`).Replace(knownFile),
		"on one line":  `{server: {address: "server:12345"}, loop: {amount: 5, period: 5s}, log: {level: DEBUG}, batch: {maxAmount: 100}}`,
		"lower case":   strings.ToLower(knownFile),
		"bare seconds": strings.Replace(knownFile, `"5s"`, "5", 1),
	} {
		t.Run(name, func(t *testing.T) {
			inFolder(t, text)
			if got, err := loadConfig(nil, one()); err != nil || got != want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	inFolder(t, "")
	if got, err := loadConfig(nil, one()); err != nil || got != defaultConfig() {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestIDIsRequired(t *testing.T) {
	inFolder(t, knownFile)
	_, err := loadConfig(nil, []string{"CLI_ID="})
	if err == nil || !strings.Contains(err.Error(), "--id") || !strings.Contains(err.Error(), "CLI_ID") {
		t.Errorf("%v", err)
	}
}

// Each setting, from each of its sources, alone.
func TestEverySetting(t *testing.T) {
	tests := []struct {
		key, flag, env, text string
		change               func(*config)
	}{
		{"id", "id", "CLI_ID", "4", func(c *config) { c.id = 4 }},
		{"server.address", "server-address", "CLI_SERVER_ADDRESS", "[::1]:80", func(c *config) { c.serverAddress = "[::1]:80" }},
		{"server.address", "server-address", "CLI_SERVER_ADDRESS", "a:1, b:2", func(c *config) { c.serverAddress, c.needResume = "a:1,b:2", true }},
		{"progress.show", "progress", "CLI_PROGRESS", "lines", func(c *config) { c.progress = progressLines }},
		{"mode", "mode", "CLI_MODE", "winners", func(c *config) { c.mode = modeWinners }},
		{"loop.amount", "loop-amount", "CLI_LOOP_AMOUNT", "0", func(c *config) { c.loopAmount = 0 }},
		{"loop.period", "loop-period", "CLI_LOOP_PERIOD", "100ms", func(c *config) { c.loopPeriod = 100 * time.Millisecond }},
		{"log.level", "log-level", "CLI_LOG_LEVEL", "ERROR", func(c *config) { c.logLevel = zerolog.ErrorLevel }},
		{"log.format", "log-format", "CLI_LOG_FORMAT", "json", func(c *config) { c.logFormat = logline.JSON }},
		{"batch.maxAmount", "batch-max-amount", "CLI_BATCH_MAXAMOUNT", "64", func(c *config) { c.batchMax = 64 }},
		{"mode", "mode", "CLI_MODE", "echo", func(c *config) { c.mode = modeEcho }},
		{"data.dir", "data-dir", "CLI_DATA_DIR", ".data", func(c *config) { c.dataDir = ".data" }},
		{"batch.skipInvalid", "skip-invalid", "CLI_BATCH_SKIPINVALID", "true", func(c *config) { c.skipInvalid = true }},
		{"batch.allowEmpty", "allow-empty", "CLI_BATCH_ALLOWEMPTY", "true", func(c *config) { c.allowEmpty = true }},
		{"batch.window", "window", "CLI_BATCH_WINDOW", "1", func(c *config) { c.batchWindow = 1 }},
		{"retry.period", "retry-period", "CLI_RETRY_PERIOD", "1m", func(c *config) { c.retryPeriod = time.Minute }},
		{"retry.limit", "retry-limit", "CLI_RETRY_LIMIT", "3", func(c *config) { c.retryLimit = 3 }},
		{"connect.limit", "connect-limit", "CLI_CONNECT_LIMIT", "2", func(c *config) { c.connectLimit = 2 }},
		{"connect.timeout", "connect-timeout", "CLI_CONNECT_TIMEOUT", "1s", func(c *config) { c.connectTimeout = time.Second }},
		{"bet.firstName", "first-name", "NOMBRE", "José Ángel", func(c *config) { c.bet.firstName = "José Ángel" }},
		{"bet.lastName", "last-name", "APELLIDO", "Ñandú", func(c *config) { c.bet.lastName = "Ñandú" }},
		{"bet.document", "document", "DOCUMENTO", "01234567", func(c *config) { c.bet.document = "01234567" }},
		{"bet.birthdate", "birthdate", "NACIMIENTO", "1999-03-17", func(c *config) { c.bet.birthdate = "1999-03-17" }},
		{"bet.number", "number", "NUMERO", "0574", func(c *config) { c.bet.number = "0574" }},
	}
	for _, test := range tests {
		want := defaultConfig()
		test.change(&want)
		environ := one()
		if test.key == "id" {
			environ = nil // else it would beat the file
		}
		for place, load := range map[string]func() (config, error){
			"flag":        func() (config, error) { return loadConfig([]string{"--" + test.flag, test.text}, environ) },
			"one word":    func() (config, error) { return loadConfig([]string{"--" + test.flag + "=" + test.text}, environ) },
			"environment": func() (config, error) { return loadConfig(nil, one(test.env+"="+test.text)) },
			"file": func() (config, error) {
				group, key, nested := strings.Cut(test.key, ".")
				text := group + ": " + test.text + "\n"
				if nested {
					text = group + ":\n  " + key + ": " + test.text + "\n"
				}
				if strings.HasPrefix(test.text, "[") {
					text = strings.Replace(text, test.text, `"`+test.text+`"`, 1)
				}
				inFolder(t, text)
				return loadConfig(nil, environ)
			},
		} {
			t.Run(test.key+" "+place, func(t *testing.T) {
				if place != "file" {
					inFolder(t, "")
				}
				if got, err := load(); err != nil || got != want {
					t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
				}
			})
		}
	}
}

func TestNotAllowed(t *testing.T) {
	for flag, texts := range map[string][]string{
		"id":               {"0", "100001", "x", ""},
		"server-address":   {"server", ":12345", "server:", "server:0", "server:65536", "::1:80", "server:http", "a:1,", "a:1,b"},
		"loop-amount":      {"-1", "1000000001", "1.5"},
		"loop-period":      {"-1s", "24h1s", "soon"},
		"log-level":        {"LOUD"},
		"log-format":       {"xml"},
		"batch-max-amount": {"0", "100001"},
		"mode":             {"bets", ""},
		"progress":         {"some", ""},
		"skip-invalid":     {"perhaps"},
		"allow-empty":      {"perhaps"},
		"window":           {"0", "1025"},
		"retry-period":     {"25h"},
		"retry-limit":      {"-1"},
		"connect-limit":    {"-1", "100001"},
		"connect-timeout":  {"0", "2h"},
	} {
		for _, text := range texts {
			inFolder(t, "")
			got, err := loadConfig([]string{"--" + flag + "=" + text}, one())
			if err == nil {
				t.Errorf("--%s=%s: taken: %+v", flag, text, got)
				continue
			}
			if line := err.Error(); !strings.Contains(line, "flag --"+flag+": ") || !strings.Contains(line, "; allowed: ") {
				t.Errorf("--%s=%s: %s", flag, text, line)
			}
		}
	}
}

func TestModeBetNeedsItsBet(t *testing.T) {
	variables := []string{"NOMBRE=Santiago", "APELLIDO=Lorca", "DOCUMENTO=30904465", "NACIMIENTO=1999-03-17", "NUMERO=7574"}
	inFolder(t, "")
	got, err := loadConfig([]string{"--mode", "bet"}, one(variables...))
	want := bet{"Santiago", "Lorca", "30904465", "1999-03-17", "7574"}
	if err != nil || got.bet != want {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, variable := range variables {
		name, _, _ := strings.Cut(variable, "=")
		environ := one("CLI_MODE=bet")
		environ = append(environ, variables[:i]...)
		environ = append(environ, variables[i+1:]...)
		_, err := loadConfig(nil, append(environ, name+"="))
		if err == nil || !strings.Contains(err.Error(), "variable "+name+" ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestHelpNamesEverySetting(t *testing.T) {
	inFolder(t, "")
	_, err := loadConfig([]string{"--help"}, nil)
	var text strings.Builder
	if code := settings.Report(err, "client", &text, io.Discard); code != 0 {
		t.Fatalf("exit code %d, %v", code, err)
	}
	for _, want := range []string{
		"CLI_CONFIG", "config.yaml", "CLI_ID", "CLI_SERVER_ADDRESS", "CLI_LOOP_AMOUNT", "CLI_LOOP_PERIOD", "CLI_LOG_LEVEL",
		"CLI_BATCH_MAXAMOUNT", "CLI_MODE", "NOMBRE", "APELLIDO", "DOCUMENTO", "NACIMIENTO", "NUMERO", "batch.skipInvalid",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in\n%s", want, text.String())
		}
	}
}

// With several addresses, a central that does not answer RESUME is refused, unless
// configured otherwise.
func TestSeveralAddressesNeedResume(t *testing.T) {
	for name, test := range map[string]struct {
		addresses string
		environ   []string
		want      bool
	}{
		"one":                        {"a:1", nil, false},
		"one, said":                  {"a:1", []string{"CLI_BATCH_REQUIRERESUME=true"}, true},
		"the same twice":             {"a:1,a:1", nil, false},
		"several":                    {"a:1,b:1", nil, true},
		"several, but not necessary": {"a:1,b:1", []string{"CLI_BATCH_REQUIRERESUME=false"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inFolder(t, "")
			c, err := loadConfig([]string{"--server-address", test.addresses}, one(test.environ...))
			if err != nil || c.agency().RequireResume != test.want {
				t.Errorf("%v, %v, expected %v", c.needResume, err, test.want)
			}
		})
	}
}

// An agency started by hand finds its file in the project.
func TestFindDataDir(t *testing.T) {
	folder := t.TempDir()
	file := folder + "/file"
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for mounted, want := range map[string]string{folder: folder, file: ".data", folder + "/none": ".data"} {
		if got := findDataDir(mounted); got != want {
			t.Errorf("with %s: %s, expected %s", mounted, got, want)
		}
	}
	inFolder(t, "")
	c, err := loadConfig(nil, one())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.agency().DataDir, findDataDir("/data"); got != want {
		t.Errorf("the folder is %q, expected %q", got, want)
	}
}

// Each source can set what is shown beside the log.
func TestShown(t *testing.T) {
	want := defaultConfig()
	want.noProgress, want.winners = true, true
	for name, test := range map[string]struct {
		file          string
		args, environ []string
	}{
		"flags":       {args: []string{"--no-progress", "--winners"}},
		"environment": {environ: []string{"CLI_NO_PROGRESS=1", "CLI_WINNERS=yes"}},
		"file":        {file: "progress:\n  off: true\nwinners: true\n"},
	} {
		t.Run(name, func(t *testing.T) {
			inFolder(t, test.file)
			if got, err := loadConfig(test.args, one(test.environ...)); err != nil || got != want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}
