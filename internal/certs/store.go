package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Files are the paths of a central's credentials, in PEM.
type Files struct {
	Certificate string // the central's own, and those between it and the authority, in that order
	Key         string // of the central's certificate, without a password
	// Authorities are the certificates of those who issue the agencies'
	// certificates. It may be empty when only ServerConfig is used.
	Authorities string
	Revoked     string // the revocation list; may be empty
}

// Store has the content of the files, and rereads them on request. It is safe for
// concurrent use.
type Store struct {
	files Files
	now   atomic.Pointer[credentials]

	mu      sync.Mutex // held while files are read or looked at
	seen    []os.FileInfo
	seenAt  time.Time
	settled bool // the files in seen were read with success
}

// credentials are what the files held at one time. They are never changed.
type credentials struct {
	server      *tls.Config // asks the client for no certificate
	agencies    *tls.Config // demands one of an agency
	leaf        *x509.Certificate
	authorities map[[sha256.Size]byte]bool
	revoked     revoked
	status      Status
}

// Status is what the files held when they were last read with success.
type Status struct {
	Version     int       // goes up when a Reload has found a change
	Serial      string    // of the central's certificate, in hexadecimal
	Expires     time.Time // when the central's certificate does
	Authorities int       // that may issue certificates of agencies
	Revoked     int       // entries in the list
	Warnings    []string  // for operators, of what is no error; sentences without a full stop
}

// Open reads the files. The error names the file and what is wrong with it.
func Open(files Files) (*Store, error) {
	s := &Store{files: files}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// paths returns the paths that are set.
func (f Files) paths() []string {
	return slices.DeleteFunc([]string{f.Certificate, f.Key, f.Authorities, f.Revoked}, func(path string) bool { return path == "" })
}

// Reload reads the files again, all or nothing: after an error, which names the
// file, what was read before stays in use.
func (s *Store) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A file that changes while it is read will differ from this.
	s.seen, s.seenAt = s.look(), time.Now()
	before := s.now.Load()
	c, err := s.files.read()
	if err == nil && before != nil {
		err = c.mayReplace(before, time.Now())
	}
	s.settled = err == nil
	if err != nil {
		return err
	}
	if before != nil {
		c.status.Version = before.status.Version
		if !c.isLike(before) {
			c.status.Version++
		}
	}
	s.now.Store(c)
	return nil
}

// unsettled is how long after a change another one may leave the same time of
// change: a file system's clock may be that coarse (FAT).
const unsettled = 2 * time.Second

// Changed reports whether the files may differ from those that were read last, or
// could not be used then. It reads none of them, so it can be called each second.
func (s *Store) Changed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.settled {
		return true
	}
	for i, now := range s.look() {
		was := s.seen[i]
		if was == nil || now == nil || !os.SameFile(was, now) || was.Size() != now.Size() || !was.ModTime().Equal(now.ModTime()) {
			return true
		}
		// It was read so soon after a change that it may have changed once more since.
		if age := s.seenAt.Sub(was.ModTime()); age >= 0 && age < unsettled {
			return true
		}
	}
	return false
}

// look returns the present info of each file, nil for a missing one. Links are
// followed: Kubernetes puts a new volume in place of the old one by a link.
func (s *Store) look() (infos []os.FileInfo) {
	for _, path := range s.files.paths() {
		info, err := os.Stat(path)
		if err != nil {
			info = nil
		}
		infos = append(infos, info)
	}
	return infos
}

// read reads the files.
func (f Files) read() (*credentials, error) {
	pair, err := readServer(f.Certificate, f.Key)
	if err != nil {
		return nil, fmt.Errorf("the central's certificate: %w", err)
	}
	c := &credentials{
		server: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}},
		leaf:   pair.Leaf,
		status: Status{Serial: SerialOf(pair.Leaf), Expires: pair.Leaf.NotAfter},
	}
	if f.Authorities != "" {
		authorities, err := readAuthorities(f.Authorities)
		if err != nil {
			return nil, fmt.Errorf("the agencies' authorities: %w", err)
		}
		c.trust(authorities)
	}
	if c.revoked, err = readRevoked(f.Revoked); err != nil {
		return nil, fmt.Errorf("what is revoked: %w", err)
	}
	c.status.Revoked = c.revoked.len()
	c.status.Warnings = append(c.status.Warnings, f.warnings(pair.Leaf)...)
	return c, nil
}

// trust has agencies' certificates accepted from the authorities.
func (c *credentials) trust(authorities []*x509.Certificate) {
	pool := x509.NewCertPool()
	c.authorities = map[[sha256.Size]byte]bool{}
	for _, authority := range authorities {
		pool.AddCert(authority)
		c.authorities[sha256.Sum256(authority.Raw)] = true
		if time.Now().After(authority.NotAfter) {
			c.status.Warnings = append(c.status.Warnings, fmt.Sprintf("the authority %s expired on %s, and with it what it has issued",
				authority.Subject, day(authority.NotAfter)))
		}
	}
	c.status.Authorities = len(c.authorities)
	c.agencies = c.server.Clone()
	c.agencies.ClientAuth, c.agencies.ClientCAs = tls.RequireAndVerifyClientCert, pool
	c.agencies.SessionTicketsDisabled = true // every connection proves anew whose it is
}

// warnings is about the central's certificate and its key.
func (f Files) warnings(leaf *x509.Certificate) (warnings []string) {
	switch now := time.Now(); {
	case now.After(leaf.NotAfter):
		warnings = append(warnings, fmt.Sprintf("%s expired on %s: agencies will not connect", f.Certificate, day(leaf.NotAfter)))
	case now.Before(leaf.NotBefore):
		warnings = append(warnings, fmt.Sprintf("%s is valid from %s: agencies will not connect before", f.Certificate, day(leaf.NotBefore)))
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		warnings = append(warnings, fmt.Sprintf("%s has no DNS name and no IP address by which agencies could know the central", f.Certificate))
	}
	if warning := KeyWarning(f.Key); warning != "" {
		warnings = append(warnings, warning)
	}
	return warnings
}

// day writes a time as an operator reads it.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// mayReplace returns an error when c must not replace before: when only the
// certificate in use is valid now.
func (c *credentials) mayReplace(before *credentials, now time.Time) error {
	if !isCurrent(before.leaf, now) || isCurrent(c.leaf, now) {
		return nil
	}
	return fmt.Errorf("the central's certificate is valid from %s to %s, and the one that is in use still is",
		day(c.leaf.NotBefore), day(c.leaf.NotAfter))
}

func isCurrent(certificate *x509.Certificate, now time.Time) bool {
	return !now.Before(certificate.NotBefore) && !now.After(certificate.NotAfter)
}

// Config returns the configuration for a new connection of an agency: TLS 1.3, and
// a certificate of the client by one of the authorities, which the Files must name.
// It must not be changed.
func (s *Store) Config() *tls.Config { return s.now.Load().agencies }

// ServerConfig returns the configuration for a new connection of a client that
// needs no certificate: TLS 1.3. It must not be changed.
func (s *Store) ServerConfig() *tls.Config { return s.now.Load().server }

// Status returns the status of what is in use.
func (s *Store) Status() Status { return s.now.Load().status }

var (
	errRevoked   = errors.New("the certificate is revoked")
	errAuthority = errors.New("the certificate is of an authority that is no longer trusted")
)

// Identify returns the agency whose connection it is, once its handshake is done.
// It may be called again later, as what is revoked and trusted may change. That the
// certificate has expired meanwhile is no reason to end a connection.
func (s *Store) Identify(state tls.ConnectionState) (agency int, err error) {
	if len(state.VerifiedChains) == 0 {
		return 0, errors.New("the peer has shown no certificate")
	}
	leaf := state.VerifiedChains[0][0]
	if agency, err = AgencyOf(leaf); err != nil {
		return 0, fmt.Errorf("%w (serial number %s)", err, SerialOf(leaf))
	}
	now := s.now.Load()
	if now.revoked.agencies[agency] {
		return 0, fmt.Errorf("%w: all of agency %d are", errRevoked, agency)
	}
	// There are several chains where authorities have certified each other.
	for _, chain := range state.VerifiedChains {
		if err = now.check(chain); err == nil {
			return agency, nil
		}
	}
	return 0, fmt.Errorf("%w (agency %d, serial number %s)", err, agency, SerialOf(leaf))
}

// check returns why a chain, which ends with the authority, is not accepted.
func (c *credentials) check(chain []*x509.Certificate) error {
	for _, certificate := range chain {
		if c.revoked.serials[SerialOf(certificate)] {
			return errRevoked
		}
	}
	if !c.authorities[sha256.Sum256(chain[len(chain)-1].Raw)] {
		return errAuthority
	}
	return nil
}

// isLike reports whether both hold the same.
func (c *credentials) isLike(before *credentials) bool {
	return slices.EqualFunc(c.server.Certificates[0].Certificate, before.server.Certificates[0].Certificate, bytes.Equal) &&
		maps.Equal(c.authorities, before.authorities) &&
		maps.Equal(c.revoked.serials, before.revoked.serials) && maps.Equal(c.revoked.agencies, before.revoked.agencies)
}
