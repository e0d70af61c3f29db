package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"runtime"
	"time"
)

// AgencyFiles are the paths of an agency's credentials, in PEM.
type AgencyFiles struct {
	Authorities string // the certificates of those who issue the central's certificate
	Certificate string // the agency's own, and those between it and the authority, in that order
	Key         string // of the agency's certificate, without a password
}

// Read returns the configuration with which that agency and the central
// authenticate: TLS 1.3. The error names the file and what is wrong with it: also
// when the certificate is another agency's, or not valid now.
func (f AgencyFiles) Read(agency int, now time.Time) (*tls.Config, error) {
	authorities, err := readAuthorities(f.Authorities)
	if err != nil {
		return nil, fmt.Errorf("the central's authority: %w", err)
	}
	pair, err := readPair(f.Certificate, f.Key)
	if err == nil {
		err = f.check(pair.Leaf, agency, now)
	}
	if err != nil {
		return nil, fmt.Errorf("the agency's certificate: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{pair}}
	for _, authority := range authorities {
		config.RootCAs.AddCert(authority)
	}
	return config, nil
}

// check returns why the agency cannot use the certificate.
func (f AgencyFiles) check(leaf *x509.Certificate, agency int, now time.Time) error {
	whose, err := AgencyOf(leaf)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", f.Certificate, err)
	case whose != agency:
		return fmt.Errorf("%s is of agency %d, expected is one of agency %d", f.Certificate, whose, agency)
	case !isFor(leaf, x509.ExtKeyUsageClientAuth):
		return fmt.Errorf("%s has a certificate that is not for a client (no extended key usage clientAuth)", f.Certificate)
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%s expired on %s: renew it, or set the clock of this machine", f.Certificate, day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("%s is valid from %s: wait, or set the clock of this machine", f.Certificate, day(leaf.NotBefore))
	}
	return nil
}

// KeyWarning warns that every user of this machine can read a key, or is "".
func KeyWarning(key string) string {
	info, err := os.Stat(key)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o007 == 0 { // Windows has no such bits
		return ""
	}
	return fmt.Sprintf("%s can be read by every user of this machine (mode %04o), expected 0600", key, info.Mode().Perm())
}
