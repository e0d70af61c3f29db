package ledgertest_test

import (
	"fmt"
	"os"
	"testing"

	"loteria/internal/leaktest"
	"loteria/lottery/ledgertest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

func TestMemory(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		t.Run(fmt.Sprintf("lazy=%t", lazy), func(t *testing.T) {
			ledgertest.Run(t, func(*testing.T) *ledgertest.Storage { return (&ledgertest.Memory{Lazy: lazy}).Storage() })
		})
	}
}
