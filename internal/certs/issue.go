package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Lifetimes of what an authority issues, unless a request says otherwise. An
// agency's certificate lasts for a year of lotteries, and the authority for ten.
// None lasts longer than the authority's own.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	CentralLife   = 365 * 24 * time.Hour
	AgencyLife    = 365 * 24 * time.Hour

	// clockSkew is how far back a certificate begins, for machines whose clocks are
	// behind.
	clockSkew = 5 * time.Minute
)

// Pair is a certificate and its key, in PEM.
type Pair struct {
	Certificate []byte // the certificate alone: all are issued by the authority itself
	Key         []byte // PKCS #8
}

// NewKey makes a key, and returns it in PEM (PKCS #8), too.
func NewKey() (key crypto.Signer, text []byte, err error) {
	key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("write the key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: privateKeySuffix, Bytes: der}), nil
}

// Authority issues the certificates of a lottery.
type Authority struct {
	Pair
	certificate *x509.Certificate
	signer      crypto.Signer
}

// NewAuthority makes an authority of that name, with a key of its own.
func NewAuthority(name string, now time.Time) (*Authority, error) {
	key, text, err := NewKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(AuthorityLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	certificate, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return ParseAuthority(Pair{certificate, text})
}

// ParseAuthority returns the authority whose certificate and key these are.
func ParseAuthority(pair Pair) (*Authority, error) {
	certificates, err := parseCertificates(pair.Certificate)
	if err != nil {
		return nil, fmt.Errorf("the authority's certificate %w", err)
	}
	key, err := parseKey(pair.Key)
	if err != nil {
		return nil, fmt.Errorf("the authority's key %w", err)
	}
	switch certificate := certificates[0]; {
	case len(certificates) > 1:
		return nil, fmt.Errorf("the authority has %d certificates, expected one", len(certificates))
	case !certificate.BasicConstraintsValid || !certificate.IsCA:
		return nil, errors.New("the authority's certificate is of no authority")
	case !IsKeyOf(key, certificate):
		return nil, fmt.Errorf("the authority's certificate and key: %w", ErrOtherKey)
	default:
		return &Authority{pair, certificate, key}, nil
	}
}

// X509 returns the authority's own certificate.
func (a *Authority) X509() *x509.Certificate { return a.certificate }

// Central issues the certificate of a central that is reached under these DNS names
// or IP addresses, and makes its key. Zero times mean the usual ones.
func (a *Authority) Central(names []string, from, until time.Time) (Pair, error) {
	key, text, err := NewKey()
	if err != nil {
		return Pair{}, err
	}
	certificate, err := a.CertifyCentral(key.Public(), names, from, until)
	return Pair{certificate, text}, err
}

// CertifyCentral issues the certificate of a central that has a key already.
func (a *Authority) CertifyCentral(key crypto.PublicKey, names []string, from, until time.Time) ([]byte, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "central"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if err := CheckNames(names); err != nil {
		return nil, err
	}
	for _, name := range names {
		if ip, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, ip.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return a.issue(template, key, from, until, CentralLife)
}

// CheckNames returns an error unless each name is a DNS name or an IP address.
func CheckNames(names []string) error {
	for _, name := range names {
		ip, err := netip.ParseAddr(name)
		if isIP := err == nil && ip.Zone() == ""; !isIP && !isHost(name) {
			return fmt.Errorf("%.80q is neither a DNS name nor an IP address", name)
		}
	}
	return nil
}

// Names returns the DNS names and the IP addresses of a certificate.
func Names(certificate *x509.Certificate) []string {
	names := append([]string(nil), certificate.DNSNames...)
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// isHost reports whether a text has the form of a DNS name (RFC 1123, 2.1).
func isHost(text string) bool {
	if len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			switch {
			case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}

// Agency issues the certificate of an agency, and makes its key. Zero times mean
// the usual ones.
func (a *Authority) Agency(agency int, from, until time.Time) (Pair, error) {
	key, text, err := NewKey()
	if err != nil {
		return Pair{}, err
	}
	certificate, err := a.CertifyAgency(key.Public(), agency, from, until)
	return Pair{certificate, text}, err
}

// CertifyAgency issues the certificate of an agency that has a key already.
func (a *Authority) CertifyAgency(key crypto.PublicKey, agency int, from, until time.Time) ([]byte, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: fmt.Sprintf("agency %d", agency)},
		URIs:        []*url.URL{AgencyURI(agency)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key, from, until, AgencyLife)
}

// issue signs a certificate for the key. Without times it lasts for life; it never
// lasts longer than the authority's own.
func (a *Authority) issue(template *x509.Certificate, key crypto.PublicKey, from, until time.Time, life time.Duration) ([]byte, error) {
	if from.IsZero() {
		from = time.Now().Add(-clockSkew)
	}
	if until.IsZero() {
		until = time.Now().Add(life)
	}
	if last := a.certificate.NotAfter; until.After(last) {
		until = last
	}
	template.NotBefore, template.NotAfter = from, until
	template.KeyUsage = x509.KeyUsageDigitalSignature
	return sign(template, a.certificate, key, a.signer)
}

// sign returns a certificate in PEM.
func sign(template, parent *x509.Certificate, key crypto.PublicKey, signer crypto.Signer) ([]byte, error) {
	certificate, err := x509.CreateCertificate(rand.Reader, template, parent, key, signer)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: certificate}), nil
}
