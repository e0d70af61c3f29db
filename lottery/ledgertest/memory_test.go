package ledgertest_test

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"
	"loteria/lottery/ledgertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		t.Run(fmt.Sprintf("lazy=%t", lazy), func(t *testing.T) {
			ledgertest.Run(t, func(*testing.T) *ledgertest.Storage { return (&ledgertest.Memory{Lazy: lazy}).Storage() })
		})
	}
}
