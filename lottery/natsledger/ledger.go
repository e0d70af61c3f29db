package natsledger

import (
	"context"
	"errors"
	"fmt"

	"loteria/lottery"
)

// Ledger is a lottery.Ledger in a stream.
type Ledger struct{ lottery.Ledger }

var errNotBuilt = errors.New("natsledger: still to be built")

// Open opens the contest, which it begins when there is none. It waits for the
// servers until ctx is done.
func Open(ctx context.Context, c Config) (*Ledger, error) { return nil, errNotBuilt }

// Stream returns the name of the contest's stream.
func (l *Ledger) Stream() string { return "" }

// Health returns how the servers are. It waits for nothing.
func (l *Ledger) Health() Health { return Health{} }

// TermsError says that a contest was begun with other terms.
type TermsError struct{ Stored, Asked lottery.Terms }

// Error names both.
func (e *TermsError) Error() string {
	return fmt.Sprintf("the contest was begun with %d agencies, not with %d", e.Stored.Agencies, e.Asked.Agencies)
}
