package main

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// serversOf returns servers as parsed.
func serversOf(addresses ...string) servers { return servers{addresses: addresses} }

func TestParseServers(t *testing.T) {
	for text, want := range map[string]servers{
		"nats://a:4222":                       serversOf("a:4222"),
		"nats://a":                            serversOf("a:4222"),
		"NATS://a:1/":                         serversOf("a:1"),
		"nats://a:1,b:2":                      serversOf("a:1", "b:2"),
		" nats://a:1 , nats://b:2 ,nats://c ": serversOf("a:1", "b:2", "c:4222"),
		"nats://a:1,a:1":                      serversOf("a:1"),
		"nats://[::1]:4223,[::2]":             serversOf("[::1]:4223", "[::2]:4222"),
		"nats://10.0.0.7":                     serversOf("10.0.0.7:4222"),
		"nats://u:secret@a:1":                 {hasUser: true},
		"nats://a:1,nats://token@b":           {hasUser: true},
		"nats://u:secret@":                    {hasUser: true},
	} {
		if got, err := parseServers(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"a:4222", "/var/bets", "tls://a:1", "http://a", "nats://", "nats://,", "nats://a,", "nats://a:0", "nats://a:65536", "nats://a:b",
		"nats://a/b", "nats://a?b", "nats://a b", "nats://*.x", "nats://a,tls://b", "nats:/a", "nats://::1",
	} {
		if got, err := parseServers(text); err == nil {
			t.Errorf("%s: taken as %+v", text, got)
		}
	}
}

func TestParseOrigin(t *testing.T) {
	for text, want := range map[string]origin{
		"/var/bets":    {folder: "/var/bets"},
		"nats":         {folder: "nats"},
		"nats://a:1,b": {servers: serversOf("a:1", "b:4222")},
	} {
		if got, err := parseOrigin(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"tls://a:1", "http://a", "nats://", "file:///var/bets"} {
		if got, err := parseOrigin(text); err == nil {
			t.Errorf("%s: taken as %+v", text, got)
		}
	}
}

// Settings that must agree with each other.
func TestLedgerSettings(t *testing.T) {
	const nats = "--ledger=nats://a --contest=navidad"
	tests := map[string]struct {
		args, environ string
		file          string
		problem       string   // of the one line, or "" when they are taken
		ignored       []string // of the warnings
	}{
		"nothing":                 {"", "", "", "", nil},
		"NATS":                    {nats, "", "", "", nil},
		"no name":                 {"--ledger=nats://a", "", "", "CONTEST: is not set, but LEDGER names servers of NATS", nil},
		"a folder":                {"--ledger=/var/bets", "", "", `flag --ledger: LEDGER: "/var/bets" is not allowed; allowed: addresses of servers, like nats://`, nil},
		"certificate":             {nats + " --nats-cert=c.pem --nats-key=k.pem --nats-ca=ca.pem --nats-creds=x.creds", "", "", "", nil},
		"certificate without key": {nats + " --nats-cert=c.pem", "", "", "NATS_KEY: is not set, but NATS_CERT is given", nil},
		"key without certificate": {nats + " --nats-key=k.pem", "", "", "NATS_CERT: is not set, but NATS_KEY is given", nil},
		"replicas":                {nats + " --nats-replicas=5", "", "", "", nil},
		"two replicas":            {nats + " --nats-replicas=2", "", "", "allowed: 1, 3 or 5", nil},
		"reopen":                  {nats + " --reopen", "", "", "flag --reopen: is for a contest in a folder", nil},
		"no sync":                 {nats + " --fsync=never", "", "", "", []string{"flag --fsync: FSYNC is for a contest in a folder"}},
		"sync":                    {nats + " --fsync=always", "", "", "", nil},
		"folder":                  {nats + " --storage-dir=/var/bets", "", "", "", nil}, // for the acta
		"folder of the file":      {nats, "", "STORAGE_DIR = /var/bets", "", nil},
		"folder of the image":     {nats, "STORAGE_DIR=/bets", "", "", nil},
		"NATS settings alone": {"--nats-creds=x.creds --central=A", "NATS_REPLICAS=1", "", "", []string{
			"flag --nats-creds: NATS_CREDS", "NATS_REPLICAS is for a ledger in NATS", "flag --central: CENTRAL"}},
		"NATS settings of an import": {"--import=nats://a --contest=navidad --nats-creds=x.creds", "", "", "", nil},
		"import without a name":      {"--import=nats://a", "", "", "CONTEST: is not set, but servers of NATS are given", nil},
		"verify and check":           {"--verify=y --check", "", "", "flag --check: cannot be with --verify", nil},
		"two actions":                {"--check --export=x", "", "", "flag --check: cannot be with --export", nil},
		"export and import":          {"--import=y --export=x", "", "", "flag --export: cannot be with --import", nil},
		"export and winners":         {"--export=x --winners", "", "", "flag --export: writes the bets, and --winners the winners: give one of them", nil},
		"winners and check":          {"--winners --check", "", "", "flag --check: cannot be with --winners", nil},
		"so far of nothing":          {"--so-far", "", "", "flag --so-far: is for --export and --winners", nil},
		"format of nothing":          {"--format=json --check", "", "", "flag --format: is for --export and --winners", nil},
		"other format":               {"--export=x --format=xml", "", "", "allowed: csv or json", nil},
		"winners":                    {nats + " --winners --so-far --format=JSON", "", "", "", nil},
		"central":                    {nats + " --central=a|b", "", "", `--central`, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inFolder(t, "[DEFAULT]\n"+test.file+"\n")
			got, err := loadConfig(strings.Fields(test.args), strings.Fields(test.environ))
			switch {
			case test.problem == "" && err != nil:
				t.Errorf("the error is %v, want none", err)
			case test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)):
				t.Errorf("the error is %v, want %q", err, test.problem)
			}
			if test.problem != "" {
				return
			}
			if len(got.warnings) != len(test.ignored) {
				t.Errorf("the warnings are %q, want %q", got.warnings, test.ignored)
				return
			}
			for i, want := range test.ignored {
				if !strings.Contains(got.warnings[i], want) || !strings.Contains(got.warnings[i], "ignored") {
					t.Errorf("the warning is %q, want %q", got.warnings[i], want)
				}
			}
			if got.noSync && got.ledger.areGiven() {
				t.Error("a ledger in NATS is without sync")
			}
		})
	}
}

// Secrets beside an address, or instead of a path, are not shown, whatever else is
// wrong.
func TestSecretsAreNotShown(t *testing.T) {
	const secret = "s3cr3t"
	for _, arg := range []string{
		"--ledger=nats://user:" + secret + "@a:4222",
		"--ledger=nats://" + secret + "@a:4222",
		"--ledger=nats://a,nats://user:" + secret + "@b:99999",
		"--ledger=tls://user:" + secret + "@a",
		"--ledger=user:" + secret + "@a",
		"--import=nats://user:" + secret + "@a:4222",
		"--import=tls://user:" + secret + "@a:4222",
		"--nats-creds=-----BEGIN NATS USER JWT-----" + secret,
		"--nats-key=-----BEGIN PRIVATE KEY-----" + secret,
	} {
		inFolder(t, "")
		got, err := loadConfig([]string{"--contest=navidad", arg, "--nats-cert=x"}, nil)
		if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(strings.Join(got.warnings, ""), secret) {
			t.Errorf("%s: the error is %v, warnings %q", arg, err, got.warnings)
		}
	}
}

func TestCentralName(t *testing.T) {
	if got := (config{central: "A-1"}).centralName(); got != "A-1" {
		t.Errorf("the central is %q, want A-1", got)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	got := config{}.centralName()
	if _, err := parseContest("x" + got); err != nil && len(got) < maxContest {
		t.Errorf("the central on %q is %q", host, got)
	}
}

// Each setting of the ledger, from each of its sources.
func TestEveryLedgerSetting(t *testing.T) {
	for key, test := range map[string]struct {
		flag, text string
		change     func(*config)
	}{
		"LEDGER":         {"ledger", "nats://b:1,c", func(c *config) { c.ledger = serversOf("b:1", "c:4222") }},
		"NATS_CREDS":     {"nats-creds", "/x.creds", func(c *config) { c.nats.creds = "/x.creds" }},
		"NATS_CA":        {"nats-ca", "/ca.pem", func(c *config) { c.nats.ca = "/ca.pem" }},
		"NATS_REPLICAS":  {"nats-replicas", "1", func(c *config) { c.nats.replicas = 1 }},
		"NATS_MAX_BYTES": {"nats-max-bytes", "16777216", func(c *config) { c.nats.maxBytes = 16 << 20 }},
		"CENTRAL":        {"central", "A.b", func(c *config) { c.central = "A.b" }},
	} {
		want := defaultConfig()
		want.ledger, want.contest = serversOf("a:4222"), "navidad"
		test.change(&want)
		base := []string{"--contest=navidad"}
		if key != "LEDGER" {
			base = append(base, "--ledger=nats://a")
		}
		for place, load := range map[string]func() (config, error){
			"flag":        func() (config, error) { return loadConfig(append(base, "--"+test.flag+"="+test.text), nil) },
			"environment": func() (config, error) { return loadConfig(base, []string{key + "=" + test.text}) },
			"file": func() (config, error) {
				inFolder(t, "[DEFAULT]\n"+key+" = "+test.text+"\n")
				return loadConfig(base, nil)
			},
		} {
			t.Run(key+" "+place, func(t *testing.T) {
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
