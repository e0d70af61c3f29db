package reactor

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
	"loteria/internal/leaktest"
)

// descriptors returns how many descriptors the process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("descriptors cannot be counted here: %v", err)
	}
	return len(entries)
}

// awaitDescriptors waits until at most n are open. gnet closes a connection's own after
// it has told of its end, and the one that it was given on another goroutine.
func (c *central) awaitDescriptors(n int) {
	c.t.Helper()
	c.await(fmt.Sprintf("at most %d descriptors are open", n), func() bool { return descriptors(c.t) <= n })
}

// leavesNothing runs a test that must leave no descriptor and no goroutine after its
// cleanup.
func leavesNothing(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	// What the process opens once, for good.
	t.Run("before", func(t *testing.T) { start(t, 1, nil, nil).expectEcho("hola\n") })
	goroutines := goleak.IgnoreCurrent()
	before := descriptors(t)
	t.Run("itself", test)
	// First the goroutines: the last of them may have a file open still.
	options := append(lasting[:len(lasting):len(lasting)], goroutines)
	if err := leaktest.Find(options...); err != nil {
		t.Error(err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, before it were %d", after, before)
	}
}
