//go:build linux

package cmd_test

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// long says whether the tests that break things take their long form.
func long() bool { return os.Getenv("CHAOS") != "" }

// seeded returns the seed of this run, which CHAOS_SEED sets. What is broken,
// and after which progress, follows from it; what else happens at that moment
// is up to the machine.
func seeded(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CHAOS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("CHAOS_SEED: %v", err)
		}
	}
	t.Logf("repeat with CHAOS_SEED=%d", seed)
	return seed
}

// chance is true once in n times.
func chance(rng *rand.Rand, n int) bool { return rng.IntN(n) == 0 }

// upTo returns a number from 0 to limit. Each order of magnitude is as likely
// as the next, so small numbers are as well tried as large ones.
func upTo(rng *rand.Rand, limit int) int {
	return int(math.Exp(rng.Float64()*math.Log(float64(limit)+1))) - 1
}

func upToTime(rng *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(limit) + 1))
}
