package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// lottery is an authority and the files of its central, in a folder.
type lottery struct {
	t *testing.T
	*Authority
	files Files
}

func newLottery(t *testing.T) *lottery {
	t.Helper()
	folder := t.TempDir()
	l := &lottery{t, newAuthority(t), Files{
		Certificate: filepath.Join(folder, "central.pem"),
		Key:         filepath.Join(folder, "central-key.pem"),
		Authorities: filepath.Join(folder, "authority.pem"),
		Revoked:     filepath.Join(folder, "revoked.txt"),
	}}
	l.put(l.central(time.Time{}, time.Time{}))
	write(t, l.files.Authorities, l.Authority.Certificate)
	write(t, l.files.Revoked, nil)
	return l
}

func newAuthority(t *testing.T) *Authority {
	t.Helper()
	authority, err := NewAuthority("lottery", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func (l *lottery) central(from, until time.Time) Pair {
	l.t.Helper()
	pair, err := l.Central([]string{"localhost", "127.0.0.1"}, from, until)
	if err != nil {
		l.t.Fatal(err)
	}
	return pair
}

// put writes the central's certificate and key.
func (l *lottery) put(pair Pair) {
	l.t.Helper()
	write(l.t, l.files.Certificate, pair.Certificate)
	write(l.t, l.files.Key, pair.Key)
}

// write replaces a file atomically, as a renewal should.
func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// age makes a file look a day old.
func age(t *testing.T, paths ...string) {
	t.Helper()
	yesterday := time.Now().Add(-24 * time.Hour)
	for _, path := range paths {
		if err := os.Chtimes(path, yesterday, yesterday); err != nil {
			t.Fatal(err)
		}
	}
}

func (l *lottery) open() *Store {
	l.t.Helper()
	store, err := Open(l.files)
	if err != nil {
		l.t.Fatal(err)
	}
	return store
}

// encoded is a block of PEM.
func encoded(kind string, content []byte, headers map[string]string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: content})
}

// derOf returns what is in the first block.
func derOf(t *testing.T, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM: %q", text)
	}
	return block.Bytes
}

func TestFilesOfNoUse(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*lottery) (path string) // that the error names
		says  string
	}{
		"no certificate": {func(l *lottery) string { os.Remove(l.files.Certificate); return l.files.Certificate }, "no such file or directory"},
		"no key":         {func(l *lottery) string { os.Remove(l.files.Key); return l.files.Key }, "no such file or directory"},
		"no authorities": {func(l *lottery) string { os.Remove(l.files.Authorities); return l.files.Authorities }, "no such file or directory"},
		"no list":        {func(l *lottery) string { os.Remove(l.files.Revoked); return l.files.Revoked }, "no such file or directory"},
		"a folder": {func(l *lottery) string {
			os.Remove(l.files.Certificate)
			os.Mkdir(l.files.Certificate, 0o700)
			return l.files.Certificate
		}, "no regular file"},
		"empty certificate": {func(l *lottery) string { write(l.t, l.files.Certificate, nil); return l.files.Certificate }, "has no certificate in PEM"},
		"empty key":         {func(l *lottery) string { write(l.t, l.files.Key, nil); return l.files.Key }, "has no private key in PEM"},
		"empty authorities": {func(l *lottery) string {
			write(l.t, l.files.Authorities, []byte("# none\n"))
			return l.files.Authorities
		}, "has no certificate in PEM"},
		"DER": {func(l *lottery) string {
			write(l.t, l.files.Certificate, derOf(l.t, l.central(time.Time{}, time.Time{}).Certificate))
			return l.files.Certificate
		}, "has no certificate in PEM"},
		"key for certificate": {func(l *lottery) string {
			write(l.t, l.files.Certificate, l.central(time.Time{}, time.Time{}).Key)
			return l.files.Certificate
		}, "has a key and no certificate"},
		"certificate for key": {func(l *lottery) string {
			write(l.t, l.files.Key, l.central(time.Time{}, time.Time{}).Certificate)
			return l.files.Key
		}, "has a certificate and no key"},
		"cut off": {func(l *lottery) string {
			whole := l.central(time.Time{}, time.Time{}).Certificate
			write(l.t, l.files.Certificate, whole[:len(whole)/2])
			return l.files.Certificate
		}, "begins 1 certificates, of which 0 can be read"},
		"second authority cut off": {func(l *lottery) string {
			other := newAuthority(l.t).Certificate
			write(l.t, l.files.Authorities, append(slices.Clone(l.Authority.Certificate), other[:len(other)/2]...))
			return l.files.Authorities
		}, "begins 2 certificates, of which 1 can be read"},
		"damaged": {func(l *lottery) string {
			der := derOf(l.t, l.central(time.Time{}, time.Time{}).Certificate)
			der[5] ^= 0xff
			write(l.t, l.files.Certificate, encoded("CERTIFICATE", der, nil))
			return l.files.Certificate
		}, "has a certificate, number 1, that cannot be read"},
		"damaged key": {func(l *lottery) string {
			write(l.t, l.files.Key, encoded("PRIVATE KEY", []byte("no key"), nil))
			return l.files.Key
		}, "has a key that cannot be read"},
		"encrypted key": {func(l *lottery) string {
			write(l.t, l.files.Key, encoded("ENCRYPTED PRIVATE KEY", []byte("x"), nil))
			return l.files.Key
		}, "has an encrypted key"},
		"encrypted key of openssl's": {func(l *lottery) string {
			write(l.t, l.files.Key, encoded("EC PRIVATE KEY", []byte("x"), map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}))
			return l.files.Key
		}, "has an encrypted key"},
		"key of another": {func(l *lottery) string {
			write(l.t, l.files.Key, l.central(time.Time{}, time.Time{}).Key)
			return l.files.Key
		}, "the key is of another certificate"},
		"in the wrong order": {func(l *lottery) string {
			own, err := os.ReadFile(l.files.Certificate)
			if err != nil {
				l.t.Fatal(err)
			}
			write(l.t, l.files.Certificate, slices.Concat(l.Authority.Certificate, own))
			return l.files.Certificate
		}, "central-key.pem as number 2, expected it first"},
		"certificate of an agency": {func(l *lottery) string {
			pair, err := l.Agency(7, time.Time{}, time.Time{})
			if err != nil {
				l.t.Fatal(err)
			}
			l.put(pair)
			return l.files.Certificate
		}, "not for a server"},
		"no authority": {func(l *lottery) string {
			write(l.t, l.files.Authorities, l.central(time.Time{}, time.Time{}).Certificate)
			return l.files.Authorities
		}, "number 1 (CN=central), that is of no authority"},
		"something else in it": {func(l *lottery) string {
			write(l.t, l.files.Authorities, append(encoded("X509 CRL", []byte("x"), nil), l.Authority.Certificate...))
			return l.files.Authorities
		}, `has a "X509 CRL"`},
		"list": {func(l *lottery) string {
			write(l.t, l.files.Revoked, []byte("agency 7\nwho?\n"))
			return l.files.Revoked
		}, `line 2: "who?" is no entry`},
		"much too large": {func(l *lottery) string {
			write(l.t, l.files.Key, bytes.Repeat([]byte("x"), maxPEM+1))
			return l.files.Key
		}, "expected at most 1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLottery(t)
			store := l.open()
			l.t = t
			path := test.spoil(l)
			if opened, err := Open(l.files); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, %v, expected %s and %q", opened, err, path, test.says)
			}
			config, status := store.Config(), store.Status()
			if err := store.Reload(); err == nil {
				t.Error("read again, it is taken")
			}
			if store.Config() != config || store.Status().Version != status.Version {
				t.Error("what counted before does not any more")
			}
			if !store.Changed() {
				t.Error("it is not tried again")
			}
		})
	}
}

// A file that nobody may read is named, too. For root there is none.
func TestFileWithoutPermission(t *testing.T) {
	l := newLottery(t)
	if err := os.Chmod(l.files.Key, 0); err != nil {
		t.Fatal(err)
	}
	if file, err := os.Open(l.files.Key); err == nil {
		file.Close()
		t.Skip("this user may read everything")
	}
	if _, err := Open(l.files); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), l.files.Key) {
		t.Error(err)
	}
}

// Any form of key that openssl writes is accepted.
func TestFormsOfKeys(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	l := newLottery(t)
	certificate, err := l.CertifyCentral(private.Public(), []string{"localhost"}, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string][]byte{
		"PKCS #1":              encoded("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private), nil),
		"PKCS #8":              encoded("PRIVATE KEY", pkcs8, nil),
		"behind its text":      append([]byte("Private-Key: (2048 bit)\n"), encoded("PRIVATE KEY", pkcs8, nil)...),
		"behind its parameter": append(encoded("EC PARAMETERS", []byte("x"), nil), encoded("PRIVATE KEY", pkcs8, nil)...),
	} {
		l.put(Pair{certificate, key})
		if _, err := Open(l.files); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	day := 24 * time.Hour
	for name, test := range map[string]struct {
		change func(*lottery)
		says   []string
	}{
		"nothing": {func(*lottery) {}, nil},
		"expired": {func(l *lottery) { l.put(l.central(time.Now().Add(-2*day), time.Now().Add(-day))) },
			[]string{"central.pem expired on "}},
		"not yet valid": {func(l *lottery) { l.put(l.central(time.Now().Add(day), time.Now().Add(2*day))) },
			[]string{"central.pem is valid from "}},
		"key for everybody": {func(l *lottery) {
			if err := os.Chmod(l.files.Key, 0o644); err != nil {
				l.t.Fatal(err)
			}
		}, []string{"central-key.pem can be read by every user of this machine (mode 0644), expected 0600"}},
		"key for a group": {func(l *lottery) { // of Kubernetes, or of systemd's unit
			if err := os.Chmod(l.files.Key, 0o640); err != nil {
				l.t.Fatal(err)
			}
		}, nil},
		"no names": {func(l *lottery) {
			pair, err := l.Central(nil, time.Time{}, time.Time{})
			if err != nil {
				l.t.Fatal(err)
			}
			l.put(pair)
		}, []string{"has no DNS name and no IP address"}},
		"expired authority": {func(l *lottery) {
			old, err := NewAuthority("old", time.Now().Add(-AuthorityLife-day))
			if err != nil {
				l.t.Fatal(err)
			}
			write(l.t, l.files.Authorities, append(slices.Clone(l.Authority.Certificate), old.Certificate...))
		}, []string{"the authority CN=old expired on "}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLottery(t)
			test.change(l)
			warnings := l.open().Status().Warnings
			if len(warnings) != len(test.says) {
				t.Fatalf("it warns of %q, expected %q", warnings, test.says)
			}
			for i, want := range test.says {
				if !strings.Contains(warnings[i], want) {
					t.Errorf("it warns of %q, expected %q", warnings[i], want)
				}
			}
		})
	}
}

// Changed is false as long as nothing happens to the files, and true after any
// change.
func TestChanged(t *testing.T) {
	for name, change := range map[string]func(*lottery){
		"another file in its place": func(l *lottery) { l.put(l.central(time.Time{}, time.Time{})) },
		"written over, with the time of before": func(l *lottery) {
			info, err := os.Stat(l.files.Revoked)
			if err != nil {
				l.t.Fatal(err)
			}
			if err := os.WriteFile(l.files.Revoked, []byte("agency 7\n"), 0o600); err != nil {
				l.t.Fatal(err)
			}
			if err := os.Chtimes(l.files.Revoked, info.ModTime(), info.ModTime()); err != nil {
				l.t.Fatal(err)
			}
		},
		"touched": func(l *lottery) {
			if err := os.Chtimes(l.files.Key, time.Now(), time.Now()); err != nil {
				l.t.Fatal(err)
			}
		},
		"an older file in its place": func(l *lottery) {
			l.put(l.central(time.Time{}, time.Time{}))
			age(l.t, l.files.Certificate, l.files.Key)
		},
		"gone": func(l *lottery) { os.Remove(l.files.Authorities) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLottery(t)
			l.t = t
			age(t, l.files.paths()...)
			store := l.open()
			if store.Changed() {
				t.Error("they are changed before anything has happened")
			}
			change(l)
			if !store.Changed() {
				t.Error("it is not seen")
			}
		})
	}
}

// A file that was written a moment before it was read may be written again and look
// the same, on a file system with a coarse clock.
func TestChangedSoonAfterAChange(t *testing.T) {
	l := newLottery(t)
	age(t, l.files.paths()...)
	write(t, l.files.Revoked, []byte("agency 7\n"))
	store := l.open()
	if !store.Changed() {
		t.Error("what was written a moment ago is not looked at again")
	}
	age(t, l.files.Revoked)
	if err := store.Reload(); err != nil {
		t.Fatal(err)
	}
	if store.Changed() {
		t.Error("what was written yesterday is looked at again")
	}
}

// Kubernetes has each file as a link through ..data, and puts another folder in
// place of that.
func TestChangedByALink(t *testing.T) {
	l := newLottery(t)
	folder := filepath.Dir(l.files.Certificate)
	mount := t.TempDir()
	link := func(name, target string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(mount, "new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(mount, "new"), filepath.Join(mount, name)); err != nil {
			t.Fatal(err)
		}
	}
	age(t, l.files.paths()...)
	link("..data", folder)
	files := l.files
	for _, path := range []*string{&files.Certificate, &files.Key, &files.Authorities, &files.Revoked} {
		name := filepath.Base(*path)
		link(name, filepath.Join("..data", name))
		*path = filepath.Join(mount, name)
	}
	store, err := Open(files)
	if err != nil {
		t.Fatal(err)
	}
	if store.Changed() {
		t.Error("they are changed before anything has happened")
	}
	other := newLottery(t)
	age(t, other.files.paths()...)
	link("..data", filepath.Dir(other.files.Certificate))
	if !store.Changed() {
		t.Error("another folder in place of the first is not seen")
	}
	serial := store.Status().Serial
	if err := store.Reload(); err != nil || store.Status().Serial == serial || store.Changed() {
		t.Errorf("%v, serial number %s instead of %s, changed: %t", err, store.Status().Serial, serial, store.Changed())
	}
}

// Between the two writes of a renewal the certificate and the key do not match.
func TestHalfARenewal(t *testing.T) {
	for _, keyFirst := range []bool{false, true} {
		t.Run(fmt.Sprintf("key first %t", keyFirst), func(t *testing.T) {
			l := newLottery(t)
			age(t, l.files.paths()...)
			store := l.open()
			before := store.Status()
			renewed := l.central(time.Time{}, time.Time{})
			halves := []func(){
				func() { write(t, l.files.Certificate, renewed.Certificate) },
				func() { write(t, l.files.Key, renewed.Key) },
			}
			if keyFirst {
				slices.Reverse(halves)
			}
			halves[0]()
			if err := store.Reload(); !errors.Is(err, ErrOtherKey) || store.Status().Serial != before.Serial || !store.Changed() {
				t.Errorf("half of it: %v, serial number %s, changed: %t", err, store.Status().Serial, store.Changed())
			}
			halves[1]()
			if err := store.Reload(); err != nil || store.Status().Serial == before.Serial || store.Status().Version != before.Version+1 {
				t.Errorf("all of it: %v, %+v, before it was %+v", err, store.Status(), before)
			}
		})
	}
}

// An unusable certificate never replaces a usable one, but may replace another
// unusable one.
func TestRenewalOfNoUse(t *testing.T) {
	day := 24 * time.Hour
	now := time.Now()
	l := newLottery(t)
	store := l.open()
	good := store.Status().Serial
	for name, pair := range map[string]Pair{
		"expired":       l.central(now.Add(-2*day), now.Add(-day)),
		"not yet valid": l.central(now.Add(day), now.Add(2*day)),
	} {
		l.put(pair)
		if err := store.Reload(); err == nil || !strings.Contains(err.Error(), "the one that is in use still is") || store.Status().Serial != good {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Open(l.files); err != nil {
			t.Errorf("%s, at a start: %v", name, err)
		}
	}
	l.put(l.central(now.Add(-3*day), now.Add(-day)))
	store = l.open()
	l.put(l.central(now.Add(-2*day), now.Add(-day)))
	expired := store.Status().Serial
	if err := store.Reload(); err != nil || store.Status().Serial == expired {
		t.Errorf("expired after expired: %v", err)
	}
}

// Version tells whether the content has changed.
func TestVersion(t *testing.T) {
	l := newLottery(t)
	store := l.open()
	version := store.Status().Version
	expect := func(what string, isOther bool) {
		t.Helper()
		if err := store.Reload(); err != nil {
			t.Fatal(err)
		}
		if now := store.Status().Version; (now != version) != isOther {
			t.Errorf("%s: the version is %d after %d", what, now, version)
		}
		version = store.Status().Version
	}
	expect("nothing", false)
	write(t, l.files.Revoked, []byte("# nobody\n"))
	expect("a comment", false)
	write(t, l.files.Revoked, []byte("agency 7\n"))
	expect("an agency", true)
	write(t, l.files.Revoked, []byte("serial 7\n"))
	expect("a serial number", true)
	l.put(l.central(time.Time{}, time.Time{}))
	expect("a certificate", true)
	write(t, l.files.Authorities, append(slices.Clone(l.Authority.Certificate), newAuthority(t).Certificate...))
	expect("an authority", true)
}

// Without authorities it serves clients without certificates.
func TestOnlyAServer(t *testing.T) {
	l := newLottery(t)
	store, err := Open(Files{Certificate: l.files.Certificate, Key: l.files.Key})
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(l.X509())
	state, err := shake(t, store.ServerConfig(), &tls.Config{RootCAs: trusted, ServerName: "localhost"})
	if err != nil || len(state.PeerCertificates) != 0 {
		t.Errorf("%v, certificates of the client: %d", err, len(state.PeerCertificates))
	}
}

// shake does a handshake and returns the server's state and error.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	go func() {
		conn := tls.Client(b, client)
		_ = conn.Handshake()
		_, _ = conn.Read(make([]byte, 1)) // errors of its certificate come now
		b.Close()
	}()
	_ = a.SetDeadline(time.Now().Add(30 * time.Second))
	conn := tls.Server(a, server)
	err := conn.Handshake()
	return conn.ConnectionState(), err
}

// connection is an agency's, at the server.
func (l *lottery) connection(store *Store, pair Pair) tls.ConnectionState {
	l.t.Helper()
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		l.t.Fatal(err)
	}
	state, err := shake(l.t, store.Config(), &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{certificate}})
	if err != nil {
		l.t.Fatal(err)
	}
	return state
}

func TestIdentify(t *testing.T) {
	l := newLottery(t)
	store := l.open()
	pair, err := l.Agency(7, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	state := l.connection(store, pair)
	serial := SerialOf(state.PeerCertificates[0])
	identify := func(what, list string, authorities []byte, want error) {
		t.Helper()
		write(t, l.files.Revoked, []byte(list))
		write(t, l.files.Authorities, authorities)
		if err := store.Reload(); err != nil {
			t.Fatal(err)
		}
		agency, err := store.Identify(state)
		if want == nil && (err != nil || agency != 7) || !errors.Is(err, want) {
			t.Errorf("%s: agency %d, %v, expected %v", what, agency, err, want)
		}
		if err != nil && want == errRevoked && list == serial && !strings.Contains(err.Error(), serial) {
			t.Errorf("%s: %v, expected the serial number %s in it", what, err, serial)
		}
	}
	own := l.Authority.Certificate
	other := newAuthority(t).Certificate
	identify("nothing", "", own, nil)
	identify("others are revoked", "agency 8\nagency 77\nserial 7", own, nil)
	identify("its agency is revoked", "agency 7", own, errRevoked)
	identify("its certificate is revoked", serial, own, errRevoked)
	identify("its authority is revoked", SerialOf(l.X509()), own, errRevoked)
	identify("one more authority", "", slices.Concat(other, own), nil)
	identify("another authority in place of its own", "", other, errAuthority)
	identify("nothing any more", "", own, nil)
	if _, err := store.Identify(tls.ConnectionState{}); err == nil {
		t.Error("who has shown no certificate is an agency")
	}

	central := l.central(time.Time{}, time.Time{})
	certificate, err := tls.X509KeyPair(central.Certificate, central.Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shake(t, store.Config(), &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{certificate}}); err == nil {
		t.Error("the central's own certificate is taken for an agency's")
	}
}

// between is an authority that another one has certified, as companies have them.
func between(t *testing.T, root *Authority) *Authority {
	t.Helper()
	key, text, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "between"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, root.certificate, key.Public(), root.signer)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ParseAuthority(Pair{certificate, text})
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// An authority may have others issue for it: both sides show the chain.
func TestAuthorityBetween(t *testing.T) {
	key, text, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	certificate, err := sign(template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := ParseAuthority(Pair{certificate, text})
	if err != nil {
		t.Fatal(err)
	}
	l := newLottery(t)
	issuer := between(t, root)
	pair, err := issuer.Central([]string{"localhost"}, time.Time{}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	pair.Certificate = append(pair.Certificate, issuer.Certificate...)
	l.put(pair)
	write(t, l.files.Authorities, root.Certificate)
	store := l.open()

	if pair, err = issuer.Agency(7, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	pair.Certificate = append(pair.Certificate, issuer.Certificate...)
	own, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root.X509())
	state, err := shake(t, store.Config(), &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{own}})
	if err != nil {
		t.Fatal(err)
	}
	if agency, err := store.Identify(state); agency != 7 || err != nil {
		t.Errorf("agency %d, %v", agency, err)
	}
	write(t, l.files.Revoked, []byte(SerialOf(issuer.X509())))
	if err := store.Reload(); err != nil {
		t.Fatal(err)
	}
	if agency, err := store.Identify(state); !errors.Is(err, errRevoked) {
		t.Errorf("when who issued it is revoked: agency %d, %v", agency, err)
	}
}

// Many goroutines ask while the files change.
func TestStoreIsForManyGoroutines(t *testing.T) {
	l := newLottery(t)
	store := l.open()
	pair, err := l.Agency(7, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	state := l.connection(store, pair)
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 200 {
				if agency, err := store.Identify(state); err != nil || agency != 7 {
					t.Errorf("agency %d, %v", agency, err)
				}
				_ = store.Changed()
				_ = store.Status()
				if store.Config() == nil || store.ServerConfig() == nil {
					t.Error("there is no configuration")
				}
			}
		}()
	}
	for i := range 50 {
		write(t, l.files.Revoked, fmt.Appendf(nil, "agency %d\n", 100+i))
		if err := store.Reload(); err != nil {
			t.Error(err)
		}
	}
	for range 4 {
		<-done
	}
}

// A pipe must not keep the central waiting.
func TestPipeIsNoFile(t *testing.T) {
	l := newLottery(t)
	os.Remove(l.files.Key)
	if err := syscall.Mkfifo(l.files.Key, 0o600); err != nil {
		t.Skipf("no pipe can be made here: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Open(l.files)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it waits for a writer")
	}
}
