package certs

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// parse returns the only certificate of a text.
func parse(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	certificates, err := parseCertificates(text)
	if err != nil || len(certificates) != 1 {
		t.Fatalf("%d certificates, %v", len(certificates), err)
	}
	return certificates[0]
}

// Certificates are good for their purpose, and for nothing else.
func TestIssued(t *testing.T) {
	authority := newAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(authority.X509())
	central, err := authority.Central([]string{"central.example", "127.0.0.1", "::1"}, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	agency, err := authority.Agency(7, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		pair  Pair
		host  string
		usage x509.ExtKeyUsage
		good  bool
	}{
		"the central":                 {central, "central.example", x509.ExtKeyUsageServerAuth, true},
		"the central, by address":     {central, "::1", x509.ExtKeyUsageServerAuth, true},
		"the central, by other name":  {central, "localhost", x509.ExtKeyUsageServerAuth, false},
		"the central as an agency":    {central, "", x509.ExtKeyUsageClientAuth, false},
		"an agency":                   {agency, "", x509.ExtKeyUsageClientAuth, true},
		"an agency as the central":    {agency, "", x509.ExtKeyUsageServerAuth, false},
		"an agency, whatever its URI": {agency, "loteria", x509.ExtKeyUsageClientAuth, false},
	} {
		_, err := parse(t, test.pair.Certificate).Verify(x509.VerifyOptions{Roots: roots, DNSName: test.host, KeyUsages: []x509.ExtKeyUsage{test.usage}})
		if (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := AgencyOf(parse(t, agency.Certificate)); n != 7 || err != nil {
		t.Errorf("the agency is %d, %v", n, err)
	}
	if names := Names(parse(t, central.Certificate)); !slices.Equal(names, []string{"central.example", "127.0.0.1", "::1"}) {
		t.Errorf("the central is called %q", names)
	}
	if parse(t, central.Certificate).SerialNumber.Cmp(parse(t, agency.Certificate).SerialNumber) == 0 {
		t.Error("two certificates have one serial number")
	}
}

// Issued certificates cannot issue others.
func TestNobodyElseIssues(t *testing.T) {
	authority := newAuthority(t)
	agency, err := authority.Agency(7, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseAuthority(agency); err == nil || !strings.Contains(err.Error(), "of no authority") {
		t.Error(err)
	}
	key, err := parseKey(agency.Key)
	if err != nil {
		t.Fatal(err)
	}
	forger := &Authority{agency, parse(t, agency.Certificate), key}
	forged, err := forger.Agency(8, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(authority.X509())
	between.AddCert(forger.certificate)
	if _, err := parse(t, forged.Certificate).Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err == nil {
		t.Error("what an agency has signed is an agency's certificate")
	}
}

func TestLifetimes(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	near := func(a, b time.Time) bool { return a.Sub(b).Abs() < time.Hour }
	for name, test := range map[string]struct {
		age   time.Duration // of the authority
		until time.Time     // as asked for
		want  time.Time
	}{
		"usual":                {0, time.Time{}, now.Add(AgencyLife)},
		"asked for":            {0, now.Add(day), now.Add(day)},
		"the authority's last": {AuthorityLife - day, time.Time{}, now.Add(day)},
		"more than it has":     {AuthorityLife - day, now.Add(2 * day), now.Add(day)},
	} {
		authority, err := NewAuthority("lottery", now.Add(-test.age))
		if err != nil {
			t.Fatal(err)
		}
		pair, err := authority.Agency(7, time.Time{}, test.until)
		if err != nil {
			t.Fatal(err)
		}
		certificate := parse(t, pair.Certificate)
		if !near(certificate.NotAfter, test.want) || certificate.NotBefore.After(now) {
			t.Errorf("%s: from %v to %v, expected until %v", name, certificate.NotBefore, certificate.NotAfter, test.want)
		}
	}
}

func TestNamesOfACentral(t *testing.T) {
	authority := newAuthority(t)
	for name, good := range map[string]bool{
		"server": true, "central.example": true, "xn--loteria-1ya.example": true, "a_b": true, "10.0.0.1": true, "fe80::1": true,
		"": false, "https://central": false, "central:12346": false, "[::1]": false, "fe80::1%eth0": false, "lotería.example": false, "a b": false, "-a": false,
		"a..b": false, ".": false, "*.example": false, strings.Repeat("a", 64): false, strings.Repeat("a.", 127) + "a": false,
	} {
		_, err := authority.Central([]string{name}, time.Time{}, time.Time{})
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "is neither a DNS name nor an IP address") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestParseAuthority(t *testing.T) {
	authority, other := newAuthority(t), newAuthority(t)
	if _, err := ParseAuthority(authority.Pair); err != nil {
		t.Error(err)
	}
	for name, test := range map[string]struct {
		pair Pair
		says string
	}{
		"nothing":          {Pair{}, "the authority's certificate has no certificate in PEM"},
		"no key":           {Pair{authority.Certificate, nil}, "the authority's key has no private key in PEM"},
		"key of another":   {Pair{authority.Certificate, other.Key}, ErrOtherKey.Error()},
		"two certificates": {Pair{slices.Concat(authority.Certificate, other.Certificate), authority.Key}, "has 2 certificates"},
	} {
		if _, err := ParseAuthority(test.pair); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, expected %q", name, err, test.says)
		}
	}
	if _, err := ParseAuthority(Pair{authority.Certificate, other.Key}); !errors.Is(err, ErrOtherKey) {
		t.Error(err)
	}
}
