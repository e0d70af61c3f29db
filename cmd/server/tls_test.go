package main

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"loteria/codec"
	"loteria/internal/certs"
	"loteria/internal/certs/certstest"
	"loteria/lottery"
)

// credentials are an authority, and the files of its central.
type credentials struct {
	t *testing.T
	*certs.Authority
	certificate, key, authorities, revoked string // paths
}

func newCredentials(t *testing.T) *credentials {
	t.Helper()
	folder := t.TempDir()
	c := &credentials{
		t: t, Authority: certstest.Authority(t),
		certificate: filepath.Join(folder, "central.pem"), key: filepath.Join(folder, "central-key.pem"),
		authorities: filepath.Join(folder, "authority.pem"), revoked: filepath.Join(folder, "revoked.txt"),
	}
	c.renew(c.central(time.Time{}))
	c.write(c.authorities, c.Authority.Certificate)
	c.write(c.revoked, nil)
	return c
}

// central is a pair for the central, of another key each time.
func (c *credentials) central(until time.Time) certs.Pair {
	c.t.Helper()
	pair, err := c.Central([]string{"127.0.0.1"}, time.Time{}, until)
	if err != nil {
		c.t.Fatal(err)
	}
	return pair
}

// write replaces a file atomically.
func (c *credentials) write(path string, content []byte) {
	c.t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		c.t.Fatal(err)
	}
}

func (c *credentials) renew(pair certs.Pair) {
	c.t.Helper()
	c.write(c.key, pair.Key)
	c.write(c.certificate, pair.Certificate)
}

// flags returns the flags of a central with these files.
func (c *credentials) flags(more ...string) []string {
	return append([]string{"--tls-port", "0", "--tls-cert", c.certificate, "--tls-key", c.key,
		"--tls-client-ca", c.authorities, "--tls-revoked", c.revoked}, more...)
}

// launch starts a central that has only a port of TLS.
func (c *credentials) launch(args ...string) *process {
	c.t.Helper()
	p := begin(c.t, c.flags(append([]string{"--port", "off"}, args...)...)...)
	p.address = addressOf(p.Await("tls: true"))
	return p
}

// addressOf returns the address of a listen line.
func addressOf(line string) string {
	_, address, _ := strings.Cut(line, "address: ")
	address, _, _ = strings.Cut(address, " |")
	return address
}

// agency is the certificate of an agency.
func (c *credentials) agency(number int) tls.Certificate {
	c.t.Helper()
	return c.agencyOf(c.Authority, number, time.Time{}, time.Time{})
}

func (c *credentials) agencyOf(authority *certs.Authority, number int, from, until time.Time) tls.Certificate {
	c.t.Helper()
	pair, err := authority.Agency(number, from, until)
	return certstest.Certificate(c.t, pair, err)
}

// call connects to a central. Its verdict on the certificate shows with the first
// answer.
func (c *credentials) call(p *process, own ...tls.Certificate) *tls.Conn {
	c.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(c.X509())
	conn := tls.Client(p.dial(), &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", Certificates: own})
	if err := conn.Handshake(); err != nil {
		c.t.Fatalf("the handshake: %v", err)
	}
	return conn
}

// serialOf returns the serial of the central's certificate.
func serialOf(conn *tls.Conn) string {
	return certs.SerialOf(conn.ConnectionState().PeerCertificates[0])
}

// isIn expects an agency to be let in, by a request that changes nothing.
func isIn(t *testing.T, p *process, conn net.Conn, agency int) {
	t.Helper()
	p.exchange(conn, []codec.Message{&codec.Resume{Agency: fmt.Sprint(agency)}}, []codec.Message{&codec.ResumePoint{Digest: emptyDigest}})
}

// isOut expects the central to end the connection without an answer, and returns
// how that looks to the agency.
func isOut(t *testing.T, conn net.Conn) error {
	t.Helper()
	_, _ = conn.Write(frames(t, &codec.Resume{Agency: "1"}))
	rest, err := io.ReadAll(conn)
	if len(rest) > 0 {
		t.Errorf("it is told % x, expected nothing", rest)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection is left open")
	}
	return err
}

// isClosed expects the central to end an open connection.
func isClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := isOut(t, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("it ends with %v", err)
	}
}

// A whole lottery of two agencies, on the port of TLS alone.
func TestLotteryOverTLS(t *testing.T) {
	c := newCredentials(t)
	p := c.launch("--expected-agencies", "2", "--log-level", "DEBUG")
	first, second := c.call(p, c.agency(1)), c.call(p, c.agency(2))
	p.exchange(second, []codec.Message{&codec.Finished{Agency: "2"}, &codec.WinnersQuery{Agency: "2"}}, []codec.Message{finished})
	p.exchange(first, []codec.Message{&codec.Bet{RawBet: raw}, &codec.Finished{Agency: "1"}, &codec.WinnersQuery{Agency: "1"}},
		[]codec.Message{stored, finished, &codec.Winners{Documents: []string{"30904465"}}})
	p.exchange(second, nil, []codec.Message{&codec.Winners{}})
	for _, conn := range []*tls.Conn{first, second} {
		if state := conn.ConnectionState(); state.Version != tls.VersionTLS13 || state.DidResume {
			t.Errorf("version %x, resumed: %t", state.Version, state.DidResume)
		}
	}
	p.Stop()
	if n := p.Count("result: fail"); n > 0 || p.Count("action: sorteo | result: success") != 1 {
		t.Errorf("%d lines have failures:\n%s", n, p)
	}
	for _, line := range p.Lines() {
		if !shape.MatchString(line) {
			t.Errorf("a line of the log has another shape: %q", line)
		}
	}
}

// An agency may use only what is its own.
func TestOfAnotherAgency(t *testing.T) {
	c := newCredentials(t)
	p := c.launch("--expected-agencies", "5")
	for name, test := range map[string]struct{ request, answer codec.Message }{
		"bet":      {&codec.Bet{RawBet: raw}, &codec.Error{Code: lottery.WrongAgency, Document: raw.Document, Number: raw.Number}},
		"batch":    {&codec.Batch{RawBets: []lottery.RawBet{raw}}, &codec.Error{Code: lottery.WrongAgency, Document: raw.Document, Number: raw.Number}},
		"finished": {&codec.Finished{Agency: "1"}, &codec.Error{Code: lottery.WrongAgency}},
		"winners":  {&codec.WinnersQuery{Agency: "1"}, &codec.Error{Code: lottery.WrongAgency}},
		"resume":   {&codec.Resume{Agency: "1"}, &codec.Error{Code: lottery.WrongAgency}},
	} {
		t.Run(name, func(t *testing.T) {
			p.t = t
			p.exchange(c.call(p, c.agency(2)), []codec.Message{test.request}, []codec.Message{test.answer})
			p.Await("code: wrong_agency")
		})
	}
	p.t = t
	p.exchange(c.call(p, c.agency(6)), []codec.Message{&codec.Resume{Agency: "6"}}, []codec.Message{&codec.Error{Code: lottery.UnknownAgency}})
	isIn(t, p, c.call(p, c.agency(1)), 1)
	p.Stop()
}

func TestCertificatesThatAreRefused(t *testing.T) {
	const hour = time.Hour
	c := newCredentials(t)
	now := time.Now()
	serial := c.agency(4)
	c.write(c.revoked, fmt.Appendf(nil, "# list\nagency 3\n%s # lost\n", certs.SerialOf(serial.Leaf)))
	p := c.launch()
	central := certstest.Certificate(t, c.central(time.Time{}), nil)
	for name, test := range map[string]struct {
		own  []tls.Certificate
		says string // the log, as a pattern
		told string // the agency, by an alert
	}{
		"none": {nil, `tls_handshake .* client didn't provide a certificate`, "certificate required"},
		"of another authority": {[]tls.Certificate{c.agencyOf(certstest.Authority(t), 1, time.Time{}, time.Time{})},
			`tls_handshake .*loteria:agency:1.*signed by unknown authority`, "unknown certificate authority|certificate required"},
		"expired": {[]tls.Certificate{c.agencyOf(c.Authority, 1, now.Add(-2*hour), now.Add(-hour))},
			`tls_handshake .*loteria:agency:1.*has expired or is not yet valid`, "expired certificate|bad certificate"},
		"not yet valid": {[]tls.Certificate{c.agencyOf(c.Authority, 1, now.Add(hour), now.Add(2*hour))},
			`tls_handshake .*loteria:agency:1.*has expired or is not yet valid`, "expired certificate|bad certificate"},
		"a central's":        {[]tls.Certificate{central}, `tls_handshake .*incompatible key usage`, "bad certificate"},
		"of no agency":       {[]tls.Certificate{c.nameless()}, `tls_handshake .* the certificate names no agency: it has no URI like loteria:agency:7 \(serial number [0-9a-f]+\)`, "bad certificate"},
		"revoked, by agency": {[]tls.Certificate{c.agency(3)}, `tls_handshake .* revoked: all of agency 3 are`, "bad certificate"},
		"revoked, by serial": {[]tls.Certificate{serial}, `tls_handshake .* revoked \(agency 4, serial number ` + certs.SerialOf(serial.Leaf), "bad certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			var conn net.Conn
			if len(test.own) == 0 {
				conn = c.call(p)
			} else {
				conn = c.callWith(p, test.own[0])
			}
			if err := isOut(t, conn); err == nil || !regexp.MustCompile(test.told).MatchString(err.Error()) {
				t.Errorf("it is told %v, expected %q", err, test.told)
			}
			p.t = t
			if line := p.Await("action: tls_handshake | result: fail"); !regexp.MustCompile(test.says).MatchString(line) {
				t.Errorf("the log has %q, expected %q", line, test.says)
			}
		})
	}
	p.t = t
	isIn(t, p, c.call(p, c.agency(4)), 4) // by another certificate
	p.Stop()
}

// nameless is a client's certificate that names no agency.
func (c *credentials) nameless() tls.Certificate {
	c.t.Helper()
	authority := certstest.Certificate(c.t, c.Pair, nil)
	key, text, err := certs.NewKey()
	if err != nil {
		c.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, c.X509(), key.Public(), authority.PrivateKey)
	return certstest.Certificate(c.t, certs.Pair{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: text}, err)
}

// callWith connects with that certificate, whatever the central asks for.
func (c *credentials) callWith(p *process, own tls.Certificate) *tls.Conn {
	c.t.Helper()
	conn := tls.Client(p.dial(), &tls.Config{
		InsecureSkipVerify:   true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil },
	})
	if err := conn.Handshake(); err != nil {
		c.t.Fatalf("the handshake: %v", err)
	}
	return conn
}

// The plain port, where there is one, is unchanged; TLS on it is no agency's, and
// the other way round.
func TestBothPorts(t *testing.T) {
	c := newCredentials(t)
	p := begin(t, c.flags("--admin", "127.0.0.1:0")...)
	plain := addressOf(p.Await("action: listen | result: success | address: "))
	secured := addressOf(p.Await("tls: true"))
	p.address = plain
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	p.address = secured
	isIn(t, p, c.call(p, c.agency(2)), 2)
	conn := p.dial()
	p.exchange(conn, []codec.Message{&codec.Resume{Agency: "1"}}, []codec.Message{&codec.Error{Code: codec.TLSRequired}})
	p.Await("speaks no TLS")
	p.Stop()
	if n := p.Count("action: close_listener | result: success"); n != 2 {
		t.Errorf("%d listeners are closed, expected 2:\n%s", n, p)
	}
}

// A renewed certificate is shown to new connections, and open ones go on.
func TestRenewedCertificate(t *testing.T) {
	for name, asked := range map[string]bool{"by its own look": false, "by SIGUSR1": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCredentials(t)
			p := c.launch()
			before := c.call(p, c.agency(1))
			isIn(t, p, before, 1)
			c.renew(c.central(time.Time{}))
			if asked {
				p.Signal(syscall.SIGUSR1)
			}
			p.Await("action: reload_certificates | result: success | serial: ")
			after := c.call(p, c.agency(2))
			isIn(t, p, after, 2)
			if serialOf(after) == serialOf(before) {
				t.Error("the central shows the certificate that it had")
			}
			isIn(t, p, before, 1)
			p.Stop()
			if n := p.Count("result: fail"); n > 0 {
				t.Errorf("%d lines have failures:\n%s", n, p)
			}
		})
	}
}

// A connected agency that is revoked is cut off; others go on.
func TestRevokedWhileConnected(t *testing.T) {
	c := newCredentials(t)
	p := c.launch()
	stolen := c.agency(3)
	byAgency, bySerial, other := c.call(p, c.agency(2)), c.call(p, stolen), c.call(p, c.agency(3))
	isIn(t, p, byAgency, 2)
	isIn(t, p, bySerial, 3)
	isIn(t, p, other, 3)
	c.write(c.revoked, []byte("agency 2\n"+certs.SerialOf(stolen.Leaf)))
	p.Await("action: reload_certificates | result: success")
	isClosed(t, byAgency)
	isClosed(t, bySerial)
	isIn(t, p, other, 3)
	c.write(c.revoked, nil)
	p.Await("revoked: 0")
	isIn(t, p, c.call(p, c.agency(2)), 2)
	p.Stop()
	if n := p.Count("action: identify_agency | result: fail | ip: 127.0.0.1 | error: the certificate is revoked"); n != 2 {
		t.Errorf("%d connections are said to be revoked, expected 2:\n%s", n, p)
	}
}

// The agencies of a removed authority are refused.
func TestReplacedAuthority(t *testing.T) {
	c := newCredentials(t)
	next := certstest.Authority(t)
	p := c.launch()
	before := c.call(p, c.agency(1))
	isIn(t, p, before, 1)

	c.write(c.authorities, slices.Concat(c.Authority.Certificate, next.Certificate))
	p.Await("authorities: 2")
	isIn(t, p, before, 1)
	after := c.call(p, c.agencyOf(next, 2, time.Time{}, time.Time{}))
	isIn(t, p, after, 2)

	c.write(c.authorities, next.Certificate)
	p.Await("authorities: 1")
	isClosed(t, before)
	isIn(t, p, after, 2)
	p.Stop()
	if n := p.Count("is of an authority that is no longer trusted (agency 1"); n != 1 {
		t.Errorf("%d lines say why agency 1 is out, expected 1:\n%s", n, p)
	}
}

// Half a renewal changes nothing and is no failure; the rest of it is seen.
func TestHalfARenewal(t *testing.T) {
	c := newCredentials(t)
	p := c.launch()
	before := c.call(p, c.agency(1))
	pair := c.central(time.Time{})
	c.write(c.certificate, pair.Certificate)
	p.Await("action: reload_certificates | result: in_progress | reason: ")
	meanwhile := c.call(p, c.agency(2))
	isIn(t, p, meanwhile, 2)
	if serialOf(meanwhile) != serialOf(before) {
		t.Error("half a renewal counts")
	}
	c.write(c.key, pair.Key)
	p.Await("action: reload_certificates | result: success")
	if after := c.call(p, c.agency(3)); serialOf(after) == serialOf(before) {
		t.Error("the whole renewal does not count")
	}
	p.Stop()
	if n := p.Count("result: fail"); n > 0 {
		t.Errorf("%d lines have failures:\n%s", n, p)
	}
}

// SIGUSR1 says at once what is wrong, and ends nothing, with certificates or
// without.
func TestSIGUSR1(t *testing.T) {
	c := newCredentials(t)
	p := c.launch()
	c.write(c.revoked, []byte("agency 1\nwho?\n"))
	p.Signal(syscall.SIGUSR1)
	p.Await(fmt.Sprintf(`action: reload_certificates | result: fail | error: what is revoked: %s, line 2: "who?" is no entry`, c.revoked))
	isIn(t, p, c.call(p, c.agency(1)), 1)
	c.write(c.revoked, nil)
	p.Signal(syscall.SIGUSR1)
	p.Await("action: reload_certificates | result: success")
	p.Stop()

	p = launch(t)
	p.Signal(syscall.SIGUSR1)
	p.Await("action: reload_certificates | result: success | reason: this central has no certificates")
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	p.Stop()
}

// Unusable files end a start with one line and exit code 2, as no restart mends
// them.
func TestStartWithFilesOfNoUse(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*credentials)
		says  string
	}{
		"no certificate":   {func(c *credentials) { os.Remove(c.certificate) }, `certificate: open .*central\.pem: no such file`},
		"key of another":   {func(c *credentials) { c.write(c.key, c.central(time.Time{}).Key) }, `central\.pem and .*central-key\.pem: the key is of another certificate`},
		"no authority":     {func(c *credentials) { c.write(c.authorities, nil) }, `authorities: .*authority\.pem has no certificate in PEM`},
		"wrong list":       {func(c *credentials) { c.write(c.revoked, []byte("7\n")) }, `revoked\.txt, line 1: "7" could be an agency or a serial number`},
		"an agency's pair": {func(c *credentials) { pair, _ := c.Agency(1, time.Time{}, time.Time{}); c.renew(pair) }, `central\.pem has a certificate that is not for a server`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCredentials(t)
			test.spoil(c)
			p := begin(t, c.flags()...)
			if code := p.End(); code != 2 {
				t.Errorf("exit code %d, expected 2:\n%s", code, p)
			}
			said := strings.TrimSuffix(p.Stderr(), "\n")
			if strings.Contains(said, "\n") || !regexp.MustCompile(`^server: TLS: (the|what) .*`+test.says).MatchString(said) {
				t.Errorf("stderr has %q, expected one line like %q", said, test.says)
			}
		})
	}
}

// A certificate that expires soon, or has, is reported at the start.
func TestExpiryIsSaid(t *testing.T) {
	for name, test := range map[string]struct {
		left time.Duration
		says string // empty is nothing
	}{
		"a year":  {364 * 24 * time.Hour, ""},
		"a week":  {7 * 24 * time.Hour, "left: 168h0m0s | reason: the central's certificate expires soon: renew it"},
		"expired": {-time.Minute, "expired on "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCredentials(t)
			c.renew(c.central(time.Now().Add(test.left)))
			p := c.launch()
			p.Stop()
			const line = "WARNING  action: check_certificates | result: success | "
			if n := p.Count(line); (n > 0) != (test.says != "") || test.says != "" && p.Count(test.says) != 1 {
				t.Errorf("%d lines of warning, expected %q:\n%s", n, test.says, p)
			}
		})
	}
}

// The health check finds a central whose only port is that of TLS, and leaves
// nothing in its log.
func TestHealthOfAPortOfTLS(t *testing.T) {
	c := newCredentials(t)
	p := c.launch("--tls-bind", "127.0.0.1")
	_, port, _ := net.SplitHostPort(p.address)
	for _, args := range [][]string{{"--tls-port", port}, {"--tls-port", port, "--bind", ""}, {"--tls-port", port, "--bind", "", "--tls-bind", "127.0.0.1"}} {
		args = append(append(c.flags("--healthcheck", "--port", "off"), args...), "--tls-port", port)
		if code := begin(t, args...).End(); code != 0 {
			t.Errorf("%q exits with %d, expected 0", args, code)
		}
	}
	isIn(t, p, c.call(p, c.agency(1)), 1)
	p.Stop()
	if n := p.Count("result: fail"); n > 0 {
		t.Errorf("%d lines have failures:\n%s", n, p)
	}
	if code := begin(t, c.flags("--healthcheck", "--port", "off", "--tls-port", "1")...).End(); code != 1 {
		t.Errorf("without a central it exits with %d, expected 1", code)
	}
}
