package chaos_test

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// stuckTime is how long nothing may happen before a test gives up. NATS takes
// some 10 s to elect a leader after the worst disasters here.
const stuckTime = 2 * time.Minute

func TestMain(m *testing.M) {
	code := m.Run()
	programs.Remove()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// long says whether the tests take their long form.
func long() bool { return os.Getenv("CHAOS") != "" }
