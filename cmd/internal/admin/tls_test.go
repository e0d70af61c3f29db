package admin

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
	"loteria/codec"
	"loteria/internal/certs"
	"loteria/internal/certs/certstest"
	"loteria/reactor"
)

// issuer is an authority, and the files of a central that has its certificate.
type issuer struct {
	t         testing.TB
	authority *certs.Authority
	files     certs.Files
	store     *certs.Store
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	authority := certstest.Authority(t)
	folder := t.TempDir()
	i := &issuer{t: t, authority: authority, files: certs.Files{
		Certificate: filepath.Join(folder, "central.pem"), Key: filepath.Join(folder, "central-key.pem"),
		Authorities: filepath.Join(folder, "authority.pem"),
	}}
	if err := os.WriteFile(i.files.Authorities, authority.Certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	i.renew(time.Time{})
	var err error
	if i.store, err = certs.Open(i.files); err != nil {
		t.Fatal(err)
	}
	return i
}

// renew writes another certificate.
func (i *issuer) renew(until time.Time) {
	i.t.Helper()
	pair, err := i.authority.Central([]string{"localhost", "127.0.0.1"}, time.Time{}, until)
	if err == nil {
		err = os.WriteFile(i.files.Certificate, pair.Certificate, 0o600)
	}
	if err == nil {
		err = os.WriteFile(i.files.Key, pair.Key, 0o600)
	}
	if err != nil {
		i.t.Fatal(err)
	}
}

// clientConfig returns the configuration of a client that trusts the authority.
func (i *issuer) clientConfig() *tls.Config {
	return &tls.Config{RootCAs: certstest.Trust(i.authority)}
}

// client is a client of HTTP that trusts the authority, and would speak HTTP/2.
func (i *issuer) client() *http.Client {
	transport := &http.Transport{TLSClientConfig: i.clientConfig(), ForceAttemptHTTP2: true}
	i.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// showSecured runs an admin port over TLS that asks for a token, too.
func showSecured(t testing.TB, agencies int) (*central, *issuer) {
	t.Helper()
	i := newIssuer(t)
	c := show(t, agencies, func(config *Config) {
		config.TLS, config.Token = i.store.ServerConfig, func() string { return testToken }
	})
	c.url = strings.Replace(c.url, "http:", "https:", 1)
	c.client = i.client()
	return c, i
}

func TestTLS(t *testing.T) {
	c, _ := showSecured(t, 1)
	c.await("the log says how it is reached", func() bool {
		return strings.Contains(c.log.String(), `"action":"admin_listen","result":"success","scheme":"https","address":"`)
	})
	if code, header, _ := c.get("/api/state"); code != 401 || header.Get("Strict-Transport-Security") != "" {
		t.Errorf("without the token there is %d %v", code, header)
	}
	c.authorization = "Bearer " + testToken
	c.open(t.TempDir(), c.admin.Observer())
	c.listen()
	c.expectReady(200, TakingBets)
	s := c.stream()
	if s.response.ProtoMajor != 1 || s.response.TLS == nil || s.response.TLS.Version != tls.VersionTLS13 {
		t.Errorf("the stream comes by %s, %+v", s.response.Proto, s.response.TLS)
	}
	s.next("curves")
	s.next("state")
	if code, _, text := c.do("GET", "/api/state", http.Header{"Authorization": {"Bearer " + otherToken}}); code != 401 {
		t.Errorf("with another token there is %d %s", code, text)
	}
}

// Clients that do not trust the authority, or ask for another name, get nothing;
// and those that speak plain HTTP are told so.
func TestTLSWithOthers(t *testing.T) {
	c, i := showSecured(t, 1)
	address := c.admin.address.String()
	for name, config := range map[string]*tls.Config{
		"another authority": newIssuer(t).clientConfig(),
		"another name":      {RootCAs: i.clientConfig().RootCAs, ServerName: "central.example"},
		"TLS 1.1":           {RootCAs: i.clientConfig().RootCAs, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
	} {
		if conn, err := tls.Dial("tcp", address, config); err == nil {
			conn.Close()
			t.Errorf("%s: there is a connection", name)
		}
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte("GET /api/state HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + testToken + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusBadRequest {
		t.Fatalf("plain HTTP gets %v, %v", response, err)
	}
	defer response.Body.Close()
	if line, _ := bufio.NewReader(response.Body).ReadString('\n'); !strings.Contains(line, "HTTP request to an HTTPS server") {
		t.Errorf("plain HTTP gets %q", line)
	}
	if log := c.log.String(); strings.Contains(log, "fail\"") {
		t.Errorf("what strangers do wrong is a failure in the log:\n%s", log)
	}
}

// A silent client is soon cut off.
func TestTLSHandshakesThatStall(t *testing.T) {
	i := newIssuer(t)
	c := &central{t: t, log: &logBuffer{}}
	c.admin = New(Config{Address: "127.0.0.1:0", Agencies: 1, TLS: i.store.ServerConfig, Log: newLog(c.log)})
	c.admin.readTimeout = 50 * time.Millisecond
	c.run()
	for _, begun := range []string{"", "\x16\x03\x01"} {
		expectClosed(t, c.visit(begun))
	}
}

// Another certificate is used for new connections; open ones stay.
func TestTLSIsRenewed(t *testing.T) {
	c, i := showSecured(t, 1)
	c.authorization = "Bearer " + testToken
	s := c.stream()
	s.next("curves")
	serial := func() string {
		conn, err := tls.Dial("tcp", c.admin.address.String(), i.clientConfig())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	if serial() != before {
		t.Fatal("the certificate is another each time")
	}
	i.renew(time.Now().Add(time.Hour))
	if err := i.store.Reload(); err != nil {
		t.Fatal(err)
	}
	if serial() == before {
		t.Error("the certificate is still the old one")
	}
	s.next("state")
	s.next("state")
}

func TestPageOverTLS(t *testing.T) {
	w := needBrowser(t)
	c, _ := showSecured(t, 1)
	c.open(t.TempDir(), c.admin.Observer())
	c.listen()
	p := w.blank(t, "es")
	typed := &typist{}
	typed.set(testToken)
	typed.sit(p)
	p.run(call(security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true}), chromedp.Navigate(c.url))
	p.await("over TLS", "0 de 1 agencias terminaron", "en vivo")
	c.dial().ask(batch(1, 3), codec.TypeSuccess)
	p.awaitRow(1, "enviando", "3", "–")
	p.expectNothingWrong(c.url)
}

// The state of the agencies' TLS port, of a central with and without one.
func TestAgenciesOverTLS(t *testing.T) {
	w := needBrowser(t)
	const shown = `["tls-connections", "tls-handshakes"].map((id) => document.getElementById(id)).map((e) => e.checkVisibility() ? e.innerText : "").join("; ")`
	plain := start(t, 1)
	p := w.open(t, plain.url, "es")
	p.await("without such a port", "0 de 1 agencias terminaron")
	p.awaitText("without such a port", shown, "; ")

	i := newIssuer(t)
	c := show(t, 1, nil)
	c.tls = &reactor.TLS{
		Address: "127.0.0.1:0", Config: i.store.Config, Identify: i.store.Identify,
		HandshakeTimeout: patience, MaxHandshakes: 64,
	}
	c.open(t.TempDir(), c.admin.Observer())
	c.listen()
	p = w.open(t, c.url, "es")
	p.awaitText("before anybody is there", shown, "Conexiones TLS\n0; Negociaciones TLS\n0 de 64")

	pair, err := i.authority.Agency(1, time.Time{}, time.Time{})
	config := i.clientConfig()
	config.Certificates = []tls.Certificate{certstest.Certificate(t, pair, err)}
	address := c.reactor.TLSAddress().String()
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	(&peer{t, conn, bufio.NewReader(conn)}).ask(batch(1, 3), codec.TypeSuccess)
	stranger, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	expectClosed(t, stranger)
	stalled, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	p.awaitText("an agency, one that has failed, one that says nothing", shown, "Conexiones TLS\n1; Negociaciones TLS\n1 de 64, 1 fallida")
	c.await("the state has the same", func() bool { return c.state().TLS == TLS{1, 1, 64, 1} })
	for name, want := range map[string]float64{
		"loteria_tls_connections": 1, "loteria_tls_handshakes": 1, "loteria_tls_handshakes_limit": 64, "loteria_tls_handshakes_failed_total": 1,
	} {
		if got := c.samples()[name]; got != want {
			t.Errorf("%s is %v, expected %v", name, got, want)
		}
	}
	p.expectNothingWrong(c.url)
}
