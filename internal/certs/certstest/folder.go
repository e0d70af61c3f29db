// Package certstest keeps the certificates of a lottery in a folder, for tests and
// measurements. The files have the names that cmd/certs gives them.
package certstest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"loteria/internal/certs"
)

// Folder is an authority and what it has issued.
type Folder struct {
	Path      string
	Authority *certs.Authority
}

// centralNames are how the central is reached.
var centralNames = []string{"localhost", "127.0.0.1", "::1"}

const central = "central" // prefix of its files' names

// New makes an authority, the certificate of a central on this machine, and those
// of agencies 1 to N, and writes them into the folder. Nothing is revoked.
func New(path string, agencies int) (*Folder, error) {
	authority, err := certs.NewAuthority("tests", time.Now())
	if err != nil {
		return nil, err
	}
	f := &Folder{path, authority}
	if err := f.write("authority.pem", authority.Certificate); err != nil {
		return nil, err
	}
	if err := f.Revoke(); err != nil {
		return nil, err
	}
	pair, err := authority.Central(centralNames, time.Time{}, time.Time{})
	if err == nil {
		err = f.writePair(central, pair)
	}
	for agency := 1; agency <= agencies && err == nil; agency++ {
		if pair, err = authority.Agency(agency, time.Time{}, time.Time{}); err == nil {
			err = f.writePair(agencyName(agency), pair)
		}
	}
	return f, err
}

func agencyName(agency int) string { return fmt.Sprintf("agency-%d", agency) }

// RenewCentral puts a new certificate in the place of the central's, with the same
// key.
func (f *Folder) RenewCentral() error {
	key, err := certs.ReadKey(f.File(central + "-key.pem"))
	if err != nil {
		return err
	}
	certificate, err := f.Authority.CertifyCentral(key.Public(), centralNames, time.Time{}, time.Time{})
	if err != nil {
		return err
	}
	return f.write(central+".pem", certificate)
}

// RenewAgency puts a new certificate in the place of the agency's, with the same
// key.
func (f *Folder) RenewAgency(agency int) error {
	key, err := certs.ReadKey(f.File(agencyName(agency) + "-key.pem"))
	if err != nil {
		return err
	}
	certificate, err := f.Authority.CertifyAgency(key.Public(), agency, time.Time{}, time.Time{})
	if err != nil {
		return err
	}
	return f.write(agencyName(agency)+".pem", certificate)
}

// Revoke replaces the revocation list by these entries.
func (f *Folder) Revoke(entries ...string) error {
	return f.write("revoked.txt", []byte(strings.Join(append(entries, ""), "\n")))
}

// CentralSerial returns the serial number of the central's certificate, as
// certs.SerialOf has it.
func (f *Folder) CentralSerial() (string, error) { return f.serial(central) }

// AgencySerial returns the serial number of the agency's certificate.
func (f *Folder) AgencySerial(agency int) (string, error) { return f.serial(agencyName(agency)) }

func (f *Folder) serial(name string) (string, error) {
	certificates, err := certs.ReadCertificates(f.File(name + ".pem"))
	if err != nil {
		return "", err
	}
	return certs.SerialOf(certificates[0]), nil
}

// Files returns the files of a central.
func (f *Folder) Files() certs.Files {
	return certs.Files{
		Certificate: f.File(central + ".pem"),
		Key:         f.File(central + "-key.pem"),
		Authorities: f.File("authority.pem"),
		Revoked:     f.File("revoked.txt"),
	}
}

// Server returns the flags of a central that has its only port on the loopback
// network, with TLS.
func (f *Folder) Server(port string) []string {
	return append([]string{"--port", "off"}, f.ServerBeside(port)...)
}

// ServerBeside returns the flags of a central that has that port on the loopback
// network with TLS, beside another one.
func (f *Folder) ServerBeside(port string) []string {
	files := f.Files()
	return []string{"--tls-bind", "127.0.0.1", "--tls-port", port, "--tls-cert", files.Certificate, "--tls-key", files.Key,
		"--tls-client-ca", files.Authorities, "--tls-revoked", files.Revoked}
}

// Client returns the flags of an agency.
func (f *Folder) Client(agency int) []string {
	name := f.File(agencyName(agency))
	return []string{"--tls-ca", f.File("authority.pem"), "--tls-cert", name + ".pem", "--tls-key", name + "-key.pem"}
}

// File returns the path of a file in the folder.
func (f *Folder) File(name string) string { return filepath.Join(f.Path, name) }

func (f *Folder) writePair(name string, pair certs.Pair) error {
	if err := f.write(name+"-key.pem", pair.Key); err != nil {
		return err
	}
	return f.write(name+".pem", pair.Certificate)
}

// write replaces a file atomically.
func (f *Folder) write(name string, content []byte) error {
	next := f.File(name + ".next")
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return err
	}
	return os.Rename(next, f.File(name))
}
