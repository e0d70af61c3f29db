package agency

import (
	"context"
	"math/rand/v2"
	"time"
)

// Pauses before the central is called again.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// backoff makes pauses that double from the first to the longest.
type backoff struct{ first, longest time.Duration }

// pause returns the pause after that many failures in a row, 1 and up, give or
// take a half, so that agencies that were cut off together do not come back
// together.
func (b backoff) pause(failures int) time.Duration {
	d := b.middle(failures)
	return d/2 + rand.N(d+1)
}

func (b backoff) middle(failures int) time.Duration {
	d := b.first
	for i := 1; i < failures && d < b.longest; i++ {
		d *= 2
	}
	return min(d, b.longest)
}

// sleep returns after d, or with an error when ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
