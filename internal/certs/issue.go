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
	"time"
)

// Lifetimes of what an authority issues, unless a request says otherwise. An
// agency's certificate lasts for a year of lotteries, and the authority for ten.
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

// Authority issues the certificates of a lottery.
type Authority struct {
	Pair
	certificate *x509.Certificate
	signer      crypto.Signer
}

// NewAuthority makes an authority of that name, with a key of its own.
func NewAuthority(name string, now time.Time) (*Authority, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(AuthorityLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	pair, err := issue(template, template, nil)
	if err != nil {
		return nil, err
	}
	return ParseAuthority(pair)
}

// ParseAuthority returns the authority whose certificate and key these are.
func ParseAuthority(pair Pair) (*Authority, error) {
	block, _ := pem.Decode(pair.Certificate)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the authority's certificate is not PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the authority's certificate: %w", err)
	}
	block, _ = pem.Decode(pair.Key)
	if block == nil {
		return nil, errors.New("the authority's key is not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the authority's key: %w", err)
	}
	signer, isSigner := key.(crypto.Signer)
	public, isComparable := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !isSigner || !isComparable || !public.Equal(signer.Public()) {
		return nil, errors.New("the authority's key is not that of its certificate")
	}
	if !certificate.IsCA {
		return nil, errors.New("the authority's certificate is of no authority")
	}
	return &Authority{pair, certificate, signer}, nil
}

// Central issues the certificate of a central that is reached under these DNS
// names or IP addresses. Zero times are the usual ones.
func (a *Authority) Central(names []string, from, until time.Time) (Pair, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "central"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, ip.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return a.issue(template, from, until, CentralLife)
}

// Agency issues the certificate of an agency. Zero times are the usual ones.
func (a *Authority) Agency(agency int, from, until time.Time) (Pair, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: fmt.Sprintf("agency %d", agency)},
		URIs:        []*url.URL{AgencyURI(agency)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, from, until, AgencyLife)
}

func (a *Authority) issue(template *x509.Certificate, from, until time.Time, life time.Duration) (Pair, error) {
	if from.IsZero() {
		from = time.Now().Add(-clockSkew)
	}
	if until.IsZero() {
		until = time.Now().Add(life)
	}
	template.NotBefore, template.NotAfter = from, until
	template.KeyUsage = x509.KeyUsageDigitalSignature
	return issue(template, a.certificate, a.signer)
}

// issue makes a key and its certificate. Without a signer, it signs itself.
func issue(template, parent *x509.Certificate, signer crypto.Signer) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key: %w", err)
	}
	if signer == nil {
		signer = key
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, fmt.Errorf("make a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("write the key: %w", err)
	}
	return Pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}
