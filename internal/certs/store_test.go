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
	return l.issued(l.Central([]string{"localhost", "127.0.0.1"}, from, until))
}

// agency returns what agency 7 has.
func (l *lottery) agency() Pair {
	l.t.Helper()
	return l.issued(l.Agency(7, time.Time{}, time.Time{}))
}

func (l *lottery) issued(pair Pair, err error) Pair {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
	return pair
}

// reload has the store read the files again.
func (l *lottery) reload(store *Store) {
	l.t.Helper()
	if err := store.Reload(); err != nil {
		l.t.Fatal(err)
	}
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
	const certificate, key, authorities, revoked = 0, 1, 2, 3 // as in Files.paths
	gone := func(l *lottery, path string) { os.Remove(path) }
	holds := func(content []byte) func(*lottery, string) {
		return func(l *lottery, path string) { write(l.t, path, content) }
	}
	for name, test := range map[string]struct {
		file  int // that the error names
		spoil func(l *lottery, path string)
		says  string
	}{
		"no certificate": {certificate, gone, "no such file or directory"},
		"no key":         {key, gone, "no such file or directory"},
		"no authorities": {authorities, gone, "no such file or directory"},
		"no list":        {revoked, gone, "no such file or directory"},
		"a folder": {certificate, func(_ *lottery, path string) {
			os.Remove(path)
			os.Mkdir(path, 0o700)
		}, "no regular file"},
		"a pipe": {key, func(l *lottery, path string) { // it must not keep the central waiting
			os.Remove(path)
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				l.t.Skipf("no pipe can be made here: %v", err)
			}
		}, "no regular file"},
		"empty certificate": {certificate, holds(nil), "has no certificate in PEM"},
		"empty key":         {key, holds(nil), "has no private key in PEM"},
		"empty authorities": {authorities, holds([]byte("# none\n")), "has no certificate in PEM"},
		"DER": {certificate, func(l *lottery, path string) {
			write(l.t, path, derOf(l.t, l.central(time.Time{}, time.Time{}).Certificate))
		}, "has no certificate in PEM"},
		"key for certificate": {certificate, func(l *lottery, path string) {
			write(l.t, path, l.central(time.Time{}, time.Time{}).Key)
		}, "has a key and no certificate"},
		"certificate for key": {key, func(l *lottery, path string) {
			write(l.t, path, l.central(time.Time{}, time.Time{}).Certificate)
		}, "has a certificate and no key"},
		"cut off": {certificate, func(l *lottery, path string) {
			whole := l.central(time.Time{}, time.Time{}).Certificate
			write(l.t, path, whole[:len(whole)/2])
		}, "begins 1 certificates, of which 0 can be read"},
		"second authority cut off": {authorities, func(l *lottery, path string) {
			other := newAuthority(l.t).Certificate
			write(l.t, path, append(slices.Clone(l.Authority.Certificate), other[:len(other)/2]...))
		}, "begins 2 certificates, of which 1 can be read"},
		"damaged": {certificate, func(l *lottery, path string) {
			der := derOf(l.t, l.central(time.Time{}, time.Time{}).Certificate)
			der[5] ^= 0xff
			write(l.t, path, encoded("CERTIFICATE", der, nil))
		}, "has a certificate, number 1, that cannot be read"},
		"damaged key":   {key, holds(encoded("PRIVATE KEY", []byte("no key"), nil)), "has a key that cannot be read"},
		"encrypted key": {key, holds(encoded("ENCRYPTED PRIVATE KEY", []byte("x"), nil)), "has an encrypted key"},
		"encrypted key of openssl's": {key,
			holds(encoded("EC PRIVATE KEY", []byte("x"), map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"})),
			"has an encrypted key"},
		"key of another": {key, func(l *lottery, path string) {
			write(l.t, path, l.central(time.Time{}, time.Time{}).Key)
		}, "the key is of another certificate"},
		"in the wrong order": {certificate, func(l *lottery, path string) {
			own, err := os.ReadFile(path)
			if err != nil {
				l.t.Fatal(err)
			}
			write(l.t, path, slices.Concat(l.Authority.Certificate, own))
		}, "central-key.pem as number 2, expected it first"},
		"certificate of an agency": {certificate, func(l *lottery, _ string) { l.put(l.agency()) }, "not for a server"},
		"no authority": {authorities, func(l *lottery, path string) {
			write(l.t, path, l.central(time.Time{}, time.Time{}).Certificate)
		}, "number 1 (CN=central), that is of no authority"},
		"something else in it": {authorities, func(l *lottery, path string) {
			write(l.t, path, append(encoded("X509 CRL", []byte("x"), nil), l.Authority.Certificate...))
		}, `has a "X509 CRL"`},
		"list":           {revoked, holds([]byte("agency 7\nwho?\n")), `line 2: "who?" is no entry`},
		"much too large": {key, holds(bytes.Repeat([]byte("x"), maxPEM+1)), "expected at most 1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLottery(t)
			store := l.open()
			l.t = t
			path := l.files.paths()[test.file]
			test.spoil(l, path)
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
			l.put(l.issued(l.Central(nil, time.Time{}, time.Time{})))
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
	l.reload(store)
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
		l.reload(store)
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
	state, err := shake(t, store.ServerConfig(), &tls.Config{RootCAs: poolOf(l.Authority), ServerName: "localhost"})
	if err != nil || len(state.PeerCertificates) != 0 {
		t.Errorf("%v, certificates of the client: %d", err, len(state.PeerCertificates))
	}
}

func poolOf(authority *Authority) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(authority.X509())
	return pool
}

// having returns the configuration of a client that has a certificate, and takes any
// of the server.
func having(t *testing.T, pair Pair) *tls.Config {
	t.Helper()
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{certificate}}
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
	state, err := shake(l.t, store.Config(), having(l.t, pair))
	if err != nil {
		l.t.Fatal(err)
	}
	return state
}

func TestIdentify(t *testing.T) {
	l := newLottery(t)
	store := l.open()
	state := l.connection(store, l.agency())
	serial := SerialOf(state.PeerCertificates[0])
	identify := func(what, list string, authorities []byte, want error) {
		t.Helper()
		write(t, l.files.Revoked, []byte(list))
		write(t, l.files.Authorities, authorities)
		l.reload(store)
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

	if _, err := shake(t, store.Config(), having(t, l.central(time.Time{}, time.Time{}))); err == nil {
		t.Error("the central's own certificate is taken for an agency's")
	}
}

// certified is an authority that another one has certified, as companies have them,
// or, with nil, itself.
func certified(t *testing.T, name string, by *Authority) *Authority {
	t.Helper()
	key, text, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	issuer, signer := template, key
	if by != nil {
		issuer, signer = by.certificate, by.signer
	}
	certificate, err := sign(template, issuer, key.Public(), signer)
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
	root := certified(t, "root", nil)
	l := newLottery(t)
	issuer := certified(t, "between", root)
	chained := func(pair Pair, err error) Pair {
		t.Helper()
		pair = l.issued(pair, err)
		pair.Certificate = append(pair.Certificate, issuer.Certificate...)
		return pair
	}
	until := time.Now().Add(time.Hour)
	l.put(chained(issuer.Central([]string{"localhost"}, time.Time{}, until)))
	write(t, l.files.Authorities, root.Certificate)
	store := l.open()
	client := having(t, chained(issuer.Agency(7, time.Time{}, until)))
	client.InsecureSkipVerify, client.RootCAs, client.ServerName = false, poolOf(root), "localhost"
	state, err := shake(t, store.Config(), client)
	if err != nil {
		t.Fatal(err)
	}
	if agency, err := store.Identify(state); agency != 7 || err != nil {
		t.Errorf("agency %d, %v", agency, err)
	}
	write(t, l.files.Revoked, []byte(SerialOf(issuer.X509())))
	l.reload(store)
	if agency, err := store.Identify(state); !errors.Is(err, errRevoked) {
		t.Errorf("when who issued it is revoked: agency %d, %v", agency, err)
	}
}

// Many goroutines ask while the files change.
func TestStoreIsForManyGoroutines(t *testing.T) {
	l := newLottery(t)
	store := l.open()
	state := l.connection(store, l.agency())
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
