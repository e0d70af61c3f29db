package natsledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// result is the result of a draw: a function of the bets, the same at every
// central.
type result struct {
	winners [][]string // documents, of agency i+1 and in their order
	body    []byte     // of the message of the draw: JSON, always small
}

// drawBody is the body of the message of the draw.
type drawBody struct {
	Bets    uint64 `json:"bets"`
	Winners int    `json:"winners"`
	Digest  string `json:"xxh64"` // of "agency,document\n" of all winners, by agency and in their order
}

// result returns the result of the messages seen.
func (v *verifier) result() *result {
	r := &result{winners: make([][]string, len(v.chains))}
	var body drawBody
	digest := xxhash.New()
	for i := range v.chains {
		c := &v.chains[i]
		r.winners[i] = slices.Clone(c.winners)
		body.Bets += c.bets
		body.Winners += len(c.winners)
		for _, document := range c.winners {
			fmt.Fprintf(digest, "%d,%s\n", i+1, document)
		}
	}
	body.Digest = hex(digest.Sum64())
	r.body, _ = json.Marshal(body) // never fails: numbers and text
	return r
}

// pass reads the headers of the stream, and returns the result of the contest.
// All betting must have ended. Any error means that there is no result yet: a
// message that no server has at the moment, servers that do not answer, or a
// *DamageError, which is for good unless it is of one server.
//
// A long stream may take longer than ctx allows. What was verified stays verified,
// as a stream only grows: the next pass goes on from there.
func (r *reader) pass(ctx context.Context) (*result, error) {
	select {
	case r.passing <- struct{}{}:
		defer func() { <-r.passing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r.passed == nil {
		r.passed = newVerifier(r.stream, r.agencies, false)
	}
	v := r.passed
	if _, err := r.readAll(ctx, "", v, nil); err != nil {
		if damage := (*DamageError)(nil); errors.As(err, &damage) && !damage.missing {
			r.passed = nil
		}
		return nil, err
	}
	for i := range v.chains {
		if v.chains[i].closed == 0 {
			return nil, &DamageError{Stream: r.stream, Agency: i + 1, Found: "betting that has not ended", Expected: "the agency's end before the draw"}
		}
	}
	return v.result(), nil
}

// Winners returns the result of a contest's draw, once all betting has ended: at
// index i the documents of agency i+1's winning bets, in order. It reads the
// headers of the whole stream, as every central does for the draw.
func Winners(ctx context.Context, c Config) ([][]string, error) {
	r, _, leave, err := openReader(ctx, c)
	if err != nil {
		return nil, err
	}
	defer leave()
	result, err := r.pass(ctx)
	if err != nil {
		return nil, err
	}
	return result.winners, nil
}
