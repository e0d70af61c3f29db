// Package certstest keeps the certificates of a lottery in a folder, for tests and
// measurements. The files have the names that cmd/certs gives them.
package certstest

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"loteria/internal/certs"
)

// Folder is an authority and what it has issued.
type Folder struct {
	Path      string
	Authority *certs.Authority
}

// New makes an authority, the certificate of a central that is reached as
// localhost, and those of agencies 1 to N, and writes them into the folder.
func New(path string, agencies int) (*Folder, error) {
	authority, err := certs.NewAuthority("tests", time.Now())
	if err != nil {
		return nil, err
	}
	f := &Folder{path, authority}
	if err := f.write("authority.pem", authority.Certificate); err != nil {
		return nil, err
	}
	if err := f.IssueCentral(); err != nil {
		return nil, err
	}
	for agency := 1; agency <= agencies; agency++ {
		if err := f.IssueAgency(agency); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// IssueCentral writes a new certificate and a new key of the central.
func (f *Folder) IssueCentral() error {
	pair, err := f.Authority.Central([]string{"localhost", "127.0.0.1", "::1"}, time.Time{}, time.Time{})
	if err != nil {
		return err
	}
	return f.writePair("central", pair)
}

// IssueAgency writes a new certificate and a new key of an agency.
func (f *Folder) IssueAgency(agency int) error {
	pair, err := f.Authority.Agency(agency, time.Time{}, time.Time{})
	if err != nil {
		return err
	}
	return f.writePair(fmt.Sprintf("agency-%d", agency), pair)
}

// Server returns the flags of a central that has no port without TLS.
func (f *Folder) Server(port string) []string {
	return append([]string{"--port", "off"}, f.ServerBeside(port)...)
}

// ServerBeside returns the flags of a central that has a port with TLS beside
// another one.
func (f *Folder) ServerBeside(port string) []string {
	return []string{"--tls-port", port, "--tls-bind", "127.0.0.1", "--tls-client-ca", f.File("authority.pem"),
		"--tls-cert", f.File("central.pem"), "--tls-key", f.File("central-key.pem")}
}

// Client returns the flags of an agency.
func (f *Folder) Client(agency int) []string {
	name := fmt.Sprintf("agency-%d", agency)
	return []string{"--tls-ca", f.File("authority.pem"), "--tls-cert", f.File(name + ".pem"), "--tls-key", f.File(name + "-key.pem")}
}

// File returns the path of a file in the folder.
func (f *Folder) File(name string) string { return filepath.Join(f.Path, name) }

// writePair writes the key first: whoever looks for a new certificate finds its
// key there.
func (f *Folder) writePair(name string, pair certs.Pair) error {
	if err := f.write(name+"-key.pem", pair.Key); err != nil {
		return err
	}
	return f.write(name+".pem", pair.Certificate)
}

// write replaces a file at once: nobody reads half of it.
func (f *Folder) write(name string, content []byte) error {
	next := f.File(name + ".next")
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return err
	}
	return os.Rename(next, f.File(name))
}
