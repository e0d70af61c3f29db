package main

import (
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"loteria/cmd/internal/settings"
	"loteria/internal/logline"
)

func defaultConfig() config {
	return config{
		port: 12345, listenBacklog: 128, logLevel: zerolog.InfoLevel, logFormat: logline.Text,
		expectedAgencies: 5, echo: true, storageDir: ".", maxConnections: 131072,
		maxPerAddress: 32768, maxLine: 1024, frameTimeout: 30 * time.Second, idleTimeout: 10 * time.Minute,
		windowFrames: 1024, windowBytes: 1 << 20, maxWaiting: 256 << 20, maxUnread: 1 << 20,
		shutdownTimeout: 5 * time.Second, admin: "127.0.0.1:8080", nats: access{replicas: 3, maxBytes: 8 << 30},
		tls: tlsConfig{port: noPort, handshakeTimeout: 10 * time.Second, maxHandshakes: 1024},
	}
}

// inFolder makes an empty folder the working directory, with a config.ini if
// there is a text for it.
func inFolder(t *testing.T, text string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if text == "" {
		return
	}
	if err := os.WriteFile("config.ini", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The original file, and as others' scripts rewrite it.
const knownFile = `[DEFAULT]
SERVER_PORT = 12345
SERVER_IP = server
SERVER_LISTEN_BACKLOG = 5
LOGGING_LEVEL = DEBUG
`

func TestKnownFile(t *testing.T) {
	want := defaultConfig()
	want.named, want.listenBacklog, want.logLevel = "server", 5, zerolog.DebugLevel
	for name, text := range map[string]string{
		"as it is": knownFile,
		"CRLF":     strings.ReplaceAll(knownFile, "\n", "\r\n"),
		"BOM":      "\ufeff" + knownFile,
		"quoted":   strings.NewReplacer("12345", `"12345"`, "= server", "= 'server'").Replace(knownFile),
		"tight":    strings.ReplaceAll(knownFile, " ", ""),
		"lower":    strings.ToLower(strings.TrimPrefix(knownFile, "[DEFAULT]\n")),
	} {
		t.Run(name, func(t *testing.T) {
			inFolder(t, text)
			if got, err := loadConfig(nil, nil); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	inFolder(t, "")
	if got, err := loadConfig(nil, nil); err != nil || !reflect.DeepEqual(got, defaultConfig()) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Each setting, from each of its sources, alone.
func TestEverySetting(t *testing.T) {
	tests := []struct {
		key, flag, text string
		change          func(*config)
	}{
		{"SERVER_PORT", "port", "0", func(c *config) { c.port = 0 }},
		{"BIND_ADDRESS", "bind", "127.0.0.1", func(c *config) { c.bind = "127.0.0.1" }},
		{"BIND_ADDRESS", "bind", "::1", func(c *config) { c.bind = "::1" }},
		{"SERVER_LISTEN_BACKLOG", "listen-backlog", "7", func(c *config) { c.listenBacklog = 7 }},
		{"LOGGING_LEVEL", "log-level", "warning", func(c *config) { c.logLevel = zerolog.WarnLevel }},
		{"LOGGING_LEVEL", "log-level", "CRITICAL", func(c *config) { c.logLevel = zerolog.FatalLevel }},
		{"LOG_FORMAT", "log-format", "json", func(c *config) { c.logFormat = logline.JSON }},
		{"EXPECTED_AGENCIES", "expected-agencies", "3", func(c *config) { c.expectedAgencies = 3 }},
		{"MAX_WORKERS", "max-workers", "2", func(c *config) { c.maxWorkers = 2 }},
		{"LOOPS", "loops", "3", func(c *config) { c.loops = 3 }},
		{"ECHO", "echo", "no", func(c *config) { c.echo = false }},
		{"STORAGE_DIR", "storage-dir", "/var/bets", func(c *config) { c.storageDir = "/var/bets" }},
		{"CONTEST", "contest", "Navidad-2026_1.b", func(c *config) { c.contest = "Navidad-2026_1.b" }},
		{"MAX_CONNECTIONS", "max-connections", "1", func(c *config) { c.maxConnections = 1 }},
		{"WINDOW_FRAMES", "window-frames", "9", func(c *config) { c.windowFrames = 9 }},
		{"WINDOW_BYTES", "window-bytes", "8192", func(c *config) { c.windowBytes = 8192 }},
		{"MAX_CONNECTIONS_PER_ADDRESS", "max-connections-per-address", "3", func(c *config) { c.maxPerAddress = 3 }},
		{"MAX_LINE", "max-line", "80", func(c *config) { c.maxLine = 80 }},
		{"FRAME_TIMEOUT", "frame-timeout", "5", func(c *config) { c.frameTimeout = 5 * time.Second }},
		{"IDLE_TIMEOUT", "idle-timeout", "1h", func(c *config) { c.idleTimeout = time.Hour }},
		{"FSYNC", "fsync", "never", func(c *config) { c.noSync = true }},
		{"FSYNC", "fsync", "Never", func(c *config) { c.noSync = true }},
		{"FSYNC", "fsync", "ALWAYS", func(*config) {}},
		{"DRAW_DEADLINE", "draw-deadline", "2026-12-24T18:00:00-03:00", func(c *config) {
			c.drawDeadline = time.Date(2026, 12, 24, 18, 0, 0, 0, time.FixedZone("", -3*60*60))
		}},
		{"MAX_WAITING_BYTES", "max-waiting-bytes", "9000", func(c *config) { c.maxWaiting = 9000 }},
		{"MAX_UNREAD_BYTES", "max-unread-bytes", "8193", func(c *config) { c.maxUnread = 8193 }},
		{"ADMIN_ADDRESS", "admin", ":9100", func(c *config) { c.admin = ":9100" }},
		{"ADMIN_ADDRESS", "admin", "[::1]:0", func(c *config) { c.admin = "[::1]:0" }},
		{"ADMIN_ADDRESS", "admin", "off", func(c *config) { c.admin = "" }},
		{"ADMIN_HOSTS", "admin-hosts", "central.example, 2001:db8::7", func(c *config) { c.adminHosts = []string{"central.example", "2001:db8::7"} }},
		{"ADMIN_PPROF", "admin-pprof", "yes", func(c *config) { c.profiles = true }},
		{"SHUTDOWN_TIMEOUT", "shutdown-timeout", "250ms", func(c *config) { c.shutdownTimeout = 250 * time.Millisecond }},
	}
	for _, test := range tests {
		want := defaultConfig()
		test.change(&want)
		for place, load := range map[string]func() (config, error){
			"flag":        func() (config, error) { return loadConfig([]string{"--" + test.flag + "=" + test.text}, nil) },
			"two words":   func() (config, error) { return loadConfig([]string{"--" + test.flag, test.text}, nil) },
			"environment": func() (config, error) { return loadConfig(nil, []string{test.key + "=" + test.text}) },
			"file": func() (config, error) {
				inFolder(t, "[DEFAULT]\n"+test.key+" = "+test.text+"\n")
				return loadConfig(nil, nil)
			},
		} {
			t.Run(test.key+" "+test.text+" "+place, func(t *testing.T) {
				if place != "file" {
					inFolder(t, "")
				}
				if got, err := load(); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
				}
			})
		}
	}
}

// Kubernetes sets this for every container beside a Service called server.
func TestPortOfAService(t *testing.T) {
	service := []string{"SERVER_SERVICE_HOST=10.96.0.12", "SERVER_SERVICE_PORT=80", "SERVER_PORT=tcp://10.96.0.12:80",
		"SERVER_PORT_80_TCP=tcp://10.96.0.12:80", "SERVER_PORT_80_TCP_PORT=80"}
	for name, test := range map[string]struct {
		file string
		args []string
		want int
	}{
		"default": {"", nil, 12345},
		"file":    {"[DEFAULT]\nSERVER_PORT = 23456\n", nil, 23456},
		"flag":    {"", []string{"--port", "34567"}, 34567},
	} {
		t.Run(name, func(t *testing.T) {
			inFolder(t, test.file)
			got, err := loadConfig(test.args, service)
			if err != nil || got.port != test.want || len(got.warnings) != 1 {
				t.Errorf("port %d, warnings %q, %v, want port %d and one warning", got.port, got.warnings, err, test.want)
			}
		})
	}
}

func TestNotAllowed(t *testing.T) {
	for flag, texts := range map[string][]string{
		"port":                  {"-1", "65536", "x", ""},
		"tls-port":              {"-1", "65536", "on", ""},
		"tls-bind":              {"localhost", "1.2.3.4:5"},
		"tls-handshake-timeout": {"0", "99ms", "2h"},
		"tls-max-handshakes":    {"0", "1000001"},
		"bind":                  {"localhost", "1.2.3", "1.2.3.4:5"},
		"listen-backlog":        {"0", "65536"},
		"log-level":             {"LOUD", "", "20"},
		"log-format":            {"xml"},
		"expected-agencies":     {"0", "100001"},
		"max-workers":           {"-1", "4097"},
		"loops":                 {"-1", "4097"},
		"echo":                  {"maybe"},
		"fsync":                 {"true", "sometimes", ""},
		"storage-dir":           {""},
		"contest":               {".", "..", ".a", "a/b", `a\b`, "ñ", "a b", strings.Repeat("a", 65)},
		"max-connections":       {"0", "1000001"},
		"window-frames":         {"0", "65537"},
		"window-bytes":          {"8191", "67108865"},
		"max-waiting-bytes":     {"8191"},
		"max-unread-bytes":      {"8191", "1073741825"},
		"healthcheck":           {"perhaps"},
		"admin":                 {"8080", "localhost", "a:b", ":65536", ":-1", "::1:80"},
		"shutdown-timeout":      {"-1s", "1h1s", "soon"},
		"server-ip":             {"x"}, // only the file has it
	} {
		for _, text := range texts {
			inFolder(t, "")
			got, err := loadConfig([]string{"--" + flag + "=" + text}, nil)
			if err == nil {
				t.Errorf("--%s=%s: taken: %+v", flag, text, got)
				continue
			}
			if line := err.Error(); !strings.Contains(line, "--"+flag) || strings.Contains(line, "\n") {
				t.Errorf("--%s=%s: %s", flag, text, line)
			}
		}
	}
}

// The admin port is never the lottery's: by default only, it gives way.
func TestAdminIsNotTheLottery(t *testing.T) {
	for args, want := range map[string]struct{ admin, problem string }{
		"--port=8080":                         {"", ""},
		"--port=8080 --admin=:9090":           {":9090", ""},
		"--port=0 --admin=:0":                 {":0", ""},
		"--admin=":                            {"", ""},
		"--admin=0.0.0.0:12345":               {"", `flag --admin: ADMIN_ADDRESS: "0.0.0.0:12345" has the port of the lottery; allowed: another port, or empty`},
		"--port=8080 --admin=localhost:8080":  {"", "has the port of the lottery"},
		"--bind=127.0.0.1 --admin=[::]:12345": {"", "has the port of the lottery"},
	} {
		inFolder(t, "")
		got, err := loadConfig(strings.Fields(args), nil)
		switch {
		case want.problem == "" && (err != nil || got.admin != want.admin):
			t.Errorf("%s: the admin port is %q, %v, expected %q", args, got.admin, err, want.admin)
		case want.problem != "" && (err == nil || !strings.Contains(err.Error(), want.problem)):
			t.Errorf("%s: %v, expected %s", args, err, want.problem)
		}
	}
}

// An action is for the command line: a file or the environment that is shared
// with a running central must not turn it into something else.
func TestHealthcheckIsOnlyAFlag(t *testing.T) {
	inFolder(t, "")
	if got, err := loadConfig([]string{"--healthcheck"}, nil); err != nil || !got.healthcheck {
		t.Errorf("%+v, %v", got, err)
	}
	inFolder(t, "[DEFAULT]\nhealthcheck = true\n")
	if got, err := loadConfig(nil, []string{"HEALTHCHECK=true"}); err == nil || got.healthcheck {
		t.Errorf("%+v, %v", got, err)
	}
}

// The name of the central is for agencies; nobody sets it in the environment,
// where SERVER_IP may mean something else.
func TestServerIPIsOnlyInTheFile(t *testing.T) {
	inFolder(t, "")
	if got, err := loadConfig(nil, []string{"SERVER_IP=elsewhere"}); err != nil || got.named != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestListenAddress(t *testing.T) {
	for want, c := range map[string]config{
		"":            {port: noPort},
		":12345":      {port: 12345},
		"127.0.0.1:0": {bind: "127.0.0.1"},
		"[::1]:80":    {bind: "::1", port: 80},
	} {
		if got := c.listenAddress(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestHelpNamesEverySetting(t *testing.T) {
	inFolder(t, "")
	_, err := loadConfig([]string{"--help"}, nil)
	var text strings.Builder
	if code := settings.Report(err, "server", &text, io.Discard); code != 0 {
		t.Fatalf("exit code %d, %v", code, err)
	}
	for _, want := range []string{
		"SERVER_CONFIG", "config.ini", "SERVER_PORT", "SERVER_LISTEN_BACKLOG", "LOGGING_LEVEL", "EXPECTED_AGENCIES",
		"MAX_WORKERS", "LOOPS", "BIND_ADDRESS", "LOG_FORMAT", "ECHO", "STORAGE_DIR", "CONTEST", "MAX_CONNECTIONS",
		"WINDOW_FRAMES", "WINDOW_BYTES", "SHUTDOWN_TIMEOUT", "SERVER_IP",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in\n%s", want, text.String())
		}
	}
}
