// Package certs handles the certificates of a lottery: it tells whose they are,
// issues them, and reads them from files, also while these change.
//
// A lottery has an authority of its own. It issues a certificate to the central,
// which agencies know by its DNS names or IP addresses, and one to each agency,
// which the central knows by a URI in it.
package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// agencyPrefix begins the URI that names an agency, as in loteria:agency:7. It is
// the subject alternative name of its certificate (RFC 5280, 4.2.1.6).
const agencyPrefix = "loteria:agency:"

// AgencyURI returns the URI that names an agency.
func AgencyURI(agency int) *url.URL {
	return &url.URL{Scheme: "loteria", Opaque: "agency:" + strconv.Itoa(agency)}
}

// ErrNoAgency is why a certificate names no agency.
var ErrNoAgency = errors.New("the certificate names no agency")

// AgencyOf returns the agency whose certificate it is: the one of its only URI of
// the form loteria:agency:N, with N from 1 without sign or leading zeros. The error
// is ErrNoAgency, with the reason.
func AgencyOf(certificate *x509.Certificate) (int, error) {
	agency := 0
	for _, uri := range certificate.URIs {
		text, isAgency := strings.CutPrefix(uri.String(), agencyPrefix)
		if !isAgency {
			continue
		}
		number, err := strconv.Atoi(text)
		if err != nil || number < 1 || strconv.Itoa(number) != text {
			return 0, fmt.Errorf("%w: %.100q is not %sN with a number N from 1", ErrNoAgency, uri, agencyPrefix)
		}
		if agency != 0 {
			return 0, fmt.Errorf("%w: it names several", ErrNoAgency)
		}
		agency = number
	}
	if agency == 0 {
		return 0, fmt.Errorf("%w: it has no URI like %s7", ErrNoAgency, agencyPrefix)
	}
	return agency, nil
}
