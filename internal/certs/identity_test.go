package certs

import (
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestAgencyOf(t *testing.T) {
	for name, test := range map[string]struct {
		uris   []string
		agency int    // 0 is an error
		reason string // in it
	}{
		"one":                {[]string{"loteria:agency:7"}, 7, ""},
		"others' beside it":  {[]string{"https://example.org/", "loteria:agency:12", "spiffe://x/y"}, 12, ""},
		"scheme in capitals": {[]string{"LOTERIA:agency:3"}, 3, ""}, // RFC 3986, 3.1
		"none":               {nil, 0, "has no URI like loteria:agency:7"},
		"only others'":       {[]string{"urn:agency:7"}, 0, "has no URI"},
		"two":                {[]string{"loteria:agency:7", "loteria:agency:8"}, 0, "names several"},
		"twice the same":     {[]string{"loteria:agency:7", "loteria:agency:7"}, 0, "names several"},
		"zero":               {[]string{"loteria:agency:0"}, 0, "number N from 1"},
		"negative":           {[]string{"loteria:agency:-7"}, 0, "number N from 1"},
		"with a plus":        {[]string{"loteria:agency:+7"}, 0, "number N from 1"},
		"leading zero":       {[]string{"loteria:agency:07"}, 0, "number N from 1"},
		"no number":          {[]string{"loteria:agency:"}, 0, "number N from 1"},
		"more behind it":     {[]string{"loteria:agency:7:8"}, 0, "number N from 1"},
		"a query":            {[]string{"loteria:agency:7?x"}, 0, "number N from 1"},
		"a fragment":         {[]string{"loteria:agency:7#x"}, 0, "number N from 1"},
		"too large":          {[]string{"loteria:agency:99999999999999999999"}, 0, "number N from 1"},
		"good and bad":       {[]string{"loteria:agency:7", "loteria:agency:x"}, 0, "number N from 1"},
	} {
		t.Run(name, func(t *testing.T) {
			certificate := &x509.Certificate{}
			for _, text := range test.uris {
				uri, err := url.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				certificate.URIs = append(certificate.URIs, uri)
			}
			agency, err := AgencyOf(certificate)
			if agency != test.agency || (err == nil) != (test.agency > 0) || err != nil && !errors.Is(err, ErrNoAgency) {
				t.Errorf("agency %d, %v, expected %d", agency, err, test.agency)
			}
			if err != nil && !strings.Contains(err.Error(), test.reason) {
				t.Errorf("%v, expected %q in it", err, test.reason)
			}
		})
	}
}
