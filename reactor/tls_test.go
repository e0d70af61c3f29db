package reactor

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"loteria/internal/certs"
	"loteria/internal/certs/certstest"
)

// overTLS makes centrals listen for TLS, too, and peers connect over it.
var overTLS bool

// authority is that of the tests' lottery, stranger that of another.
var (
	authority = newAuthority()
	stranger  = newAuthority()
)

func newAuthority() func(testing.TB) *certs.Authority {
	var once sync.Once
	var made *certs.Authority
	return func(t testing.TB) *certs.Authority {
		t.Helper()
		once.Do(func() { made = certstest.Authority(t) })
		return made
	}
}

var agencyPairs sync.Map // by agency: making one takes a while

// agencyPair is a certificate of an agency.
func agencyPair(t testing.TB, agency int) tls.Certificate {
	t.Helper()
	if made, ok := agencyPairs.Load(agency); ok {
		return made.(tls.Certificate)
	}
	made := newAgencyPair(t, agency)
	agencyPairs.Store(agency, made)
	return made
}

func newAgencyPair(t testing.TB, agency int) tls.Certificate {
	t.Helper()
	pair, err := authority(t).Agency(agency, time.Time{}, time.Time{})
	return certstest.Certificate(t, pair, err)
}

// clientConfig is that of an agency which trusts the authority of the tests.
func clientConfig(t testing.TB, own ...tls.Certificate) *tls.Config {
	t.Helper()
	return &tls.Config{RootCAs: certstest.Trust(authority(t)), Certificates: own, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}
}

// credentials are the files of a central under test.
type credentials struct {
	*certs.Store
	t     testing.TB
	files certs.Files
}

func newCredentials(t testing.TB) *credentials {
	t.Helper()
	folder := t.TempDir()
	c := &credentials{t: t, files: certs.Files{
		Certificate: filepath.Join(folder, "central.crt"),
		Key:         filepath.Join(folder, "central.key"),
		Authorities: filepath.Join(folder, "authority.crt"),
		Revoked:     filepath.Join(folder, "revoked"),
	}}
	c.write(c.files.Revoked, nil)
	c.write(c.files.Authorities, authority(t).Certificate)
	c.renew()
	store, err := certs.Open(c.files)
	if err != nil {
		t.Fatal(err)
	}
	c.Store = store
	return c
}

// renew writes another certificate of the central.
func (c *credentials) renew() {
	c.t.Helper()
	pair, err := authority(c.t).Central([]string{"127.0.0.1"}, time.Time{}, time.Time{})
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(c.files.Certificate, pair.Certificate)
	c.write(c.files.Key, pair.Key)
}

func (c *credentials) write(file string, content []byte) {
	c.t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// tls returns the TLS port that uses them.
func (c *credentials) tls() *TLS {
	return &TLS{
		Address:          anyPort,
		Config:           c.Config,
		Identify:         c.Identify,
		HandshakeTimeout: patience,
		MaxHandshakes:    256,
	}
}

// sameForAll returns a port on which one certificate serves all agencies, as if
// there were no TLS: a connection speaks for the agency that it names first.
func sameForAll(t testing.TB) *TLS {
	t.Helper()
	config := newCredentials(t).tls()
	config.Identify = func(tls.ConnectionState) (int, error) { return 0, nil }
	return config
}

// dialTLS connects over TLS. It ends with the client's handshake: whether the
// central accepts its certificate shows later.
func (c *central) dialTLS(dialer net.Dialer, config *tls.Config) *peer {
	c.t.Helper()
	p := c.dialTo(c.TLSAddress().String(), dialer)
	p.secure = tls.Client(p.TCPConn, config)
	if err := p.secure.Handshake(); err != nil {
		c.t.Fatalf("handshake: %v", err)
	}
	return p
}
