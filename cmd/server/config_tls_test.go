package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// What belongs to TLS_PORT, as given beside it.
var tlsFiles = []string{"--tls-cert=c.pem", "--tls-key=k.pem", "--tls-client-ca=a.pem"}

func TestTLSSettings(t *testing.T) {
	inFolder(t, "")
	args := append([]string{"--tls-port=12346", "--tls-bind=::1", "--tls-revoked=r.txt",
		"--tls-handshake-timeout=250ms", "--tls-max-handshakes=7", "--port=off"}, tlsFiles...)
	want := defaultConfig()
	want.port = noPort
	want.tls = tlsConfig{
		port: 12346, bind: "::1", certificate: "c.pem", key: "k.pem", clientCA: "a.pem", revoked: "r.txt",
		handshakeTimeout: 250 * time.Millisecond, maxHandshakes: 7,
	}
	byFlag, err := loadConfig(args, nil)
	if err != nil || !reflect.DeepEqual(byFlag, want) {
		t.Errorf("got  %+v, %v\nwant %+v", byFlag, err, want)
	}
	environment := []string{"TLS_PORT=12346", "TLS_BIND_ADDRESS=::1", "TLS_CERT=c.pem", "TLS_KEY=k.pem", "TLS_CLIENT_CA=a.pem", "TLS_REVOKED=r.txt",
		"TLS_HANDSHAKE_TIMEOUT=250ms", "TLS_MAX_HANDSHAKES=7", "SERVER_PORT=OFF"}
	if got, err := loadConfig(nil, environment); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("environment: got  %+v, %v\nwant %+v", got, err, want)
	}
	inFolder(t, "[DEFAULT]\n"+strings.Join(environment, "\n")+"\n")
	if got, err := loadConfig(nil, nil); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("file: got  %+v, %v\nwant %+v", got, err, want)
	}
}

func TestTLSNeedsItsFiles(t *testing.T) {
	for name, test := range map[string]struct {
		args    []string
		problem string // empty when it is accepted
	}{
		"whole":               {append([]string{"--tls-port=0"}, tlsFiles...), ""},
		"without certificate": {[]string{"--tls-port=0", "--tls-client-ca=a.pem"}, "TLS_CERT: is not set, but TLS_PORT is 0"},
		"without key":         {[]string{"--tls-port=0", "--tls-cert=c.pem"}, "TLS_KEY: is not set, but TLS_CERT is given"},
		"only a key":          {[]string{"--tls-key=k.pem"}, "TLS_CERT: is not set, but TLS_KEY is given"},
		"without client CA":   {append([]string{"--tls-port=0"}, tlsFiles[:2]...), "TLS_CLIENT_CA: is not set, but TLS_PORT is 0"},
		"contents":            {[]string{"--tls-port=0", "--tls-cert=c.pem", "--tls-client-ca=a.pem", "--tls-key=-----BEGIN PRIVATE KEY-----\nMIGH"}, "TLS_KEY: has what such a file holds"},
		"for no port":         {tlsFiles[:2], ""},
	} {
		t.Run(name, func(t *testing.T) {
			inFolder(t, "")
			_, err := loadConfig(test.args, nil)
			switch {
			case test.problem == "" && err != nil:
				t.Error(err)
			case test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)):
				t.Errorf("%v, expected %q", err, test.problem)
			case err != nil && strings.Contains(err.Error(), "MIGH"):
				t.Errorf("it shows a key: %v", err)
			}
		})
	}
}

// Settings without a port to use them are ignored.
func TestTLSSettingsWithoutItsPort(t *testing.T) {
	inFolder(t, "")
	c, err := loadConfig(append([]string{"--tls-revoked=r.txt", "--tls-bind=::1"}, tlsFiles...), nil)
	if err != nil || c.tls.certificate != "" || c.tls.key != "" || c.tls.clientCA != "" || c.tls.revoked != "" {
		t.Errorf("%+v, %v", c.tls, err)
	}
	for _, want := range []string{
		"TLS_CLIENT_CA is for the port of TLS, and TLS_PORT is off",
		"TLS_REVOKED is for the port of TLS, and TLS_PORT is off",
		"TLS_BIND_ADDRESS is for the port of TLS, and TLS_PORT is off",
		"TLS_CERT is for a port of TLS: TLS_PORT is off, and ADMIN_TLS is not set",
		"TLS_KEY is for a port of TLS: TLS_PORT is off, and ADMIN_TLS is not set",
	} {
		if !slices.ContainsFunc(c.warnings, func(warning string) bool { return strings.Contains(warning, want) }) {
			t.Errorf("no warning says that %s: %q", want, c.warnings)
		}
	}
}

func TestPorts(t *testing.T) {
	for args, want := range map[string]struct{ admin, problem string }{
		"--tls-port=8080":                          {"", ""}, // the admin port has it by default only
		"--port=8080 --tls-port=12346":             {"", ""},
		"--port=off --tls-port=12346":              {"127.0.0.1:8080", ""},
		"--port=off --tls-port=12345":              {"127.0.0.1:8080", ""},
		"--port=0 --tls-port=0 --admin=:0":         {":0", ""},
		"--port=off":                               {"", `flag --port: SERVER_PORT: "off" leaves no port for agencies, as TLS_PORT is off, too`},
		"--tls-port=12345":                         {"", `flag --tls-port: TLS_PORT: "12345" is the port without TLS, too`},
		"--port=7000 --tls-port=7000":              {"", "is the port without TLS, too"},
		"--tls-port=12346 --admin=localhost:12346": {"", "has the port of the lottery"},
		"--tls-port=12346 --admin=localhost:12345": {"", "has the port of the lottery"},
	} {
		inFolder(t, "")
		args := strings.Fields(args)
		if slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--tls-port") }) {
			args = append(args, tlsFiles...)
		}
		got, err := loadConfig(args, nil)
		switch {
		case want.problem == "" && (err != nil || got.admin != want.admin):
			t.Errorf("%s: the admin port is %q, %v, expected %q", args, got.admin, err, want.admin)
		case want.problem != "" && (err == nil || !strings.Contains(err.Error(), want.problem)):
			t.Errorf("%s: %v, expected %s", args, err, want.problem)
		}
	}
}

func TestTLSAddress(t *testing.T) {
	for want, c := range map[string]config{
		":12346":      {tls: tlsConfig{port: 12346}},
		"127.0.0.1:0": {bind: "127.0.0.1"},
		"[::1]:7":     {bind: "127.0.0.1", tls: tlsConfig{bind: "::1", port: 7}},
	} {
		if got := c.tlsAddress(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The default number of handshakes leaves room for others.
func TestLimitHandshakes(t *testing.T) {
	for _, test := range []struct{ configured, connections, want int }{
		{maxHandshakes, 131_072, maxHandshakes},
		{maxHandshakes, 800, 200},
		{maxHandshakes, 3, 1},
		{5000, 800, 5000},
	} {
		if got := limitHandshakes(test.configured, test.connections); got != test.want {
			t.Errorf("of %d connections %d may be in their handshake, expected %d", test.connections, got, test.want)
		}
	}
}
