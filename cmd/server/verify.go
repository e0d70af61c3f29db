package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"time"

	"loteria/lottery/acta"
)

// verifyActa prints whether the acta in the given folder is that of the bets beside
// it, agency by agency. The error says what differs.
func verifyActa(ctx context.Context, c config, stdout io.Writer) error {
	signer, err := c.acta.signer()
	if err != nil {
		return err
	}
	at := folder{path: c.acta.verify}
	kept, _, err := loadActa(at.path)
	if err == nil && kept == nil {
		err = fmt.Errorf("there is no %s in %s", actaFile, at.path)
	}
	if err != nil {
		return err
	}
	found, err := compareActa(ctx, at, kept, "", signer)
	found.print(stdout, kept)
	switch {
	case err != nil:
		fmt.Fprintln(stdout, "NOT PROVED: the acta and what is beside it are not of one draw")
		return err
	case found.acta.Signature == nil:
		fmt.Fprintln(stdout, "signature: none: whoever could change both files could make such an acta")
	case signer == nil:
		fmt.Fprintf(stdout, "signature: by the key that the acta itself names, %s: that proves only that it was not changed by chance; "+
			"give --acta-public-key\n", found.acta.Signature.PublicKey)
	default:
		fmt.Fprintf(stdout, "signature: by the expected key %s\n", found.acta.Signature.PublicKey)
	}
	fmt.Fprintln(stdout, "proved: the draw was made from these rows")
	return nil
}

// print writes the comparison for people.
func (c *comparison) print(w io.Writer, kept []byte) {
	fmt.Fprintf(w, "%s: SHA-256 %s\n", actaFile, digestOf(kept))
	a := c.acta
	if a == nil {
		return
	}
	fmt.Fprintf(w, "contest: %q, of %d agencies\n", a.Contest, a.Terms.Agencies)
	for _, t := range []struct {
		what string
		at   acta.Time
	}{{"deadline", a.Terms.Deadline}, {"opened", a.Opened}, {"closed", a.Closed}, {"drawn", a.Drawn}} {
		if !t.at.IsZero() {
			fmt.Fprintf(w, "%s: %s\n", t.what, t.at.Format(time.RFC3339Nano))
		}
	}
	for i := range a.Agencies {
		agency := &a.Agencies[i]
		judged := "the same in the ledger"
		if !c.rows.Has(agency) {
			judged = "NOT the same in the ledger"
		}
		fmt.Fprintf(w, "agency %d: %d bets, %d bytes, SHA-256 %s, %s, winners: %d: %s\n",
			agency.Agency, agency.Bets, agency.Bytes, agency.SHA256, agency.Ended, agency.Winners, judged)
	}
	fmt.Fprintf(w, "%s: %s\n", c.found.place, c.rows.Ledger())
	if c.found.state == "none" {
		fmt.Fprintln(w, "there is no contest.json: terms, times and how each betting has ended are only what the acta says")
	}
}

// checkActa compares an acta's content with the configured contest, and returns a
// note about it; "" when the contest cannot be read.
func checkActa(ctx context.Context, at place, kept []byte, name string, signer ed25519.PublicKey) (compared *comparison, note string, err error) {
	compared, err = compareActa(ctx, at, kept, name, signer)
	by := "not signed"
	switch {
	case isDifference(err):
		return compared, fmt.Sprintf("%s: SHA-256 %s: it is NOT that of this contest", actaFile, digestOf(kept)), err
	case err != nil:
		return compared, "", err
	case compared.acta.Signature != nil:
		by = "signed by " + compared.acta.Signature.PublicKey.String()
	}
	return compared, fmt.Sprintf("%s: SHA-256 %s, %s: it is that of this contest", actaFile, digestOf(kept), by), nil
}
