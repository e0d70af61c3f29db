package natsledger

import (
	"context"

	"loteria/lottery"
)

// Read reads a whole contest, also while centrals write to it: it calls visit for
// the stretches in the order of the stream, whose memory is only theirs until it
// returns. It checks each agency's chain, count and digest, and that nothing is
// missing. The error is a *DamageError, or what reading or visit gave.
func Read(ctx context.Context, c Config, visit func(lottery.Stretch) error) (Report, error) {
	return Report{}, errNotBuilt
}
