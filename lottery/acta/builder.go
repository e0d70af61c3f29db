package acta

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"strings"

	"loteria/lottery"
)

// maxAgencies bounds the agencies when it is not known how many are expected: each
// takes some 400 bytes.
const maxAgencies = 1_000_000

// Builder makes an acta from the rows of a contest, added in order. It keeps each
// agency's sums and the documents of its winners, but no rows.
type Builder struct {
	rows, bytes uint64
	ledger      hash.Hash
	agencies    []sums // of agency i+1
}

// sums are of the rows of one agency.
type sums struct {
	bets, bytes uint64
	rows        hash.Hash // nil without bets
	documents   []string
}

// NewBuilder returns a builder that has no rows yet.
func NewBuilder() *Builder { return &Builder{ledger: sha256.New()} }

// Add takes the next rows. It keeps nothing of their memory.
func (b *Builder) Add(s lottery.Stretch) error {
	if s.Agency < 1 || s.Agency > maxAgencies {
		return fmt.Errorf("there are bets of agency %d, agencies are 1 to %d", s.Agency, maxAgencies)
	}
	if s.Agency > len(b.agencies) {
		b.agencies = append(b.agencies, make([]sums, s.Agency-len(b.agencies))...)
	}
	a := &b.agencies[s.Agency-1]
	if a.rows == nil {
		a.rows = sha256.New()
	}
	b.ledger.Write(s.Rows)
	a.rows.Write(s.Rows)
	b.rows, b.bytes = b.rows+uint64(s.Bets), b.bytes+uint64(len(s.Rows))
	a.bets, a.bytes = a.bets+uint64(s.Bets), a.bytes+uint64(len(s.Rows))
	for _, document := range s.Winners {
		a.documents = append(a.documents, strings.Clone(document))
	}
	return nil
}

// Contest is what is known of a contest besides its rows. When nothing is, Endings
// is nil, and Terms and Times are empty.
type Contest struct {
	Name    string // may be empty
	Terms   lottery.Terms
	Times   lottery.Times
	Endings []lottery.Ending // of agency i+1, of all that are expected
}

// Acta returns the acta of the contest that has the rows, not sealed yet. It is an
// error when the contest cannot be drawn.
func (b *Builder) Acta(c Contest) (*Acta, error) {
	if len(b.agencies) > len(c.Endings) {
		return nil, fmt.Errorf("there are bets of agency %d, expected are 1 to %d", len(b.agencies), len(c.Endings))
	}
	a := &Acta{
		Format:   Format,
		Contest:  c.Name,
		Terms:    Terms{len(c.Endings), timeOf(c.Terms.Deadline)},
		Opened:   timeOf(c.Times.Opened),
		Closed:   timeOf(c.Times.Closed),
		Drawn:    timeOf(c.Times.Drawn),
		Ledger:   b.Ledger(),
		Agencies: make([]Agency, len(c.Endings)),
	}
	for i, how := range c.Endings {
		if how == lottery.Open {
			return nil, fmt.Errorf("the betting of agency %d has not ended", i+1)
		}
		var s sums
		if i < len(b.agencies) {
			s = b.agencies[i]
		}
		a.Agencies[i] = Agency{i + 1, s.bets, s.bytes, sum(s.rows), Ending(how), len(s.documents), append([]string{}, s.documents...)}
	}
	return a, nil
}

// Has reports whether an agency's rows are those that an acta records.
func (b *Builder) Has(a *Agency) bool {
	var s sums
	if a.Agency >= 1 && a.Agency <= len(b.agencies) {
		s = b.agencies[a.Agency-1]
	}
	return a.Bets == s.bets && a.Bytes == s.bytes && a.SHA256 == sum(s.rows)
}

// Ledger returns the count, size and digest of all rows.
func (b *Builder) Ledger() Ledger { return Ledger{b.rows, b.bytes, sum(b.ledger)} }

// sum returns the digest of what was written to a hash, which may be nil.
func sum(h hash.Hash) (d Digest) {
	if h == nil {
		return sha256.Sum256(nil)
	}
	h.Sum(d[:0])
	return d
}
