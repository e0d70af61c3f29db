package certstest

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"loteria/internal/certs"
)

// Authority makes the authority of a lottery.
func Authority(t testing.TB) *certs.Authority {
	t.Helper()
	authority, err := certs.NewAuthority("tests", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// Trust returns a pool of the authorities.
func Trust(authorities ...*certs.Authority) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, authority := range authorities {
		pool.AddCert(authority.X509())
	}
	return pool
}

// Certificate returns an issued certificate for crypto/tls. It takes what
// Authority.Central and Authority.Agency return.
func Certificate(t testing.TB, pair certs.Pair, err error) tls.Certificate {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
