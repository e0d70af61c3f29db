package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// Files are where a central's credentials are, in PEM. All of them but the last
// are needed.
type Files struct {
	Certificate string // the central's own, and those between it and the authority, in that order
	Key         string // of the central's certificate
	Authorities string // the certificates of those who issue the agencies' certificates
	Revoked     string // what counts no more, see Identify; may be empty
}

// Store has what stands in the files. It may be used by many goroutines, and is
// read again by Reload.
type Store struct {
	files Files
	now   atomic.Pointer[credentials]
}

// credentials are what the files held at one time. They are never changed.
type credentials struct {
	config  *tls.Config
	revoked map[string]bool // serial numbers, in hexadecimal, and agencies as loteria:agency:N
}

// Open reads the files.
func Open(files Files) (*Store, error) {
	s := &Store{files: files}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads the files again, all or nothing: with an error, which names the
// file, what was read before goes on to count.
func (s *Store) Reload() error {
	pair, err := tls.LoadX509KeyPair(s.files.Certificate, s.files.Key)
	if err != nil {
		return fmt.Errorf("the central's certificate and key (%s, %s): %w", s.files.Certificate, s.files.Key, err)
	}
	content, err := os.ReadFile(s.files.Authorities)
	if err != nil {
		return fmt.Errorf("the agencies' authorities: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(content) {
		return fmt.Errorf("the agencies' authorities: %s has no certificate in PEM", s.files.Authorities)
	}
	c := &credentials{
		config: &tls.Config{
			MinVersion:             tls.VersionTLS13,
			Certificates:           []tls.Certificate{pair},
			ClientAuth:             tls.RequireAndVerifyClientCert,
			ClientCAs:              authorities,
			SessionTicketsDisabled: true, // every connection proves anew whose it is
		},
		revoked: map[string]bool{},
	}
	if s.files.Revoked != "" {
		content, err := os.ReadFile(s.files.Revoked)
		if err != nil {
			return fmt.Errorf("what is revoked: %w", err)
		}
		for line := range bytes.Lines(content) {
			if entry := strings.ToLower(strings.TrimSpace(string(line))); entry != "" {
				c.revoked[entry] = true
			}
		}
	}
	s.now.Store(c)
	return nil
}

// Config returns the configuration of a connection that begins now: TLS 1.3, and
// a certificate of the client by one of the authorities. It must not be changed.
func (s *Store) Config() *tls.Config { return s.now.Load().config }

// errRevoked is why a certificate counts no more.
var errRevoked = errors.New("the certificate is revoked")

// Identify returns the agency whose connection it is, once its handshake is done.
// It may be asked again later, when something else may be revoked.
func (s *Store) Identify(state tls.ConnectionState) (agency int, err error) {
	if len(state.VerifiedChains) == 0 {
		return 0, errors.New("the peer has shown no certificate")
	}
	leaf := state.VerifiedChains[0][0]
	if agency, err = AgencyOf(leaf); err != nil {
		return 0, err
	}
	revoked := s.now.Load().revoked
	if revoked[leaf.SerialNumber.Text(16)] || revoked[strconv.Itoa(agency)] || revoked[AgencyURI(agency).String()] {
		return 0, fmt.Errorf("%w: agency %d, serial number %s", errRevoked, agency, leaf.SerialNumber.Text(16))
	}
	return agency, nil
}
