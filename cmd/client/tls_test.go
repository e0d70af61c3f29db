package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"loteria/internal/certs"
	"loteria/internal/certs/certstest"
)

// credentialFiles are the files of a lottery, in a folder: those of cmd/certs.
type credentialFiles struct {
	t         *testing.T
	folder    string
	authority *certs.Authority
}

func newCredentialFiles(t *testing.T) *credentialFiles {
	t.Helper()
	f := &credentialFiles{t: t, folder: t.TempDir(), authority: certstest.Authority(t)}
	f.write("authority.pem", f.authority.Certificate)
	f.agency("agency-1", 1, time.Time{}, time.Time{})
	return f
}

func (f *credentialFiles) path(name string) string { return filepath.Join(f.folder, name) }

func (f *credentialFiles) write(name string, content []byte) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), content, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// pair writes NAME.pem and NAME-key.pem.
func (f *credentialFiles) pair(name string, pair certs.Pair, err error) certs.Pair {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(name+".pem", pair.Certificate)
	f.write(name+"-key.pem", pair.Key)
	return pair
}

func (f *credentialFiles) agency(name string, number int, from, until time.Time) certs.Pair {
	f.t.Helper()
	pair, err := f.authority.Agency(number, from, until)
	return f.pair(name, pair, err)
}

// central is the configuration of a central at 127.0.0.1.
func (f *credentialFiles) central() *tls.Config {
	f.t.Helper()
	pair, err := f.authority.Central([]string{"127.0.0.1"}, time.Time{}, time.Time{})
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certstest.Certificate(f.t, pair, err)},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: certstest.Trust(f.authority), SessionTicketsDisabled: true,
	}
}

// environ is agency 1's, with its certificate in these files.
func (f *credentialFiles) environ(ca, cert, key string, more ...string) []string {
	return append([]string{"CLI_ID=1", "CLI_TLS_CA=" + f.path(ca), "CLI_TLS_CERT=" + f.path(cert), "CLI_TLS_KEY=" + f.path(key)}, more...)
}

// The settings, from each of their sources, together.
func TestTLSSettings(t *testing.T) {
	want := defaultConfig()
	want.tls = tlsSettings{certs.AgencyFiles{Authorities: "a/authority.pem", Certificate: "a/agency-1.pem", Key: "a/agency-1-key.pem"}, "central.example"}
	for name, test := range map[string]struct {
		file          string
		args, environ []string
	}{
		"flags": {args: []string{"--tls-ca", "a/authority.pem", "--tls-cert", "a/agency-1.pem", "--tls-key=a/agency-1-key.pem", "--tls-server-name=central.example"}},
		"environment": {environ: []string{"CLI_TLS_CA=a/authority.pem", "CLI_TLS_CERT=a/agency-1.pem", "CLI_TLS_KEY=a/agency-1-key.pem",
			"CLI_TLS_SERVERNAME=central.example"}},
		"file": {file: "tls:\n  ca: a/authority.pem\n  cert: a/agency-1.pem\n  key: a/agency-1-key.pem\n  serverName: central.example\n"},
	} {
		t.Run(name, func(t *testing.T) {
			inFolder(t, test.file)
			if got, err := loadConfig(test.args, one(test.environ...)); err != nil || got != want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

// Any of them turns TLS on, and needs the others: the system's authorities do not
// know this lottery.
func TestTLSSettingsGoTogether(t *testing.T) {
	for name, test := range map[string]struct {
		given   []string
		missing string
	}{
		"all but the authority":   {[]string{"--tls-cert=c.pem", "--tls-key=k.pem"}, "tls.ca: is not set, but over TLS it is needed; give --tls-ca or"},
		"an empty authority":      {[]string{"--tls-ca=", "--tls-cert=c.pem", "--tls-key=k.pem"}, "tls.ca: is not set"},
		"all but the certificate": {[]string{"--tls-ca=a.pem", "--tls-key=k.pem"}, "tls.cert: is not set"},
		"all but the key":         {[]string{"--tls-ca=a.pem", "--tls-cert=c.pem"}, "tls.key: is not set"},
		"a name alone":            {[]string{"--tls-server-name=central"}, "tls.ca: is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			inFolder(t, "")
			if _, err := loadConfig(test.given, one()); err == nil || !strings.Contains(err.Error(), test.missing) {
				t.Errorf("%v, expected %q in it", err, test.missing)
			}
		})
	}
}

// Unusable files are one line that names the file, and no connection is made.
func TestUnusableCredentials(t *testing.T) {
	f := newCredentialFiles(t)
	now := time.Now()
	f.agency("two", 2, time.Time{}, time.Time{})
	f.agency("expired", 1, now.Add(-48*time.Hour), now.Add(-24*time.Hour))
	f.agency("later", 1, now.Add(24*time.Hour), now.Add(48*time.Hour))
	central, err := f.authority.Central([]string{"127.0.0.1"}, time.Time{}, time.Time{})
	f.pair("central", central, err)
	agency, err := os.ReadFile(f.path("agency-1.pem"))
	if err != nil {
		t.Fatal(err)
	}
	f.write("cut.pem", agency[:len(agency)/2])
	f.write("empty.pem", nil)
	for name, test := range map[string]struct {
		ca, cert, key string
		more          string
		says          []string
	}{
		"no authority":       {"gone.pem", "agency-1.pem", "agency-1-key.pem", "", []string{"gone.pem: no such file"}},
		"an empty authority": {"empty.pem", "agency-1.pem", "agency-1-key.pem", "", []string{"empty.pem has no certificate in PEM"}},
		"an authority that is none": {"agency-1.pem", "agency-1.pem", "agency-1-key.pem", "",
			[]string{"agency-1.pem has a certificate", "that is of no authority"}},
		"no certificate":         {"authority.pem", "gone.pem", "agency-1-key.pem", "", []string{"gone.pem: no such file"}},
		"a cut certificate":      {"authority.pem", "cut.pem", "agency-1-key.pem", "", []string{"cut.pem begins 1 certificates"}},
		"a key as a certificate": {"authority.pem", "agency-1-key.pem", "agency-1-key.pem", "", []string{"agency-1-key.pem has a key and no certificate"}},
		"no key":                 {"authority.pem", "agency-1.pem", "gone.pem", "", []string{"gone.pem: no such file"}},
		"a folder as a key":      {"authority.pem", "agency-1.pem", ".", "", []string{"is no regular file"}},
		"another one's key":      {"authority.pem", "agency-1.pem", "two-key.pem", "", []string{"agency-1.pem", "two-key.pem", "the key is of another certificate"}},
		"another agency's":       {"authority.pem", "two.pem", "two-key.pem", "", []string{"two.pem is of agency 2, expected is one of agency 1"}},
		"the central's":          {"authority.pem", "central.pem", "central-key.pem", "", []string{"central.pem: the certificate names no agency"}},
		"expired":                {"authority.pem", "expired.pem", "expired-key.pem", "", []string{"expired.pem expired on", "renew it"}},
		"not yet valid":          {"authority.pem", "later.pem", "later-key.pem", "", []string{"later.pem is valid from"}},
		"echo":                   {"authority.pem", "agency-1.pem", "agency-1-key.pem", "CLI_MODE=echo", []string{"mode: echo goes only without TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, func(net.Conn) { t.Error("the central was called") })
			environ := f.environ(test.ca, test.cert, test.key, "CLI_SERVER_ADDRESS="+address, test.more)
			code, lines, stderr := runClient(t, t.Context(), environ...)
			if code != 2 || len(lines) > 0 || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, the log %q, standard error %q, expected 2 and one line", code, lines, stderr)
			}
			for _, says := range test.says {
				if !strings.Contains(stderr, says) {
					t.Errorf("standard error is %q, expected %q in it", stderr, says)
				}
			}
		})
	}
}

// A run over TLS, as the command does it.
func TestRunOverTLS(t *testing.T) {
	f := newCredentialFiles(t)
	if err := os.Chmod(f.path("agency-1-key.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	central := newCentral(t, "30904465")
	config := f.central()
	address := listen(t, func(conn net.Conn) {
		secured := tls.Server(conn, config)
		if err := secured.Handshake(); err != nil {
			t.Errorf("the handshake: %v", err)
			return
		}
		central.handle(secured)
	})
	environ := f.environ("authority.pem", "agency-1.pem", "agency-1-key.pem", "CLI_SERVER_ADDRESS="+address, "CLI_MODE=winners")
	code, lines, stderr := runClient(t, t.Context(), environ...)
	if code != exitDone || stderr != "" {
		t.Errorf("exit code %d, %q on standard error", code, stderr)
	}
	for _, want := range []string{
		"INFO action: read_certificates | result: success | client_id: 1 | file: " + f.path("agency-1.pem") + " | expires: " + time.Now().UTC().Add(certs.AgencyLife).Format("2006-01"),
		"WARNING action: read_certificates | result: in_progress | client_id: 1 | reason: " + f.path("agency-1-key.pem") + " can be read by every user of this machine (mode 0644)",
		"INFO action: consulta_ganadores | result: success | cant_ganadores: 1",
	} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("the log has no line %q:\n%s", want, strings.Join(lines, "\n"))
		}
	}
}

// The files are read again for each connection. While they are unusable, what was
// read before is used, and the log says so once.
func TestRenewedCertificate(t *testing.T) {
	f := newCredentialFiles(t)
	first := f.agency("agency-1", 1, time.Time{}, time.Time{})
	central := newCentral(t, "30904465")
	config := f.central()
	var shown [][]byte
	calls := 0
	renewed := certs.Pair{}
	address := listen(t, func(conn net.Conn) {
		secured := tls.Server(conn, config)
		if err := secured.Handshake(); err != nil {
			t.Errorf("the handshake: %v", err)
			return
		}
		shown = append(shown, secured.ConnectionState().PeerCertificates[0].Raw)
		switch calls++; calls {
		case 1:
			f.write("agency-1.pem", []byte("half a"))
		case 3:
			renewed = f.agency("agency-1", 1, time.Time{}, time.Time{})
		case 4:
			central.handle(secured)
		}
	})
	inFolder(t, "")
	var out, errs bytes.Buffer
	environ := f.environ("authority.pem", "agency-1.pem", "agency-1-key.pem", "CLI_SERVER_ADDRESS="+address, "CLI_MODE=winners")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if code := run(ctx, nil, environ, &out, &errs); code != exitDone {
		t.Fatalf("exit code %d, %q on standard error; the log:\n%s", code, &errs, &out)
	}
	leaf := func(pair certs.Pair) string {
		return fmt.Sprintf("%x", certstest.Certificate(t, pair, nil).Certificate[0])
	}
	var got []string
	for _, der := range shown {
		got = append(got, fmt.Sprintf("%x", der))
	}
	if want := []string{leaf(first), leaf(first), leaf(first), leaf(renewed)}; !slices.Equal(got, want) {
		t.Errorf("the certificates that were shown are not the first three times, and then the renewed one: %q", got)
	}
	if says := "agency-1.pem has no certificate in PEM; what was read before is used"; strings.Count(out.String(), says) != 1 {
		t.Errorf("the log does not say once %q:\n%s", says, &out)
	}
	if strings.Contains(out.String(), "result: fail") {
		t.Errorf("the log says fail:\n%s", &out)
	}
}
