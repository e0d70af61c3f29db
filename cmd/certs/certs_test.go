package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"loteria/internal/certs"
)

// order runs the command in a folder, and returns what it says.
func (f folder) order(t *testing.T, wantCode int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errors strings.Builder
	if code := run(append([]string{"--folder", string(f)}, args...), &out, &errors); code != wantCode {
		t.Fatalf("%q: exit code %d, expected %d: %s%s", args, code, wantCode, &out, &errors)
	}
	return out.String(), errors.String()
}

// read returns a target's certificate.
func (f folder) read(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	chain, err := certs.ReadCertificates(f.certificate(name))
	if err != nil {
		t.Fatal(err)
	}
	return chain[0]
}

// contents returns the content of each file of the folder.
func (f folder) contents(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(string(f), "*"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = string(content)
	}
	return files
}

func newFolder(t *testing.T) folder { return folder(filepath.Join(t.TempDir(), "of", "certs")) }

// A central and agencies can authenticate with its certificates.
func TestWholeLottery(t *testing.T) {
	f := newFolder(t)
	said, _ := f.order(t, exitOK, "--agencies", "3", "--central-name", "central.example,10.0.0.7")
	store, err := certs.Open(certs.Files{Certificate: f.certificate("central"), Key: f.key("central"), Authorities: f.certificate("authority")})
	if err != nil {
		t.Fatal(err)
	}
	if warnings := store.Status().Warnings; len(warnings) > 0 {
		t.Errorf("a central is warned: %q", warnings)
	}
	roots := x509.NewCertPool()
	roots.AddCert(f.read(t, "authority"))
	for agency := 1; agency <= 3; agency++ {
		name := fmt.Sprintf("agency-%d", agency)
		pair, err := tls.LoadX509KeyPair(f.certificate(name), f.key(name))
		if err != nil {
			t.Fatal(err)
		}
		chains, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := store.Identify(tls.ConnectionState{VerifiedChains: chains}); got != agency || err != nil {
			t.Errorf("%s is agency %d, %v", name, got, err)
		}
	}
	for _, host := range []string{"central.example", "10.0.0.7"} {
		if err := f.read(t, "central").VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	for name := range f.contents(t) {
		info, err := os.Stat(filepath.Join(string(f), name))
		if err != nil {
			t.Fatal(err)
		}
		want := os.FileMode(certificateMode)
		if strings.HasSuffix(name, "-key.pem") {
			want = keyMode
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, expected %o", name, got, want)
		}
	}
	if info, err := os.Stat(string(f)); err != nil || info.Mode().Perm() != folderMode {
		t.Errorf("the folder has mode %v, %v", info.Mode(), err)
	}
	line := regexp.MustCompile(`(?m)^made     .*agency-3\.pem: agency 3, until \d{4}-\d\d-\d\d, serial ([0-9a-f]+)$`).FindStringSubmatch(said)
	if line == nil || line[1] != certs.SerialOf(f.read(t, "agency-3")) {
		t.Errorf("it does not say what agency 3 has:\n%s", said)
	}
	if strings.Contains(said, "PRIVATE") {
		t.Error("it shows a key")
	}
}

// A second run changes nothing, and makes only what is missing.
func TestWhatIsThereStays(t *testing.T) {
	f := newFolder(t)
	f.order(t, exitOK, "--agencies", "2")
	before := f.contents(t)
	said, _ := f.order(t, exitOK, "--agencies", "2")
	for name, content := range f.contents(t) {
		if before[name] != content {
			t.Errorf("%s has changed", name)
		}
	}
	if strings.Count(said, "there    ") != 4 || strings.Contains(said, "made") {
		t.Errorf("it says\n%s", said)
	}
	// An agency's key may be only where it is used.
	if err := os.Remove(f.key("agency-1")); err != nil {
		t.Fatal(err)
	}
	f.order(t, exitOK, "--agencies", "4")
	after := f.contents(t)
	if _, isMade := after["agency-1-key.pem"]; isMade {
		t.Error("another key is made for a certificate that is there")
	}
	for _, name := range []string{"agency-3.pem", "agency-4.pem", "agency-4-key.pem"} {
		if after[name] == "" {
			t.Errorf("%s is not made", name)
		}
	}
	// A killed run has left a key.
	if err := os.Remove(f.certificate("agency-2")); err != nil {
		t.Fatal(err)
	}
	f.order(t, exitOK, "--agencies", "2")
	if _, err := tls.LoadX509KeyPair(f.certificate("agency-2"), f.key("agency-2")); err != nil || f.contents(t)["agency-2-key.pem"] != before["agency-2-key.pem"] {
		t.Errorf("the key that was there is not used: %v", err)
	}
}

// A renewal is another certificate for the same key, until a later day.
func TestRenew(t *testing.T) {
	f := newFolder(t)
	f.order(t, exitOK, "--agencies", "3", "--central-name", "central.example", "--days", "10")
	before := f.contents(t)
	old := map[string]*x509.Certificate{}
	for _, name := range []string{"central", "agency-2"} {
		old[name] = f.read(t, name)
	}
	if err := os.Remove(f.key("agency-2")); err != nil { // it is where agency 2 is
		t.Fatal(err)
	}
	f.order(t, exitOK, "--agencies", "0", "--renew", "central,agency-2")
	for name, was := range old {
		is := f.read(t, name)
		if !is.NotAfter.After(was.NotAfter.Add(300*day)) || certs.SerialOf(is) == certs.SerialOf(was) {
			t.Errorf("%s: until %v instead of %v, serial number %s", name, is.NotAfter, was.NotAfter, certs.SerialOf(is))
		}
		if !bytes.Equal(is.RawSubjectPublicKeyInfo, was.RawSubjectPublicKeyInfo) || !slices.Equal(certs.Names(is), certs.Names(was)) {
			t.Errorf("%s has another key, or other names: %q", name, certs.Names(is))
		}
	}
	after := f.contents(t)
	for _, name := range []string{"central-key.pem", "agency-1.pem", "agency-3.pem", "authority.pem"} {
		if after[name] != before[name] {
			t.Errorf("%s has changed", name)
		}
	}
	f.order(t, exitOK, "--renew", "central", "--central-name", "other.example,::1")
	if names := certs.Names(f.read(t, "central")); !slices.Equal(names, []string{"other.example", "::1"}) {
		t.Errorf("it is for %q", names)
	}
	f.order(t, exitOK, "--central-name", "0:0::1,OTHER.example") // the same in other words
	for name := range after {
		if strings.HasPrefix(name, ".") {
			t.Errorf("%s is left behind", name)
		}
	}
}

// No certificate lasts longer than its authority.
func TestNotLongerThanTheAuthority(t *testing.T) {
	f := newFolder(t)
	f.putAuthority(t, time.Now().Add(-certs.AuthorityLife+20*day))
	f.order(t, exitOK, "--agencies", "1")
	if last, authority := f.read(t, "agency-1").NotAfter, f.read(t, "authority").NotAfter; !last.Equal(authority) {
		t.Errorf("it lasts until %v, its authority until %v", last, authority)
	}
}

func (f folder) putAuthority(t *testing.T, made time.Time) {
	t.Helper()
	authority, err := certs.NewAuthority("lottery", made)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.make(); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{f.certificate("authority"): authority.Certificate, f.key("authority"): authority.Key} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// When it refuses something, it changes nothing.
func TestRefusals(t *testing.T) {
	write := func(t *testing.T, path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(t *testing.T, path string) {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	move := func(t *testing.T, from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		spoil func(*testing.T, folder)
		args  []string
		code  int
		says  string
	}{
		"no argument":         {nil, []string{"agency-3"}, exitUsage, `unexpected argument "agency-3"`},
		"agencies":            {nil, []string{"--agencies", "-1"}, exitUsage, "--agencies is -1"},
		"too many agencies":   {nil, []string{"--agencies", "100001"}, exitUsage, "from 0 to 100000"},
		"days":                {nil, []string{"--days", "0"}, exitUsage, "--days is 0"},
		"no names":            {nil, []string{"--central-name", ""}, exitUsage, "--central-name is empty"},
		"no name":             {nil, []string{"--central-name", "https://central"}, exitUsage, `"https://central" is neither a DNS name nor an IP address`},
		"renew who":           {nil, []string{"--renew", "agency"}, exitUsage, `--renew is "agency", expected central or an agency`},
		"renew the authority": {nil, []string{"--renew", "authority"}, exitUsage, `--renew is "authority"`},
		"renew no agency":     {nil, []string{"--renew", "agency-0"}, exitUsage, "--renew"},
		"renew an absent":     {nil, []string{"--renew", "agency-9"}, exitFailure, "agency-9.pem is not there, and cannot be renewed"},
		"other names":         {nil, []string{"--central-name", "other.example"}, exitFailure, "central.pem is for localhost"},
		"no authority's key":  {func(t *testing.T, f folder) { remove(t, f.key("authority")) }, nil, exitFailure, "authority.pem is there, but not its key"},
		"no authority's certificate": {func(t *testing.T, f folder) { remove(t, f.certificate("authority")) }, nil, exitFailure,
			"authority-key.pem is there, but not its certificate"},
		"no authority": {func(t *testing.T, f folder) { remove(t, f.certificate("authority")); remove(t, f.key("authority")) }, nil, exitFailure,
			"has agency-1-key.pem, agency-1.pem, agency-2-key.pem, but not the authority"},
		"another authority": {func(t *testing.T, f folder) {
			remove(t, f.certificate("authority"))
			remove(t, f.key("authority"))
			f.putAuthority(t, time.Now())
		}, nil, exitFailure, "central.pem is of another authority (CN=Lotería Nacional)"},
		"an authority that has expired": {func(t *testing.T, f folder) {
			remove(t, f.certificate("authority"))
			remove(t, f.key("authority"))
			f.putAuthority(t, time.Now().Add(-certs.AuthorityLife-day))
		}, nil, exitFailure, "authority.pem expired on "},
		"another's certificate": {func(t *testing.T, f folder) {
			move(t, f.certificate("agency-2"), f.certificate("agency-1"))
			move(t, f.key("agency-2"), f.key("agency-1"))
		}, nil, exitFailure, "agency-1.pem is the certificate of agency 2"},
		"an agency's for the central": {func(t *testing.T, f folder) { move(t, f.certificate("agency-1"), f.certificate("central")) }, nil, exitFailure,
			"central.pem is the certificate of agency 1"},
		"another's key": {func(t *testing.T, f folder) { move(t, f.key("agency-2"), f.key("agency-1")) }, nil, exitFailure,
			"the key is of another certificate"},
		"half a key":         {func(t *testing.T, f folder) { write(t, f.key("agency-1"), "-----BEGIN") }, nil, exitFailure, "agency-1-key.pem has no private key in PEM: take it away"},
		"half a certificate": {func(t *testing.T, f folder) { write(t, f.certificate("agency-1"), "") }, nil, exitFailure, "agency-1.pem has no certificate in PEM"},
		"half the authority": {func(t *testing.T, f folder) { write(t, f.key("authority"), "") }, nil, exitFailure, "authority-key.pem: the authority's key has no private key"},
		"a folder for a file": {func(t *testing.T, f folder) {
			remove(t, f.certificate("agency-1"))
			_ = os.Mkdir(f.certificate("agency-1"), 0o700)
		}, nil, exitFailure, "no regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.order(t, exitOK, "--agencies", "2")
			if test.spoil != nil {
				test.spoil(t, f)
			}
			names := func() (names []string) {
				entries, err := os.ReadDir(string(f))
				if err != nil {
					t.Fatal(err)
				}
				for _, entry := range entries {
					info, err := entry.Info()
					if err != nil {
						t.Fatal(err)
					}
					names = append(names, fmt.Sprint(entry.Name(), info.Size(), info.ModTime()))
				}
				return names
			}
			before := names()
			_, said := f.order(t, test.code, append([]string{"--agencies", "2"}, test.args...)...)
			if !strings.HasPrefix(said, "certs: ") || strings.Count(said, "\n") != 1 || !strings.Contains(said, test.says) {
				t.Errorf("it says %q, expected one line with %q", said, test.says)
			}
			if after := names(); !slices.Equal(before, after) {
				t.Errorf("it has changed\n%q to\n%q", before, after)
			}
		})
	}
}

// A file in the folder's place, and a folder that nothing can be put into.
func TestFolders(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below"), "/proc/certs"} {
		_, said := folder(path).order(t, exitFailure)
		if !strings.Contains(said, path) && !strings.Contains(said, file) {
			t.Errorf("%s: it says %q", path, said)
		}
	}
	if _, said := folder("").order(t, exitUsage); !strings.Contains(said, "--folder is empty") {
		t.Errorf("it says %q", said)
	}
}

func TestHelp(t *testing.T) {
	var out, errors strings.Builder
	if code := run([]string{"--help"}, &out, &errors); code != exitOK || errors.Len() > 0 {
		t.Errorf("exit code %d: %s", code, &errors)
	}
	for _, flag := range []string{"--folder", "--agencies", "--central-name", "--authority-name", "--days", "--renew"} {
		if !strings.Contains(out.String(), flag) {
			t.Errorf("no %s in\n%s", flag, &out)
		}
	}
}
