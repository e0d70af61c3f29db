package acta

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"loteria/lottery"
)

// Format is the version of the acta's format.
const Format = 1

// Acta is the record of a draw, with its fields in the order in which they are
// written. Times and a deadline that the ledger does not know are left out.
type Acta struct {
	Format   int      `json:"format"`
	Contest  string   `json:"contest"` // its name; may be empty
	Terms    Terms    `json:"terms"`
	Opened   Time     `json:"opened,omitzero"` // the contest was begun
	Closed   Time     `json:"closed,omitzero"` // the last betting has ended
	Drawn    Time     `json:"drawn,omitzero"`  // the draw was noted
	Ledger   Ledger   `json:"ledger"`
	Agencies []Agency `json:"agencies"` // all that were expected
	// Content is the digest of all lines before it.
	Content   Digest     `json:"content_sha256"`
	Signature *Signature `json:"signature,omitempty"` // nil when it is not signed
}

// Terms are what the contest was run with.
type Terms struct {
	Agencies int  `json:"agencies"`          // that were expected, numbered from 1
	Deadline Time `json:"deadline,omitzero"` // when betting ended at the latest
}

// Ledger describes what the draw was made from: all rows, in their order.
type Ledger struct {
	Rows   uint64 `json:"rows"`
	Bytes  uint64 `json:"bytes"`
	SHA256 Digest `json:"sha256"`
}

// Agency is what one expected agency has in the ledger.
type Agency struct {
	Agency    int      `json:"agency"`
	Bets      uint64   `json:"bets"`
	Bytes     uint64   `json:"bytes"`  // of its rows
	SHA256    Digest   `json:"sha256"` // of its rows, in their order
	Ended     Ending   `json:"ended"`
	Winners   int      `json:"winners"`
	Documents []string `json:"documents"` // of its winners, in the order of their bets
}

// Signature signs the lines that Content is the digest of.
type Signature struct {
	Ed25519   Bytes     `json:"ed25519"`
	PublicKey PublicKey `json:"public_key"`
}

// contentLine begins the line at which the content ends. No other line begins with
// two spaces and this name, as no text has a line break in it.
const contentLine = "\n  \"content_sha256\": "

// Seal computes the digest of the content, signs the content unless the key is nil,
// and returns the acta as it is kept.
func (a *Acta) Seal(key ed25519.PrivateKey) []byte {
	content := contentOf(a.encode())
	a.Content, a.Signature = sha256.Sum256(content), nil
	if key != nil {
		a.Signature = &Signature{ed25519.Sign(key, content), PublicKey(key.Public().(ed25519.PublicKey))}
	}
	return a.encode()
}

// encode returns the only valid form of the acta: JSON indented by two spaces, with
// a line feed at its end.
func (a *Acta) encode() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(a); err != nil {
		panic(err) // it has numbers and texts
	}
	return b.Bytes()
}

// contentOf returns the signed part of an acta as it is kept; it is empty when
// there is none.
func contentOf(kept []byte) []byte {
	end := bytes.LastIndex(kept, []byte(contentLine))
	return kept[:end+1]
}

// Parse reads an acta as it is kept. The error is a *FormError with the line of the
// first byte that Seal does not write. Check, not Parse, compares the content with
// its digest and its signature.
func Parse(kept []byte) (*Acta, error) {
	a := new(Acta)
	err := json.Unmarshal(kept, a)
	if syntax, ok := err.(*json.SyntaxError); ok {
		return nil, &FormError{Line: lineAt(kept, syntax.Offset-1), Reason: "it is no JSON there: " + err.Error()}
	}
	// A value of another type stays what it is without one: its line differs.
	form := a.encode()
	if line, found, expected := firstDifference(kept, form); line > 0 {
		return nil, &FormError{Line: line, Reason: fmt.Sprintf("it has %s, an acta has %s", found, expected)}
	}
	if a.Format != Format {
		return nil, &FormError{Line: lineOf(kept, `  "format": `), Reason: fmt.Sprintf("its format is %d, known is %d", a.Format, Format)}
	}
	return a, nil
}

// FormError says why a text is not an acta.
type FormError struct {
	Line   int // from 1
	Reason string
}

// Error names the line and the reason.
func (e *FormError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// times returns the times as a ledger has them.
func (a *Acta) times() lottery.Times {
	return lottery.Times{Opened: a.Opened.Time, Closed: a.Closed.Time, Drawn: a.Drawn.Time}
}

// endings returns how the betting of agency i+1 has ended.
func (a *Acta) endings() []lottery.Ending {
	endings := make([]lottery.Ending, len(a.Agencies))
	for i := range a.Agencies {
		endings[i] = lottery.Ending(a.Agencies[i].Ended)
	}
	return endings
}

// lineAt returns the number of the line that has the byte at an offset.
func lineAt(text []byte, offset int64) int {
	offset = max(0, min(offset, int64(len(text))))
	return 1 + bytes.Count(text[:offset], []byte("\n"))
}

// lineOf returns the number of the first line that begins so, or of the last line.
func lineOf(text []byte, begin string) int {
	if bytes.HasPrefix(text, []byte(begin)) {
		return 1
	}
	at := bytes.Index(text, []byte("\n"+begin))
	if at < 0 {
		at = len(text) - 2
	}
	return lineAt(text, int64(at)+1)
}

// firstDifference returns the number of the first line in which two texts differ,
// and both forms of it, for people; 0 when they are the same.
func firstDifference(found, expected []byte) (line int, has, wants string) {
	if bytes.Equal(found, expected) {
		return 0, "", ""
	}
	for line = 1; ; line++ {
		f, restOfFound, _ := bytes.Cut(found, []byte("\n"))
		e, restOfExpected, _ := bytes.Cut(expected, []byte("\n"))
		if !bytes.Equal(f, e) || len(restOfFound) == 0 || len(restOfExpected) == 0 {
			return line, shown(f), shown(e)
		}
		found, expected = restOfFound, restOfExpected
	}
}

// maxShown bounds how much of a line a message has, in bytes.
const maxShown = 120

func shown(line []byte) string {
	if len(line) > maxShown {
		return fmt.Sprintf("%q…", bytes.TrimLeft(line[:maxShown], " "))
	}
	return fmt.Sprintf("%q", bytes.TrimLeft(line, " ")) // with a \r at its end
}

// Time is UTC as RFC 3339 has it.
type Time struct{ time.Time }

// timeOf returns a time as an acta has it. A year that RFC 3339 cannot write gives
// the zero time: only a changed file has one, and it differs then.
func timeOf(t time.Time) Time {
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return Time{}
	}
	return Time{t}
}

// UnmarshalJSON reads what is not a time as the zero time: Parse finds the line.
func (t *Time) UnmarshalJSON(text []byte) error {
	var read time.Time
	if read.UnmarshalJSON(text) != nil {
		read = time.Time{}
	}
	*t = timeOf(read)
	return nil
}
