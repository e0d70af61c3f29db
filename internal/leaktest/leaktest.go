// Package leaktest finds goroutines that tests have left.
package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take to end; on a busy machine that is longer
// than goleak waits, which is less than half a second.
const patience = 30 * time.Second

// Find returns an error that shows the goroutines that are left, if they do not end
// soon.
func Find(options ...goleak.Option) error {
	for begun := time.Now(); ; {
		err := goleak.Find(options...)
		if err == nil || time.Since(begun) > patience {
			return err
		}
	}
}

// Run runs the tests and returns the exit code, which is not 0 if they leave goroutines.
func Run(m *testing.M, options ...goleak.Option) (code int) {
	code = m.Run()
	if code != 0 {
		return code
	}
	if err := Find(options...); err != nil {
		fmt.Fprintln(os.Stderr, "goleak: the tests passed, but", err)
		return 1
	}
	return 0
}
