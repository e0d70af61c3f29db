package certs

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
)

// Bounds of what is read, in bytes.
const (
	maxPEM     = 1 << 20
	maxRevoked = 16 << 20 // half a million entries
)

// ErrOtherKey says that a certificate and a key do not match, as while only one of
// the two has been renewed.
var ErrOtherKey = errors.New("the key is of another certificate")

const (
	certificateType  = "CERTIFICATE" // RFC 7468, 5
	privateKeySuffix = "PRIVATE KEY" // also RSA PRIVATE KEY, EC PRIVATE KEY, ENCRYPTED PRIVATE KEY
)

// readFile returns a file's content, of at most that many bytes. The error names
// the file.
func readFile(path string, most int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for its writer
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // it could not be read again
		return nil, fmt.Errorf("%s is no regular file", path)
	case info.Size() > most:
		return nil, fmt.Errorf("%s has %d bytes, expected at most %d", path, info.Size(), most)
	}
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(content)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return content, err
}

// ReadCertificates returns the certificates of a file, at least one, in order. Text
// between them is ignored. The error names the file and what is wrong with it.
func ReadCertificates(path string) ([]*x509.Certificate, error) {
	content, err := readFile(path, maxPEM)
	if err != nil {
		return nil, err
	}
	certificates, err := parseCertificates(content)
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return certificates, nil
}

// parseCertificates parses a file. Its error lacks the file's name.
func parseCertificates(content []byte) (certificates []*x509.Certificate, err error) {
	hasKey := false
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == certificateType:
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("has a certificate, number %d, that cannot be read: %w", len(certificates)+1, err)
			}
			certificates = append(certificates, certificate)
		case strings.HasSuffix(block.Type, privateKeySuffix):
			hasKey = true
		default:
			return nil, fmt.Errorf("has a %.40q, expected certificates in PEM", block.Type)
		}
	}
	// pem.Decode does not see a block that is cut off.
	if begun := bytes.Count(content, []byte("-----BEGIN "+certificateType+"-----")); begun > len(certificates) {
		return nil, fmt.Errorf("begins %d certificates, of which %d can be read: it is cut off, or damaged", begun, len(certificates))
	}
	switch {
	case len(certificates) > 0:
		return certificates, nil
	case hasKey:
		return nil, errors.New("has a key and no certificate, expected certificates in PEM")
	}
	return nil, errors.New("has no certificate in PEM")
}

// ReadKey returns the private key of a file. The error names the file and what is
// wrong with it.
func ReadKey(path string) (crypto.Signer, error) {
	content, err := readFile(path, maxPEM)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(content)
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return key, nil
}

// parseKey parses a file. Its error lacks the file's name.
func parseKey(content []byte) (crypto.Signer, error) {
	hasCertificate := false
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case strings.HasPrefix(block.Type, "ENCRYPTED") || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, errors.New("has an encrypted key, expected one without a password: openssl pkey -in FILE -out OTHER takes it away")
		case strings.HasSuffix(block.Type, privateKeySuffix):
			return parsePrivate(block.Bytes)
		case block.Type == certificateType:
			hasCertificate = true
		}
	}
	if hasCertificate {
		return nil, errors.New("has a certificate and no key, expected a private key in PEM")
	}
	return nil, errors.New("has no private key in PEM")
}

// parsePrivate takes the forms that crypto/tls takes.
func parsePrivate(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if rsa, e := x509.ParsePKCS1PrivateKey(der); e == nil {
			return rsa, nil
		}
		if ec, e := x509.ParseECPrivateKey(der); e == nil {
			return ec, nil
		}
		return nil, fmt.Errorf("has a key that cannot be read: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("has a key that signs nothing, expected one like ECDSA or Ed25519")
	}
	return signer, nil
}

// IsKeyOf reports whether a private key is that of a certificate.
func IsKeyOf(key crypto.Signer, certificate *x509.Certificate) bool {
	public, ok := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(key.Public())
}

// readServer returns a server's certificate and key.
func readServer(certificate, key string) (pair tls.Certificate, err error) {
	pair, err = readPair(certificate, key)
	if err == nil && !isFor(pair.Leaf, x509.ExtKeyUsageServerAuth) {
		err = fmt.Errorf("%s has a certificate that is not for a server (no extended key usage serverAuth)", certificate)
	}
	return pair, err
}

// readPair returns a certificate, with its chain, and its key.
func readPair(certificate, key string) (pair tls.Certificate, err error) {
	chain, err := ReadCertificates(certificate)
	if err != nil {
		return pair, err
	}
	private, err := ReadKey(key)
	if err != nil {
		return pair, err
	}
	leaf := chain[0]
	if !IsKeyOf(private, leaf) {
		for i, other := range chain[1:] {
			if IsKeyOf(private, other) {
				return pair, fmt.Errorf("%s has the certificate of %s as number %d, expected it first, and those of authorities behind it", certificate, key, i+2)
			}
		}
		return pair, fmt.Errorf("%s and %s: %w", certificate, key, ErrOtherKey)
	}
	pair.PrivateKey, pair.Leaf = private, leaf
	for _, c := range chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return pair, nil
}

// isFor reports whether a certificate has this usage. One that names none may be
// used for everything (RFC 5280, 4.2.1.12).
func isFor(certificate *x509.Certificate, usage x509.ExtKeyUsage) bool {
	usages := certificate.ExtKeyUsage
	return len(usages) == 0 && len(certificate.UnknownExtKeyUsage) == 0 ||
		slices.Contains(usages, usage) || slices.Contains(usages, x509.ExtKeyUsageAny)
}

// readAuthorities reads certificates that must be of authorities.
func readAuthorities(path string) ([]*x509.Certificate, error) {
	authorities, err := ReadCertificates(path)
	if err != nil {
		return nil, err
	}
	for i, authority := range authorities {
		if !authority.BasicConstraintsValid || !authority.IsCA {
			return nil, fmt.Errorf("%s has a certificate, number %d (%s), that is of no authority", path, i+1, authority.Subject)
		}
	}
	return authorities, nil
}
