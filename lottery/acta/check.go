package acta

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"loteria/lottery"
)

// DifferenceError says how an acta differs from its contest, or why it is not one.
type DifferenceError struct {
	Differences []string // one or more, each for people
}

// Error has a line for each difference.
func (e *DifferenceError) Error() string { return strings.Join(e.Differences, "\n") }

// maxDifferences bounds the agencies that an error names.
const maxDifferences = 20

// Check reads an acta as it is kept, and compares it with the contest whose rows
// the builder has. Terms, times and endings are only compared when c has endings,
// the name when both c and the acta have one. signer is the key that must have
// signed the acta; nil allows any key, which the acta names, or no signature.
//
// The acta is returned when it could be read. The error is a *DifferenceError: it
// tells what has changed in the ledger or, when the acta does not match its own
// digest, which line of the acta has.
func (b *Builder) Check(kept []byte, c Contest, signer ed25519.PublicKey) (*Acta, error) {
	a, err := Parse(kept)
	if err != nil {
		return nil, different("acta.json: %v", err)
	}
	if c.Name == "" || a.Contest == "" {
		c.Name = a.Contest
	}
	isWhole := sha256.Sum256(contentOf(kept)) == a.Content
	known := c.Endings != nil
	if !known {
		c.Terms, c.Times, c.Endings = lottery.Terms{Agencies: a.Terms.Agencies, Deadline: a.Terms.Deadline.Time}, a.times(), a.endings()
	}
	now, err := b.Acta(c)
	switch {
	case err != nil && !isWhole:
		return a, different("acta.json: %v; and from the ledger there is no acta: %v", brokenContent(kept, a), err)
	case err != nil:
		return a, different("the ledger is not the one of the acta: %v", err)
	}
	now.Seal(nil)
	if !isWhole {
		return a, changedContent(kept, a, now, known)
	}
	if found := a.differences(now); found != nil {
		return a, &DifferenceError{found}
	}
	if a.Content != now.Content { // in something that differences does not compare
		line, has, wants := firstDifference(contentOf(kept), contentOf(now.encode()))
		return a, different("acta.json: line %d: it has %s, the contest gives %s", line, has, wants)
	}
	return a, a.checkSignature(kept, signer)
}

func different(format string, args ...any) error {
	return &DifferenceError{[]string{fmt.Sprintf(format, args...)}}
}

// brokenContent says that a line of the content has changed, or its digest.
func brokenContent(kept []byte, a *Acta) error {
	content := contentOf(kept)
	line := lineOf(kept, contentLine[1:])
	return fmt.Errorf("line %d: it has the SHA-256 %s, lines 1 to %d have %s", line, a.Content, line-1, Digest(sha256.Sum256(content)))
}

// changedContent says where an acta that does not match its digest has changed.
func changedContent(kept []byte, a, now *Acta, known bool) error {
	if line, has, wants := firstDifference(contentOf(kept), contentOf(now.encode())); line > 0 {
		return different("acta.json: line %d: it has %s, the contest gives %s; it is not as it was written", line, has, wants)
	}
	// It is in what was taken from the acta itself, or in the digest.
	unknown := fmt.Sprintf("the contest's name (line %d)", lineOf(kept, `  "contest": `))
	if !known {
		unknown += ", the terms, the times and how each agency's betting has ended, as there is no contest.json to compare with"
	}
	return different("acta.json: %v: that line, or what the rows do not tell, has changed: %s", brokenContent(kept, a), unknown)
}

// differences returns in what the contest now differs from its acta.
func (a *Acta) differences(now *Acta) (found []string) {
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if a.Contest != now.Contest {
		add("the acta is of the contest %q, this is %q", a.Contest, now.Contest)
	}
	if a.Terms.Agencies != now.Terms.Agencies {
		add("the contest has %d expected agencies, the acta has %d", now.Terms.Agencies, a.Terms.Agencies)
		return found
	}
	for _, t := range []struct {
		what      string
		acta, now Time
	}{
		{"has the deadline", a.Terms.Deadline, now.Terms.Deadline},
		{"was opened", a.Opened, now.Opened},
		{"was closed", a.Closed, now.Closed},
		{"was drawn", a.Drawn, now.Drawn},
	} {
		if !t.acta.Equal(t.now.Time) {
			add("the contest %s %s, the acta has %s", t.what, orNever(t.now), orNever(t.acta))
		}
	}
	agencies := 0
	for i := range a.Agencies {
		if i >= len(now.Agencies) {
			break
		}
		difference := a.Agencies[i].difference(&now.Agencies[i])
		if difference == "" {
			continue
		}
		if agencies++; agencies <= maxDifferences {
			found = append(found, difference)
		}
	}
	if agencies > maxDifferences {
		add("and %d more agencies differ", agencies-maxDifferences)
	}
	if agencies == 0 && a.Ledger != now.Ledger {
		add("the ledger differs, with the same rows of each agency in another order: it has %s, the acta has %s", now.Ledger, a.Ledger)
	}
	return found
}

// String describes the rows, for people.
func (l Ledger) String() string {
	return fmt.Sprintf("%d rows of %d bytes with the SHA-256 %s", l.Rows, l.Bytes, l.SHA256)
}

func orNever(t Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format(time.RFC3339Nano)
}

// difference returns in what the agency now differs from the acta, or "".
func (a *Agency) difference(now *Agency) string {
	rows := func(a *Agency) string {
		return fmt.Sprintf("%d bets, %d bytes, SHA-256 %s", a.Bets, a.Bytes, a.SHA256)
	}
	switch {
	case rows(a) != rows(now):
		return fmt.Sprintf("agency %d's rows differ: the ledger has %s; the acta has %s", a.Agency, rows(now), rows(a))
	case a.Ended != now.Ended:
		return fmt.Sprintf("agency %d's betting has ended otherwise: %s; the acta has %s", a.Agency, now.Ended, a.Ended)
	}
	return ""
}

// checkSignature returns an error unless the acta is signed by signer or, when that
// is nil, by the key that it names, if any.
func (a *Acta) checkSignature(kept []byte, signer ed25519.PublicKey) error {
	switch s := a.Signature; {
	case s == nil && signer != nil:
		return different("acta.json is not signed, expected is the signature of the key %s", PublicKey(signer))
	case s == nil:
		return nil
	case signer != nil && !bytes.Equal(s.PublicKey, signer):
		return different("acta.json: line %d: it is signed by the key %s, expected is %s", lineOf(kept, `    "public_key": `), s.PublicKey, PublicKey(signer))
	case len(s.PublicKey) != ed25519.PublicKeySize || !ed25519.Verify(ed25519.PublicKey(s.PublicKey), contentOf(kept), s.Ed25519):
		return different("acta.json: line %d: the signature is not of this acta, or not by the key in line %d", lineOf(kept, `    "ed25519": `), lineOf(kept, `    "public_key": `))
	}
	return nil
}
