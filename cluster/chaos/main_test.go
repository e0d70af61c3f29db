package chaos_test

import (
	"os"
	"testing"
	"time"

	"loteria/internal/leaktest"
)

// stuckTime is how long nothing may happen before a test gives up. NATS takes
// some 10 s to elect a leader after the worst disasters here.
const stuckTime = 2 * time.Minute

func TestMain(m *testing.M) {
	code := leaktest.Run(m)
	programs.Remove()
	os.Exit(code)
}

// long says whether the tests take their long form.
func long() bool { return os.Getenv("CHAOS") != "" }
