package certs

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// revoked is a revocation list.
type revoked struct {
	serials  map[string]bool // as SerialOf writes them
	agencies map[int]bool
}

func (r revoked) len() int { return len(r.serials) + len(r.agencies) }

// SerialOf returns a certificate's serial number as the revocation list has it: in
// hexadecimal.
func SerialOf(certificate *x509.Certificate) string { return certificate.SerialNumber.Text(16) }

const (
	serialWord = "serial"
	agencyWord = "agency"

	// maxSerial bounds a serial number, in hexadecimal digits (RFC 5280, 4.1.2.2).
	maxSerial = 40

	// A number of at most that many digits, all decimal, could be an agency's.
	maxAgencyDigits = 10
)

// readRevoked reads a revocation list, an entry on each line: the serial number of
// a certificate, in hexadecimal with or without colons, or an agency, which means
// all its certificates. Text after a # is a comment. The error names the file and
// the line.
//
//	3f:a2:09:5c:77:e1   # the laptop that was stolen
//	serial 1000         # a number that could also be an agency's
//	agency 7
//	loteria:agency:7    # the same, as the certificate has it
func readRevoked(path string) (r revoked, err error) {
	r = revoked{map[string]bool{}, map[int]bool{}}
	if path == "" {
		return r, nil
	}
	content, err := readFile(path, maxRevoked)
	if err != nil {
		return r, err
	}
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(content, []byte("\ufeff"))) {
		number++
		entry, _, _ := strings.Cut(string(line), "#")
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		if err := r.add(strings.ToLower(entry)); err != nil {
			return r, fmt.Errorf("%s, line %d: %.80q %w", path, number, entry, err)
		}
	}
	return r, nil
}

var errEntry = errors.New("is no entry, expected the serial number of a certificate, in hexadecimal, or an agency, like agency 7")

// add adds an entry in lower case.
func (r revoked) add(entry string) error {
	if text, isURI := strings.CutPrefix(entry, agencyPrefix); isURI {
		return r.addAgency(text)
	}
	// openssl x509 -serial prints serial=3FA2…
	words := strings.Fields(strings.Replace(entry, serialWord+"=", serialWord+" ", 1))
	switch {
	case len(words) == 2 && words[0] == agencyWord:
		return r.addAgency(words[1])
	case len(words) == 2 && words[0] == serialWord:
		return r.addSerial(words[1])
	case len(words) != 1:
		return errEntry
	case len(words[0]) <= maxAgencyDigits && strings.Trim(words[0], "0123456789") == "":
		return fmt.Errorf("could be an agency or a serial number, expected %s %s or %s %[2]s", agencyWord, words[0], serialWord)
	}
	return r.addSerial(words[0])
}

func (r revoked) addAgency(text string) error {
	agency, err := strconv.Atoi(text)
	if err != nil || agency < 1 || strconv.Itoa(agency) != text {
		return errors.New("names no agency, expected its number, from 1, like agency 7")
	}
	r.agencies[agency] = true
	return nil
}

func (r revoked) addSerial(text string) error {
	if strings.Contains(text, ":") {
		for octet := range strings.SplitSeq(text, ":") {
			if len(octet) != 2 {
				return errEntry
			}
		}
		text = strings.ReplaceAll(text, ":", "")
	}
	text = strings.TrimLeft(strings.TrimPrefix(text, "0x"), "0")
	if len(text) > maxSerial || strings.Trim(text, "0123456789abcdef") != "" {
		return errEntry
	}
	serial, ok := new(big.Int).SetString(text, 16)
	if !ok { // nothing but zeros
		return errEntry
	}
	r.serials[serial.Text(16)] = true
	return nil
}
