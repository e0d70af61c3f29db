package main

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"loteria/internal/certs"
	"loteria/internal/durable"
)

const authorityName = "authority" // of its files

// fill makes what is missing in the folder, renews what was asked for, and prints a
// line about each.
func (o order) fill(stdout io.Writer, now time.Time) error {
	f := folder(o.folder)
	if err := f.make(); err != nil {
		return err
	}
	authority, err := o.takeAuthority(f, stdout, now)
	if err != nil {
		return err
	}
	targets := []target{central}
	for agency := 1; agency <= o.agencies; agency++ {
		targets = append(targets, target(agency))
	}
	for _, t := range o.renew { // of further agencies
		if !slices.Contains(targets, t) {
			targets = append(targets, t)
		}
	}
	for _, t := range targets {
		certificate, done, err := o.take(f, authority, t, now)
		if err != nil {
			return err
		}
		say(stdout, done, f.certificate(t.String()), certificate, now)
	}
	if err := durable.SyncFolder(string(f)); err != nil {
		return err
	}
	return o.sayNext(stdout, f)
}

// takeAuthority returns the authority of the folder, or makes it if there is none.
func (o order) takeAuthority(f folder, stdout io.Writer, now time.Time) (*certs.Authority, error) {
	certificatePath, keyPath := f.certificate(authorityName), f.key(authorityName)
	hasCertificate, err := has(certificatePath)
	if err != nil {
		return nil, err
	}
	hasKey, err := has(keyPath)
	if err != nil {
		return nil, err
	}
	switch {
	case hasCertificate && hasKey:
		authority, err := readAuthority(certificatePath, keyPath)
		if err != nil {
			return nil, err
		}
		if now.After(authority.X509().NotAfter) {
			return nil, fmt.Errorf("%s expired on %s: make another authority, in another folder, and give all their new certificates",
				certificatePath, date(authority.X509().NotAfter))
		}
		say(stdout, "there", certificatePath, authority.X509(), now)
		return authority, nil
	case hasCertificate:
		return nil, fmt.Errorf("%s is there, but not its key, %s, without which nothing can be issued: put it there, or make another lottery's certificates in another folder",
			certificatePath, keyPath)
	case hasKey:
		return nil, fmt.Errorf("%s is there, but not its certificate, %s: put it there, or take the key away if there has never been one", keyPath, certificatePath)
	}
	// Certificates of another authority would be useless beside this one.
	switch others, err := f.certificates(); {
	case err != nil:
		return nil, err
	case len(others) > 0:
		return nil, fmt.Errorf("%s has %s, but not the authority that issued it, %s: put it there, or take another folder",
			f, strings.Join(others, ", "), certificatePath)
	}
	authority, err := certs.NewAuthority(o.authority, now)
	if err != nil {
		return nil, err
	}
	if err := durable.Create(keyPath, keyMode, authority.Key); err != nil {
		return nil, err
	}
	if err := durable.Replace(certificatePath, certificateMode, authority.Certificate); err != nil {
		return nil, err
	}
	say(stdout, "made", certificatePath, authority.X509(), now)
	return authority, nil
}

func readAuthority(certificatePath, keyPath string) (*certs.Authority, error) {
	var pair certs.Pair
	var err error
	if pair.Certificate, err = os.ReadFile(certificatePath); err != nil {
		return nil, err
	}
	if pair.Key, err = os.ReadFile(keyPath); err != nil {
		return nil, err
	}
	authority, err := certs.ParseAuthority(pair)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certificatePath, keyPath, err)
	}
	return authority, nil
}

// certificates returns the names of the central's and agencies' files, three at
// most.
func (f folder) certificates() (names []string, err error) {
	entries, err := os.ReadDir(string(f))
	for _, entry := range entries {
		name := entry.Name()
		if len(names) < 3 && strings.HasSuffix(name, ".pem") && (strings.HasPrefix(name, "central") || strings.HasPrefix(name, "agency-")) {
			names = append(names, name)
		}
	}
	return names, err
}

// holding is what a target has in the folder.
type holding struct {
	certificate *x509.Certificate // nil when there is none
	public      crypto.PublicKey  // of the certificate, and of the key; nil when there is neither
	hasKey      bool              // in the folder: it may have been moved to its user
}

// look returns what t has. Files that do not belong together are an error.
func (f folder) look(authority *certs.Authority, t target) (h holding, err error) {
	certificatePath, keyPath := f.certificate(t.String()), f.key(t.String())
	hasCertificate, err := has(certificatePath)
	if err != nil {
		return h, err
	}
	if h.hasKey, err = has(keyPath); err != nil {
		return h, err
	}
	if hasCertificate {
		if h.certificate, err = readIssued(certificatePath, authority, t); err != nil {
			return h, err
		}
		h.public = h.certificate.PublicKey
	}
	if !h.hasKey {
		return h, nil
	}
	key, err := certs.ReadKey(keyPath)
	if err != nil {
		return h, fmt.Errorf("%w: take it away for another to be made", err)
	}
	if hasCertificate && !certs.IsKeyOf(key, h.certificate) {
		return h, fmt.Errorf("%s and %s: %w", certificatePath, keyPath, certs.ErrOtherKey)
	}
	h.public = key.Public()
	return h, nil
}

// take returns t's certificate as it is in the folder afterwards, and what was
// done: it was there, made, or renewed.
func (o order) take(f folder, authority *certs.Authority, t target, now time.Time) (certificate *x509.Certificate, done string, err error) {
	certificatePath := f.certificate(t.String())
	h, err := f.look(authority, t)
	if err != nil {
		return nil, "", err
	}
	names, renews := o.names, slices.Contains(o.renew, t)
	if h.certificate != nil && !o.namesAre {
		names = certs.Names(h.certificate)
	}
	switch {
	case h.certificate == nil && !h.hasKey && renews:
		return nil, "", fmt.Errorf("%s is not there, and cannot be renewed", certificatePath)
	case h.certificate == nil:
		done = "made"
	case renews:
		done = "renewed"
	case t == central && !sameNames(names, certs.Names(h.certificate)):
		return nil, "", fmt.Errorf("%s is for %s: with --renew central, too, it is renewed for %s",
			certificatePath, strings.Join(certs.Names(h.certificate), ", "), strings.Join(names, ", "))
	default:
		return h.certificate, "there", nil
	}
	text, key, err := o.issue(authority, t, h.public, names, now)
	if err != nil {
		return nil, "", err
	}
	if key != nil {
		if err := durable.Create(f.key(t.String()), keyMode, key); err != nil {
			return nil, "", err
		}
	}
	if err := durable.Replace(certificatePath, certificateMode, text); err != nil {
		return nil, "", err
	}
	certificate, err = readIssued(certificatePath, authority, t)
	return certificate, done, err
}

// issue returns a certificate for a public key, or, if that is nil, for a new key,
// which it returns, too.
func (o order) issue(authority *certs.Authority, t target, public crypto.PublicKey, names []string, now time.Time) (certificate, key []byte, err error) {
	if public == nil {
		signer, text, err := certs.NewKey()
		if err != nil {
			return nil, nil, err
		}
		public, key = signer.Public(), text
	}
	until := now.Add(o.life)
	if t == central {
		certificate, err = authority.CertifyCentral(public, names, time.Time{}, until)
	} else {
		certificate, err = authority.CertifyAgency(public, int(t), time.Time{}, until)
	}
	return certificate, key, err
}

// readIssued returns a certificate that this authority has issued to t.
func readIssued(path string, authority *certs.Authority, t target) (*x509.Certificate, error) {
	chain, err := certs.ReadCertificates(path)
	if err != nil {
		return nil, err
	}
	certificate := chain[0]
	if err := certificate.CheckSignatureFrom(authority.X509()); err != nil {
		return nil, fmt.Errorf("%s is of another authority (%s) than this folder's", path, certificate.Issuer)
	}
	switch agency, err := certs.AgencyOf(certificate); {
	case t == central && err == nil:
		return nil, fmt.Errorf("%s is the certificate of agency %d, expected the central's", path, agency)
	case t != central && err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	case t != central && agency != int(t):
		return nil, fmt.Errorf("%s is the certificate of agency %d", path, agency)
	}
	return certificate, nil
}

// sameNames reports whether two lists name the same hosts, in any order.
func sameNames(a, b []string) bool {
	canonical := func(names []string) []string {
		texts := make([]string, len(names))
		for i, name := range names {
			texts[i] = strings.ToLower(name)
			if address, err := netip.ParseAddr(name); err == nil {
				texts[i] = address.Unmap().String()
			}
		}
		slices.Sort(texts)
		return slices.Compact(texts)
	}
	return slices.Equal(canonical(a), canonical(b))
}

// say prints a line about a certificate.
func say(stdout io.Writer, done, path string, certificate *x509.Certificate, now time.Time) {
	what := certificate.Subject.CommonName
	if names := certs.Names(certificate); len(names) > 0 {
		what += " (" + strings.Join(names, ", ") + ")"
	}
	until := "until " + date(certificate.NotAfter)
	if now.After(certificate.NotAfter) {
		until = "EXPIRED on " + date(certificate.NotAfter)
	}
	fmt.Fprintf(stdout, "%-7s  %s: %s, %s, serial %s\n", done, path, what, until, certs.SerialOf(certificate))
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// sayNext prints how to use the certificates.
func (o order) sayNext(stdout io.Writer, f folder) error {
	_, err := fmt.Fprintf(stdout, `
The central:  server --port off --tls-port 12346 --tls-cert %[1]s --tls-key %[2]s --tls-client-ca %[3]s
An agency:    client --id 1 --server-address HOST:12346 --tls-ca %[3]s --tls-cert %[4]s --tls-key %[5]s
Each agency gets its own two files and %[3]s, the central its two and that; nobody gets
%[6]s: who has it can be any of them. Keep it where neither runs.
`, f.certificate(central.String()), f.key(central.String()), f.certificate(authorityName),
		f.certificate("agency-1"), f.key("agency-1"), f.key(authorityName))
	return err
}
