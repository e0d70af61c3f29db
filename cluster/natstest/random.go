package natstest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// SeedVariable names the environment variable that repeats a random test. Its
// value is the seed that the test has logged.
const SeedVariable = "CHAOS_SEED"

// Rand returns a random source for a test, and logs its seed. The source is
// not safe for use by several goroutines at once.
func Rand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(SeedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", SeedVariable, err)
		}
	}
	t.Logf("%s=%d repeats this", SeedVariable, seed)
	return rand.New(rand.NewPCG(seed, 0))
}
